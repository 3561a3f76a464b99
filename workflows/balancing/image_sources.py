"""Sources of synthetic images: a generator draws them, or real images are augmented."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...models.settings import SamplingSettings
from ...models.synthetic import Origin
from ..data import synthetic
from ..data.synthetic import SyntheticImage
from ..runs.run import Run
from .augmented_files import AugmentedFiles
from .benefit import RealImages
from .config import BalanceConfig
from .generator import Generator, draw_images, load_pipeline
from .image_filter import ImageFilter
from .plan import Plan
from .rejection_sampling import Sampler, keep_all, sample
from .text_scores import TextScores
from .tuned_images import tuned_images


def make_images(
    run: Run, plan: Plan, real: RealImages, generator: Generator | None, config: BalanceConfig, part: str = ""
) -> list[SyntheticImage]:
    """Draws and filters the images of the plan.

    Args:
        generator: needed if the source is "generate"
        part: folder of the run for these images, where it has several sources; they share one filter
    """
    first_number = run.remember("first_number", lambda: synthetic.next_number(run.dataset))
    own = run.subrun(part) if part else run
    if config.generates:
        assert generator is not None  # it was found or trained
        sampler = _drawn_images(run, own, generator, real, config)
    elif config.balance.filter_augmented:
        sampler = augmented_images(own, real, config)
    else:
        return keep_all(own, plan, _augmented_files(own, real, config).write, first_number)
    copies = config.generates  # an augmented image is meant to be like its original
    texts = TextScores(run, real, config) if config.filters.filter_text_encoder else None
    accepts = ImageFilter(run, real, config.filters, config.small_cnn, copies, texts)
    return sample(own, plan, sampler, accepts, config.balance, first_number)


def _drawn_images(run: Run, own: Run, generator: Generator, real: RealImages, config: BalanceConfig) -> Sampler:
    """Images of a generator of pixels, or of a tuned pretrained model, whose files are the sub-run's `own`."""
    if not generator.base:
        return generated_images(run, generator, real.names, config.sampling, config.generator.device)
    return tuned_images(own, generator, real, config)


def generated_images(
    run: Run, generator: Generator, names: list[str], settings: SamplingSettings, device: str
) -> Sampler:
    """Images that the generator draws."""
    from ...models.diffusion.sampling import precision

    pipeline = load_pipeline(generator, device)
    # measured once a run, so that a resumed one draws the same images
    settings = replace(settings, precision=run.remember("drawing_precision", lambda: precision(pipeline, settings)))
    index = np.array([generator.names.index(name) for name in names])
    origin = dict(
        source=str(Origin.GENERATE),
        generator=generator.source,
        seed=settings.sampling_seed,
        guidance=settings.guidance,
        steps=settings.sampling_steps,
    )

    def draw(numbers: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        return draw_images(pipeline, index[classes], settings, numbers, run), [dict(origin) for _ in numbers]

    return draw


def augmented_images(run: Run, real: RealImages, config: BalanceConfig) -> Sampler:
    """Training images of the class, augmented at their own size; the filters see them at the training size."""
    from ...models.images.decode import decode

    files = _augmented_files(run, real, config)
    size_px, channels = real.train.shape[-1], real.train.shape[1]

    def draw(numbers: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        images, origins = [], []
        for number, class_id in zip(numbers.tolist(), classes.tolist(), strict=True):
            run.check_stop()
            path, origin = files.write(number, class_id)
            pixels = decode(str(path), config.images, lambda width, height: size_px, channels).pixels
            images.append(pixels.transpose(2, 0, 1))
            origins.append({**origin, "path": str(path)})
        return np.stack(images), origins

    return draw


def _augmented_files(run: Run, real: RealImages, config: BalanceConfig) -> AugmentedFiles:
    return AugmentedFiles(run, real.train_paths, real.train_ids, real.train_labels, config)
