"""Vectors that are there: a field, an array, a dict by sample id, or a run of FiftyOne's Brain; checked when read."""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput, InvalidType
from ..data import items
from ..data.field_access import require_visible
from ..data.internals import root_dataset
from ..data.labels import real_samples
from ..display.tables import counted, plural

MAX_ABS = 1e15  # squared distances of larger numbers overflow float32
EPS = 1e-12  # a vector of smaller numbers has no direction


Ids = np.ndarray | Sequence[Any]


class Given(NamedTuple):
    """Vectors by sample id."""

    ids: np.ndarray  # text [M]
    vectors: np.ndarray  # float32 [M, D]


def describe(value: Any) -> str:
    """What a run records in place of numbers or an object."""
    if isinstance(value, Mapping):
        return f"array of {counted(len(value), 'vector')} by id"
    if is_model(value):
        return f"object of {type(value).__name__}"
    return f"array of shape ({', '.join(map(str, np.shape(value)))})"


def is_description(text: str) -> bool:
    """Whether a text is one of `describe`."""
    return bool(re.fullmatch(r"array of shape \(.*\)|array of [\d,]+ vectors? by id|object of \w+", text))


def is_model(value: Any) -> bool:
    """Whether a value is a model of FiftyOne.

    Raises:
        ValueError: it is one without embeddings
    """
    from fiftyone.core.models import Model

    if not isinstance(value, Model):
        return False
    if not value.has_embeddings:
        raise InvalidInput(f"the model {type(value).__name__} has no embeddings: give one whose has_embeddings is True")
    return True


def read_given(samples: Any, value: Any, boxes: np.ndarray | None = None) -> Given:
    """An array [N, D], whose row i is of the i-th item, or a dict of vectors by its id.

    Args:
        boxes: ids of the items, where they are boxes

    Raises:
        TypeError: it is something else
        ValueError: another number of rows, an unknown id, or rows that are not vectors of one length
    """
    ids = samples.values("id") if boxes is None else boxes.tolist()
    noun = items.SAMPLE if boxes is None else items.BOX
    if isinstance(value, Mapping):
        by_id = {str(i): row for i, row in value.items()}
        if boxes is not None:  # a view, or boxes without an area, leave some out
            by_id = {i: by_id[i] for i in ids if i in by_id}
        return _read_mapping(samples, by_id, set(ids), noun)
    if not hasattr(value, "__array__"):
        raise InvalidType(f"embeddings has to be vectors or the name of their source, not {type(value).__name__}")
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InvalidInput(
            f"embeddings is an array of shape {array.shape} and type {array.dtype}: give numbers, a row for each {noun}"
        )
    if len(array) != len(ids):
        raise InvalidInput(
            f"embeddings has {counted(len(array), 'row')} for {counted(len(ids), noun)}: give a row for each, in "
            f"their order, or a dict by {noun} id"
        )
    with np.errstate(over="ignore"):
        return Given(np.array(ids, dtype="U24"), array.astype(np.float32, copy=False))


def _read_mapping(samples: Any, value: dict[str, Any], known: set[str], noun: str) -> Given:
    """Vectors by id; those of items outside a view are left out.

    Args:
        known: ids of the items
    """
    dataset = root_dataset(samples)
    if not value.keys() <= known and (unknown := sorted(value.keys() - set(dataset.values("id")))):
        raise InvalidInput(
            f"embeddings has {counted(len(unknown), 'id')} that {dataset.name!r} has no {noun} of, the first is "
            f"{unknown[0]!r}: give vectors by {noun} id"
        )
    ids = [i for i, row in value.items() if i in known and row is not None]
    if not ids:
        raise InvalidInput(f"embeddings has no vector of a {noun} of {dataset.name!r}: give vectors by {noun} id")
    rows = _parse([value[i] for i in ids], ids, "embeddings", noun)
    return Given(np.array(ids, dtype="U24"), _stack(ids, rows, "embeddings", noun))


def select(given: Given, ids: np.ndarray, name: str, noun: str = items.SAMPLE) -> np.ndarray:
    """The vectors of items, checked [N, D].

    Args:
        noun: of the items

    Raises:
        ValueError: an item has none, or a vector is not finite, or all are the same
    """
    vectors = given.vectors
    if not np.array_equal(given.ids, ids):  # else they would be copied
        place = {i: row for row, i in enumerate(given.ids.tolist())}
        missing = [i for i in ids.tolist() if i not in place]
        if missing:
            raise InvalidInput(
                f"no vector in {name!r} for {counted(len(missing), noun)}, the first is {missing[0]}: compute it first"
            )
        vectors = vectors[[place[i] for i in ids.tolist()]]
    _check_lengths(ids, [vectors.shape[1]] * len(ids), name, noun)
    _check_values(ids, vectors, name, noun)
    return vectors


def brain_field(dataset: Any, key: str) -> str | None:
    """The field that a Brain run took its vectors from; None where it has its own.

    Raises:
        ValueError: the vectors are of patches
    """
    config = dataset.get_brain_info(key).config
    if getattr(config, "patches_field", None):
        raise InvalidInput(f"the Brain run {key!r} has vectors of patches in {config.patches_field!r}, not of samples")
    field = getattr(config, "embeddings_field", None)
    return field if field and dataset.has_field(field) else None


