"""What train_generator and balance_classes share: a generator that is trained once a run, and the images it saw."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.diffusion.network import check_generator
from ...models.errors import InvalidInput
from ...models.files import aside
from ...models.images.reader import Images
from ...models.regular_files import is_file, is_folder, read_json, regular
from ...models.settings import GeneratorSettings, ImageSettings, SamplingSettings, TrainGeneratorSettings
from ..data.internals import dataset_id
from ..data.labels import Labels
from ..display.image_grid import COLUMNS, MAX_ROWS, image_grid, save
from ..runs import records, run_files
from ..runs.run import Run
from ..training.image_survey import ImageStats, groups_of_all, survey_images
from ..training.partition import Draw, Split, keep_aside, set_aside

if TYPE_CHECKING:
    from ...models.diffusion.training import Pipeline

SMALLEST_PX, LARGEST_PX = 8, 128  # sides that can be drawn
USUAL_PX = 64  # largest side that is chosen without being asked for
FOLDER, SAW = "generator", "evenset.json"  # of a run; what the generator saw
SHAPING = ("fit", "grayscale", "denoise", "denoise_strength", "autocontrast")  # how the pixels came out that it saw


@dataclass(frozen=True)
class Generator:
    """A trained generator, and which images it was kept from."""

    source: str  # key of a run, or a folder
    folder: Path
    names: list[str]  # [K]
    size_px: int
    channels: int
    dataset: str = ""  # id of the one that it was trained on
    held_out: list[str] = field(default_factory=list)  # ids of samples of it that it did not see
    saw: list[str] = field(default_factory=list)  # digests of the files that it saw
    images: dict[str, Any] = field(default_factory=dict)  # settings of SHAPING
    warning: str = ""  # a sentence, where it is not as good, or not as well known, as it could be


def look_at_images(run: Run, labels: Labels, settings: ImageSettings) -> ImageStats:
    """As every workflow looks at images, at a size that can be drawn."""
    stats = survey_images(run, labels, settings)
    return stats if settings.size_px else stats._replace(size_px=min(stats.size_px, USUAL_PX))


def check(settings: ImageSettings, held: TrainGeneratorSettings, measured: bool) -> None:
    """Raises ValueError for a size that cannot be drawn, and for a benefit that would be measured on no image."""
    size = settings.size_px
    if size and not SMALLEST_PX <= size <= LARGEST_PX:
        raise InvalidInput(
            f"size_px {size}: a generator draws from {SMALLEST_PX} to {LARGEST_PX} px; 0 chooses from the images"
        )
    if measured and not held.held_out_fraction:
        raise InvalidInput(
            "the benefit is measured on held-out images: raise held_out_fraction, or give measure_benefit=False"
        )


def hold_out(
    run: Run, labels: Labels, stats: ImageStats, choices: TrainGeneratorSettings, ready: Generator | None = None
) -> np.ndarray:
    """The part of each sample, Split.TRAIN, Split.HELD_OUT, or 0 where it has no label or no image [N]; drawn once a run.

    Args:
        ready: a generator of another dataset; files that it saw, and what is like them, are not held out
    """

    def compute() -> dict[str, np.ndarray]:
        split_ids, groups, free = _all_train(labels, stats), groups_of_all(labels, stats.groups), labels
        if ready and ready.saw:
            seen = np.isin(_digests(run, labels.paths, split_ids == Split.TRAIN), ready.saw)
            free = replace(labels, trusted=labels.trusted & ~np.isin(groups, groups[seen]))
        set_aside(split_ids, Split.HELD_OUT, free, groups, Draw(choices.held_out_fraction, choices.seed))
        return {"parts": split_ids}

    return run.cached_arrays("parts", compute, labels.ids, ("parts",))["parts"]


def _all_train(labels: Labels, stats: ImageStats) -> np.ndarray:
    """TRAIN for every sample that has a label and an image [N]."""
    split_ids = np.zeros(len(labels.ids), dtype=np.int64)
    split_ids[[i for i in labels.labelled_indices if i not in stats.errors]] = Split.TRAIN
    return split_ids


def _digests(run: Run, paths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A digest of each file of the rows, by which it is known again wherever it lies, "" for the others [N]."""
    found = np.full(len(paths), "", dtype="U16")
    for number, i in enumerate(np.flatnonzero(rows).tolist()):
        found[i] = hashlib.blake2b(Path(paths[i]).read_bytes(), digest_size=8).hexdigest()
        run.report("noting which images are seen", number + 1, int(rows.sum()))
    return found


