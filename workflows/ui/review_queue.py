"""The queue of suggestions that wait for a person: what teaches most comes first, and each decision is written at once.

Nobody's browser holds the queue: its order lies in FiftyOne's execution store, and whether a sample still waits is
asked of the database each time. So it survives a restart, and several people can work through it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ...models.vectors import unit_rows
from .. import load_results
from ..data import folders, label_edits, locks
from ..data.checks import require_fields
from ..data.internals import root_dataset
from ..data.label_text import has_label
from ..data.labels import SYNTHETIC
from ..delete_run import delete_run
from ..reviewing.request import NothingToReview
from ..reviewing.writing import review_shown
from ..runs import ownership, records, review_undo, run_files

FEW = 400  # the most uncertain ones, among which those are chosen that are unlike one another
LABELLED = 5_000  # labelled samples that are compared with, at the most
KEPT_SECONDS = 86_400  # how long an order, and a sitting, are remembered
FILES = (("predictions.npz", "embeddings"), ("features.npz", "vectors"), ("vectors.npz", "vectors"))  # of a run


def waiting(dataset: Any, field: str, label_field: str) -> Any:
    """The samples in review that have no label, and were not rejected."""
    open_ = {f"{field}.status": "review", f"{field}.label": {"$ne": None}, "tags": {"$ne": SYNTHETIC}}
    return dataset.match(open_).match(~has_label(label_field))


def next(dataset: Any, field: str, label_field: str, count: int = 50) -> list[str]:
    """Ids of the samples whose label teaches most, the first first.

    Those count that are uncertain (by confidence, margin and agreement), and of these the ones that are unlike what
    has a label or stands before them; without embeddings, the uncertain ones of each class in turn.

    Args:
        field: output field of `auto_label`
        label_field: where labels go
        count: ids to return, at the most
    """
    dataset = root_dataset(dataset)
    view = waiting(dataset, field, label_field)
    columns = [name for name in ("confidence", "margin", "agreement") if dataset.has_field(f"{field}.{name}")]
    ids, classes, *shares = view.values(["id", f"{field}.label", *[f"{field}.{name}" for name in columns]])
    doubt = _doubt(shares, len(ids))
    few = np.argsort(-doubt, kind="stable")[: max(FEW, count)]
    ids, doubt, classes = np.array(ids, dtype=str)[few], doubt[few], np.array(classes, dtype=str)[few]
    vectors = vectors_of(dataset, run_of(dataset, field), ids.tolist())
    if vectors is None or np.isnan(vectors).all():
        order = _in_turn(classes)
    else:
        (labelled,) = _labelled(dataset, label_field, ["id"])
        theirs = vectors_of(dataset, run_of(dataset, field), labelled)
        order = _unlike(vectors, theirs, doubt, count)
    return [str(i) for i in ids[order[:count]]]


def _doubt(shares: list[list[float | None]], count: int) -> np.ndarray:
    """How uncertain each suggestion is, 0 to 1 [N]."""
    known = np.array(shares, dtype=np.float64).reshape(len(shares), count)  # None becomes NaN
    total = (~np.isnan(known)).sum(axis=0)
    return np.asarray(np.where(total, np.nansum(1 - known, axis=0) / np.maximum(total, 1), 1.0))


def _in_turn(classes: np.ndarray) -> np.ndarray:
    """Places of the first of each class, then of the second of each, and so on [N]."""
    round_, seen = np.zeros(len(classes), dtype=np.int64), dict.fromkeys(classes, 0)
    for i, name in enumerate(classes):
        round_[i] = seen[name]
        seen[name] += 1
    return np.argsort(round_, kind="stable")


def _unlike(vectors: np.ndarray, labelled: np.ndarray | None, doubt: np.ndarray, count: int) -> np.ndarray:
    """Greedily the most doubtful that is farthest from what is labelled or was taken before (cosine distance).

    Args:
        vectors, doubt: of the candidates [N, D], [N]
        labelled: vectors of the labelled samples [M, D]
    """
    labelled = np.zeros((0, vectors.shape[1])) if labelled is None else labelled
    unit, known = (unit_rows(np.nan_to_num(rows)) for rows in (vectors, labelled))  # NaN: unlike everything
    near = (unit @ known.T).max(axis=1) if len(known) else np.zeros(len(unit))
    order: list[int] = []
    for _ in range(min(count, len(unit))):
        value = doubt * np.maximum(1 - near, 1e-6)  # of copies, the more doubtful
        value[order] = -1
        order.append(int(value.argmax()))
        near = np.maximum(near, unit @ unit[order[-1]])
    return np.array(order, dtype=np.int64)


def run_of(dataset: Any, field: str) -> str:
    """Key of the run of `auto_label` that wrote `field`."""
    return ownership.run_of(dataset, field, "auto_label")


def vectors_of(dataset: Any, run_key: str, ids: list[str]) -> np.ndarray | None:
    """Embeddings that the run worked with, NaN where a sample has none [N, D]; None where it keeps none."""
    folder, record = folders.run_folder(dataset, run_key), records.read_record(dataset, run_key)
    given = record.inputs.get("embeddings")
    if given and dataset.has_field(given):
        found = dict(zip(*dataset.select(ids).values(["id", given]), strict=True))
    else:
        found = _kept_vectors(folder, ids)
    length = max((len(vector) for vector in found.values() if vector is not None), default=0)
    if not length:
        return None
    none = np.full(length, np.nan, dtype=np.float32)
    rows = [none if (vector := found.get(i)) is None else vector for i in ids]
    return np.array(rows, dtype=np.float32)


def _kept_vectors(folder: Path, ids: list[str]) -> dict[str, Any]:
    """Vectors of these samples in the run's folder, by id."""
    if not (folder / "labels.npz").exists():
        return {}
    with np.load(regular(folder / "labels.npz"), allow_pickle=False) as kept:
        place = {i: row for row, i in enumerate(kept["ids"].tolist())}
    for name, array in FILES:
        if (folder / name).exists():
            with np.load(regular(folder / name), allow_pickle=False) as kept:
                vectors = kept[array]
            return {i: vectors[place[i]] for i in ids if i in place}
    return {}


