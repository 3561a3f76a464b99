"""Embeddings of the user's: a field, an array, a Brain run, an encoder, or several of these, which are joined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.files import save_arrays
from ..data.folders import dataset_folder, run_folder
from ..data.internals import root_dataset
from ..data.labels import Labels
from ..data.marks import FROM_LABELS
from ..embeddings.encode import encode
from ..embeddings.encoders import FiftyOneEncoder, ImageEncoder, is_encoder, is_in_zoo, open_encoder
from ..embeddings.store import Store, look_up
from ..runs import cached_arrays
from ..runs.records import RunRecord
from ..runs.run import Run
from . import given_vectors
from .given_vectors import Given
from .image_survey import note_images
from .joined_sources import Joined, join, sentence, weigh

JOINED_BY = " + "  # between the names of several sources
STORES = "embedding_stores"  # note of a run: folder of each source's vectors, where it is an encoder
GIVEN = "given {}.npz"  # in a run's folder: vectors of its n-th source, for a resume


@dataclass(frozen=True)
class Block:
    """One source of vectors."""

    name: str
    field: str | None = None
    given: Given | None = None  # an array or a Brain run
    encoder: ImageEncoder | None = None
    is_named: bool = True  # the name finds the source again; False: an object that the user gave


@dataclass(frozen=True)
class EmbeddingSource:
    """One source of vectors or several, opened before the run is registered: bad vectors leave no run behind."""

    name: str  # what the run records; never numbers
    samples: Any
    blocks: tuple[Block, ...]
    joined: Joined | None = None  # where no image has to be read

    @property
    def vectors(self) -> np.ndarray | None:
        """Vectors of all samples, where no image has to be read [N, D]."""
        return None if self.joined is None else self.joined.vectors


def note_source(run: Run, source: EmbeddingSource | None, choice: str = "") -> None:
    """Keeps given vectors in the run's folder for a resume, and why they were chosen. The first step of a run."""
    for place, block in enumerate(source.blocks if source else ()):
        path = run.folder / GIVEN.format(place)
        if block.given is not None and not path.exists():
            save_arrays(path, ids=block.given.ids, vectors=block.given.vectors)
    if choice:
        note(run, choice)
        run.report("choosing embeddings", 0, 1, choice)


def note(run: Run, *sentences: str) -> None:
    """Keeps sentences on embeddings, which `run.finish` adds to the results' notes."""
    kept = run.remember("embeddings", list)
    new = [sentence for sentence in sentences if sentence and sentence not in kept]
    if new:
        kept.extend(new)
        run.save()


def open_source(
    samples: Any, embeddings: Any, labels: Labels, resume: str | None = None, device: str = "auto"
) -> EmbeddingSource | None:
    """Opens what `embeddings` gives or names; None where it is None.

    A resumed run may have kept its vectors, and reads them when it needs them.

    Args:
        embeddings: a name, an array, a dict, a model, or a list of these
        device: of encoders

    Raises:
        TypeError: it is something else
        ValueError: an unknown name; bad vectors; or an encoder that cannot be loaded
    """
    if embeddings is None:
        return None
    values = list(embeddings) if isinstance(embeddings, (list, tuple)) else [embeddings]
    values = [part for value in values for part in (texts(value) or [value])]
    folder = run_folder(root_dataset(samples), resume) if resume else None
    if labels.has_boxes:
        for value in values:
            _check_fits_boxes(samples, value)
    ids = labels.ids if labels.has_boxes else None
    blocks = tuple(_open(samples, value, folder, place, device, ids) for place, value in enumerate(values))
    name = JOINED_BY.join(block.name for block in blocks)
    source = EmbeddingSource(name, samples, blocks)
    if resume:
        return source
    vectors = [_read(block, samples, labels) for block in blocks if not block.encoder]  # raises where one is bad
    return source if len(vectors) < len(blocks) else replace(source, joined=join(vectors, {}))


