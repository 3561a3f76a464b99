"""Synthetic samples: their files, provenance, addition and removal."""

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
from . import items, pasted_boxes
from .durable_writes import refresh, write_durably
from .group_slices import is_grouped
from .internals import root_dataset
from .labels import PARENT, REJECTED, SOURCE_IMAGE, SYNTHETIC
from .locks import lock_field
from .writer import Writer

FIELD = SYNTHETIC  # the embedded document has the name of the tag
ADD_BATCH = 1000  # samples a write
WAIT_SECONDS = 60  # for another run that adds or removes samples
KINDS = dict(  # fields of the embedded document, by which the App's sidebar filters
    run="StringField",
    source="StringField",
    generator="StringField",
    label="StringField",
    number="IntField",
    seed="IntField",
    guidance="FloatField",
    steps="IntField",
    strength="FloatField",  # of the noise on the source image, 0..1
    source_image="StringField",  # id of the real sample from which it was drawn
    base="StringField",  # pretrained model of the generator, its commit, and the digest of the adapter
    base_revision="StringField",
    adapter="StringField",
    prompt="StringField",
    class_probability="FloatField",
    graph_probability="FloatField",
    text_similarity="FloatField",
    prototype_distance="FloatField",
    nearest_real_id="StringField",
    nearest_real_distance="FloatField",
    reason="StringField",
    refusal="StringField",  # the reason as a sentence, with value and limit
)


class SyntheticImage(NamedTuple):
    """A generated image, its label and provenance."""

    path: str
    label: str  # "" where it has boxes
    notes: dict[str, Any]  # values of KINDS
    accepted: bool  # by the filters, and its class had room
    boxes_file: str = ""  # of all its boxes, where the labels are of boxes
    objects: tuple[tuple[str, str], ...] = ()  # label and region of each pasted object
    copied: tuple[tuple[str, int], ...] = ()  # label and count of the boxes that it has from its host

    @property
    def new_items(self) -> tuple[tuple[str, str], ...]:
        """Label, and image or region, of each item that is new in it: its own, or its pasted objects."""
        return self.objects if self.boxes_file else ((self.label, self.path),)


def check_field(dataset: Any) -> None:
    """Raises ValueError where the dataset has groups, or a field `synthetic` that Evenset did not add."""
    if is_grouped(dataset):
        raise InvalidInput(
            f"{dataset.name!r} is a grouped dataset, and a new image belongs to no group of it: balance a copy of the "
            f"slice, dataset.select_group_slices({dataset.group_slice!r}).clone('another name')"
        )
    field = dataset.get_field(FIELD)
    if field is not None and dataset.get_field(f"{FIELD}.run") is None:
        raise InvalidInput(
            f"{dataset.name!r} has a field {FIELD!r} already, where Evenset records synthetic samples: rename it"
        )


def count(samples: Any, label_field: str, names: Sequence[str]) -> np.ndarray:
    """Synthetic items of each class [K]; for a view, those of its samples, and of those whose real sample is in it."""
    dataset = root_dataset(samples)
    view = dataset.match_tags(SYNTHETIC)
    if not dataset.has_field(f"{FIELD}.run"):
        counts: Counter[str] = Counter()
    elif samples is dataset:
        counts = Counter(view.count_values(items.leaf(dataset, f"{label_field}.label")))
    else:
        ids = set(samples.values("id"))
        rows = zip(*items.values(view, [items.SAMPLE_ID, PARENT, f"{label_field}.label"]), strict=True)
        counts = Counter(label for i, parent, label in rows if i in ids or parent in ids)
    return np.array([counts[name] for name in names])


def runs_of(dataset: Any, label_field: str) -> list[str]:
    """Keys of the runs whose synthetic samples have a label in the field."""
    if not dataset.has_field(f"{FIELD}.run"):
        return []
    labels = items.root_of(dataset, label_field)
    path = labels if items.has_boxes(dataset, label_field) else f"{labels}.label"
    return list(dataset.match_tags(SYNTHETIC).exists(path).distinct(f"{FIELD}.run"))


def parents(view: Any, label_field: str) -> dict[str, set[str]]:
    """The real samples that each synthetic sample of a view was made of or is like: source, nearest one, host."""
    single = ["id", *(path for path in (PARENT, SOURCE_IMAGE) if view.has_field(path))]
    names, has_boxes = [*single], items.has_boxes(view, label_field)
    if has_boxes:
        names.append(items.leaf(view, f"{label_field}.{pasted_boxes.SOURCE_SAMPLE}"))
    rows = zip(*view.values(names), strict=True)
    return {own: {*more[: len(single) - 1], *(more[-1] or () if has_boxes else ())} - {None} for own, *more in rows}


def next_number(dataset: Any) -> int:
    """The first unused number of a synthetic sample: its noise is seeded by it, so that numbers are used once."""
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


def add(run: Writer, label_field: str, images: Sequence[SyntheticImage]) -> None:
    """Adds a sample for each image: tagged, with its provenance, and labelled where it was kept."""
    dataset = run.dataset
    run.track("samples", run.key)  # first: a kill in between can be undone
    with lock_field(dataset, FIELD, WAIT_SECONDS):
        refresh(dataset)  # another run may have removed the field
        write_durably(dataset, lambda: _declare(dataset))
        for first in range(0, len(images), ADD_BATCH):
            batch = images[first : first + ADD_BATCH]
            write_durably(dataset, partial(_add_missing, run, label_field, batch))
            run.report("adding samples", first + len(batch), len(images))


def _declare(dataset: Any) -> None:
    import fiftyone as fo

    dataset.add_sample_field(FIELD, fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
    for name, kind in KINDS.items():
        dataset.add_sample_field(f"{FIELD}.{name}", getattr(fo, kind))


def _add_missing(run: Writer, label_field: str, images: Sequence[SyntheticImage]) -> None:
    """Adds the samples that the database does not have: a kill may have taken some of them."""
    numbers = set(of_run(run.dataset, run.key).values(f"{FIELD}.number"))
    samples = [_sample(label_field, image) for image in images if image.notes["number"] not in numbers]
    if samples:
        run.dataset.add_samples(samples, progress=False)


def _sample(label_field: str, image: SyntheticImage) -> Any:
    import fiftyone as fo

    tags = [SYNTHETIC] if image.accepted else [SYNTHETIC, REJECTED]
    sample = fo.Sample(filepath=image.path, tags=tags, **{FIELD: fo.DynamicEmbeddedDocument(**image.notes)})
    if image.boxes_file:
        sample[label_field] = pasted_boxes.load(image.boxes_file)
    elif image.accepted:
        sample[label_field] = fo.Classification(label=image.label)
    return sample


def of_run(dataset: Any, run_key: str) -> Any:
    """A view of the samples that a run added."""
    from fiftyone import ViewField as F

    return dataset.match(F(f"{FIELD}.run") == run_key)


def count_of_run(dataset: Any, run_key: str) -> int:
    return len(of_run(dataset, run_key)) if dataset.get_field(f"{FIELD}.run") else 0


def remove_of_run(dataset: Any, run_key: str) -> None:
    """Removes the samples that a run added, and the field once it is empty."""
    with lock_field(dataset, FIELD, WAIT_SECONDS):
        refresh(dataset)
        if dataset.get_field(FIELD) is None:
            return
        if dataset.get_field(f"{FIELD}.run"):
            dataset.delete_samples(of_run(dataset, run_key))
        if not dataset.count(FIELD):
            dataset.delete_sample_field(FIELD)
