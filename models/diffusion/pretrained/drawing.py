"""Images of a tuned text-to-image model, from noise or from images, by diffusers' pipelines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..sampling import is_out_of_memory
from .families import Family, Prompts, encode, take
from .latents import Bucket

BATCH = 8  # images at once


class Request(NamedTuple):
    """An image to draw; its number alone fixes its noise."""

    prompt: int  # index
    number: int
    bucket: Bucket
    guidance: float
    strength: float | None  # of the noise on `start`, 0..1; None: from noise
    start: NDArray[np.uint8] | None  # [H, W, 3] of the bucket's size
    seed: int = 0


@torch.inference_mode()
def draw(
    pipe: Any,
    family: type[Family],
    prompts: list[str],
    requests: Sequence[Request],
    steps: int,
    precision: str,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yields the index of each request and its image, uint8 [H, W, 3], in the order of their sizes.

    Batches are halved where memory is too small.

    Args:
        prompts: by the indices of the requests
        steps: of the solver, from noise

    Raises:
        MemoryError: not even one image fits
    """
    texts = encode(family, pipe, [*prompts, ""])  # the empty one guides
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault((request.bucket, request.guidance, request.strength), []).append(index)
    size = BATCH
    for indices in groups.values():
        done = 0
        while done < len(indices):
            chosen = indices[done : done + size]
            try:
                images = _draw_batch(pipe, family, texts, [requests[i] for i in chosen], steps, precision)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(chosen) == 1:
                    raise MemoryError(
                        f"memory is too small to draw one image of {requests[chosen[0]].bucket}"
                    ) from error
                size = len(chosen) // 2
                continue
            done += len(chosen)
            yield from zip(chosen, images, strict=True)


def _draw_batch(
    pipe: Any, family: type[Family], texts: Prompts, requests: list[Request], steps: int, precision: str
) -> list[NDArray[np.uint8]]:
    """Images of one size, guidance and strength."""
    first = requests[0]
    device = pipe.device
    rows = torch.tensor([request.prompt for request in requests], device=device)
    empty = torch.full_like(rows, len(next(iter(texts.values()))) - 1)
    generators = [
        torch.Generator().manual_seed(
            int(np.random.SeedSequence([request.seed, request.number]).generate_state(1, np.uint64)[0])
        )
        for request in requests
    ]
    options = dict(
        **family.guided(take(texts, rows), take(texts, empty)),
        **family.call,
        num_inference_steps=steps,
        guidance_scale=first.guidance,
        generator=generators,
        output_type="pil",
    )
    size = dict(height=first.bucket.height, width=first.bucket.width)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16" and device.type == "cpu"):
        if first.strength is None:
            images = pipe(**options, **size).images
        else:
            images = _image_to_image(pipe, family)(
                image=[Image.fromarray(request.start) for request in requests],  # type: ignore[arg-type]
                strength=first.strength,
                **options,
            ).images
    return [np.asarray(image.convert("RGB")) for image in images]


def _image_to_image(pipe: Any, family: type[Family]) -> Any:
    """The family's image-to-image pipeline, of the same networks."""
    import diffusers

    assert family.image_to_image, f"{family.pipeline} draws from noise alone"
    other = getattr(diffusers, family.image_to_image)(**_components(pipe, getattr(diffusers, family.image_to_image)))
    other.set_progress_bar_config(disable=True)
    return other


def _components(pipe: Any, kind: Any) -> dict[str, Any]:
    """Those parts of a pipeline that another one takes."""
    import inspect

    taken = inspect.signature(kind.__init__).parameters
    parts = {name: value for name, value in pipe.components.items() if name in taken}
    if "requires_safety_checker" in taken:
        parts["requires_safety_checker"] = False
    return parts
