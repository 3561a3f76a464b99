"""Embeddings that the user names: a field of vectors, or a model of FiftyOne's zoo."""

from __future__ import annotations

import reprlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.errors import InvalidInput, InvalidType
from ..data.field_access import require_visible
from ..data.internals import root_dataset
from ..data.labels import Labels, real_samples
from ..data.marks import FROM_LABELS
from ..display.tables import counted
from ..runs.run import Run

MAX_ABS = 1e15  # squared distances of larger numbers overflow float32
EPS = 1e-12  # a vector of smaller numbers has no direction


@dataclass(frozen=True)
class EmbeddingSource:
    """A field of vectors or a model, opened before the run is registered: bad vectors leave no run behind."""

    name: str  # of the field, or of the model
    samples: Any
    vectors: np.ndarray | None = None  # of the field; None: read in the run [N, D]
    model: Any = None  # of the zoo; None: loaded in the run


def open_source(samples: Any, embeddings: Any, labels: Labels, resume: str | None = None) -> EmbeddingSource | None:
    """Opens the field or zoo model that `embeddings` names; None where it is None.

    A resumed run may have kept its vectors, and reads them when it needs them.

    Raises:
        TypeError: `embeddings` is not a text
        ValueError: neither a field nor a model; bad vectors; or the model cannot be loaded
    """
    if embeddings is None:
        return None
    if not isinstance(embeddings, str):
        raise InvalidType(f"embeddings has to be a field's or a zoo model's name, not {type(embeddings).__name__}")
    is_field = root_dataset(samples).has_field(embeddings)
    if not is_field and not _in_zoo(embeddings):
        raise InvalidInput(
            f"{embeddings!r} is neither a field of {root_dataset(samples).name!r} nor a model of FiftyOne's zoo"
        )
    if resume:
        return EmbeddingSource(embeddings, samples)
    if is_field:
        return EmbeddingSource(embeddings, samples, vectors=read_vectors(samples, labels.ids, embeddings))
    return EmbeddingSource(embeddings, samples, model=_load_model(embeddings))


def read_or_compute(run: Run, labels: Labels, source: EmbeddingSource) -> tuple[np.ndarray, dict[int, str]]:
    """Vectors [N, D], NaN where there is none, and the reasons by index."""
    if source.vectors is not None:
        return source.vectors, {}
    if root_dataset(source.samples).has_field(source.name):
        return read_vectors(source.samples, labels.ids, source.name), {}

    def compute() -> dict[str, np.ndarray]:
        def report(bar: Any) -> None:  # after each batch; raising ends the work
            run.report(f"computing embeddings by {source.name}", bar.iteration, len(labels.ids))

        run.report("loading the model", 0, 1)
        model = _load_model(source.name) if source.model is None else source.model
        view = source.samples.select(labels.ids.tolist(), ordered=True)
        rows = view.compute_embeddings(model, skip_failures=True, progress=report)
        length = next((len(row) for row in rows if row is not None), 0)
        if not length:
            raise InvalidInput(f"{source.name} gave no vector for any of {counted(len(rows), 'image')}")
        missing = np.full(length, np.nan)
        return {"vectors": np.array([missing if row is None else row for row in rows], dtype=np.float32)}

    vectors = run.cached_arrays("vectors", compute, labels.ids, ("vectors",))["vectors"]
    bad = np.flatnonzero(np.isnan(vectors).any(1)).tolist()
    return vectors, {i: f"{source.name} gave no vector for {labels.paths[i]}" for i in bad}


def read_vectors(samples: Any, ids: np.ndarray, field: str) -> np.ndarray:
    """Reads a field of vectors, float32 [N, D].

    Raises:
        ValueError: the view hides the field; a sample has no vector, or one of another length; a vector is not finite;
            or all are the same
    """
    require_visible(samples, field)
    by_id = dict(zip(*samples.values(["id", field]), strict=True))
    values = [by_id.get(i) for i in ids]
    rows = [None if value is None else _row(value) for value in values]
    for i, value, row in zip(ids, values, rows, strict=True):
        if value is not None and row is None:
            raise InvalidInput(
                f"the field {field!r} holds {reprlib.repr(value)} in sample {i}: embeddings needs a vector, which is "
                "a list or an array of numbers, in each sample"
            )
    missing = [i for i, row in zip(ids, rows, strict=True) if row is None]
    if missing:
        raise InvalidInput(
            f"no vector in {field!r} for {counted(len(missing), 'sample')}, the first is {missing[0]}: compute it first"
        )
    _check_lengths(ids, [len(row) for row in rows if row is not None], field)
    with np.errstate(over="ignore"):  # too large numbers become infinite, and are rejected
        array = np.asarray(rows, dtype=np.float32)
    _check_values(ids, array, field)
    return array


