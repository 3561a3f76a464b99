"""Preprocessed copies of images: encoded by threads of this process or by workers, and written by this process."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import ImageError
from ...models.files import aside
from ...models.images.decode import decode
from ...models.images.reader import in_order, thread_count
from ...models.images.survey import moments
from ...models.settings import CopySettings, ImageSettings, WorkerSettings
from ..runs import shards
from ..runs.shards import Executor, Lazy
from ..runs.shared_files import SharedFiles, share

SHARD_IMAGES = 64
Copy = dict[str, Any]  # of a sample: `moments` [2, 3], `gray` and `note`, or the `error`


@dataclass(frozen=True)
class Copier:
    """Writes copies into a folder."""

    folder: Path
    images: ImageSettings
    copies: CopySettings

    def target(self, sample_id: str) -> Path:
        return self.folder / f"{sample_id}.{'jpg' if self.copies.format == 'jpeg' else 'png'}"

    def write(
        self, samples: Sequence[tuple[str, str]], workers: WorkerSettings, check: Callable[[], None]
    ) -> Generator[Copy]:
        """Copies of samples (id and file), each yielded with its `id` once it is written.

        Args:
            check: is called each second while workers encode; raising ends them
        """
        if workers.workers:
            parts = [samples[first : first + SHARD_IMAGES] for first in range(0, len(samples), SHARD_IMAGES)]
            made = Lazy(len(parts), lambda place: share([path for _, path in parts[place]], workers.ship_images))
            done = shards.results(made, encode_shard, Executor(workers.workers), check, self.images, self.copies)
            for place, block in done:
                for (sample_id, _), (copy, data) in zip(parts[place], block, strict=True):
                    yield self._save(sample_id, copy, data)
        else:
            threads = thread_count(self.images)
            with contextlib.closing(in_order(self._copy, samples, threads, 2 * threads)) as copies:
                yield from copies

    def _copy(self, sample: tuple[str, str]) -> Copy:
        return self._save(sample[0], *encode(sample[1], self.images, self.copies))

    def _save(self, sample_id: str, copy: Copy, data: bytes) -> Copy:
        """Writes a copy whole or not at all."""
        if data:
            with aside(self.target(sample_id), flush=False) as part:  # one of thousands, each quickly made again
                part.write_bytes(data)
        return {"id": sample_id, **copy}


def encode_shard(files: SharedFiles, images: ImageSettings, copies: CopySettings) -> list[tuple[Copy, bytes]]:
    """Copies of a shard's images, on a worker.

    Raises:
        ValueError: a file is missing here
    """
    with tempfile.TemporaryDirectory(prefix="evenset-copies-") as folder:
        paths, made = files.local_paths(Path(folder)), []
        for place, path in enumerate(paths):
            copy, data = encode(path, images, copies)
            texts = {name: files.original(paths, copy[name], place) for name in ("error", "note") if copy.get(name)}
            made.append(({**copy, **texts}, data))
    return made


def encode(path: str, images: ImageSettings, copies: CopySettings) -> tuple[Copy, bytes]:
    """The copy of an image, and its file; b"" where it has none."""
    try:
        decoded = decode(path, images, lambda width, height: images.size_px, channels=3)
        data = _encode(path, decoded.pixels[..., 0] if decoded.gray else decoded.pixels, copies)
    except ImageError as error:
        return {"error": str(error)}, b""
    return {"note": decoded.note, "gray": decoded.gray, "moments": moments(decoded.pixels).tolist()}, data


def _encode(path: str, pixels: np.ndarray, copies: CopySettings) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    options = {"quality": copies.jpeg_quality} if copies.format == "jpeg" else {}
    try:
        Image.fromarray(pixels).save(file, copies.format, **options)
    except (OSError, ValueError) as error:
        size = f"{pixels.shape[1]} x {pixels.shape[0]} px"
        raise ImageError(
            f"{path}: a copy of {size} does not fit into {copies.format} ({error}): set size_px, or choose the other "
            "format"
        ) from error
    return file.getvalue()
