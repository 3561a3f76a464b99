"""Image files as a worker gets them: by their paths on shared storage, or sent along."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...models.errors import InvalidInput
from ...models.images.region import file_of, parse
from ...models.regular_files import regular


@dataclass(frozen=True)
class SharedFiles:
    """Image files, or regions of them, for a worker."""

    paths: list[str]  # [n]
    there: frozenset[str]  # files that the first process sees
    contents: dict[str, bytes] | None  # of each file; None: the worker reads it

    def local_paths(self, folder: Path) -> list[str]:
        """The paths on this machine [n].

        Args:
            folder: for files that were sent

        Raises:
            ValueError: a file is missing here
        """
        if self.contents is None:
            seen_there = (file for file in dict.fromkeys(map(file_of, self.paths)) if file in self.there)
            if missing := next((file for file in seen_there if not os.path.exists(file)), None):
                raise InvalidInput(
                    f"{socket.gethostname()} cannot read {missing}: share the folder, or set ship_images"
                )
            return list(self.paths)
        names = {}
        for number, (file, content) in enumerate(self.contents.items()):
            names[file] = str(folder / f"{number}{Path(file).suffix}")
            Path(names[file]).write_bytes(content)
        return [_moved(path, names.get(file_of(path), str(folder / "gone"))) for path in self.paths]

    def original(self, local: Sequence[str], text: str, place: int) -> str:
        """A sentence on an image here, as one on the first process's file."""
        return text.replace(file_of(local[place]), file_of(self.paths[place]))


def share(paths: Sequence[str], ship_images: bool) -> SharedFiles:
    """Files for workers.

    Args:
        ship_images: with their bytes
    """
    files = dict.fromkeys(map(file_of, paths))
    there = frozenset(file for file in files if os.path.exists(file))
    read = {file: _content(file) for file in files if file in there} if ship_images else {}
    contents = {file: content for file, content in read.items() if content is not None} if ship_images else None
    return SharedFiles(list(paths), there, contents)


def _content(file: str) -> bytes | None:
    try:
        return regular(Path(file)).read_bytes()
    except (OSError, InvalidInput):
        return None  # the worker says that the image cannot be read


def _moved(path: str, file: str) -> str:
    region = parse(path)
    return str(region._replace(file=file)) if region else file
