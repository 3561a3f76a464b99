"""Where synthetic images come from: a generator draws them, or real ones are changed at random."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...models.settings import BalanceSettings, GeneratorSettings, SamplingSettings, SmallCNNSettings
from ..data import synthetic
from ..data.synthetic import Made
from ..runs.run import Run
from . import generator as generating
from . import rejection_sampling
from .benefit import Problem
from .generator import Generator
from .image_filter import Judging
from .plan import Plan
from .rejection_sampling import Draw


def drawn(run: Run, generator: Generator, names: list[str], sampling: SamplingSettings, device: str) -> Draw:
    """Images of the generator."""
    from ...models.diffusion.sampling import precision

    pipeline = generating.load(generator, device)
    found = run.remember(
        "drawing_precision", lambda: precision(pipeline, sampling)
    )  # measured once: the same images again
    sampling = replace(sampling, precision=found)
    index = np.array([generator.names.index(name) for name in names])
    about = dict(
        source="generate",
        generator=generator.source,
        seed=sampling.sampling_seed,
        guidance=sampling.guidance,
        steps=sampling.sampling_steps,
    )

    def draw(numbers: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        images = generating.draw(pipeline, index[classes], sampling, numbers, run)
        return images, [dict(about) for _ in numbers]

    return draw


def changed(run: Run, problem: Problem, settings: GeneratorSettings, seed: int) -> Draw:
    """Real images of the training part, turned, moved, and lit otherwise."""
    from ...models.images.augment import augment

    def draw(numbers: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        images, notes = [], []
        for number, name in zip(numbers.tolist(), classes.tolist(), strict=True):
            run.check_stop()
            rows = np.flatnonzero(problem.train_labels == name)
            parent = int(np.random.default_rng([seed, number]).choice(rows))
            images.append(augment(problem.train[parent], (seed, number), settings.flips))
            notes.append(dict(source="augment", seed=seed, nearest_real_id=str(problem.train_ids[parent])))
        return np.stack(images), notes

    return draw


def make(
    run: Run,
    source: str,
    plan: Plan,
    problem: Problem,
    ready: Generator | None,
    settings: tuple[Any, ...],
    part: str = "",
) -> list[Made]:
    """Makes what the plan asks for, and judges it.

    Args:
        source: "generate", by the generator `ready`, or "augment"
        settings: of balance_classes
        part: folder of the run that gets the images, where there are several; what judges them is learned once
    """
    choices, _, generator_settings, sampling, filters, _ = settings
    probe = probe_settings(choices, generator_settings)
    if source == "augment":
        draw = changed(run, problem, generator_settings, choices.seed)
    else:
        assert ready is not None  # it was found or trained
        draw = drawn(run, ready, problem.names, sampling, generator_settings.device)
    judge = Judging(run, problem, filters, probe, copies=source == "generate")
    maker = run.subrun(part) if part else run
    first = run.remember("first_number", lambda: synthetic.next_number(run.dataset))
    return rejection_sampling.make(
        maker, problem.names, plan.add, draw, judge, choices.max_draws_per_image, choices.keep_rejected, first
    )


def probe_settings(choices: BalanceSettings, settings: GeneratorSettings) -> SmallCNNSettings:
    """Of the small networks that judge and measure."""
    found = SmallCNNSettings(updates=choices.verdict_updates, flips=settings.flips, seed=choices.seed)
    return replace(found, device=settings.device, precision=settings.precision)