def _labelled(dataset: Any, label_field: str, columns: list[str]) -> Any:
    """Columns of the labelled samples, evenly spread where there are more than can be compared with at each click."""
    view = dataset.match({"tags": {"$ne": SYNTHETIC}}).match(has_label(label_field))
    found = view.limit(LABELLED + 1).values(columns)
    return found if len(found[0]) <= LABELLED else view.take(LABELLED, seed=0).values(columns)


def neighbours(dataset: Any, field: str, label_field: str, sample_id: str, count: int = 5) -> list[dict[str, str]]:
    """The labelled samples that are nearest to a sample, the nearest first: id, path and label of each."""
    dataset = root_dataset(dataset)
    key = run_of(dataset, field)
    ids, paths, labels = _labelled(dataset, label_field, ["id", "filepath", f"{label_field}.label"])
    vectors = vectors_of(dataset, key, [sample_id, *ids])
    if vectors is None or np.isnan(vectors[0]).any():
        return []
    unit = unit_rows(np.nan_to_num(vectors))
    near = np.where(np.isnan(vectors[1:]).any(axis=1), -np.inf, unit[1:] @ unit[0])
    order = [int(i) for i in np.argsort(-near, kind="stable")[:count] if np.isfinite(near[i])]
    return [dict(id=ids[i], path=paths[i], label=labels[i]) for i in order if ids[i] != sample_id]


def first(dataset: Any, field: str, label_field: str, skipped: list[str]) -> tuple[str | None, int]:
    """The sample that stands first, None where none is left but skipped ones; and how many wait in all.

    The order is computed anew when nobody has left anything of it.
    """
    dataset = root_dataset(dataset)
    open_ = waiting(dataset, field, label_field)
    channel, name = records.store(dataset), f"queue:{field}"
    run = run_of(dataset, field)
    began = records.read_record(dataset, run).started
    kept = channel.get(name) or {}
    order = kept["ids"] if (kept.get("run"), kept.get("began")) == (run, began) else []
    for attempt in range(2):
        left = set(open_.select(order).values("id")) - set(skipped) if order else set()
        for i in order:
            if i in left:
                return i, len(open_)
        if attempt == 0:
            order = next(dataset, field, label_field, 50 + len(skipped))
            channel.set(name, dict(run=run, began=began, ids=order), ttl=KEPT_SECONDS)
    return None, len(open_)


def decide(
    dataset: Any,
    field: str,
    label_field: str,
    sample_id: str,
    action: str,
    label: str | None = None,
    sitting: str = "",
    shown: str | None = None,
) -> str | None:
    """Writes a person's word on one suggestion; returns the key of the review that it went into.

    None where somebody else has decided the sample meanwhile, or its suggestion is another now: it stays as it is.

    Args:
        action: "accept", "correct" (with `label`) or "reject"
        sitting: who works through the queue: what one person decides within a day becomes one run
        shown: the suggestion that the person saw; None: the one that is there

    Raises:
        ValueError: one of the fields was removed; nothing was written
    """
    dataset = root_dataset(dataset)
    with locks.lock_field(dataset, f"queue of {field}", locks.WAIT_SECONDS):
        dataset.reload()
        require_fields(dataset, field, label_field)
        view = waiting(dataset, field, label_field).select(sample_id)  # asked again when the label is written
        suggestions = view.values(f"{field}.label")
        if not suggestions or shown not in (None, suggestions[0]):
            return None
        into = _sitting(dataset, field, label_field, sitting)
        if into and sample_id in _decided(dataset, into):
            into = None  # its label went by another hand: one review changes a sample once
        try:
            done = review_shown(
                view, field, label_field, {sample_id: (suggestions[0], None)},
                label=label, action=action, status="review", into=into,
            )  # fmt: skip
        except NothingToReview:  # somebody changed it at this very moment
            return None
        if done.unwritten:
            if not into:
                delete_run(dataset, done.run_key)
            return None
        records.store(dataset).set(f"sitting:{sitting}:{field}", done.run_key, ttl=KEPT_SECONDS)
        return done.run_key


