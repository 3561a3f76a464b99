"""README.md of an export: its counts, the runs behind it with settings and dates, versions, and how to load it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...models import settings
from ..data import items
from ..display.tables import counted
from ..runs import records
from ..runs.records import RunRecord
from ..runs.run import Run
from . import formats, manifest
from .results import ExportResults, exported, noun_of
from .selection import Origin

FILE = "README.md"
PRIVATE = ("folder",)  # inputs of a run that are places on one machine
ORIGINS = {
    Origin.LABELLED: "by a person, or imported, before Evenset",
    Origin.REVIEWED: "a suggestion that a person looked at, and accepted or corrected",
    Origin.ACCEPTED: "a suggestion that was accepted by its confidence, or in bulk: nobody looked at each",
    Origin.UNSEEN: "a suggestion that was up for review, and accepted by force: nobody looked at it",
    Origin.SYNTHETIC: "a generated or augmented image, with the label that it was made for",
}
TYPES = {  # of FiftyOne, by format and what is labelled
    (formats.FOLDERS, items.SAMPLE): "ImageClassificationDirectoryTree",
    (formats.JSON, items.SAMPLE): "FiftyOneImageClassificationDataset",
    (formats.JSON, items.BOX): "FiftyOneImageDetectionDataset",
    (formats.COCO, items.BOX): "COCODetectionDataset",
    (formats.VOC, items.BOX): "VOCDetectionDataset",
    (formats.JSON, items.TAG): "FiftyOneImageClassificationDataset",
    (formats.FIFTYONE, items.SAMPLE): "FiftyOneDataset",
    (formats.FIFTYONE, items.TAG): "FiftyOneDataset",
    (formats.FIFTYONE, items.BOX): "FiftyOneDataset",
}
EACH = {items.SAMPLE: "image", items.BOX: "box", items.TAG: "tag, and for each image without tags"}
CSV_LINE = 'pandas.read_csv("labels.csv")  # the column `file` is relative to this folder'


def write(run: Run, part: Path, results: ExportResults, layout: formats.Layout) -> None:
    (part / FILE).write_text("\n".join(_lines(run, results, layout)) + "\n", encoding="utf-8")


def _lines(run: Run, results: ExportResults, layout: formats.Layout) -> Iterator[str]:
    yield f"# {_cell(run.dataset.name)}: labelled images"
    yield ""
    number = exported(vars(results), "was", "were")
    yield f"{number} exported on {_date(time.time())} by Evenset, with the labels of `{results.label_field}`."
    yield ""
    yield from _counts(results)
    yield from _origins(results)
    yield from _files(layout)
    yield from _runs(run)
    yield "## Versions"
    yield ""
    yield ", ".join(f"{name} {version}" for name, version in run.record.versions.items())
    yield ""
    yield "## Licence"
    yield ""
    yield (
        "An export gives no rights: the images keep the licences of their sources, and labels may have their own. Name "
        "them here before you pass this folder on. Images from a generator may resemble those it learned from."
    )


def _counts(results: ExportResults) -> Iterator[str]:
    yield "## Counts"
    yield ""
    names = list(results.rows[0])
    yield _table_line(names)
    yield _table_line(["---"] + ["---:"] * (len(names) - 1))
    for row in results.rows:
        yield _table_line([_cell(row["class"]), *(f"{row[name]:,}" for name in names[1:])])
    yield _table_line(["all", *(f"{sum(row[name] for row in results.rows):,}" for name in names[1:])])
    yield ""
    for reason, count in results.left_out.items():
        yield f"- {counted(count, noun_of(vars(results)))} left out: {reason}"
    if results.skipped:
        yield f"- {counted(len(results.skipped), 'image')} left out: cannot be read"
    yield from (f"- {_cell(note)}" for note in results.notes)
    yield ""


def _origins(results: ExportResults) -> Iterator[str]:
    yield "## Origin of the labels"
    yield ""
    for origin, count in results.origins.items():
        yield f"- {origin}: {count:,}, {ORIGINS[Origin(origin)]}"
    yield ""


def _files(layout: formats.Layout) -> Iterator[str]:
    yield "## Files"
    yield ""
    each = EACH[layout.noun]
    columns = ", ".join(manifest.columns(layout.noun))
    yield f"`{manifest.FILE}` has a line for each {each}: {columns}. To load the images:"
    yield ""
    yield "```python"
    if layout.format == formats.CSV:
        yield "import pandas"
        yield CSV_LINE
    else:
        yield "import fiftyone as fo"
        yield from (_loading(layout, folder) for folder in layout.splits.values())
    yield "```"
    yield ""
    changed = {name: folder for name, folder in layout.classes.items() if name != folder}
    if layout.format == formats.FOLDERS and changed:
        yield "Classes whose folder has another name, since file systems do not take or do not tell apart theirs:"
        yield ""
        yield from (f"- {_code(name)}: {_code(folder)}" for name, folder in changed.items())
        yield ""


def _loading(layout: formats.Layout, folder: str) -> str:
    """The line of Python that loads a split."""
    if layout.format == formats.YOLO:
        split = json.dumps(folder or formats.ALL)
        return f'fo.Dataset.from_dir(".", dataset_type=fo.types.YOLOv5Dataset, split={split})'
    kind = TYPES[layout.format, layout.noun]
    return f"fo.Dataset.from_dir({json.dumps(folder or '.')}, dataset_type=fo.types.{kind})"


def _runs(run: Run) -> Iterator[str]:
    """Finished runs with their date, and the settings that differ from the defaults."""
    keys = [key for key in records.keys(run.dataset) if key.startswith("evenset_") and key != run.key]
    done = [record for record in (records.read_record(run.dataset, key) for key in keys) if record.state == "done"]
    yield "## Runs"
    yield ""
    for record in [*done, run.record]:
        yield f"- `{record.key}`, {_date(record.started)}, {counted(record.samples, 'sample')}"
        yield from (f"  - {name.replace('_', ' ')}: {_cell(_text(value))}" for name, value in _given(record).items())
    yield ""


def _given(record: RunRecord) -> dict[str, Any]:
    """Arguments of a run, and settings that differ from their defaults."""
    kinds = [kind for kind in vars(settings).values() if isinstance(kind, type) and issubclass(kind, settings.Settings)]
    defaults = [(item.name, item.default) for kind in kinds for item in fields(kind)]
    inputs = {name: value for name, value in record.inputs.items() if value not in (None, "", [], {}, False)}
    changed = {name: value for name, value in record.settings.items() if (name, value) not in defaults}
    return {name: value for name, value in {**inputs, **changed}.items() if name not in PRIVATE}


def _text(value: Any) -> str:
    """An argument or a setting in words: "on", "a, b", "cat: 100, dog: 200", "cat: kitten, puss; dog"."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        rows = [f"{name}: {text}" if (text := _text(item)) else name for name, item in value.items()]
        return ("; " if any(isinstance(item, (dict, list)) for item in value.values()) else ", ").join(rows)
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _table_line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """A text on one line, without what Markdown would read as its own."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", re.sub(r"\s+", " ", text))


def _code(text: str) -> str:
    """A text on one line between backticks."""
    line = re.sub(r"\s+", " ", text)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"