def read_brain(dataset: Any, key: str) -> Given:
    """The vectors of a Brain run.

    Raises:
        ValueError: it has none
    """
    results = dataset.load_brain_results(key)
    vectors, ids = getattr(results, "embeddings", None), getattr(results, "sample_ids", None)
    if vectors is None or ids is None or not len(vectors):
        kind = type(results).__name__ if results is not None else "nothing"
        raise InvalidInput(
            f"the Brain run {key!r} holds {kind} without embeddings: compute it again with embeddings= the name of a "
            "field, or give that field"
        )
    return Given(np.array(ids, dtype="U24"), np.asarray(vectors, dtype=np.float32))


def others(samples: Any, field: str | None, given: Given | None, known: set[str], length: int) -> np.ndarray:
    """Vectors of further samples [U, D]; bad ones are left out.

    Args:
        known: ids to leave out
        length: D
    """
    real, _ = real_samples(samples)
    if given is not None:
        place = {i: row for row, i in enumerate(given.ids.tolist())}
        pairs = [(i, given.vectors[place[i]]) for i in real.values("id") if i in place]
    else:
        assert field is not None
        pairs = list(zip(*items.values(real, ["id", items.path_of(real, field)]), strict=True))
    rows = [_row(value) for i, value in pairs if i not in known and value is not None]
    usable = [row for row in rows if row is not None and len(row) == length]
    with np.errstate(over="ignore"):
        array = np.asarray(usable, dtype=np.float32).reshape(-1, length)
    return np.asarray(array[np.abs(array).max(axis=1, initial=0) <= MAX_ABS])


def read_vectors(samples: Any, ids: np.ndarray, field: str, noun: str = items.SAMPLE) -> np.ndarray:
    """Reads a field of vectors, float32 [N, D].

    Args:
        noun: of the items

    Raises:
        ValueError: the view hides the field; an item has no vector, or one of another length; a vector is not finite;
            or all are the same
    """
    require_visible(samples, field)
    by_id = dict(zip(*items.values(samples, ["id", items.path_of(samples, field)]), strict=True))
    values = [by_id.get(i) for i in ids]
    rows = _parse(values, ids, f"the field {field!r}", noun)
    missing = [i for i, row in zip(ids, rows, strict=True) if row is None]
    if missing:
        raise InvalidInput(
            f"no vector in {field!r} for {counted(len(missing), noun)}, the first is {missing[0]}: compute it first"
        )
    array = _stack(ids, rows, field, noun)
    _check_values(ids, array, field, noun)
    return array


def _parse(values: Sequence[Any], ids: Ids, where: str, noun: str) -> list[np.ndarray | None]:
    """Each value as a vector, None as None.

    Raises:
        ValueError: one is something else
    """
    rows = [None if value is None else _row(value) for value in values]
    for i, value, row in zip(ids, values, rows, strict=True):
        if value is not None and row is None:
            raise InvalidInput(
                f"{where} holds {reprlib.repr(value)} in {noun} {i}: embeddings needs a vector, which is "
                f"a list or an array of numbers, in each {noun}"
            )
    return rows


def _stack(ids: Ids, rows: Sequence[np.ndarray | None], name: str, noun: str) -> np.ndarray:
    """Vectors as an array, float32 [N, D]."""
    _check_lengths(ids, [len(row) for row in rows if row is not None], name, noun)
    with np.errstate(over="ignore"):  # too large numbers become infinite, and are rejected
        return np.asarray(rows, dtype=np.float32)


def _row(value: Any) -> np.ndarray | None:
    """A vector as an array; None where the value is anything else."""
    try:
        row = np.asarray(value)
    except ValueError:  # lists of several lengths
        return None
    return row if row.ndim == 1 and (row.dtype.kind in "fiu") else None


def _check_lengths(ids: Ids, lengths: list[int], field: str, noun: str) -> None:
    usual = Counter(lengths).most_common(1)[0][0]
    other = next((i for i, length in zip(ids, lengths, strict=True) if length != usual), None)
    if other is not None:
        several = sorted(set(lengths))[:5]
        raise InvalidInput(
            f"the vectors of {field!r} differ in length: {several}; the first that is not of length {usual} is of "
            f"{noun} {other}: compute the field again, by one model"
        )
    if usual < 2:
        problem = "have one number each" if usual else "are empty"
        raise InvalidInput(
            f"the vectors of {field!r} {problem}, the first is of {noun} {ids[0]}: directions are compared, which "
            "takes two numbers or more"
        )


def _check_values(ids: np.ndarray, array: np.ndarray, field: str, noun: str) -> None:
    size = np.maximum(array.max(axis=1), -array.min(axis=1))  # NaN where the row has one
    bad = np.flatnonzero(~(size <= MAX_ABS))
    if len(bad):
        raise InvalidInput(
            f"NaN, infinity or a number beyond {MAX_ABS:g} in {counted(len(bad), 'vector')} of {field!r}, "
            f"the first is of {noun} {ids[bad[0]]}: compute it again"
        )
    usable = np.flatnonzero(size > EPS)
    if len(usable) < 2:
        zero = np.flatnonzero(size <= EPS)
        reason = f"; the first that is zero is of {noun} {ids[zero[0]]}" if len(zero) else ""
        raise InvalidInput(
            f"{len(usable)} of {len(ids):,} embeddings of {field!r} can be compared: at least two are needed{reason}"
        )
    if all((array[i] == array[usable[0]]).all() for i in usable):
        raise InvalidInput(
            f"all vectors of {field!r} are the same as that of {noun} {ids[usable[0]]}: they tell no {plural(noun)} "
            "apart"
        )