def split_for(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    ready: Generator | None,
    choices: TrainGeneratorSettings,
    measured: bool,
) -> np.ndarray:
    """TRAIN and Split.HELD_OUT of each sample [N]: what a generator of this dataset was kept from stays held out.

    A class that nothing can be learned of, as none of its images trains, is not held out either.

    Args:
        ready: a generator that is there already
        measured: whether the held-out part is to score

    Raises:
        ValueError: it is, and there would be none
    """
    if ready is None or ready.dataset != str(dataset_id(run.dataset)):
        split_ids = hold_out(run, labels, stats, choices, ready)
    else:
        split_ids, groups = _all_train(labels, stats), groups_of_all(labels, stats.groups)
        keep_aside(
            split_ids, {Split.HELD_OUT: _unseen(run, labels, split_ids == Split.TRAIN, groups, ready)}, labels, groups
        )
    why = "no image can be held out to measure the benefit: label more by hand, or in more groups"
    if ready and (ready.held_out or ready.saw):
        why = (
            f"the generator of {ready.source!r} saw every image whose label can be trusted, so that what it draws "
            "cannot be measured: train one with a held-out part (held_out_fraction)"
        )
    split_ids[
        (split_ids == Split.HELD_OUT) & ~np.isin(labels.class_ids, labels.class_ids[split_ids == Split.TRAIN])
    ] = 0
    if measured and not (split_ids == Split.HELD_OUT).any():
        raise InvalidInput(f"{why}, or give measure_benefit=False")
    return split_ids


def _unseen(run: Run, labels: Labels, usable: np.ndarray, groups: np.ndarray, ready: Generator) -> set[str]:
    """Ids of what was held out from a generator of this dataset, but for what belongs together with a file it saw."""
    held = np.isin(labels.ids, ready.held_out)
    mates = usable & ~held & np.isin(groups, groups[held])
    seen = mates & np.isin(_digests(run, labels.paths, mates), ready.saw)
    return set(labels.ids[held & ~np.isin(groups, groups[seen])].tolist())


def train(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    split_ids: np.ndarray,
    image_settings: ImageSettings,
    settings: GeneratorSettings,
) -> Generator:
    """Trains on the Split.TRAIN part, and keeps the generator in the run's folder; a run that has it reads it."""
    from ...models.diffusion import training

    folder, seen = run.folder / FOLDER, np.flatnonzero(split_ids == Split.TRAIN)
    if not (folder / SAW).exists():
        images = Images(labels.paths[seen].tolist(), image_settings, stats.size_px, stats.channels)

        def fetch(indices: np.ndarray) -> np.ndarray:
            run.check_stop()  # an update at a time
            return images[indices]

        shape = run.remember(
            "shape", lambda: training.architecture_settings(stats.size_px, settings)
        )  # another process has other cores
        settings = replace(settings, **shape)
        pipeline = training.build(labels.names, stats.channels, stats.size_px, settings)
        steps = training.train(pipeline, fetch, labels.class_ids[seen], settings, run.folder, pictures=run.folder)
        note = dict(
            names=labels.names,
            size_px=stats.size_px,
            channels=stats.channels,
            dataset=str(dataset_id(run.dataset)),
            held_out=labels.ids[split_ids == Split.HELD_OUT].tolist(),
            saw=_digests(run, labels.paths, split_ids == Split.TRAIN)[seen].tolist(),
            images={name: getattr(image_settings, name) for name in SHAPING},
        )
        try:
            for _ in run.watch(steps, "training the generator"):
                pass
        except FloatingPointError as error:
            if run.curves:  # there are good updates
                _keep(pipeline, folder, dict(note, warning=f"The training of {run.key} diverged: {error}."))
                kept = f"the generator of the updates before is in {folder}, and generator={run.key!r} draws with it"
                raise FloatingPointError(f"{error}; {kept}") from error
            raise
        _show(run, pipeline, labels.names, settings.precision)
        _keep(pipeline, folder, note)
    (run.folder / training.STATE).unlink(missing_ok=True)  # four times as large, and of no more use
    return find(run.dataset, str(folder), labels.names, source=run.key)


def _keep(pipeline: Pipeline, folder: Path, note: dict[str, Any]) -> None:
    """Writes the generator."""
    from ...models.diffusion import training

    with aside(folder) as part:
        training.save(pipeline, part)
        (part / SAW).write_text(json.dumps(note))


