"""Tuning: what is learned, resumed, saved and loaded, on pipelines of random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evenset.models.diffusion import training_loop
from evenset.models.diffusion.noise import Part
from evenset.models.diffusion.pretrained import adapter, bases, drawing, latents, noising, tuning
from evenset.models.errors import InvalidInput
from evenset.models.settings import GeneratorSettings, TuningSettings
from evenset.tests import tiny_pipelines

PROMPTS = ["a cat", "a dog"]
LABELS = np.arange(20) % 2


@pytest.fixture(scope="module")
def base_of(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("bases"), {}

    def find(kind):
        if kind not in made:
            made[kind] = bases.find(str(tiny_pipelines.write(kind, folder / kind)))
        return made[kind]

    return find


def settings(**more):
    usual = dict(max_updates=12, minutes=None, batch_size=3, device="cpu", precision="fp32", warmup_updates=2)
    return GeneratorSettings(**{**usual, "learning_rate": 1e-2, "preview_every": 1000, **more})


def denoiser_of(base, text=False):
    pipe = bases.load(base, "cpu", False)
    torch.manual_seed(0)
    return adapter.Denoiser(pipe, base.family, 2, text)


def examples_of(denoiser, folder, mirrors=(2,)):
    """20 images of two shapes: dark cats and bright dogs."""
    rng = np.random.default_rng(0)
    shapes = [(32, 32, 3) if i < 12 else (24, 44, 3) for i in range(20)]
    images = [rng.integers(0, 40, shape, dtype=np.uint8) + 180 * (i % 2) for i, shape in enumerate(shapes)]
    images = [image.astype(np.uint8) for image in images]
    multiple = denoiser.family.multiple_px(denoiser.pipe[0])
    buckets = [latents.bucket_of(high, wide, 32, multiple) for high, wide, _ in shapes]
    kept = latents.Latents(folder / "latents", buckets, mirrors)
    assert list(kept.compute(denoiser.pipe[0], images.__getitem__))[-1] == 20
    return tuning.Examples(kept, LABELS, PROMPTS)


def tune(base, folder, text=False, check=lambda: None, **more):
    folder.mkdir(exist_ok=True)
    denoiser = denoiser_of(base, text)
    examples = examples_of(denoiser, folder)
    steps = list(tuning.tune(denoiser, examples, (settings(**more), TuningSettings()), folder, check=check))
    return denoiser, steps


def weights(denoiser):
    return {name: value.clone() for name, value in denoiser.named_parameters() if value.requires_grad}


def differs(first, second):
    return any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", tiny_pipelines.KINDS)
def test_only_the_adapter_is_trained_and_comes_back_from_its_file(base_of, tmp_path, kind):
    base = base_of(kind)
    before = weights(denoiser_of(base))
    denoiser, steps = tune(base, tmp_path / "a", max_updates=4)
    assert steps[-1].number == 4 and np.isfinite(steps[-1].loss)
    assert all("lora_" in name for name in before) and differs(before, weights(denoiser))

    adapter.save(denoiser, tmp_path / "saved")
    loaded = denoiser_of(base)
    adapter.load(loaded, tmp_path / "saved")
    requests = [drawing.Request(i % 2, i, latents.Bucket(32, 32), 2.0, None, None) for i in range(2)]
    draws = [
        np.stack([image for _, image in drawing.draw(of.pipe[0], base.family, PROMPTS, requests, 2, "fp32")])
        for of in (denoiser, loaded, denoiser_of(base))
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


def test_diffusers_loads_the_adapter_by_itself(base_of, tmp_path):
    base = base_of("stable_diffusion")
    denoiser, _ = tune(base, tmp_path / "a", max_updates=4)
    adapter.save(denoiser, tmp_path / "saved")
    pipe = bases.load(base, "cpu", False)
    pipe.load_lora_weights(str(tmp_path / "saved"))
    requests = [drawing.Request(0, 5, latents.Bucket(32, 32), 2.0, None, None)]
    first, second = (
        next(drawing.draw(of, base.family, PROMPTS, requests, 2, "fp32"))[1] for of in (denoiser.pipe[0], pipe)
    )
    np.testing.assert_array_equal(first, second)


def test_a_text_encoder_is_tuned_where_it_is_asked_for(base_of, tmp_path):
    denoiser, _ = tune(base_of("stable_diffusion"), tmp_path / "a", text=True, max_updates=4)
    before, after = weights(denoiser_of(base_of("stable_diffusion"), True)), weights(denoiser)
    of_text = [name for name in after if name.startswith("text.")]
    assert of_text and any(not torch.equal(before[name], after[name]) for name in of_text)


@pytest.mark.parametrize("way", ["stopped", "left after a saved state"])
@pytest.mark.parametrize("kind", ["stable_diffusion", "stable_diffusion_3"])
def test_a_tuning_that_was_cut_off_ends_with_the_same_weights(base_of, tmp_path, monkeypatch, kind, way):
    whole, _ = tune(base_of(kind), tmp_path / "whole")
    monkeypatch.setattr(training_loop, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(training_loop, "SAVE_TIMES", 0.0)
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt

    if way == "stopped":
        with pytest.raises(KeyboardInterrupt):
            tune(base_of(kind), tmp_path / "part", check=stop)
    else:
        denoiser = denoiser_of(base_of(kind))
        folder = tmp_path / "part"
        folder.mkdir()
        steps = tuning.tune(denoiser, examples_of(denoiser, folder), (settings(), TuningSettings()), folder)
        assert next(steps).number == 10
        steps.close()
    resumed, steps = tune(base_of(kind), tmp_path / "part")
    assert steps[-1].number == 12
    assert not differs(weights(whole), weights(resumed))


def test_where_memory_is_short_activations_are_computed_again_then_the_batch_is_split(base_of, tmp_path, monkeypatch):
    whole, _ = tune(base_of("stable_diffusion"), tmp_path / "whole", max_updates=3)
    forward, tried = adapter.Denoiser.forward, []

    def short(self, noisy, times, prompts):
        tried.append((len(noisy), self.network.is_gradient_checkpointing))
        if len(noisy) > 1 or not self.network.is_gradient_checkpointing:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, noisy, times, prompts)

    monkeypatch.setattr(adapter.Denoiser, "forward", short)
    split, _ = tune(base_of("stable_diffusion"), tmp_path / "split", max_updates=3)
    assert tried[:4] == [(3, False), (3, True), (1, True), (1, True)]
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(split)[name], value, rtol=1e-3, atol=1e-4)


def test_an_adapter_of_another_rank_is_refused(base_of, tmp_path):
    denoiser, _ = tune(base_of("stable_diffusion"), tmp_path / "a", max_updates=2)
    adapter.save(denoiser, tmp_path / "saved")
    pipe = bases.load(base_of("stable_diffusion"), "cpu", False)
    with pytest.raises(InvalidInput, match="does not fit its base"):
        adapter.load(adapter.Denoiser(pipe, base_of("stable_diffusion").family, 3, False), tmp_path / "saved")


def test_ddpm_targets_and_min_snr_weights_are_those_of_the_papers():
    from diffusers import DDPMScheduler

    clean = torch.randn(6, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    random = noising.draws((4, 2, 2), seed=1, update=2, part=Part(0, 1, 6))
    for kind in ("epsilon", "v_prediction"):
        scheduler = DDPMScheduler(prediction_type=kind)
        noised = noising.ddpm(clean, random, scheduler, 5.0)
        alpha = scheduler.alphas_cumprod[noised.times]
        a, s = (value.sqrt()[:, None, None, None] for value in (alpha, 1 - alpha))
        torch.testing.assert_close(noised.noisy, a * clean + s * random.noise)
        v = a * random.noise - s * clean
        torch.testing.assert_close(noised.target, v if kind == "v_prediction" else random.noise)
        snr = alpha / (1 - alpha)
        weight = snr.clamp(max=5) / (snr + 1 if kind == "v_prediction" else snr)
        torch.testing.assert_close(noised.weights, weight)


def test_the_times_of_a_flow_are_shifted_as_the_bases():
    from diffusers import FlowMatchEulerDiscreteScheduler

    clean, random = torch.zeros(50, 4, 2, 2), noising.draws((4, 2, 2), 0, 0, Part(0, 1, 50))
    plain = noising.flow(clean, random, FlowMatchEulerDiscreteScheduler(shift=1.0)).times
    shifted = noising.flow(clean, random, FlowMatchEulerDiscreteScheduler(shift=3.0)).times
    torch.testing.assert_close(shifted, 3 * plain / (1 + 2 * plain))
    torch.testing.assert_close(plain.logit().sort().values.mean(), torch.tensor(0.0), atol=0.1, rtol=0)


def test_parts_of_a_batch_draw_what_the_whole_one_draws():
    whole = noising.draws((4, 2, 2), 3, 7, Part(0, 1, 5))
    first, second = (noising.draws((4, 2, 2), 3, 7, Part(i, 2, 5)) for i in range(2))
    for all_, odd, even in zip(whole, first, second, strict=True):
        torch.testing.assert_close(all_[0::2], odd)
        torch.testing.assert_close(all_[1::2], even)


@pytest.mark.parametrize(
    "size, bucket", [((64, 64), (64, 64)), ((48, 96), (48, 88)), ((900, 600), (80, 56)), ((10, 500), (48, 88))]
)
def test_buckets_keep_the_area_and_the_shape(size, bucket):
    assert latents.bucket_of(*size, 64, 8) == bucket


def test_an_image_is_cropped_in_its_middle():
    image = np.zeros((20, 60, 3), dtype=np.uint8)
    image[:, 20:40] = 200
    assert (latents.fit(image, latents.Bucket(40, 40)) == 200).mean() > 0.9
