"""A trained generator: found by its run or folder, loaded, and drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.regular_files import is_file, is_folder, read_json, regular
from ...models.settings import ImageSettings, SamplingSettings
from ..runs import records, run_files
from ..runs.run import Run

if TYPE_CHECKING:
    from ...models.diffusion.training import Pipeline
    from ..training.image_survey import ImageStats

FOLDER = "generator"  # in the run's folder
NOTE = "evenset.json"  # in the generator's folder: its fields, as below
DRAWING = "drawing images"  # phase
ADAPTER = "pytorch_lora_weights.safetensors"  # as diffusers names the adapter of a pretrained model


@dataclass(frozen=True)
class Generator:
    """A trained generator, and the images that it did and did not see."""

    source: str  # key of a run, or a folder
    folder: Path
    names: list[str]  # [K]
    size_px: int
    channels: int
    dataset: str = ""  # id of the dataset that it was trained on
    held_out: list[str] = field(default_factory=list)  # ids of the samples of that dataset that it did not see
    saw: list[str] = field(default_factory=list)  # digests of its training files
    images: dict[str, Any] = field(default_factory=dict)  # the image settings that shaped its training images
    warning: str = ""  # a sentence, if its training failed or its training images are unknown
    base: dict[str, Any] = field(default_factory=dict)  # of an adapter: the pretrained model that it tunes, and prompts

    def seen_by_filters(self, stats: ImageStats) -> ImageStats:
        """The statistics with the size at which filters see images: that of a generator of pixels."""
        return stats if self.base else stats._replace(size_px=self.size_px, channels=self.channels)


def find_generator(dataset: Any, generator: str | Path, names: list[str], source: str | None = None) -> Generator:
    """The generator of a run, by its key, or of a folder.

    Args:
        names: classes that it has to draw
        source: name to show instead of the key or folder

    Raises:
        ValueError: it does not exist, its run is not done, or it draws other classes
    """
    found = find_any(dataset, generator)
    missing = [name for name in names if name not in found.names]
    if missing:
        raise InvalidInput(
            f"the generator of {str(generator)!r} draws {', '.join(found.names)}, and not {missing[0]!r}: "
            "train one on these labels"
        )
    return replace(found, source=source) if source else found


def find_any(dataset: Any, generator: str | Path) -> Generator:
    """The generator of a run or folder, whatever it draws.

    Raises:
        ValueError: it does not exist, or its run is not done
    """
    folder, named = _locate(dataset, generator)
    if not is_file(folder / "model_index.json") and not is_file(folder / ADAPTER):
        raise InvalidInput(f"{str(generator)!r} is neither a run of this dataset nor the folder of a generator")
    return Generator(named, folder, **_read_note(folder))


def _locate(dataset: Any, generator: str | Path) -> tuple[Path, str]:
    """The folder, and the run's key or the folder's full path."""
    key = str(generator)
    try:
        folder = Path(generator).expanduser().absolute()
    except RuntimeError as error:  # ~NAME of an unknown user
        raise InvalidInput(f"generator {key!r}: {error}") from None
    if key not in dataset.list_runs() and (not key.startswith("evenset_") or is_folder(folder)):
        return folder, str(folder)
    record = records.read_record(dataset, key)
    if record.method not in ("train_generator", "balance_classes"):
        raise InvalidInput(f"{key} trained no generator: give the key of a train_generator run, or a folder")
    folder = run_files.files_of(dataset, record) / FOLDER
    if not folder.exists():
        raise InvalidInput(f"{key} is {record.state}, and has no generator: resume it, or train another")
    return folder, key


def _read_note(folder: Path) -> dict[str, Any]:
    """The fields of a generator; only names, size and channels if it was exported without its note.

    Raises:
        ValueError: the classes are unknown, or the note is damaged
    """
    path = folder / NOTE
    has_note = is_file(regular(path))
    note = read_json(path if has_note else folder / "model_index.json")
    if not has_note:
        note = {name: note[name] for name in ("names", "size_px", "channels") if name in note}
        if len(note) < 3:
            raise InvalidInput(f"{folder} holds a pipeline that Evenset did not train: its classes are unknown")
        note["warning"] = (
            f"The training images of {folder} are unknown. If it saw held-out images, the gain is too large."
        )
    _check_note(path, note)
    return note


def _check_note(path: Path, note: dict[str, Any]) -> None:
    """Rejects notes that were edited by hand, before anything is built from them.

    Raises:
        ValueError: a field is missing, of another type, or out of range
    """
    from ...models.diffusion.network import check_generator  # loads diffusers

    types = dict(names=list, size_px=int, channels=int, dataset=str, held_out=list, saw=list, images=dict)
    types |= dict(warning=str, base=dict)
    try:
        wrong = [name for name, value in note.items() if type(value) is not types.get(name)]
        if wrong or not {"names", "size_px", "channels"} <= note.keys():
            raise InvalidInput(f"{wrong[0] if wrong else 'names, size_px or channels'} is not as Evenset writes it")
        check_generator({**note, "size_px": 64} if note.get("base") else note)  # an adapter draws at larger sizes
        check_adapter(note.get("base", {}))
        ImageSettings(**note.get("images", {}))
        if not all(isinstance(name, str) for name in [*note.get("held_out", []), *note.get("saw", [])]):
            raise InvalidInput("held_out and saw have to be lists of texts")
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"the notes of the generator in {path.parent} are damaged ({error}): train another"
        ) from error


def check_adapter(note: dict[str, Any]) -> None:
    """Rejects the note of an adapter that was edited by hand.

    Raises:
        ValueError: a field is missing, or of another type
    """
    kinds = dict(name=str, folder=str, revision=str, licence=str, digest=str, prompts=list, rank=int, text_encoder=bool)
    wrong = [name for name, kind in kinds.items() if note and type(note.get(name)) is not kind]
    if wrong:
        raise InvalidInput(f"{wrong[0]} of its base is not as Evenset writes it")


def load_pipeline(generator: Generator, device: str) -> Pipeline:
    from ...models.diffusion import training

    return training.load(generator.folder, device)


def load_tuned(generator: Generator, device: str, precision: str) -> Any:
    """The pretrained model with its adapter, as a Denoiser, on the device.

    Raises:
        ValueError: the model is not on this machine, is another one than the adapter's, or cannot be loaded
    """
    from ...models.devices import accelerator
    from ...models.diffusion.pretrained import adapter, bases

    note, place = generator.base, accelerator(device).device
    name = note["folder"] if is_folder(note["folder"]) else note["name"]
    base = bases.find(name, note["revision"] or None)
    if base.digest != note["digest"]:
        raise InvalidInput(
            f"the generator of {generator.source!r} was tuned on another state of {note['name']!r}: give that base its "
            "former state, or train the generator again"
        )
    pipe = bases.load(base, place, place.type == "cuda" and precision == "bf16")
    denoiser = adapter.Denoiser(pipe, base.family, note["rank"], note["text_encoder"])
    adapter.load(denoiser, generator.folder)
    return denoiser.to(place).eval()


def draw_images(
    pipeline: Pipeline, labels: np.ndarray, settings: SamplingSettings, numbers: np.ndarray, run: Run | None = None
) -> np.ndarray:
    """Images of the pipeline's classes `labels` [n], each from the noise of its number -> uint8 [n, C, S, S]."""
    from ...models.diffusion import training

    shape = (pipeline.config.channels, pipeline.config.size_px, pipeline.config.size_px)
    images = np.empty((len(labels), *shape), dtype=np.uint8)
    for rows, block in training.generate(pipeline, labels, settings, numbers=numbers):
        images[rows] = block
        if run:
            run.report(DRAWING, int(rows[-1]) + 1, len(labels))
    return images
