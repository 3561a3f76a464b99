"""Pretrained text-to-image models of the user: found in a folder or on the hub, checked, and loaded.

Weights are safetensors alone, and no code of a folder is run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInput
from ...offline import hub_out_of_reach
from ...regular_files import is_file, is_folder, read_json, regular
from .cache import INDEX

if TYPE_CHECKING:
    from .families import Family

EXTRA = ("peft", "transformers")  # packages of evenset[pretrained]
LIBRARIES = ("diffusers", "transformers")  # whose classes a base consists of
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
DIGEST_BYTES = 1 << 20  # of each file of weights
REMEDY = "connect to the internet once, since the files are kept, or give the folder of a diffusers pipeline"


@dataclass(frozen=True)
class Base:
    """A pretrained pipeline on this machine."""

    name: str  # hub id or folder
    folder: Path
    revision: str  # commit of the hub; "" for a folder
    licence: str  # as its card says; "" where it does not
    digest: str  # of its configuration and weights

    @property
    def family(self) -> type[Family]:
        from .families import FAMILIES

        return FAMILIES[read_json(self.folder / INDEX)["_class_name"]]


def find(name: str, revision: str | None = None) -> Base:
    """The base of a folder or hub id; it is downloaded if it is not on this machine.

    Raises:
        ValueError: as `check_name`
    """
    check_name(name, revision)
    folder = Path(name).expanduser()
    if is_folder(folder):
        return Base(str(folder.absolute()), folder.absolute(), "", _licence(folder), digest(folder))
    folder = _ask_hub(name, lambda options: _download(name, options), revision)
    check_folder(folder, name)
    return Base(name, folder, folder.name, _licence(folder), digest(folder))


def check_name(name: str, revision: str | None = None) -> None:
    """Checks a base before gigabytes are downloaded.

    Raises:
        ValueError: it does not exist, cannot be downloaded, is of a kind that cannot be tuned, or is not safe to load
    """
    require_extra()
    folder = Path(name).expanduser()
    if is_folder(folder):
        check_folder(folder, name)
        return
    if not HUB_ID.fullmatch(name):
        raise InvalidInput(
            f"base {name!r} is neither a run, nor the folder of a diffusers pipeline, nor an id of the hub (OWNER/NAME)"
        )
    _check_index(read_json(_ask_hub(name, lambda options: _index_of(name, options), revision)), name)


def require_extra() -> None:
    """Raises ValueError where peft or transformers is not installed."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidInput(
            f"a pretrained base needs {' and '.join(missing)}: pip install 'evenset[pretrained]', or base='scratch'"
        )


def _index_of(name: str, options: dict[str, Any]) -> str:
    from huggingface_hub import hf_hub_download

    return str(hf_hub_download(name, INDEX, **options))


def _download(name: str, options: dict[str, Any]) -> str:
    from diffusers import DiffusionPipeline

    return str(DiffusionPipeline.download(name, use_safetensors=True, **options))


def _ask_hub(name: str, ask: Callable[[dict[str, Any]], str], revision: str | None) -> Path:
    """A file or folder in the hub's cache, downloaded where it is missing.

    Raises:
        ValueError: it is not there, and cannot be downloaded
    """
    why = hub_out_of_reach()
    try:
        return Path(ask(dict(revision=revision, local_files_only=bool(why))))
    except Exception as error:  # of the connection, the server, the disk or the library
        reason = why or (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidInput(
            f"base {name!r} is not on this machine, and cannot be downloaded ({reason}): {REMEDY}"
        ) from error


def check_folder(folder: Path, name: str) -> None:
    """Rejects a folder that cannot be tuned, or is not safe to load.

    Raises:
        ValueError: as said
    """
    if not is_file(folder / INDEX):
        raise InvalidInput(f"base {name!r} has no {INDEX}: give the folder of a diffusers text-to-image pipeline")
    index = read_json(folder / INDEX)
    _check_index(index, name)
    for part, entry in index.items():
        if part.startswith("_") or not isinstance(entry, list) or entry[0] is None:
            continue
        if entry[0] not in LIBRARIES:
            raise InvalidInput(f"base {name!r} has a custom {part} ({entry[0]}): its code would have to be run")
        _check_part(folder / part, name)


def _check_index(index: dict[str, Any], name: str) -> None:
    from .families import FAMILIES

    kind = index.get("_class_name")
    if not isinstance(kind, str):
        raise InvalidInput(f"base {name!r} has a custom pipeline: its code would have to be run")
    if kind not in FAMILIES:
        raise InvalidInput(f"base {name!r} is a {kind}, which cannot be tuned: give one of {', '.join(FAMILIES)}")


def _check_part(folder: Path, name: str) -> None:
    if not is_folder(folder) or not any(folder.iterdir()):
        raise InvalidInput(f"base {name!r} has no {folder.name}: download it again, or copy its whole folder")
    files = [path.name for path in folder.iterdir()]
    if any(file.endswith(PICKLES) for file in files) and not any(file.endswith(".safetensors") for file in files):
        raise InvalidInput(
            f"the weights of {folder.name} of base {name!r} are pickles, which can run code: give a base with "
            "safetensors, or save the pipeline again by save_pretrained(safe_serialization=True)"
        )


def _licence(folder: Path) -> str:
    """The licence that the card of a base names."""
    from huggingface_hub import ModelCard

    try:
        card = ModelCard.load(regular(folder / "README.md"))
    except (OSError, ValueError):
        return ""
    return str(card.data.get("license_name") or card.data.get("license") or "")


def digest(folder: Path) -> str:
    """Identifies a base by the configuration and the first bytes of the weights of what is tuned."""
    index = read_json(folder / INDEX)
    part = folder / ("unet" if "unet" in index else "transformer")
    summary = hashlib.blake2b(digest_size=8)
    for path in sorted(part.iterdir()):
        if path.suffix in (".safetensors", ".json"):
            summary.update(f"{path.name} {path.stat().st_size}".encode())
            with regular(path).open("rb") as file:
                summary.update(file.read(DIGEST_BYTES))
    return summary.hexdigest()


def load(base: Base, device: Any, bf16: bool) -> Any:
    """The pipeline, without a safety checker, whose black images would be added as images of a class.

    Args:
        bf16: of the weights, on a GPU; a processor computes in bf16 by autocast

    Raises:
        ValueError: a file is damaged or missing
    """
    import diffusers
    import torch

    kind = getattr(diffusers, base.family.pipeline)
    options: dict[str, Any] = dict(dtype=torch.bfloat16 if bf16 else torch.float32, use_safetensors=True)
    if base.family.pipeline == "StableDiffusionPipeline":
        options |= dict(safety_checker=None, requires_safety_checker=False)
    try:
        with _without_bars():
            pipe = kind.from_pretrained(str(base.folder), local_files_only=True, **options)
    except Exception as error:  # of diffusers, transformers, tokenizers or safetensors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidInput(f"base {base.name!r} cannot be loaded ({reason}): download it again") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


@contextmanager
def _without_bars() -> Iterator[None]:
    """The libraries show no bars of their own: the run's is there."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries: list[Any] = [diffusers_logging, transformers_logging]
    shown = [library.is_progress_bar_enabled() for library in libraries]
    for library in libraries:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, was_shown in zip(libraries, shown, strict=True):
            if was_shown:
                library.enable_progress_bar()