def _sitting(dataset: Any, field: str, label_field: str, sitting: str) -> str | None:
    """The review of these suggestions that is open for this person, if it is still there."""
    key = records.store(dataset).get(f"sitting:{sitting}:{field}")
    if not key or key not in dataset.list_runs():
        return None
    record = records.read_record(dataset, key)
    about = [record.inputs.get(name) for name in ("field", "label_field")]
    suggested = records.read_record(dataset, run_of(dataset, field)).started  # anew, under the same name
    is_open = record.state == "done" and about == [field, label_field] and record.started > suggested
    return str(key) if is_open and not run_files.is_foreign(dataset, record) else None


def _decided(dataset: Any, run_key: str) -> list[str]:
    """Ids that a review has decided, in order."""
    return list(dict.fromkeys(line["id"] for line in label_edits.read(folders.run_folder(dataset, run_key))))


def decided(dataset: Any, field: str, label_field: str, sitting: str) -> list[str]:
    """Ids that were decided in this sitting, the last one last."""
    key = _sitting(dataset, field, label_field, sitting)
    return _decided(dataset, key) if key else []


def undo(dataset: Any, field: str, label_field: str, sitting: str, done: int | None = None) -> str | None:
    """Takes back the last decision of this sitting; returns the sample's id.

    Args:
        done: decisions that there were when it was asked for; with another number nothing is taken back (None)

    Raises:
        ValueError: there is none, or its label was edited since: it stays, and the decision before it is the next
    """
    dataset = root_dataset(dataset)
    with locks.lock_field(dataset, f"queue of {field}", locks.WAIT_SECONDS):
        dataset.reload()
        key = _sitting(dataset, field, label_field, sitting)
        ids = _decided(dataset, key) if key else []
        if done not in (None, len(ids)):
            return None
        if not key or not ids:
            raise InvalidInput("there is no decision to take back")
        folder = folders.run_folder(dataset, key)
        lines = label_edits.read(folder)
        mine = [line for line in lines if line["id"] == ids[-1]]
        with locks.lock_field(dataset, label_field, locks.WAIT_SECONDS):
            review_undo.check_fields(dataset, key, label_field, mine)
            edited = review_undo.put_back(dataset, mine, label_field).edited
            _shorten(dataset, key, folder, [line for line in lines if line["id"] != ids[-1]])  # the one before is next
        if len(ids) == 1:
            delete_run(dataset, key)
        if edited:
            raise InvalidInput(f"the label of {ids[-1]} was edited since, and stays")
        return ids[-1]


def _shorten(dataset: Any, key: str, folder: Path, lines: list[dict[str, Any]]) -> None:
    """Leaves these lines of a review, and counts again."""
    label_edits.save(folder, lines)
    if lines:
        _count_again(dataset, key, len({line["id"] for line in lines}))


def _count_again(dataset: Any, key: str, changed: int) -> None:
    from ..reviewing.results import ReviewResults
    from ..runs.run import Run

    found = load_results.load_results(dataset, key)
    log, text = found.pop("log"), found.pop("text")
    del text
    results = ReviewResults(run_key=key, **{**found, "changed": changed})
    Run(dataset, records.read_record(dataset, key), None, log=log).finish(results)


def learn_again(dataset: Any, run_key: str) -> str:
    """Starts the run's next round in a worker, on the labels that there are now; returns the field that it will write.

    A run that trained nothing, by an earlier run's model, is started again as it was.

    Raises:
        ValueError: the next round is under way
    """
    from ..runs import worker

    dataset = root_dataset(dataset)
    record = records.read_record(dataset, run_key)
    inputs, number, under_way = dict(record.inputs), 2, worker.under_way(dataset, "auto_label")
    inputs["after"] = None if inputs["run"] else run_key
    if any((one.get("after"), one.get("run")) == (inputs["after"], inputs["run"]) for one in under_way):
        raise InvalidInput(f"the next round after {run_key} is under way: wait for it, or stop it")
    base = inputs["output_field"].rstrip("0123456789").rstrip("_") or inputs["output_field"]
    written = {one.get("output_field") for one in under_way}
    while dataset.has_sample_field(f"{base}_{number}") or f"{base}_{number}" in written:
        number += 1
    inputs["output_field"] = f"{base}_{number}"
    ids = run_files.ids_of_run(dataset, run_key)
    here = set(dataset.values("id"))
    kept = [i for i in ids if i in here]
    samples = dataset if len(kept) == len(here) else dataset.select(kept)
    worker.start_worker(samples, "auto_label", {**inputs, **record.settings}, awaited=False)
    return str(inputs["output_field"])