def _show(run: Run, pipeline: Pipeline, names: list[str], precision: str) -> None:
    """A last picture: what the generator draws now, a row a class."""
    shown = names[:MAX_ROWS]
    labels = np.repeat(np.arange(len(shown)), COLUMNS)
    images = draw(pipeline, labels, SamplingSettings(precision=precision), np.arange(len(labels)))
    save(run.folder / "samples_final.png", image_grid(dict(zip(shown, np.split(images, len(shown)), strict=True))))


def find(dataset: Any, generator: str | Path, names: list[str], source: str | None = None) -> Generator:
    """The generator of a run, by its key, or of a folder.

    Raises:
        ValueError: there is none, the run is not done, or it draws other classes
    """
    try:
        folder = Path(generator).expanduser().absolute()
    except RuntimeError as error:  # ~somebody who has no account
        raise InvalidInput(f"generator {str(generator)!r}: {error}") from None
    named, generator = str(folder), str(generator)
    if generator in dataset.list_runs() or (generator.startswith("evenset_") and not is_folder(folder)):
        named, record = generator, records.read_record(dataset, generator)
        if record.method not in ("train_generator", "balance_classes"):
            raise InvalidInput(f"{generator} trained no generator: give the key of a train_generator run, or a folder")
        folder = run_files.files_of(dataset, record) / FOLDER
        if not folder.exists():
            raise InvalidInput(f"{generator} is {record.state}, and has no generator: resume it, or train another")
    if not is_file(folder / "model_index.json"):
        raise InvalidInput(f"{generator!r} is neither a run of this dataset nor the folder of a generator")
    note = _read_note(folder)
    missing = [name for name in names if name not in note["names"]]
    if missing:
        raise InvalidInput(
            f"the generator of {generator!r} draws {', '.join(note['names'])}, and not {missing[0]!r}: "
            "train one on these labels"
        )
    return Generator(source or named, folder, **note)


def _read_note(folder: Path) -> dict[str, Any]:
    """What is known of a generator: of one that was exported, what it draws.

    Raises:
        ValueError: not even that
    """
    path = folder / SAW
    known = is_file(regular(path))
    note = read_json(path if known else folder / "model_index.json")
    if not known:
        warning = f"What {folder} learned from is not known: where it saw what scores, it gains too much."
        note = {**{name: note[name] for name in ("names", "size_px", "channels") if name in note}, "warning": warning}
        if len(note) < 4:
            raise InvalidInput(f"{folder} holds a pipeline that Evenset did not train: its classes are not known")
    _check_note(path, note)
    return note


def _check_note(path: Path, note: dict[str, Any]) -> None:
    """Refuses notes that were edited by hand, before anything is built of them.

    Raises:
        ValueError: one is missing, of another type, or out of range
    """
    kinds = dict(names=list, size_px=int, channels=int, dataset=str, held_out=list, saw=list, images=dict, warning=str)
    try:
        wrong = [name for name, value in note.items() if type(value) is not kinds.get(name)]
        if wrong or not {"names", "size_px", "channels"} <= note.keys():
            raise InvalidInput(f"{wrong[0] if wrong else 'names, size_px or channels'} is not as Evenset writes it")
        check_generator(note)
        ImageSettings(**note.get("images", {}))
        if not all(isinstance(name, str) for name in [*note.get("held_out", []), *note.get("saw", [])]):
            raise InvalidInput("held_out and saw have to be texts")
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"the notes of the generator in {path.parent} are damaged ({error}): train another"
        ) from error


def as_trained(ready: Generator | None, settings: tuple[Any, ...]) -> tuple[Any, ...]:
    """The settings of a call, with images as the generator saw them."""
    images = ready.images if ready else {}
    return tuple(replace(part, **images) if isinstance(part, ImageSettings) else part for part in settings)


def draw(
    pipeline: Pipeline, labels: np.ndarray, settings: SamplingSettings, numbers: np.ndarray, run: Run | None = None
) -> np.ndarray:
    """Images by their numbers, of the generator's classes `labels` [n] -> uint8 [n, C, S, S]."""
    from ...models.diffusion import training

    shape = (pipeline.config.channels, pipeline.config.size_px, pipeline.config.size_px)
    images = np.empty((len(labels), *shape), dtype=np.uint8)
    for rows, block in training.generate(pipeline, labels, settings, numbers=numbers):
        images[rows] = block
        if run:
            run.report("drawing images", int(rows[-1]) + 1, len(labels))
    return images


def load(generator: Generator, device: str) -> Pipeline:
    from ...models.diffusion import training

    return training.load(generator.folder, device)
