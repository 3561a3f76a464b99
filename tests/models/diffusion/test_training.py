"""Training of the generator: seeds, resumed trainings, time, divergence and memory."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
import torch
from evenset.models.diffusion import network, noise, sampling, training, training_loop, training_state
from evenset.models.diffusion.pipeline import velocity
from evenset.models.settings import SamplingSettings
from safetensors.torch import load_file

CPU = torch.device("cpu")


pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers


def test_steps_say_how_far_it_is(toy):
    numbers = [step.number for step in toy.steps]
    assert set(range(10, 151, 10)) <= set(numbers) and numbers == sorted(set(numbers))
    assert {step.total for step in toy.steps} == {150}
    last = toy.steps[-1].metrics
    assert last["epochs"] == 150 * 16 / 64 and last["images_per_second"] > 0 and last["seconds"] > 0
    assert toy.steps[-1].loss < toy.steps[0].loss / 2


def test_only_the_images_of_an_update_are_asked_for(tmp_path, settings, dark_and_bright):
    images, labels = dark_and_bright()
    asked_for = []

    def fetch(indices):
        asked_for.append(len(indices))
        return images[indices]

    pipeline = network.build(["dark", "bright"], 1, 12, settings())
    list(training.train(pipeline, fetch, labels, settings(), tmp_path))
    assert asked_for == [8] * 8


def test_the_seed_fixes_the_weights(tmp_path, fit, weights):
    once, again, other = (weights(fit(tmp_path / str(i), seed=seed)[0]) for i, seed in enumerate((1, 1, 2)))
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    assert not torch.equal(once, other)


def test_where_steps_are_set_no_clock_shows_in_the_weights(tmp_path, monkeypatch, fit, weights):
    expected = weights(fit(tmp_path / "0", minutes=None)[0])
    ticks = itertools.chain([0.0], itertools.repeat(40.0))  # the first update seems to take most of the minute
    monkeypatch.setattr(training_loop.time, "monotonic", lambda: next(ticks))
    found, steps = fit(tmp_path / "1", minutes=1)

    assert steps[-1].number == 8
    torch.testing.assert_close(weights(found), expected, rtol=0, atol=0)


@pytest.fixture(autouse=True)
def folders(tmp_path):
    for name in "0123":
        (tmp_path / name).mkdir()


@pytest.mark.parametrize("way", ["stopped by fetch", "left after a saved state"])
def test_a_training_that_was_cut_off_ends_with_the_same_weights_and_images(
    way, tmp_path, monkeypatch, settings, dark_and_bright, fit, draw, weights
):
    images, labels = dark_and_bright()
    monkeypatch.setattr(training_loop, "REPORT_SECONDS", 600.0)  # reports by updates alone, however slow the machine
    asked = settings(max_updates=25)
    whole, steps = fit(tmp_path / "0", max_updates=25)

    if way == "left after a saved state":
        monkeypatch.setattr(training_loop, "SAVE_SECONDS", 0.0)
        monkeypatch.setattr(training_loop, "SAVE_TIMES", 0.0)
    count = itertools.count()

    def fetch(indices):
        if next(count) == 13 and way == "stopped by fetch":
            raise KeyboardInterrupt
        return images[indices]

    first = network.build(["dark", "bright"], 1, 12, asked)
    reports = training.train(first, fetch, labels, asked, tmp_path / "1")
    if way == "stopped by fetch":
        with pytest.raises(KeyboardInterrupt):
            list(reports)
    else:
        assert next(reports).number == 10
        reports.close()
    second, rest = fit(tmp_path / "1", max_updates=25)

    torch.testing.assert_close(weights(second), weights(whole), rtol=0, atol=0)
    np.testing.assert_array_equal(draw(second, [0, 1] * 4), draw(whole, [0, 1] * 4))
    assert rest[-1].number == 25 and rest[-1].loss == pytest.approx(steps[-1].loss, rel=1e-6)
    assert rest[-1].metrics["epochs"] == steps[-1].metrics["epochs"]
    third, last = fit(tmp_path / "1", max_updates=25)  # it is done: nothing is learned again
    assert len(last) == 1
    torch.testing.assert_close(weights(third), weights(whole), rtol=0, atol=0)


def test_time_is_counted_over_resumes(tmp_path, settings, dark_and_bright):
    images, labels = dark_and_bright()
    asked = settings(max_updates=None, minutes=1.5 / 60)
    pipeline = network.build(["dark", "bright"], 1, 12, asked)
    began = time.monotonic()

    def fetch(indices):
        if time.monotonic() - began > 0.7:
            raise InterruptedError
        return images[indices]

    with pytest.raises(InterruptedError):
        list(training.train(pipeline, fetch, labels, asked, tmp_path))
    began = time.monotonic() + 60
    *_, last = training.train(pipeline, fetch, labels, asked, tmp_path)
    assert time.monotonic() + 60 - began < 1.4
    assert 1.5 <= last.metrics["seconds"] < 2.5 and last.number == last.total > 2


def test_a_loss_that_is_no_number_ends_it_and_what_was_learned_before_draws(
    tmp_path, settings, dark_and_bright, fit, draw, weights
):
    images, labels = dark_and_bright()
    asked = settings()
    pipeline = network.build(["dark", "bright"], 1, 12, asked)
    broken = pipeline.unet.conv_out.register_forward_hook(
        lambda module, given, predicted: predicted * (math.nan if module.calls == 5 else 1)
    )
    pipeline.unet.conv_out.calls = 0

    def fetch(indices):
        pipeline.unet.conv_out.calls += 1
        return images[indices]

    with pytest.raises(FloatingPointError, match="update 5 has a loss of nan.*learning_rate"):
        list(training.train(pipeline, fetch, labels, asked, tmp_path))
    broken.remove()

    kept = load_file(tmp_path / training_state.STATE)
    assert all(torch.isfinite(value).all() for value in kept.values())
    mean = [kept[f"mean.{number}"] for number in range(len(list(pipeline.unet.parameters())))]
    for found, expected in zip(pipeline.unet.parameters(), mean, strict=True):
        torch.testing.assert_close(found.detach(), expected, rtol=0, atol=0)
    assert draw(pipeline, [0, 1]).std() > 0
    resumed, _ = fit(tmp_path)  # what was wrong is gone
    torch.testing.assert_close(weights(resumed), weights(fit(tmp_path / "0")[0]), rtol=0, atol=0)


def only_so_many(pipeline, most, error):
    def refuse(module, given):
        if len(given[0]) > most:
            raise error

    return pipeline.unet.register_forward_pre_hook(refuse)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_where_memory_is_too_small_passes_are_halved_and_the_same_is_learned(
    error, tmp_path, settings, fit, draw, weights
):
    whole, other = fit(tmp_path / "0")
    pipeline = network.build(["dark", "bright"], 1, 12, settings())
    hook = only_so_many(pipeline, 3, error)
    _, steps = fit(tmp_path / "1", pipeline)

    assert steps[-1].metrics["at_once"] == 2
    assert steps[-1].loss == pytest.approx(other[-1].loss, rel=0.01)
    assert (weights(pipeline) - weights(whole)).abs().mean() < 1e-4
    few = SamplingSettings(sampling_steps=4, precision="fp32", guidance=1.0)
    parts = [len(places) for places, _ in sampling.generate(pipeline, np.zeros(7, dtype=int), few)]
    assert parts == [3, 3, 1]
    hook.remove()
    only_so_many(pipeline, 0, error)
    with pytest.raises(MemoryError, match="too small to draw one image"):
        draw(pipeline, [0])
    with pytest.raises(MemoryError, match="too small to learn from one image"):
        fit(tmp_path / "2", pipeline)


def test_the_gradient_of_more_passes_is_that_of_one(settings, dark_and_bright):
    images, labels = dark_and_bright(10)
    pipeline = network.build(["dark", "bright"], 1, 12, settings())
    batch = noise.noise_batch(images, labels, 2, 0, settings(), CPU)
    gradients, errors = [], []
    for at_once in (10, 3):
        errors.append(training.backward(pipeline.unet, 2, batch, training_state.Progress(at_once, "fp32")))
        gradients.append(torch.cat([one.grad.flatten() for one in pipeline.unet.parameters()]))
    whole = (velocity(pipeline.unet, 2, batch.noisy, batch.times, batch.labels) - batch.target).square().mean()

    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
    assert errors == pytest.approx([whole.item()] * 2, rel=1e-5)


def test_other_errors_are_not_taken_for_lack_of_memory(tmp_path, settings, fit, draw):
    pipeline = network.build(["dark", "bright"], 1, 12, settings())
    only_so_many(pipeline, 3, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        fit(tmp_path, pipeline)
    with pytest.raises(RuntimeError, match="a bug"):
        draw(pipeline, [0] * 4)


def test_the_step_size_warms_up_and_falls_as_a_cosine():
    assert training_loop.schedule(0, 0.0, 100) == 0.01 and training_loop.schedule(99, 0.02, 100) == pytest.approx(
        1, abs=0.01
    )
    assert training_loop.schedule(3, 0.25, 100) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert training_loop.schedule(900, 0.5, 100) == pytest.approx(0.5)
    assert training_loop.schedule(999, 0.999, 0) < 1e-5


def test_the_faster_precision_is_chosen_and_leaves_no_gradient(toy, settings, draw, weights):
    chosen = training.choose_precision(toy.pipeline, settings(precision="auto"))
    assert chosen in ("fp32", "bf16")
    assert all(one.grad is None for one in toy.pipeline.unet.parameters())
    before = weights(toy.pipeline)
    draw(toy.pipeline, [0], SamplingSettings(sampling_steps=1))
    torch.testing.assert_close(weights(toy.pipeline), before, rtol=0, atol=0)


def test_unknown_labels_and_endless_trainings_are_refused(fit, dark_and_bright, tmp_path):
    with pytest.raises(ValueError, match="labels must be from 0 to 1"):
        fit(tmp_path, data=(dark_and_bright()[0], np.arange(64)))
    with pytest.raises(ValueError, match="set minutes or max_updates"):
        fit(tmp_path, minutes=None, max_updates=None)
