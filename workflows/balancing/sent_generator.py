"""A generator that is sent to workers, and what they draw with it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.settings import SamplingSettings
from .generator import Generator, draw_images, load_pipeline, load_tuned

if TYPE_CHECKING:
    from ...models.diffusion.pretrained.drawing import Request


@dataclass(frozen=True)
class SentGenerator:
    """A generator with its files; a pretrained base is not sent."""

    generator: Generator
    files: dict[str, bytes]  # by their paths in its folder
    device: str
    precision: str

    @property
    def digest(self) -> str:
        whole = hashlib.blake2b(repr((sorted(self.files), self.device, self.precision)).encode())
        for name in sorted(self.files):
            whole.update(self.files[name])
        return whole.hexdigest()


_opened: dict[str, Any] = {}  # the last generator of this worker, by its digest


def send(generator: Generator, device: str, precision: str) -> SentGenerator:
    paths = [path for path in generator.folder.rglob("*") if path.is_file()]
    files = {path.relative_to(generator.folder).as_posix(): path.read_bytes() for path in paths}
    return SentGenerator(generator, files, device, precision)


def draw_pixels(shard: tuple[np.ndarray, np.ndarray], sent: SentGenerator, settings: SamplingSettings) -> np.ndarray:
    """Images of classes [n], each from the noise of its number [n] -> uint8 [n, C, S, S]."""
    labels, numbers = shard
    return draw_images(_open(sent), labels, settings, numbers)


def draw_photos(requests: Sequence[Request], sent: SentGenerator, prompts: list[str], steps: int) -> list[np.ndarray]:
    """An image for each request, uint8 [H, W, 3].

    Raises:
        ValueError: the base is not on this machine, or is another one
    """
    from ...models.diffusion.pretrained import drawing

    denoiser = _open(sent)
    images = dict(drawing.draw(denoiser.pipe[0], denoiser.family, prompts, requests, steps, sent.precision))
    return [images[index] for index in range(len(requests))]


def _open(sent: SentGenerator) -> Any:
    digest = sent.digest
    if digest not in _opened:
        _opened.clear()
        with tempfile.TemporaryDirectory(prefix="evenset-generator-") as name:
            for file, content in sent.files.items():
                path = Path(name, file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            generator = replace(sent.generator, folder=Path(name))
            if generator.base:
                _opened[digest] = load_tuned(generator, sent.device, sent.precision)
            else:
                _opened[digest] = load_pipeline(generator, sent.device)
    return _opened[digest]
