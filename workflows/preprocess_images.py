"""Writes denoised, grayscale, resized copies of the images, and a media field that shows them in the App."""

from __future__ import annotations

import contextlib
import errno
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..models.errors import ImageError
from ..models.files import write_text
from ..models.images.survey import normalisation
from ..models.regular_files import regular
from ..models.settings import CopySettings, ImageSettings, WorkerSettings, split
from .data.checks import check_images, check_output_field
from .data.durable_writes import refresh, write_durably
from .data.fields import declare, write_values
from .display.charts import Chart, bars
from .display.results import Part, RunResults
from .display.tables import counted, left_out
from .preprocessing.copier import Copier
from .runs.arguments import Progress, Samples, public
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .training import timed


@dataclass(repr=False)
class PreprocessResults(RunResults):
    """Counts and pixel statistics of the copies. `str` prints them as a table."""

    run_key: str
    output_field: str
    folder: str  # of the copies
    written: int
    size_px: int | None  # None: each copy has its image's own size
    format: str
    gray: bool  # whether all copies are grayscale
    mean: list[float]  # of the copies' pixels, 0..1, each image with the same weight [C]
    std: list[float]  # [C]
    skipped: dict[str, str]  # sample id: why its image has no copy
    notes: list[str] = field(default_factory=list)
    doubtful: dict[str, str] = field(default_factory=dict)  # sample id: why its copy needs a check

    @property
    def rows(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """One row: counts and pixel statistics."""
        counts = {"copies": self.written, "skipped": len(self.skipped), "doubtful": len(self.doubtful)}
        pixels = {"channels": len(self.mean), "mean": self.mean, "std": self.std}
        return [{**counts, "format": self.format, "size_px": self.size_px, **pixels}]

    def parts(self) -> list[Part]:
        left = left_out(len(self.skipped))
        left += [f"images to look at: {len(self.doubtful)}, results.doubtful says why"] if self.doubtful else []
        return [f"{self.output_field}: copies in {self.folder}", "", self.rows, *self.notes, *left]

    def charts(self) -> dict[str, Chart]:
        return {"copies": bars(self.rows, "Copies", "format", "copies", "skipped", "doubtful")}


@public
def preprocess_images(
    samples: Samples,
    *,
    output_field: str = "preprocessed_path",
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> PreprocessResults:
    """Writes a preprocessed copy of every image, and a field of their paths; undo with `delete_run`.

    The user's files are only read. Training and prediction need no copies: they apply the same settings in memory.

    Args:
        output_field: new field of paths; with `show_in_grid`, the App can switch to it under Display options
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of ImageSettings, CopySettings and WorkerSettings

    Raises:
        ValueError: a bad argument, or no readable image; the dataset is unchanged
        TypeError: `samples` is not a dataset or view, or a setting is unknown
        OSError: the disk is full; the dataset is unchanged, and the run can be resumed
    """
    image_settings, copy_settings, workers = split(settings, ImageSettings, CopySettings, WorkerSettings)
    check_images(samples)
    check_output_field(samples, output_field)
    with timed.start(
        samples,
        RunRequest(
            "preprocess_images",
            settings=(image_settings, copy_settings, workers),
            inputs={"output_field": output_field},
            fields=(output_field,),
        ),
        progress=progress,
        resume=resume,
    ) as run:
        ids, paths = samples.values(["id", "filepath"])
        run.images_folder.mkdir(exist_ok=True)
        copier = Copier(run.images_folder, image_settings, copy_settings)
        written = _write_copies(run, copier, list(zip(ids, paths, strict=True)), workers)
        if not written.ids:
            reason = next(iter(written.skipped.values()))
            raise ImageError(f"none of the {counted(len(ids), 'image')} can be read, the first because {reason}")
        _show(run, output_field, {i: str(copier.target(i)) for i in written.ids}, copy_settings.show_in_grid)
        return run.finish(_results(run, output_field, copier, written))


def _results(run: Run, output_field: str, copier: Copier, written: Written) -> PreprocessResults:
    mean, std = normalisation(written.mean_moments, written.gray)
    return PreprocessResults(
        run_key=run.key,
        output_field=output_field,
        folder=str(copier.folder),
        written=len(written.ids),
        size_px=copier.images.size_px,
        format=copier.copies.format,
        gray=written.gray,
        mean=mean.tolist(),
        std=std.tolist(),
        skipped=written.skipped,
        doubtful=written.doubtful,
    )


@dataclass
class Written:
    """The copies so far."""

    copies: list[dict[str, Any]] = field(default_factory=list)  # as the journal has them
    gray: bool = True  # whether all of them are grayscale
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why there is no copy
    doubtful: dict[str, str] = field(default_factory=dict)  # sample id: why its copy needs a check

    @property
    def ids(self) -> list[str]:
        return [copy["id"] for copy in self.copies]

    @property
    def mean_moments(self) -> np.ndarray:
        """Of all images, each with the same weight [2, 3]."""
        return np.asarray(np.mean([copy["moments"] for copy in self.copies], axis=0))

    def add(self, copy: dict[str, Any]) -> None:
        self.copies.append(copy)
        self.gray = self.gray and copy["gray"]
        if copy.get("note"):
            self.doubtful[copy["id"]] = copy["note"]


def _write_copies(run: Run, copier: Copier, samples: list[tuple[str, str]], workers: WorkerSettings) -> Written:
    """Copies all images, except those that the journal lists as finished.

    Args:
        samples: id and file of each
    """
    journal, order = run.folder / "copies.jsonl", {sample_id: place for place, (sample_id, _) in enumerate(samples)}
    written = _read_journal(journal, copier, set(order))
    done = set(written.ids)
    todo = [sample for sample in samples if sample[0] not in done]
    try:
        with (
            regular(journal).open("a") as file,
            contextlib.closing(copier.write(todo, workers, run.check_stop)) as copies,
        ):
            file.write("\n")  # a kill may have cut the last line
            for copy in copies:
                if "error" in copy:
                    written.skipped[copy["id"]] = copy["error"]
                else:
                    file.write(json.dumps(copy) + "\n")
                    file.flush()
                    written.add(copy)
                run.report("writing copies", len(written.copies) + len(written.skipped), len(samples))
        written.copies.sort(key=lambda copy: order[copy["id"]])
        write_text(journal, "".join(json.dumps(copy) + "\n" for copy in written.copies))  # in order, each once
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            f"the disk of {run.folder} is full after {len(written.ids)} of {counted(len(samples), 'copy')}: make room, "
            f"and resume with evenset.resume_run(dataset, {run.key!r}), or delete the copies with evenset.delete_run"
        ) from error
    return written


def _read_journal(path: Path, copier: Copier, ids: set[str]) -> Written:
    """The finished copies that still exist."""
    written = Written()
    with regular(path).open("a+") as lines:
        lines.seek(0)
        for line in lines:
            with contextlib.suppress(ValueError):  # cut by a kill
                copy = json.loads(line)
                if copy["id"] in ids and copier.target(copy["id"]).exists():
                    ids.remove(copy["id"])  # counts once
                    written.add(copy)
    return written


def _show(run: Run, name: str, targets: dict[str, str], in_grid: bool) -> None:
    """Writes the field of paths, and adds it to the media fields of the App's grid."""
    import fiftyone as fo

    declare(run, name, fo.StringField)
    write_values(run, name, targets, "writing paths")
    if in_grid:
        refresh(run.dataset)
        if name not in run.dataset.app_config.media_fields:
            run.track("media_fields", name)
            write_durably(run.dataset, lambda: _add_to_grid(run.dataset, name))


def _add_to_grid(dataset: Any, name: str) -> None:
    if name not in dataset.app_config.media_fields:
        dataset.app_config.media_fields.append(name)
        dataset.save()