def unlabelled_vectors(source: EmbeddingSource, ids: np.ndarray, length: int) -> np.ndarray:
    """Vectors of the other samples, where the source is a field [U, D]; bad ones are left out.

    Args:
        ids: of the samples whose vectors are read already
        length: D
    """
    if not root_dataset(source.samples).has_field(source.name):
        return np.zeros((0, length), dtype=np.float32)
    known = set(ids.tolist())
    real, _ = real_samples(source.samples)
    pairs = zip(*real.values(["id", source.name]), strict=True)
    rows = [_row(value) for i, value in pairs if i not in known and value is not None]
    usable = [row for row in rows if row is not None and len(row) == length]
    with np.errstate(over="ignore"):
        array = np.asarray(usable, dtype=np.float32).reshape(-1, length)
    return np.asarray(array[np.abs(array).max(axis=1, initial=0) <= MAX_ABS])


def _row(value: Any) -> np.ndarray | None:
    """A vector as an array; None where the value is anything else."""
    try:
        row = np.asarray(value)
    except ValueError:  # lists of several lengths
        return None
    return row if row.ndim == 1 and (row.dtype.kind in "fiu") else None


def _check_lengths(ids: np.ndarray, lengths: list[int], field: str) -> None:
    usual = Counter(lengths).most_common(1)[0][0]
    other = next((i for i, length in zip(ids, lengths, strict=True) if length != usual), None)
    if other is not None:
        several = sorted(set(lengths))[:5]
        raise InvalidInput(
            f"the vectors of {field!r} differ in length: {several}; the first that is not of length {usual} is of "
            f"sample {other}: compute the field again, by one model"
        )
    if usual < 2:
        problem = "have one number each" if usual else "are empty"
        raise InvalidInput(
            f"the vectors of {field!r} {problem}, the first is of sample {ids[0]}: directions are compared, which "
            "takes two numbers or more"
        )


def _check_values(ids: np.ndarray, array: np.ndarray, field: str) -> None:
    size = np.maximum(array.max(axis=1), -array.min(axis=1))  # NaN where the row has one
    bad = np.flatnonzero(~(size <= MAX_ABS))
    if len(bad):
        raise InvalidInput(
            f"NaN, infinity or a number beyond {MAX_ABS:g} in {counted(len(bad), 'vector')} of {field!r}, "
            f"the first is of sample {ids[bad[0]]}: compute it again"
        )
    usable = np.flatnonzero(size > EPS)
    if len(usable) < 2:
        zero = np.flatnonzero(size <= EPS)
        reason = f"; the first that is zero is of sample {ids[zero[0]]}" if len(zero) else ""
        raise InvalidInput(
            f"{len(usable)} of {len(ids):,} embeddings of {field!r} can be compared: at least two are needed{reason}"
        )
    if all((array[i] == array[usable[0]]).all() for i in usable):
        raise InvalidInput(
            f"all vectors of {field!r} are the same as that of sample {ids[usable[0]]}: they tell no samples apart"
        )


def refuse_seen(samples: Any, embeddings: Any) -> None:
    """Rejects vectors that were learned from labels: they leak held-out labels.

    Raises:
        ValueError: an earlier run learned them
    """
    origin = learned_from_labels(samples, embeddings)
    if origin:
        raise InvalidInput(
            f"{embeddings!r} was {origin}: held-out labels would not be unseen, and no figure could be trusted; give "
            "vectors of a network that saw no labels, or leave embeddings out"
        )


def learned_from_labels(samples: Any, embeddings: Any) -> str:
    """The sentence of the run that learned a field of vectors from labels; "" for others."""
    field = root_dataset(samples).get_field(embeddings) if isinstance(embeddings, str) else None
    description = field.description or "" if field is not None else ""
    return description if description.startswith(FROM_LABELS) else ""


def _in_zoo(name: str) -> bool:
    import fiftyone.zoo as foz

    return name in foz.list_zoo_models()


def _load_model(name: str) -> Any:
    """A model of the zoo, downloaded if necessary.

    Raises:
        ValueError: it cannot be downloaded or loaded, or has no embeddings
    """
    import fiftyone.zoo as foz

    instead = "or give embeddings= a field of vectors"
    try:
        model = foz.load_zoo_model(name)
    except Exception as error:  # each model has a library of its own, and its errors
        if _is_offline(error):
            raise InvalidInput(
                f"the model {name!r} of FiftyOne's zoo cannot be downloaded, as its server does not answer: connect "
                f"to the internet once, since the file is kept, {instead}"
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidInput(
            f"the model {name!r} of FiftyOne's zoo cannot be loaded ({reason}): mend that, {instead}"
        ) from error
    if not getattr(model, "has_embeddings", False):
        raise InvalidInput(f"the model {name!r} of FiftyOne's zoo has no embeddings: choose another, {instead}")
    return model


def _is_offline(error: BaseException | None) -> bool:
    """Whether an error, or its cause, is a failed connection of socket, urllib, requests or httpx."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & {"ConnectionError", "URLError", "ConnectError", "Timeout", "TimeoutException", "gaierror"}:
            return True
        error = error.__cause__ or error.__context__
    return False
