"""Where the training of a generator starts: from nothing, from an earlier generator, or from a pretrained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...models.errors import InvalidInput
from ...models.regular_files import is_file, is_folder
from ...models.settings import ImageSettings, TuningSettings
from .generator import NOTE, Generator, find_any

if TYPE_CHECKING:
    from ...models.diffusion.pretrained.bases import Base

SHAPED = ("grayscale", "denoise", "autocontrast")  # image settings that a pretrained model does not take


def earlier_generator(dataset: Any, settings: TuningSettings) -> Generator | None:
    """The generator that `base` names by its run or folder; None where it names something else.

    Raises:
        ValueError: its run has none, or it is the adapter of a pretrained model
    """
    if settings.is_scratch:
        return None
    folder = Path(settings.base).expanduser()
    is_run = settings.base in dataset.list_runs() or settings.base.startswith("evenset_")
    if not is_run and not (is_folder(folder) and is_file(folder / NOTE)):
        return None
    generator = find_any(dataset, settings.base)
    if generator.base:
        raise InvalidInput(
            f"the generator of {settings.base!r} is tuned from {generator.base['name']!r}: give base="
            f"{generator.base['name']!r}, or a generator that was trained from scratch"
        )
    return generator


def is_pretrained(dataset: Any, settings: TuningSettings) -> bool:
    """Whether `base` names neither nothing nor an earlier generator."""
    return not settings.is_scratch and earlier_generator(dataset, settings) is None


def check_base(dataset: Any, settings: TuningSettings, images: ImageSettings) -> bool:
    """Checks `base` before work starts; returns whether it is pretrained.

    Raises:
        ValueError: it does not exist, cannot be tuned, or needs packages that are not installed
    """
    if not is_pretrained(dataset, settings):
        return False
    from ...models.diffusion.pretrained import bases

    bases.check_name(settings.base, settings.base_revision)
    wrong = [name for name in SHAPED if getattr(images, name) != getattr(ImageSettings(), name)]
    if wrong:
        raise InvalidInput(f"{wrong[0]} cannot be used with a pretrained base, which learns the images as they are")
    return True


def prompts_of(names: list[str], settings: TuningSettings) -> list[str]:
    """The prompt of each class: its description, or its name, in the template.

    Raises:
        ValueError: a description of no class, or one that is not as NAME: TEXT
    """
    texts = {}
    for part in filter(str.strip, (settings.descriptions or "").split(";")):
        name, separator, text = part.partition(":")
        if not separator or name.strip() not in names:
            raise InvalidInput(
                f"descriptions: {part.strip()!r} is not as NAME: TEXT, with NAME one of {', '.join(names)}"
            )
        texts[name.strip()] = text.strip()
    return [settings.prompt.replace("{class}", texts.get(name, name)) for name in names]


def find_base(settings: TuningSettings) -> Base:
    """The pretrained model; it is downloaded if it is not on this machine.

    Raises:
        ValueError: as `check_base`
    """
    from ...models.diffusion.pretrained import bases

    return bases.find(settings.base, settings.base_revision)