def _check_fits_boxes(samples: Any, value: Any) -> None:
    """Raises ValueError where a source has vectors of samples, not of boxes."""
    dataset, instead = root_dataset(samples), "give {label id: vector}, an encoder of timm or torchvision/resnet18"
    if given_vectors.is_model(value) or (isinstance(value, str) and is_in_zoo(value)):
        name = value if isinstance(value, str) else type(value).__name__
        raise InvalidInput(f"embeddings: {name} of FiftyOne sees whole images, not boxes: {instead}")
    if not isinstance(value, str):
        return
    if value in dataset.list_brain_runs() or (dataset.has_field(value) and "." not in value):
        raise InvalidInput(
            f"embeddings: {value!r} has a vector for each sample, and these are boxes: {instead}, or the path of an "
            "attribute, as 'ground_truth.detections.vector'"
        )


def _open(
    samples: Any, value: Any, folder: Path | None, place: int, device: str, ids: np.ndarray | None = None
) -> Block:
    """One source.

    Args:
        folder: of the run that is resumed
        ids: of boxes; None: the items are samples
    """
    dataset = root_dataset(samples)
    kept = cached_arrays.read(folder / GIVEN.format(place)) if folder else None
    if kept:
        name = value if isinstance(value, str) else given_vectors.describe(value)
        return Block(name, given=Given(kept["ids"], kept["vectors"]), is_named=False)
    if not isinstance(value, str):
        if given_vectors.is_model(value):
            name = given_vectors.describe(value)
            return Block(name, encoder=FiftyOneEncoder(name, value), is_named=False)
        return Block(given_vectors.describe(value), given=given_vectors.read_given(samples, value, ids), is_named=False)
    if dataset.has_field(value):
        return Block(value, field=value)
    if value in dataset.list_brain_runs():
        field = given_vectors.brain_field(dataset, value)
        return Block(value, field=field) if field else Block(value, given=given_vectors.read_brain(dataset, value))
    if given_vectors.is_description(value):
        raise InvalidInput(f"embeddings were an {value}, which is not kept: give embeddings= such vectors again")
    if not is_encoder(value):
        raise InvalidInput(
            f"{value!r} is neither a field of {dataset.name!r} nor a model of FiftyOne's zoo, nor the key of a Brain "
            "run, a model of timm, or torchvision/resnet18"
        )
    return Block(value, encoder=open_encoder(value, device))


def read_or_compute(run: Run, labels: Labels, source: EmbeddingSource) -> tuple[np.ndarray, dict[int, str]]:
    """Vectors [N, D], NaN where there is none, and the reasons by index; several sources have equal weights."""
    joined = read_joined(run, labels, source)
    return joined.vectors, joined.errors


def read_joined(run: Run, labels: Labels, source: EmbeddingSource) -> Joined:
    """The vectors of each source, side by side; those of encoders come from the store, or are computed."""
    if source.joined is not None:
        return source.joined
    blocks, errors = [], {}
    stores: list[str | None] = []
    for block in source.blocks:
        if not block.encoder:
            blocks.append(_read(block, source.samples, labels))
            stores.append(None)
            continue
        encoded = encode(run, labels, source.samples, block.encoder, keep=block.is_named)
        note_images(run, encoded.notes)
        stores.append(encoded.folder.relative_to(dataset_folder(run.dataset)).as_posix())
        blocks.append(encoded.vectors)
        for i in np.flatnonzero(np.isnan(encoded.vectors).any(axis=1)).tolist():
            errors[i] = encoded.errors.get(i, f"{block.name} gave no vector for {labels.paths[i]}")
    if any(stores):
        run.remember(STORES, lambda: stores)
    return join(blocks, errors)


