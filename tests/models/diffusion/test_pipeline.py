"""The pipeline: what it draws of Gaussians, beside their formulas, and as diffusers' pipelines are called."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from evenset.models.diffusion import network
from evenset.models.diffusion.pipeline import Guidance
from evenset.models.settings import SamplingSettings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers


def draw_gaussians(pipeline, label, steps=25, guidance=1.0, interval=(0.0, 1.0)):
    start = torch.randn(256, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return pipeline.draw(start, torch.full((256,), label), steps, Guidance(guidance, *interval))


@pytest.fixture
def gaussian_pipeline(settings, gaussian):
    def build(means):
        pipeline = network.build(["a", "b"], 1, 8, settings(patch_px=1))
        pipeline.unet = gaussian(means, 0.2)
        return pipeline

    return build


def test_the_solver_turns_noise_into_the_gaussian_of_the_class(gaussian_pipeline):
    pipeline = gaussian_pipeline([-0.4, 0.3, 0.0])
    for label, mean in enumerate((-0.4, 0.3)):
        images = draw_gaussians(pipeline, label)
        assert images.mean().item() == pytest.approx(mean, abs=0.01)
        assert images.std().item() == pytest.approx(0.2, rel=0.05)


def test_guidance_leads_away_from_any_class_as_the_formula_says(gaussian_pipeline):
    """With Gaussians of one spread, what guidance g draws has the mean any + g (class - any)."""
    pipeline = gaussian_pipeline([-0.2, 0.2, 0.05])
    assert draw_gaussians(pipeline, 1, guidance=2.5).mean().item() == pytest.approx(0.05 + 2.5 * 0.15, abs=0.01)
    assert draw_gaussians(pipeline, 0, guidance=2.0).mean().item() == pytest.approx(0.05 - 2.0 * 0.25, abs=0.01)


def test_guidance_takes_a_second_pass_inside_its_interval_alone(gaussian_pipeline):
    pipeline = gaussian_pipeline([-0.2, 0.2, 0.0])
    draw_gaussians(pipeline, 0, steps=10, guidance=2.0, interval=(0.25, 0.75))
    assert pipeline.unet.rows == [256] * 3 + [512] * 5 + [256] * 2  # the way is at 0, .1, .2, ... .9

    pipeline.unet.rows.clear()
    plain = draw_gaussians(pipeline, 0, steps=10, guidance=1.0)
    assert pipeline.unet.rows == [256] * 10
    torch.testing.assert_close(draw_gaussians(pipeline, 0, steps=10, guidance=3.0, interval=(0.97, 1.0)), plain)


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


@pytest.mark.parametrize(("size_px", "channels"), [(28, 1), (29, 3), (45, 1)])
def test_sides_that_the_strides_do_not_divide_are_drawn(size_px, channels, tmp_path, dark_and_bright, fit, draw):
    data = dark_and_bright(8, size_px, channels)
    pipeline, steps = fit(tmp_path, data=data, max_updates=2)

    images = draw(pipeline, [0, 1], SamplingSettings(sampling_steps=2, precision="fp32"))

    assert images.shape == (2, channels, size_px, size_px) and math.isfinite(steps[-1].loss)
    assert pipeline.unet.config.sample_size * pipeline.config.patch_px >= size_px
