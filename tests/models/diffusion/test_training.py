"""The generator: what it learns beside formulas of Gaussians, what it draws, and what a kill, a NaN or memory does."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from evenset.models.diffusion import network, noise
from evenset.models.diffusion import training as diffusion
from evenset.models.settings import GeneratorSettings, SamplingSettings
from PIL import Image
from safetensors.torch import load_file
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers

CPU = torch.device("cpu")
FEW = SamplingSettings(sampling_steps=6, precision="fp32")


def settings(**changed):
    return GeneratorSettings(
        **{**dict(minutes=None, max_updates=8, width=8, batch_size=8, precision="fp32"), **changed}
    )


def dark_and_bright(count=64, size_px=12, channels=1):
    labels = np.arange(count) % 2
    spread = np.random.default_rng(0).integers(-15, 16, (count, channels, size_px, size_px))
    return (np.where(labels == 0, 40, 215)[:, None, None, None] + spread).astype(np.uint8), labels


def fit(folder, pipeline=None, data=None, **changed):
    images, labels = data or dark_and_bright()
    asked = settings(**changed)
    pipeline = pipeline or diffusion.build(["dark", "bright"], images.shape[1], images.shape[2], asked)
    return pipeline, list(diffusion.train(pipeline, lambda indices: images[indices], labels, asked, folder))


def drawn(pipeline, labels, asked=FEW, **options):
    images = np.zeros((len(labels), pipeline.config.channels, *[pipeline.config.size_px] * 2), dtype=np.uint8)
    for places, part in diffusion.generate(pipeline, np.asarray(labels), asked, **options):
        images[places] = part
    return images


def weights(pipeline):
    return torch.cat([value.flatten() for value in pipeline.unet.state_dict().values()])


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    images, labels = dark_and_bright()
    asked = settings(max_updates=150, width=16, batch_size=16, preview_every=100)
    pipeline = diffusion.build(["dark", "bright"], 1, 12, asked)
    steps = list(diffusion.train(pipeline, lambda indices: images[indices], labels, asked, folder, folder))
    return SimpleNamespace(pipeline=pipeline, steps=steps, folder=folder)


class Gaussian(nn.Module):
    """Says the velocity of classes whose pixels are N(mean of the class, spread^2), by the formula."""

    def __init__(self, means, spread):
        super().__init__()
        self.means, self.spread, self.rows = torch.tensor(means), spread, []
        self.record = SimpleNamespace(num_class_embeds=len(means), block_out_channels=(8,))

    def forward(self, noisy, times, labels, return_dict):
        self.rows.append(len(noisy))
        t, mean = (values[:, None, None, None] for values in (times / 1000, self.means[labels]))
        residual = (noisy - (1 - t) * mean) / ((1 - t) ** 2 * self.spread**2 + t**2)
        return (t * residual - (mean + (1 - t) * self.spread**2 * residual),)


def gaussian_pipeline(means, spread=0.2):
    pipeline = diffusion.build(["a", "b"], 1, 8, settings(patch_px=1))
    pipeline.unet = Gaussian(means, spread)
    return pipeline


def draw_gaussians(pipeline, label, steps=25, guidance=1.0, interval=(0.0, 1.0)):
    start = torch.randn(256, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return pipeline.draw(start, torch.full((256,), label), steps, guidance, interval)


def test_what_is_to_be_learned_is_the_velocity_of_the_formula():
    """Pixels N(.2, .3^2): the expected target, given a noisy pixel, is a line; least squares has to find it."""
    rng = np.random.default_rng(0)
    images = ((rng.normal(0.2, 0.3, (4000, 1, 8, 8)) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    batch = noise.noised(images, np.zeros(4000, dtype=int), 1, 0, settings(), CPU)

    clean = torch.from_numpy(images) / 127.5 - 1
    at = batch.times[:, None, None, None]
    torch.testing.assert_close(batch.noisy - at * batch.way, clean, atol=1e-5, rtol=0)
    said = Gaussian([0.2], 0.3)(batch.noisy, batch.times * 1000, torch.zeros(4000, dtype=torch.long), False)[0]
    for low in (0.2, 0.4, 0.6):
        inside = (batch.times > low) & (batch.times < low + 0.2)
        slope, rest = np.polyfit(said[inside].flatten().numpy(), batch.way[inside].flatten().numpy(), 1)
        assert slope == pytest.approx(1, abs=0.03) and rest == pytest.approx(0, abs=0.03)


def test_times_are_spread_evenly_over_their_distribution():
    batch = noise.noised(np.zeros((1000, 1, 8, 8), np.uint8), np.zeros(1000, dtype=int), 1, 3, settings(), CPU)
    logits = torch.logit(batch.times.double()).sort().values
    expected = torch.special.ndtri((torch.arange(1000).double() + 0.5) / 1000)
    torch.testing.assert_close(logits[20:-20], expected[20:-20], atol=0.03, rtol=0)


def test_the_solver_turns_noise_into_the_gaussian_of_the_class():
    pipeline = gaussian_pipeline([-0.4, 0.3, 0.0])
    for label, mean in enumerate((-0.4, 0.3)):
        images = draw_gaussians(pipeline, label)
        assert images.mean().item() == pytest.approx(mean, abs=0.01)
        assert images.std().item() == pytest.approx(0.2, rel=0.05)


def test_guidance_leads_away_from_any_class_as_the_formula_says():
    """With Gaussians of one spread, what guidance g draws has the mean any + g (class - any)."""
    pipeline = gaussian_pipeline([-0.2, 0.2, 0.05])
    assert draw_gaussians(pipeline, 1, guidance=2.5).mean().item() == pytest.approx(0.05 + 2.5 * 0.15, abs=0.01)
    assert draw_gaussians(pipeline, 0, guidance=2.0).mean().item() == pytest.approx(0.05 - 2.0 * 0.25, abs=0.01)


def test_guidance_takes_a_second_pass_inside_its_interval_alone():
    pipeline = gaussian_pipeline([-0.2, 0.2, 0.0])
    draw_gaussians(pipeline, 0, steps=10, guidance=2.0, interval=(0.25, 0.75))
    assert pipeline.unet.rows == [256] * 3 + [512] * 5 + [256] * 2  # the way is at 0, .1, .2, ... .9

    pipeline.unet.rows.clear()
    plain = draw_gaussians(pipeline, 0, steps=10, guidance=1.0)
    assert pipeline.unet.rows == [256] * 10
    torch.testing.assert_close(draw_gaussians(pipeline, 0, steps=10, guidance=3.0, interval=(0.97, 1.0)), plain)


def test_each_class_is_drawn_as_itself(toy):
    labels = np.arange(40) % 2
    images = drawn(toy.pipeline, labels)

    assert images.dtype == np.uint8 and images.shape == (40, 1, 12, 12)
    means = images.mean((1, 2, 3))
    assert (np.abs(means[labels == 0] - 40) < 40).all() and (np.abs(means[labels == 1] - 215) < 40).all()
    assert toy.steps[-1].loss < 0.4


def test_an_image_depends_on_seed_and_number_alone(toy):
    labels = np.arange(23) % 2
    whole = drawn(toy.pipeline, labels)
    batches = drawn(toy.pipeline, labels, SamplingSettings(sampling_steps=6, precision="fp32", sampling_batch_size=5))
    later = drawn(toy.pipeline, labels[10:], first=10)
    some = drawn(toy.pipeline, labels[[20, 3]], numbers=np.array([20, 3]))
    other = drawn(toy.pipeline, labels, SamplingSettings(sampling_steps=6, precision="fp32", sampling_seed=1))

    for again, part in ((batches, whole), (later, whole[10:]), (some, whole[[20, 3]])):
        assert np.abs(again.astype(int) - part).max() <= 1
    assert np.abs(other.astype(int) - whole).max() > 10
    assert len(np.unique(whole.reshape(23, -1), axis=0)) == 23


def test_short_numbers_draw_what_long_ones_draw(toy):
    labels = np.arange(16) % 2
    short = drawn(toy.pipeline, labels, SamplingSettings(sampling_steps=6, precision="bf16"))
    assert np.abs(short.astype(int) - drawn(toy.pipeline, labels)).mean() < 5


def test_images_that_are_started_from_are_kept_as_far_as_strength_is_small(toy):
    start, labels = dark_and_bright(16)
    changes = []
    for strength in (0.0, 0.3, 0.6, 0.9):
        images = drawn(toy.pipeline, 1 - labels, start=start, strength=strength)
        changes.append(np.abs(images.astype(int) - start).mean())
    assert changes[0] == 0 and changes == sorted(changes) and changes[-1] > 100
    with pytest.raises(ValueError, match="strength has to be from 0 to 1"):
        drawn(toy.pipeline, labels, start=start, strength=1.5)


def test_labels_that_there_are_not_are_refused(toy, tmp_path):
    with pytest.raises(ValueError, match="labels have to be from 0 to 1"):
        drawn(toy.pipeline, [0, 2])
    with pytest.raises(ValueError, match="as many as the 2 labels"):
        drawn(toy.pipeline, [0, 1], numbers=np.arange(3))
    with pytest.raises(ValueError, match="from 0 to 1"):
        fit(tmp_path, data=(dark_and_bright()[0], np.arange(64)))
    with pytest.raises(ValueError, match="set one of them"):
        fit(tmp_path, minutes=None, max_updates=None)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        diffusion.build(["a"], 2, 28, settings())


def test_it_is_called_as_diffusers_pipelines_are(toy):
    def call(**options):
        return toy.pipeline(["bright", "dark"], generator=torch.Generator().manual_seed(0), **options)

    pictures = call().images
    assert [picture.size for picture in pictures] == [(12, 12)] * 2
    assert [np.asarray(picture).mean() > 128 for picture in pictures] == [True, False]
    array = call(output_type="np", num_inference_steps=4, guidance_scale=2.0, guidance_interval=(0.0, 1.0)).images
    assert array.shape == (2, 12, 12, 1) and 0 <= array.min() and array.max() <= 1
    np.testing.assert_array_equal(np.asarray(pictures[0]), (call(output_type="np").images[0, :, :, 0] * 255).round())
    assert call(return_dict=False, output_type="pt")[0].shape == (2, 1, 12, 12)
    with pytest.raises(ValueError, match="no class 'gray': there are dark, bright"):
        toy.pipeline("gray")
    with pytest.raises(ValueError, match="no class 2"):
        toy.pipeline(2)


def test_a_picture_shows_a_row_a_class(toy):
    assert sorted(path.name for path in toy.folder.glob("*.png")) == ["samples_000100.png"]
    picture = np.asarray(Image.open(toy.folder / "samples_000100.png"))
    assert picture.shape == (2 * 12, diffusion.COLUMNS * 12)
    assert picture[:12].mean() < 100 and picture[12:].mean() > 155


def test_steps_say_how_far_it_is(toy):
    numbers = [step.number for step in toy.steps]
    assert set(range(10, 151, 10)) <= set(numbers) and numbers == sorted(set(numbers))
    assert {step.total for step in toy.steps} == {150}
    last = toy.steps[-1].metrics
    assert last["epochs"] == 150 * 16 / 64 and last["images_per_second"] > 0 and last["seconds"] > 0
    assert toy.steps[-1].loss < toy.steps[0].loss / 2


@pytest.mark.parametrize(("size_px", "channels"), [(28, 1), (29, 3), (45, 1)])
def test_sides_that_the_strides_do_not_divide_are_drawn(size_px, channels, tmp_path):
    data = dark_and_bright(8, size_px, channels)
    pipeline, steps = fit(tmp_path, data=data, max_updates=2)

    images = drawn(pipeline, [0, 1], SamplingSettings(sampling_steps=2, precision="fp32"))

    assert images.shape == (2, channels, size_px, size_px) and math.isfinite(steps[-1].loss)
    assert pipeline.unet.config.sample_size * pipeline.config.patch_px >= size_px


def test_images_are_drawn_by_a_power_of_their_class_size():
    counts = np.array([900, 90, 10])
    labels = np.repeat([0, 1, 2], counts)
    for power in (0.0, 0.5, 1.0):
        chances = noise.class_chances(labels, power).cumsum()
        asked = settings(class_balance_power=power)
        taken = np.concatenate([noise.choose(chances, 1000, update, asked) for update in range(60)])
        expected = counts ** (1 - power) / (counts ** (1 - power)).sum()
        found = np.bincount(labels[taken], minlength=3) / len(taken)
        np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / len(taken)))
        within = np.bincount(taken[labels[taken] == 2] - 990, minlength=10)
        assert within.min() > 0.6 * within.mean()  # images of a class are alike


def test_labels_are_left_out_and_images_mirrored_only_as_asked():
    images = np.zeros((2000, 1, 8, 8), np.uint8)
    images[:, :, :2, :3] = 255  # bright above, left

    def seen(**changed):
        batch = noise.noised(images, np.ones(2000, dtype=int), 7, 0, settings(**changed), CPU)
        clean = batch.noisy - batch.times[:, None, None, None] * batch.way > 0
        return (batch.labels == 7).float().mean(), clean[:, 0, :, 0].any(1), clean[:, 0, 0, :].any(1)

    dropped, left, above = seen(class_dropout_prob=0.25)
    assert dropped == pytest.approx(0.25, abs=0.04) and left.all() and above.all()
    for flips, moves in (("horizontal", (True, False)), ("vertical", (False, True)), ("both", (True, True))):
        dropped, left, above = seen(flips=flips, class_dropout_prob=0.0)
        assert dropped == 0
        for kept, mirrored in zip((left, above), moves, strict=True):
            assert kept.float().mean() == pytest.approx(0.5 if mirrored else 1.0, abs=0.05)


def test_only_the_images_of_an_update_are_asked_for(tmp_path):
    images, labels = dark_and_bright()
    asked_for = []

    def fetch(indices):
        asked_for.append(len(indices))
        return images[indices]

    pipeline = diffusion.build(["dark", "bright"], 1, 12, settings())
    list(diffusion.train(pipeline, fetch, labels, settings(), tmp_path))
    assert asked_for == [8] * 8


def test_the_seed_fixes_the_weights(tmp_path):
    once, again, other = (weights(fit(tmp_path / str(i), seed=seed)[0]) for i, seed in enumerate((1, 1, 2)))
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    assert not torch.equal(once, other)


def test_where_steps_are_set_no_clock_shows_in_the_weights(tmp_path, monkeypatch):
    expected = weights(fit(tmp_path / "0", minutes=None)[0])
    ticks = itertools.chain([0.0], itertools.repeat(40.0))  # the first update seems to take most of the minute
    monkeypatch.setattr(diffusion.time, "monotonic", lambda: next(ticks))
    found, steps = fit(tmp_path / "1", minutes=1)

    assert steps[-1].number == 8
    torch.testing.assert_close(weights(found), expected, rtol=0, atol=0)


@pytest.fixture(autouse=True)
def folders(tmp_path):
    for name in "0123":
        (tmp_path / name).mkdir()


@pytest.mark.parametrize("way", ["stopped by fetch", "left after a saved state"])
def test_a_training_that_was_cut_off_ends_with_the_same_weights_and_images(way, tmp_path, monkeypatch):
    images, labels = dark_and_bright()
    asked = settings(max_updates=25)
    whole, steps = fit(tmp_path / "0", max_updates=25)

    if way == "left after a saved state":
        monkeypatch.setattr(diffusion, "SAVE_SECONDS", 0.0)
        monkeypatch.setattr(diffusion, "SAVE_TIMES", 0.0)
    count = itertools.count()

    def fetch(indices):
        if next(count) == 13 and way == "stopped by fetch":
            raise KeyboardInterrupt
        return images[indices]

    first = diffusion.build(["dark", "bright"], 1, 12, asked)
    training = diffusion.train(first, fetch, labels, asked, tmp_path / "1")
    if way == "stopped by fetch":
        with pytest.raises(KeyboardInterrupt):
            list(training)
    else:
        assert next(training).number == 10
        training.close()
    second, rest = fit(tmp_path / "1", max_updates=25)

    torch.testing.assert_close(weights(second), weights(whole), rtol=0, atol=0)
    np.testing.assert_array_equal(drawn(second, [0, 1] * 4), drawn(whole, [0, 1] * 4))
    assert rest[-1].number == 25 and rest[-1].loss == pytest.approx(steps[-1].loss, rel=1e-6)
    assert rest[-1].metrics["epochs"] == steps[-1].metrics["epochs"]
    third, last = fit(tmp_path / "1", max_updates=25)  # it is done: nothing is learned again
    assert len(last) == 1
    torch.testing.assert_close(weights(third), weights(whole), rtol=0, atol=0)


def test_time_is_counted_over_resumes(tmp_path):
    images, labels = dark_and_bright()
    asked = settings(max_updates=None, minutes=1.5 / 60)
    pipeline = diffusion.build(["dark", "bright"], 1, 12, asked)
    began = time.monotonic()

    def fetch(indices):
        if time.monotonic() - began > 0.7:
            raise InterruptedError
        return images[indices]

    with pytest.raises(InterruptedError):
        list(diffusion.train(pipeline, fetch, labels, asked, tmp_path))
    began = time.monotonic() + 60
    *_, last = diffusion.train(pipeline, fetch, labels, asked, tmp_path)
    assert time.monotonic() + 60 - began < 1.4
    assert 1.5 <= last.metrics["seconds"] < 2.5 and last.number == last.total > 2


def test_a_loss_that_is_no_number_ends_it_and_what_was_learned_before_draws(tmp_path):
    images, labels = dark_and_bright()
    asked = settings()
    pipeline = diffusion.build(["dark", "bright"], 1, 12, asked)
    broken = pipeline.unet.conv_out.register_forward_hook(
        lambda module, given, said: said * (math.nan if module.calls == 5 else 1)
    )
    pipeline.unet.conv_out.calls = 0

    def fetch(indices):
        pipeline.unet.conv_out.calls += 1
        return images[indices]

    with pytest.raises(FloatingPointError, match="update 5 has a loss of nan.*learning_rate"):
        list(diffusion.train(pipeline, fetch, labels, asked, tmp_path))
    broken.remove()

    kept = load_file(tmp_path / diffusion.STATE)
    assert all(torch.isfinite(value).all() for value in kept.values())
    mean = [kept[f"mean.{number}"] for number in range(len(list(pipeline.unet.parameters())))]
    for found, expected in zip(pipeline.unet.parameters(), mean, strict=True):
        torch.testing.assert_close(found.detach(), expected, rtol=0, atol=0)
    assert drawn(pipeline, [0, 1]).std() > 0
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
def test_where_memory_is_too_small_passes_are_halved_and_the_same_is_learned(error, tmp_path):
    whole, other = fit(tmp_path / "0")
    pipeline = diffusion.build(["dark", "bright"], 1, 12, settings())
    hook = only_so_many(pipeline, 3, error)
    _, steps = fit(tmp_path / "1", pipeline)

    assert steps[-1].metrics["at_once"] == 2
    assert steps[-1].loss == pytest.approx(other[-1].loss, rel=0.01)
    assert (weights(pipeline) - weights(whole)).abs().mean() < 1e-4
    few = SamplingSettings(sampling_steps=4, precision="fp32", guidance=1.0)
    parts = [len(places) for places, _ in diffusion.generate(pipeline, np.zeros(7, dtype=int), few)]
    assert parts == [3, 3, 1]
    hook.remove()
    only_so_many(pipeline, 0, error)
    with pytest.raises(MemoryError, match="too small to draw one image"):
        drawn(pipeline, [0])
    with pytest.raises(MemoryError, match="too small to learn from one image"):
        fit(tmp_path / "2", pipeline)


def test_the_gradient_of_more_passes_is_that_of_one():
    images, labels = dark_and_bright(10)
    pipeline = diffusion.build(["dark", "bright"], 1, 12, settings())
    batch = noise.noised(images, labels, 2, 0, settings(), CPU)
    gradients, errors = [], []
    for at_once in (10, 3):
        errors.append(diffusion.backward(pipeline.unet, 2, batch, diffusion.Progress(at_once, "fp32")))
        gradients.append(torch.cat([one.grad.flatten() for one in pipeline.unet.parameters()]))
    whole = (diffusion.velocity(pipeline.unet, 2, batch.noisy, batch.times, batch.labels) - batch.way).square().mean()

    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
    assert errors == pytest.approx([whole.item()] * 2, rel=1e-5)


def test_other_errors_are_not_taken_for_lack_of_memory(tmp_path):
    pipeline = diffusion.build(["dark", "bright"], 1, 12, settings())
    only_so_many(pipeline, 3, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        fit(tmp_path, pipeline)
    with pytest.raises(RuntimeError, match="a bug"):
        drawn(pipeline, [0] * 4)


def test_what_is_saved_draws_the_same_after_it_was_loaded(toy, tmp_path):
    diffusion.save(toy.pipeline, tmp_path / "kept")
    loaded = diffusion.load(tmp_path / "kept", "cpu")

    assert loaded.config.names == ["dark", "bright"] and loaded.config.size_px == 12 and loaded.config.channels == 1
    np.testing.assert_array_equal(drawn(loaded, [0, 1] * 5), drawn(toy.pipeline, [0, 1] * 5))
    kinds = {path.suffix for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}
    np.testing.assert_array_equal(
        loaded("dark", generator=torch.Generator().manual_seed(1), output_type="np").images,
        toy.pipeline("dark", generator=torch.Generator().manual_seed(1), output_type="np").images,
    )


def test_a_folder_that_is_no_generator_is_refused(toy, tmp_path):
    expected = "holds no generator that Evenset wrote: expected model_index.json with names of classes"
    with pytest.raises(ValueError, match=f"{tmp_path.name} {expected}"):
        diffusion.load(tmp_path)

    unet = UNet2DModel(8, 1, 1, block_out_channels=(8,), norm_num_groups=8, **ONE_LEVEL)
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path / "foreign")
    with pytest.raises(ValueError, match=expected):
        diffusion.load(tmp_path / "foreign")

    diffusion.save(toy.pipeline, tmp_path / "pickled")
    file = tmp_path / "pickled" / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()
    with pytest.raises(ValueError, match="no unet/diffusion_pytorch_model.safetensors"):
        diffusion.load(tmp_path / "pickled")
    file.write_bytes(b"cut off")
    with pytest.raises(ValueError, match=expected):
        diffusion.load(tmp_path / "pickled")


ONE_LEVEL = dict(down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), add_attention=False)


def test_loading_runs_no_code_of_the_folder(toy, tmp_path):
    diffusion.export(toy.pipeline, tmp_path / "kept")
    trap = "raise SystemExit('this ran')"
    for name in ("pipeline.py", "unet/trap.py", "scheduler/trap.py"):
        (tmp_path / "kept" / name).write_text(trap)
    index = json.loads((tmp_path / "kept" / "model_index.json").read_text())
    index.update(_class_name=["pipeline", "Pipeline"], unet=["trap", "Trap"], scheduler=["trap", "Trap"])
    (tmp_path / "kept" / "model_index.json").write_text(json.dumps(index))

    np.testing.assert_array_equal(drawn(diffusion.load(tmp_path / "kept"), [0, 1]), drawn(toy.pipeline, [0, 1]))


@pytest.mark.slow
def test_what_is_exported_draws_without_evenset(toy, tmp_path):
    diffusion.export(toy.pipeline, tmp_path / "exported")
    code = """
        import sys
        import numpy as np, torch
        from diffusers import DiffusionPipeline
        torch.set_num_threads(1)
        folder = sys.argv[1]
        pipeline = DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True)
        assert not any(name.startswith("evenset") for name in sys.modules)
        images = pipeline(["dark", 1], generator=torch.Generator().manual_seed(3), output_type="np").images
        np.save(sys.argv[2], images)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "exported"), str(tmp_path / "drawn.npy")]
    environment = {"PATH": "", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    here = toy.pipeline(["dark", 1], generator=torch.Generator().manual_seed(3), output_type="np").images
    np.testing.assert_allclose(np.load(tmp_path / "drawn.npy"), here, atol=1e-5)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_every_size_and_time_has_a_network_whose_widths_the_groups_divide(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: device == "mps")
    for size_px in (8, 15, 28, 29, 32, 45, 64, 96, 128):
        widths = []
        for minutes in (1, 5, 60, 1000):
            found = network.shape(size_px, settings(width=None, minutes=minutes, device=device))
            assert all(width % network.GROUPS == 0 for width in found.widths) and found.layers >= 1
            assert network.LIGHTEST <= found.widths[0] <= network.HEAVIEST
            places = size_px / found.patch_px / 2 ** (len(found.widths) - 1)
            assert 2 <= places <= network.DEEPEST + 1
            widths.append(found.widths[0])
        assert widths == sorted(widths)


def test_every_value_of_the_network_can_be_set():
    found = network.shape(28, settings(width=20, layers=3, patch_px=4, minutes=5))
    assert found == network.Shape(4, (24,), 3)
    pipeline = diffusion.build(["a", "b", "c"], 3, 28, settings(width=16, layers=2, patch_px=1))
    assert pipeline.unet.config.block_out_channels == (16, 32, 32) and pipeline.unet.config.layers_per_block == 2
    assert pipeline.unet.config.in_channels == 3 and pipeline.unet.config.num_class_embeds == 4


def test_the_step_size_warms_up_and_falls_as_a_cosine():
    assert diffusion.schedule(0, 0.0, 100) == 0.01 and diffusion.schedule(99, 0.02, 100) == pytest.approx(1, abs=0.01)
    assert diffusion.schedule(3, 0.25, 100) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert diffusion.schedule(900, 0.5, 100) == pytest.approx(0.5)
    assert diffusion.schedule(999, 0.999, 0) < 1e-5


def test_the_faster_precision_is_chosen_and_leaves_no_gradient(toy):
    chosen = diffusion.choose_precision(toy.pipeline, settings(precision="auto"))
    assert chosen in ("fp32", "bf16")
    assert all(one.grad is None for one in toy.pipeline.unet.parameters())
    before = weights(toy.pipeline)
    drawn(toy.pipeline, [0], SamplingSettings(sampling_steps=1))
    torch.testing.assert_close(weights(toy.pipeline), before, rtol=0, atol=0)
