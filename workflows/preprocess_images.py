"""Writes denoised, grayscale, resized copies of the images, and a media field that shows them in the App."""

from __future__ import annotations

import contextlib
import errno
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..models.errors import ImageError
from ..models.files import aside, write_text
from ..models.images.decode import decode
from ..models.images.reader import in_order, thread_count
from ..models.images.survey import moments, normalisation
from ..models.regular_files import regular
from ..models.settings import CopySettings, ImageSettings, split
from .data.checks import check_images, check_output_field
from .data.durable_writes import lasting, refresh
from .data.fields import declare, write_values
from .display.tables import counted, left_out, table
from .runs import lifecycle
from .runs.arguments import Progress, Samples, public
from .runs.run import Run


@dataclass
class PreprocessResults:
    """What `preprocess_images` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    folder: str  # of the copies
    written: int
    size_px: int | None  # None: each copy has its image's own size
    format: str
    gray: bool  # all copies are
    mean: list[float]  # of the copies' pixels, 0..1, each image with the same weight [C]
    std: list[float]  # [C]
    skipped: dict[str, str]  # sample id: why its image has no copy
    notes: list[str] = field(default_factory=list)
    doubtful: dict[str, str] = field(default_factory=dict)  # sample id: why its copy is worth a look

    def __str__(self) -> str:
        row = {
            "copies": self.written,
            "skipped": len(self.skipped),
            "format": self.format,
            "size": f"{self.size_px} x {self.size_px} px" if self.size_px else "as it was",
            "channels": len(self.mean),
            "mean": ", ".join(f"{value:.3f}" for value in self.mean),
            "std": ", ".join(f"{value:.3f}" for value in self.std),
        }
        left = left_out(len(self.skipped))
        left += [f"images to look at: {len(self.doubtful)}, results.doubtful says why"] if self.doubtful else []
        return "\n".join([f"{self.output_field}: copies in {self.folder}", "", table([row]), *self.notes, *left])


@public
def preprocess_images(
    samples: Samples,
    *,
    output_field: str = "preprocessed_path",
    progress: Progress = None,
    resume: str | None = None,
    **settings: Any,
) -> PreprocessResults:
    """Writes a preprocessed copy of every image, and a field of their paths; undo with `delete_run`.

    The user's files are only read. Training and prediction need no copies: they take the same settings in memory.

    Args:
        output_field: new field of paths; with `show_in_grid`, the App can switch to it under Display options
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to go on with
        settings: fields of ImageSettings and CopySettings

    Raises:
        ValueError: a bad argument, or no image that can be read; the dataset is as it was
        TypeError: `samples` is no dataset or view, or there is no such setting
        OSError: the disk is full; the dataset is as it was, and the run can be resumed
    """
    image_settings, copy_settings = split(settings, ImageSettings, CopySettings)
    check_images(samples)
    check_output_field(samples, output_field)
    with lifecycle.start(
        samples,
        "preprocess_images",
        settings=(image_settings, copy_settings),
        inputs={"output_field": output_field},
        fields=(output_field,),
        progress=progress,
        resume=resume,
    ) as run:
        ids, paths = samples.values(["id", "filepath"])
        folder = run.images_folder
        folder.mkdir(exist_ok=True)
        copier = Copier(folder, image_settings, copy_settings)
        written = _write_copies(run, copier, ids, paths)
        if not written.ids:
            first = next(iter(written.skipped.values()))
            raise ImageError(f"none of the {counted(len(ids), 'image')} can be read, the first because {first}")
        _show(run, output_field, {i: str(copier.target(i)) for i in written.ids}, copy_settings.show_in_grid)
        mean, std = normalisation(written.moments / len(written.ids), written.gray)
        return run.finish(
            PreprocessResults(
                run_key=run.key,
                output_field=output_field,
                folder=str(folder),
                written=len(written.ids),
                size_px=image_settings.size_px,
                format=copy_settings.format,
                gray=written.gray,
                mean=mean.tolist(),
                std=std.tolist(),
                skipped=written.skipped,
                doubtful=written.doubtful,
            )
        )


@dataclass
class Written:
    """The copies so far."""

    copies: list[dict[str, Any]] = field(default_factory=list)  # as the journal has them
    gray: bool = True  # all of them are
    moments: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))  # summed
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why there is no copy
    doubtful: dict[str, str] = field(default_factory=dict)  # sample id: why its copy is worth a look

    @property
    def ids(self) -> list[str]:
        return [copy["id"] for copy in self.copies]

    def add(self, copy: dict[str, Any]) -> None:
        self.copies.append(copy)
        self.gray = self.gray and copy["gray"]
        self.moments += copy["moments"]
        if copy.get("note"):
            self.doubtful[copy["id"]] = copy["note"]


@dataclass
class Copier:
    """Makes one copy a call, on any thread."""

    folder: Path
    images: ImageSettings
    copies: CopySettings

    def target(self, sample_id: str) -> Path:
        return self.folder / f"{sample_id}.{'jpg' if self.copies.format == 'jpeg' else 'png'}"

    def __call__(self, sample: tuple[str, str]) -> dict[str, Any]:
        """(id, file) -> id, and moments [2, 3], `gray` and `note` of the copy that was written, or the `error`."""
        sample_id, path = sample
        try:
            found = decode(path, self.images, lambda width, height: self.images.size_px, channels=3)
            data = self._encode(path, found.pixels[..., 0] if found.gray else found.pixels)
        except ImageError as error:
            return {"id": sample_id, "error": str(error)}
        self._save(self.target(sample_id), data)
        figures = {"gray": found.gray, "moments": moments(found.pixels).tolist()}
        return {"id": sample_id, "note": found.note, **figures}

    def _encode(self, path: str, pixels: np.ndarray) -> bytes:
        from PIL import Image

        file = io.BytesIO()
        options = {"quality": self.copies.jpeg_quality} if self.copies.format == "jpeg" else {}
        try:
            Image.fromarray(pixels).save(file, self.copies.format, **options)
        except (OSError, ValueError) as error:
            size = f"{pixels.shape[1]} x {pixels.shape[0]} px"
            raise ImageError(
                f"{path}: a copy of {size} does not fit into {self.copies.format} ({error}): "
                "set size_px, or choose the other format"
            ) from error
        return file.getvalue()

    def _save(self, target: Path, data: bytes) -> None:
        """A kill or a full disk leaves no copy, never half of one."""
        with aside(target, flush=False) as part:  # one of thousands, each made again in no time
            part.write_bytes(data)


def _write_copies(run: Run, copier: Copier, ids: list[str], paths: list[str]) -> Written:
    """Copies all images, in order; what an earlier process finished stands in the journal, and is not done again."""
    journal = run.folder / "copies.jsonl"
    written = _read_journal(journal, copier, set(ids))
    done, threads = set(written.ids), thread_count(copier.images)
    todo = (sample for sample in zip(ids, paths, strict=True) if sample[0] not in done)
    try:
        with (
            regular(journal).open("a") as file,
            contextlib.closing(in_order(copier, todo, threads, 2 * threads)) as copies,
        ):
            file.write("\n")  # a kill may have cut the last line
            for copy in copies:
                if "error" in copy:
                    written.skipped[copy["id"]] = copy["error"]
                else:
                    file.write(json.dumps(copy) + "\n")
                    file.flush()
                    written.add(copy)
                run.report("writing copies", len(written.copies) + len(written.skipped), len(ids))
        write_text(journal, "".join(json.dumps(copy) + "\n" for copy in written.copies))  # in order, and each once
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            f"the disk of {run.folder} is full after {len(written.ids)} of {counted(len(ids), 'copy')}: make room, and "
            f"go on with evenset.resume_run(dataset, {run.key!r}), or take the copies away with evenset.delete_run"
        ) from error
    return written


def _read_journal(path: Path, copier: Copier, ids: set[str]) -> Written:
    """The copies that are finished and still there."""
    written = Written()
    with regular(path).open("a+") as lines:
        lines.seek(0)
        for line in lines:
            with contextlib.suppress(ValueError):  # cut by a kill
                copy = json.loads(line)
                if copy["id"] in ids and copier.target(copy["id"]).exists():
                    ids.remove(copy["id"])  # counted once
                    written.add(copy)
    return written


def _show(run: Run, name: str, targets: dict[str, str], in_grid: bool) -> None:
    """Writes the field of paths, and adds it to what the App's grid can show."""
    import fiftyone as fo

    declare(run, name, fo.StringField)
    write_values(run, name, targets, "writing paths")
    if in_grid:
        refresh(run.dataset)
        if name not in run.dataset.app_config.media_fields:
            run.track("media_fields", name)
            lasting(run.dataset, lambda: _add_to_grid(run.dataset, name))


def _add_to_grid(dataset: Any, name: str) -> None:
    if name not in dataset.app_config.media_fields:
        dataset.app_config.media_fields.append(name)
        dataset.save()
