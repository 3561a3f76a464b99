"""Tuning of a pretrained text-to-image model on the training images, once a run."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.files import aside, clear
from ...models.images.image_size import upright_size
from ...models.settings import GeneratorSettings, TuningSettings
from ..display.image_grid import image_grid, save
from ..runs import launch
from ..runs.run import Run
from ..training.image_survey import ImageStats
from .config import BalanceConfig, GeneratorConfig
from .generator import FOLDER, NOTE
from .starting_point import find_base, prompts_of

if TYPE_CHECKING:
    from ...models.diffusion.pretrained.bases import Base
    from ...models.diffusion.pretrained.latents import Latents
    from ...models.diffusion.pretrained.tuning import Examples

LATENTS = "latents"  # in the run's folder; deleted after the training
MIN_SIDE_PX = 256  # below it, pretrained models draw little that can be recognised
MIRRORS = {"horizontal": (2,), "vertical": (1,), "both": (1, 2)}  # axes of images [B, H, W, 3]


@dataclass(frozen=True)
class TrainingImages:
    """Images that train a generator."""

    names: list[str]  # of the classes [K]
    paths: np.ndarray  # [n]
    class_ids: np.ndarray  # [n]
    stats: ImageStats
    note: dict[str, Any]  # of the generator, without its base


def tune(run: Run, images: TrainingImages, config: GeneratorConfig | BalanceConfig) -> None:
    """Tunes on the images, and keeps the adapter in the run's folder; a resumed run reads it there."""
    from ...models.diffusion.pretrained import adapter, tuning
    from ...models.diffusion.training_state import STATE

    folder = run.folder / FOLDER
    if not (folder / NOTE).exists():
        run.report("reading the pretrained model", 0, 1)
        base = find_base(config.tuning)
        prompts = prompts_of(images.names, config.tuning)
        denoiser = _denoiser(base, config.generator, config.tuning)
        pipe = denoiser.pipe[0]
        native_px = base.family.native_side_px(pipe)
        side_px = config.tuning.base_size_px or min(native_px, max(images.stats.side_px, MIN_SIDE_PX))
        latents = _encode(run, pipe, images, side_px, config)
        examples = tuning.Examples(latents, images.class_ids, prompts)
        settings = config.generator, config.tuning
        with (
            launch.lead(_tune_along, base, examples, settings),
            closing(tuning.tune(denoiser, examples, settings, run.folder, run.folder, run.check_stop)) as steps,
        ):
            for _ in run.watch(steps, "tuning the pretrained model"):
                pass
        run.report("drawing samples", 0, 1)
        rows = tuning.draw_samples(denoiser, examples, "bf16" if tuning.uses_bf16(config.generator) else "fp32")
        grid = {name: np.stack(row).transpose(0, 3, 1, 2) for name, row in zip(images.names, rows, strict=False)}
        save(run.folder / "samples_final.png", image_grid(grid))
        note = {**images.note, "size_px": side_px, "channels": 3, "base": _base_note(base, prompts, config.tuning)}
        with aside(folder) as part:
            part.mkdir()
            adapter.save(denoiser, part)
            (part / NOTE).write_text(json.dumps(note))
    for name in (STATE, LATENTS):  # not needed again
        clear(run.folder / name)


def _base_note(base: Base, prompts: list[str], settings: TuningSettings) -> dict[str, Any]:
    """The pretrained model of an adapter, and how it was tuned."""
    return dict(
        name=base.name,
        folder=str(base.folder),
        revision=base.revision,
        licence=base.licence,
        digest=base.digest,
        prompts=prompts,
        rank=settings.lora_rank,
        text_encoder=settings.tune_text_encoder,
    )


def _denoiser(base: Base, settings: GeneratorSettings, tuning_settings: TuningSettings) -> Any:
    """The model with a fresh adapter, on its device."""
    import torch

    from ...models.devices import accelerator
    from ...models.diffusion.pretrained import adapter, bases, tuning

    device = accelerator(settings.device).device
    pipe = bases.load(base, device, device.type == "cuda" and tuning.uses_bf16(settings))
    torch.manual_seed(settings.seed)
    return adapter.Denoiser(pipe, base.family, tuning_settings.lora_rank, tuning_settings.tune_text_encoder)


def _tune_along(base: Base, examples: Examples, settings: tuple[GeneratorSettings, TuningSettings]) -> None:
    """Trains in step with the first process, which owns the run; it gives the initial weights."""
    from ...models.diffusion.pretrained import tuning

    for _ in tuning.tune(_denoiser(base, *settings), examples, settings, Path()):
        pass


def _encode(
    run: Run, pipe: Any, images: TrainingImages, side_px: int, config: GeneratorConfig | BalanceConfig
) -> Latents:
    """The latents of the images; a resumed run computes those that are missing."""
    from ...models.diffusion.pretrained.families import FAMILIES
    from ...models.diffusion.pretrained.latents import Latents, bucket_of
    from ...models.images.decode import load

    paths, flips = images.paths.tolist(), images.stats.flips(config.generator.flips)
    multiple = FAMILIES[type(pipe).__name__].multiple_px(pipe)
    sizes = [upright_size(path) or (side_px, side_px) for path in paths]
    buckets = [bucket_of(height, width, side_px, multiple) for width, height in sizes]
    latents = Latents(run.folder / LATENTS, buckets, MIRRORS.get(flips, ()))
    for done in latents.compute(pipe, lambda i: load(paths[i], config.images, None, 3)):
        run.report("encoding images", done, len(paths))
    return latents
