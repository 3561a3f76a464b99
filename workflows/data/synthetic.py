"""Samples that Evenset made: their files, what is known of where they come from, and how they go again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.files import aside
from ...models.regular_files import regular
from .durable_writes import lasting, refresh
from .internals import root_dataset
from .labels import PARENT, REJECTED, SYNTHETIC
from .locks import lock_field
from .writer import Writer

FIELD = SYNTHETIC  # the embedded document has the name of the tag
CHUNK = 1000  # samples a write
WAIT_SECONDS = 60  # for another run that adds or removes samples
KINDS = dict(  # of the embedded document, all filtered by in the App's sidebar
    run="StringField",
    source="StringField",
    generator="StringField",
    label="StringField",
    number="IntField",
    seed="IntField",
    guidance="FloatField",
    steps="IntField",
    class_probability="FloatField",
    graph_probability="FloatField",
    prototype_distance="FloatField",
    nearest_real_id="StringField",
    nearest_real_distance="FloatField",
    reason="StringField",
    refusal="StringField",  # the reason in a sentence, with its figure and limit
)


class SyntheticImage(NamedTuple):
    """One image that was made, and what is known of it."""

    path: str
    label: str
    notes: dict[str, Any]  # values of KINDS
    accepted: bool  # by the filters, and its class had room


def check_field(dataset: Any) -> None:
    """Refuses a dataset whose field `synthetic` is somebody else's.

    Raises:
        ValueError: the field is there, and holds something else
    """
    field = dataset.get_field(FIELD)
    if field is not None and dataset.get_field(f"{FIELD}.run") is None:
        raise InvalidInput(
            f"{dataset.name!r} has a field {FIELD!r} of its own, where Evenset notes what it made: rename it"
        )


def count(samples: Any, label_field: str, names: Sequence[str]) -> np.ndarray:
    """Synthetic samples of each class [K]. Those of a view are in it, or are made of, or most like, an image of it."""
    dataset = root_dataset(samples)
    made = dataset.match_tags(SYNTHETIC)
    if not dataset.has_field(f"{FIELD}.run"):
        found: Counter[str] = Counter()
    elif samples is dataset:
        found = Counter(made.count_values(f"{label_field}.label"))
    else:
        here = set(samples.values("id"))
        rows = zip(*made.values(["id", PARENT, f"{label_field}.label"]), strict=True)
        found = Counter(label for i, parent, label in rows if i in here or parent in here)
    return np.array([found[name] for name in names])


def runs_of(dataset: Any, label_field: str) -> list[str]:
    """Keys of the runs whose synthetic samples have a label in the field."""
    if not dataset.has_field(f"{FIELD}.run"):
        return []
    return list(dataset.match_tags(SYNTHETIC).exists(f"{label_field}.label").distinct(f"{FIELD}.run"))


def unused(dataset: Any) -> int:
    """The first number that no synthetic sample of the dataset has: a number's image is the same in every run."""
    last = dataset.max(f"{FIELD}.number") if dataset.has_field(f"{FIELD}.number") else None
    return 0 if last is None else int(last) + 1


def save_image(path: Path, pixels: np.ndarray, notes: dict[str, Any]) -> None:
    """Writes a PNG [C, S, S] with the notes as text chunks; a kill leaves no half file.

    Raises:
        OSError: the disk is full
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    for name, value in notes.items():
        if value is not None:
            chunks.add_text(f"evenset:{name}", value if isinstance(value, str) else json.dumps(value))
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    with aside(path, flush=False) as part:
        image.save(part, format="PNG", pnginfo=chunks)


def read_image(path: str) -> np.ndarray:
    """The pixels that `save_image` wrote [C, S, S]."""
    from PIL import Image

    pixels = np.asarray(Image.open(regular(Path(path))))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def add(run: Writer, label_field: str, made: Sequence[SyntheticImage]) -> None:
    """Adds a sample for each image: tagged, labelled where it was kept, with all that is known of it."""
    dataset = run.dataset
    run.track("samples", run.key)  # before the first is there: a kill in between can be undone
    with lock_field(dataset, FIELD, WAIT_SECONDS):
        refresh(dataset)  # the last other run may be gone, and the field with it
        lasting(dataset, lambda: _declare(dataset))
        for first in range(0, len(made), CHUNK):
            part = made[first : first + CHUNK]
            lasting(dataset, partial(_add_missing, run, label_field, part))
            run.report("adding samples", first + len(part), len(made))


def _declare(dataset: Any) -> None:
    import fiftyone as fo

    dataset.add_sample_field(FIELD, fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
    for name, kind in KINDS.items():
        dataset.add_sample_field(f"{FIELD}.{name}", getattr(fo, kind))


def _add_missing(run: Writer, label_field: str, made: Sequence[SyntheticImage]) -> None:
    """Adds those that are not there: the database may have lost some, or none."""
    there = set(of_run(run.dataset, run.key).values(f"{FIELD}.number"))
    samples = [_sample(label_field, one) for one in made if one.notes["number"] not in there]
    if samples:
        run.dataset.add_samples(samples, progress=False)


def _sample(label_field: str, one: SyntheticImage) -> Any:
    import fiftyone as fo

    tags = [SYNTHETIC] if one.accepted else [SYNTHETIC, REJECTED]
    sample = fo.Sample(filepath=one.path, tags=tags, **{FIELD: fo.DynamicEmbeddedDocument(**one.notes)})
    if one.accepted:
        sample[label_field] = fo.Classification(label=one.label)
    return sample


def of_run(dataset: Any, run_key: str) -> Any:
    """A view of what a run added."""
    from fiftyone import ViewField as F

    return dataset.match(F(f"{FIELD}.run") == run_key)


def count_of_run(dataset: Any, run_key: str) -> int:
    return len(of_run(dataset, run_key)) if dataset.get_field(f"{FIELD}.run") else 0


def take_away(dataset: Any, run_key: str) -> None:
    """Removes what a run added, and the field where nothing is left in it."""
    with lock_field(dataset, FIELD, WAIT_SECONDS):
        refresh(dataset)
        if dataset.get_field(FIELD) is None:
            return
        if dataset.get_field(f"{FIELD}.run"):
            dataset.delete_samples(of_run(dataset, run_key))
        if not dataset.count(FIELD):
            dataset.delete_sample_field(FIELD)
