"""Sources of synthetic images: a generator draws them, or real images are augmented."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...models.settings import SamplingSettings
from ...models.synthetic import Origin
from ..data import synthetic
from ..data.synthetic import SyntheticImage
from ..runs import shards
from ..runs.run import Run
from ..runs.shards import Executor
from .augmented_files import AugmentedFiles
from .benefit import RealImages
from .config import BalanceConfig
from .copy_candidates import CopyCandidates
from .generator import DRAWING, Generator, draw_images, load_pipeline
from .image_filter import ImageFilter
from .plan import Plan
from .rejection_sampling import Sampler, keep_all, sample
from .sent_generator import SentGenerator, draw_pixels, send
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
    candidates = CopyCandidates(run, real, config) if copies and generator and generator.base else None
    accepts = ImageFilter(run, real, config.filters, config.small_cnn, copies, texts, candidates)
    with shards.connected(config.executor if config.generates else None):
        return sample(own, plan, sampler, accepts, config.balance, first_number)


def _drawn_images(run: Run, own: Run, generator: Generator, real: RealImages, config: BalanceConfig) -> Sampler:
    """Images of a generator of pixels, or of a tuned pretrained model, whose files are the sub-run's `own`."""
    if not generator.base:
        return generated_images(run, generator, real.names, config)
    return tuned_images(own, generator, real, config)


def generated_images(run: Run, generator: Generator, names: list[str], config: BalanceConfig) -> Sampler:
    """Images that the generator draws, here or on workers."""
    from ...models.diffusion.sampling import precision

    settings, device = config.sampling, config.generator.device
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
        labels = index[classes]
        if config.executor is None:
            images = draw_images(pipeline, labels, settings, numbers, run)
        else:
            sent = send(generator, device, settings.precision)
            images = _draw_by_workers(run, sent, labels, numbers, settings, config.executor)
        return images, [dict(origin) for _ in numbers]

    return draw


def _draw_by_workers(
    run: Run,
    sent: SentGenerator,
    labels: np.ndarray,
    numbers: np.ndarray,
    settings: SamplingSettings,
    executor: Executor,
) -> np.ndarray:
    """As `draw_images`, in the batches of one process."""
    size, images, done = settings.sampling_batch_size, {}, 0
    batches = [(labels[first : first + size], numbers[first : first + size]) for first in range(0, len(labels), size)]
    for place, block in shards.results(batches, draw_pixels, executor, run.check_stop, sent, settings):
        images[place] = block
        done += len(block)
        run.report(DRAWING, done, len(labels))
    return np.concatenate([images[place] for place in range(len(batches))])


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
