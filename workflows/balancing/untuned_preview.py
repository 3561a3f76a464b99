"""Images of a pretrained model before it is tuned, and how long they take: seen before hours are spent."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from ...models.errors import ImageError
from ..data.labels import Labels
from .config import BalanceConfig
from .starting_point import find_base, prompts_of
from .tuned_images import starts_from_images

IMAGES = 8  # of a class
SHOWN_PX = 96  # side in the grid


class Untuned(NamedTuple):
    """Images of each class, and the time of one."""

    rows: dict[str, np.ndarray]  # by class: uint8 [IMAGES, 3, SHOWN_PX, SHOWN_PX]
    seconds: float  # of an image
    sentence: str


def draw_untuned(labels: Labels, class_ids: list[int], config: BalanceConfig) -> Untuned:
    """Draws IMAGES of each class with the base as it is, on this device.

    Raises:
        ValueError: the base cannot be loaded
    """
    from ...models.devices import accelerator
    from ...models.diffusion.pretrained import bases, tuning
    from ...models.diffusion.pretrained.drawing import Request, draw
    from ...models.diffusion.pretrained.latents import bucket_of, fit

    base, device = find_base(config.tuning), accelerator(config.generator.device).device
    is_bf16, drawing = tuning.uses_bf16(config.generator), config.drawing
    pipe = bases.load(base, device, device.type == "cuda" and is_bf16)
    side_px = config.tuning.base_size_px or base.family.native_side_px(pipe)
    bucket = bucket_of(1, 1, side_px, base.family.multiple_px(pipe))
    from_images = starts_from_images(drawing, base.family, base.name)
    guidance = (drawing.min_guidance + drawing.max_guidance) / 2
    strength = (drawing.min_strength + drawing.max_strength) / 2 if from_images else None
    requests = []
    for class_id in class_ids:
        for i, source in enumerate(_sources(labels, class_id, config)):
            start = fit(source, bucket) if from_images else None
            requests.append(Request(class_id, i, bucket, guidance, strength, start, config.sampling.sampling_seed))
    began = time.monotonic()
    prompts = prompts_of(labels.names, config.tuning)
    precision = "bf16" if is_bf16 else "fp32"
    images = dict(draw(pipe, base.family, prompts, requests, drawing.pretrained_steps, precision))
    seconds = (time.monotonic() - began) / max(len(requests), 1)
    shown = np.stack([_small(images[i]) for i in range(len(requests))])
    owners = np.array([request.prompt for request in requests])
    rows = {labels.names[i]: shown[owners == i] for i in class_ids}
    return Untuned(rows, seconds, _sentence(base.name, base.licence, seconds))


def _sources(labels: Labels, class_id: int, config: BalanceConfig) -> list[np.ndarray]:
    """The first readable images of a class, repeated to IMAGES."""
    from ...models.images.decode import load

    images: list[np.ndarray] = []
    for path in labels.paths[labels.class_ids == class_id].tolist():
        if len(images) == IMAGES:
            break
        try:
            images.append(load(path, config.images, None, 3))
        except ImageError:
            continue
    if not images:
        raise ImageError(f"no image of {labels.names[class_id]!r} can be read: restore its files")
    return [images[i % len(images)] for i in range(IMAGES)]


def _small(image: np.ndarray) -> np.ndarray:
    import cv2

    return np.asarray(cv2.resize(image, (SHOWN_PX, SHOWN_PX), interpolation=cv2.INTER_AREA).transpose(2, 0, 1))


def _sentence(name: str, licence: str, seconds: float) -> str:
    known = f"its licence is {licence!r}" if licence else "its card names no licence"
    return (
        f"The preview is drawn by {name} before it is tuned; {known}, which is yours to check. An image takes "
        f"{seconds:.1f} s on this device."
    )
