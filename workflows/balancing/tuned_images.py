"""Images of a tuned pretrained model, in the size and file format of real images of their class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...models.errors import ImageError, InvalidInput
from ...models.settings import DrawingSettings
from ...models.synthetic import Origin
from ..runs import shards
from ..runs.run import Run
from ..runs.shards import Lazy
from .benefit import RealImages
from .config import BalanceConfig
from .generator import ADAPTER, DRAWING, Generator, load_tuned
from .rejection_sampling import Sampler, stem
from .sent_generator import draw_photos, send

if TYPE_CHECKING:
    from PIL import Image

    from ...models.diffusion.pretrained.drawing import Request
    from ...models.diffusion.pretrained.latents import Bucket
    from ...models.images.same_format import Original

CHUNK = 32  # images in memory at their full size
LEVELS = 4  # of strength and guidance: images of one level are drawn together


def tuned_images(run: Run, generator: Generator, real: RealImages, config: BalanceConfig) -> Sampler:
    """Draws images at the size of the photos, and writes them; the filters see them at the training size."""
    from ...models.diffusion.pretrained import tuning

    precision = "bf16" if tuning.uses_bf16(config.generator) else "fp32"
    precision = run.remember("drawing_precision", lambda: precision)
    denoiser = load_tuned(generator, config.generator.device, precision)
    drawer = _Drawer(run, generator, _usable(real), config, denoiser, precision)
    return drawer.draw


def starts_from_images(settings: DrawingSettings, family: Any, name: str) -> bool:
    """Whether images start from real ones.

    Raises:
        ValueError: they should, and the model cannot
    """
    can = family.image_to_image is not None
    if settings.start == "images" and not can:
        raise InvalidInput(f"{name!r} has no image-to-image pipeline: give start='noise'")
    return can and settings.start != "noise"


class _Sources(NamedTuple):
    """Real training images from which new ones start, or take their size and format."""

    paths: np.ndarray  # [n]
    ids: np.ndarray  # [n]
    labels: np.ndarray  # [n]
    names: list[str]  # of the classes [K]
    side_px: int  # at which the filters see images
    channels: int


def _usable(real: RealImages) -> _Sources:
    """All training images but those whose label may be wrong."""
    keep = ~np.isin(real.train_ids, real.doubtful_ids)
    size = real.train.shape[-1], real.train.shape[1]
    return _Sources(real.train_paths[keep], real.train_ids[keep], real.train_labels[keep], real.names, *size)


class _Plan(NamedTuple):
    """An image to draw, and the real one whose size and format it takes."""

    request: Request
    original: Original
    source_id: str  # "" where it starts from noise


class _Drawer:
    """Draws images of given numbers and classes; seed and number fix each of them."""

    def __init__(
        self, run: Run, generator: Generator, sources: _Sources, config: BalanceConfig, denoiser: Any, precision: str
    ) -> None:
        self.run, self.generator, self.sources, self.config = run, generator, sources, config
        self.denoiser, self.precision, self.pipe = denoiser, precision, denoiser.pipe[0]
        self.multiple = denoiser.family.multiple_px(self.pipe)
        self.from_images = starts_from_images(config.drawing, denoiser.family, generator.base["name"])
        self.prompts = [generator.base["prompts"][generator.names.index(name)] for name in sources.names]
        self.adapter = hashlib.blake2b((generator.folder / ADAPTER).read_bytes(), digest_size=8).hexdigest()

    def draw(self, numbers: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """Numbers [B] and classes [B] -> pixels for the filters, uint8 [B, C, S, S], and the origin of each."""
        wanted, done = list(zip(numbers.tolist(), classes.tolist(), strict=True)), 0
        plans: dict[int, list[_Plan]] = {}  # by chunk, while it is drawn
        written: dict[int, list[tuple[np.ndarray, dict[str, Any]]]] = {}

        def make(place: int) -> list[Request]:
            plans[place] = [self._plan(*image) for image in wanted[place * CHUNK : (place + 1) * CHUNK]]
            return [plan.request for plan in plans[place]]

        for place, images in self._draw_chunks(Lazy(-(-len(wanted) // CHUNK), make)):
            written[place] = [self._write(plan, image) for plan, image in zip(plans.pop(place), images, strict=True)]
            done += len(images)
            self.run.report(DRAWING, done, len(numbers))
        pixels, origins = zip(*(one for place in sorted(written) for one in written[place]), strict=True)
        return np.stack(pixels), list(origins)

    def _draw_chunks(self, chunks: Sequence[list[Request]]) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Place and images of each chunk, drawn here or on workers."""
        steps, executor = self.config.drawing.pretrained_steps, self.config.executor
        if executor is not None:
            sent = send(self.generator, self.config.generator.device, self.precision)
            yield from shards.results(chunks, draw_photos, executor, self.run.check_stop, sent, self.prompts, steps)
            return
        for place in range(len(chunks)):
            self.run.check_stop()
            yield place, self._draw_here(chunks[place], steps)

    def _draw_here(self, requests: list[Request], steps: int) -> list[np.ndarray]:
        from ...models.diffusion.pretrained import drawing

        images: dict[int, np.ndarray] = {}
        for index, image in drawing.draw(
            self.pipe, self.denoiser.family, self.prompts, requests, steps, self.precision
        ):
            self.run.check_stop()
            images[index] = image
        return [images[index] for index in range(len(requests))]

    def _plan(self, number: int, class_id: int) -> _Plan:
        from ...models.diffusion.pretrained.drawing import Request
        from ...models.diffusion.pretrained.latents import bucket_of, fit

        settings, seed = self.config.drawing, self.config.sampling.sampling_seed
        rng = np.random.default_rng([seed, number])
        strength, guidance = (
            float(rng.choice(np.linspace(getattr(settings, f"min_{name}"), getattr(settings, f"max_{name}"), LEVELS)))
            for name in ("strength", "guidance")
        )
        source_id, original, image = self._source(rng, class_id)
        bucket: Bucket = bucket_of(image.shape[0], image.shape[1], self.generator.size_px, self.multiple)
        start = fit(image, bucket) if self.from_images else None
        request = Request(class_id, number, bucket, guidance, strength if self.from_images else None, start, seed)
        return _Plan(request, original, source_id)

    def _source(self, rng: np.random.Generator, class_id: int) -> tuple[str, Original, np.ndarray]:
        """A random real image of the class, or of any class: its sample's id, its file, and its pixels [H, W, 3].

        Raises:
            ImageError: none can be read
        """
        from ...models.images import same_format
        from ...models.images.decode import load

        sources, settings = self.sources, self.config.images
        any_class = self.from_images and self.config.drawing.across_classes
        rows = np.arange(len(sources.labels)) if any_class else np.flatnonzero(sources.labels == class_id)
        for row in rng.permutation(rows).tolist():
            path = str(sources.paths[row])
            try:
                return str(sources.ids[row]), same_format.read(path, settings), load(path, settings, None, 3)
            except ImageError:
                continue
        raise ImageError(
            f"none of the {len(rows)} images of {sources.names[class_id]!r} can be used: restore them, or decide on "
            "the mistakes among them"
        )

    def _reduced(self, path: Path) -> np.ndarray:
        """Pixels as the filters see them [C, S, S]."""
        from ...models.images.decode import load

        pixels = load(str(path), self.config.images, self.sources.side_px, self.sources.channels)
        return np.asarray(pixels.transpose(2, 0, 1))

    def _write(self, plan: _Plan, pixels: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """Writes an image as the real one was written; returns its pixels for the filters and its origin."""
        from ...models.images import same_format

        request, base = plan.request, self.generator.base
        origin = dict(
            source=str(Origin.GENERATE),
            generator=self.generator.source,
            seed=request.seed,
            guidance=round(request.guidance, 3),
            steps=self.config.drawing.pretrained_steps,
            strength=None if request.strength is None else round(request.strength, 3),
            source_image=plan.source_id if self.from_images else None,
            base=base["name"],
            base_revision=base["revision"] or None,
            adapter=self.adapter,
            prompt=self.prompts[request.prompt],
        )
        image = same_format.change(plan.original, lambda original: _in_mode(pixels, original))
        notes = dict(run=self.run.key, number=request.number, **origin)
        path = same_format.write(image, plan.original, stem(self.run, request.number), notes)
        return self._reduced(path), {**origin, "path": str(path)}


def _in_mode(pixels: np.ndarray, original: Image.Image) -> Image.Image:
    """Drawn pixels [H, W, 3] in the size and mode of an original: L, LA, RGB, RGBA, or F (0..1)."""
    from PIL import Image

    drawn = Image.fromarray(pixels).resize(original.size, Image.Resampling.LANCZOS)
    if original.mode == "F":
        return Image.fromarray(np.asarray(drawn.convert("L"), dtype=np.float32) / 255)
    if original.mode in ("LA", "RGBA"):
        drawn = drawn.convert(original.mode)
        drawn.putalpha(original.getchannel("A"))
        return drawn
    return drawn.convert(original.mode)