def kept_vectors(dataset: Any, record: RunRecord, ids: list[str]) -> dict[str, Any]:
    """Vectors of samples by id, as the first source of a run that has any gives them."""
    names, stores = (record.inputs.get("embeddings") or "").split(JOINED_BY), record.notes.get(STORES, [])
    for place, name in enumerate(names):
        given = cached_arrays.read(run_folder(dataset, record.key) / GIVEN.format(place))
        if given:
            rows = cached_arrays.rows_of(given["ids"], ids)
            return dict(zip(given["ids"][rows].tolist(), given["vectors"][rows], strict=True))
        if name and dataset.has_field(name):
            return dict(zip(*dataset.select(ids).values(["id", name]), strict=True))
        if stores[place:] and stores[place]:
            found, paths = dataset.select(ids).values(["id", "filepath"])
            distinct, inverse = np.unique(paths, return_inverse=True)
            vectors = Store(dataset_folder(dataset) / stores[place], "").read(look_up(distinct.tolist()))
            return {} if vectors is None else dict(zip(found, vectors[inverse], strict=True))
    return {}


def weigh_sources(
    run: Run,
    source: EmbeddingSource,
    joined: Joined,
    labels: np.ndarray,
    groups: np.ndarray,
    name: str = "embedding_weights",
) -> list[float]:
    """Weights of the sources by labels, of sum 1; the results tell them.

    Args:
        labels: of the training split, -1 elsewhere [N]
        groups: samples of one group are in one fold [N]
        name: by which the run remembers them
    """
    weights = weigh(run, joined, labels, groups, name)
    note(run, sentence([block.name for block in source.blocks], weights))
    return weights


def with_weights(run: Run, labels: Labels, source: EmbeddingSource) -> EmbeddingSource:
    """The source with its vectors, where several are weighed by all labels."""
    if len(source.blocks) == 1:
        return source
    joined = read_joined(run, labels, source)
    vectors = joined.scaled(weigh_sources(run, source, joined, labels.class_ids, np.arange(len(labels.ids))))
    return replace(source, joined=joined._replace(vectors=vectors))


def _read(block: Block, samples: Any, labels: Labels) -> np.ndarray:
    """Vectors of a field, an array or a Brain run [N, D].

    Raises:
        ValueError: a sample has none, or a vector is bad
    """
    if block.given is not None:
        return given_vectors.select(block.given, labels.ids, block.name, labels.noun)
    assert block.field is not None
    return given_vectors.read_vectors(samples, labels.ids, block.field, labels.noun)


def unlabelled_vectors(source: EmbeddingSource, ids: np.ndarray, length: int) -> np.ndarray:
    """Vectors of the other samples, where the source has them without a look at images [U, D]; bad ones are left out.

    Args:
        ids: of the samples whose vectors are read already
        length: D
    """
    (block, *more) = source.blocks
    if more or block.encoder:
        return np.zeros((0, length), dtype=np.float32)
    return given_vectors.others(source.samples, block.field, block.given, set(ids.tolist()), length)


def texts(embeddings: Any) -> list[str]:
    """The names in `embeddings`, also of a list."""
    values = embeddings if isinstance(embeddings, (list, tuple)) else [embeddings]
    return [name for value in values if isinstance(value, str) for name in value.split(JOINED_BY)]


def refuse_seen(samples: Any, embeddings: Any) -> None:
    """Rejects vectors that were learned from labels: they leak held-out labels.

    Raises:
        ValueError: an earlier run learned them
    """
    for value in texts(embeddings):
        if origin := learned_from_labels(samples, value):
            raise InvalidInput(
                f"{value!r} was {origin}: held-out labels would not be unseen, and no figure could be trusted; give "
                "vectors of a network that saw no labels, or leave embeddings out"
            )


def learned_from_labels(samples: Any, embeddings: Any) -> str:
    """The sentence of the run that learned a field of vectors from labels; "" for others."""
    dataset = root_dataset(samples)
    if not isinstance(embeddings, str):
        return ""
    field = dataset.get_field(embeddings)
    if field is None and embeddings in dataset.list_brain_runs():
        name = given_vectors.brain_field(dataset, embeddings)
        field = name and dataset.get_field(name)
    description = field.description or "" if field else ""
    return description if description.startswith(FROM_LABELS) else ""
