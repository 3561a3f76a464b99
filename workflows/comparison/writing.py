"""Writes the first repetition of a comparison, and has FiftyOne evaluate it."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...models.probabilities import top_two
from ..data import saved_views
from ..data.durable_writes import write_durably
from ..data.fields import declare, write_values
from ..data.internals import document
from ..data.label_fields import declare_labels, write_labels
from ..data.marks import remember_id
from ..runs.run import Run
from .trials import Comparison, TrialSplit

TRAINED, SCORED = "trained", "held out"  # values of the text field
Trials = dict[str, list[dict[str, np.ndarray]]]  # arrays of each repetition, by row


class Outputs(NamedTuple):
    """Names of the fields."""

    label_field: str
    field: str  # text: "trained" or "held out"
    names: dict[str, str]  # field of each row's predictions


def write_trials(
    comparison: Comparison, outputs: Outputs, trials: Trials, first: TrialSplit
) -> dict[str, dict[str, str]]:
    """Returns the evaluations by row, and the saved view.

    Boxes are not evaluated by FiftyOne, which would write into the user's labels.
    """
    import fiftyone as fo
    from fiftyone import ViewField as F

    run, labels = comparison.run, comparison.labels
    declare(run, outputs.field, fo.StringField)
    for value, indices in ((TRAINED, first.train), (SCORED, first.test)):
        write_values(run, outputs.field, dict.fromkeys(labels.sample_ids[indices].tolist(), value))
    if run.dataset.app_config.sidebar_groups is None:
        run.track("sidebar", "usual")  # FiftyOne gives each evaluation a group there
    scored, evaluations = run.dataset.match(F(outputs.field) == SCORED), {}
    for number, (name, field) in enumerate(outputs.names.items(), 1):
        _write_row(comparison, outputs.label_field, field, trials[name][0]["probabilities"], first)
        if not labels.has_boxes:
            evaluations[name] = _evaluate(run, scored, outputs.label_field, field, labels.names)
        run.report("evaluating", number, len(outputs.names))
    views = {"held out": saved_views.save(run, f"{outputs.field}: held out", scored)}
    return dict(evaluations=evaluations, views=views)


def _write_row(
    comparison: Comparison, label_field: str, field: str, probabilities: np.ndarray, first: TrialSplit
) -> None:
    """Writes the predictions of a method.

    Args:
        probabilities: of the test items, NaN where it abstains [n, K]
    """
    run, labels = comparison.run, comparison.labels
    predicts = ~np.isnan(probabilities).any(1)
    class_ids, confidence, _ = top_two(probabilities[predicts])
    columns = dict(label=np.array(labels.names, dtype=object)[class_ids], confidence=confidence)
    declare_labels(run, field, label_field, {})
    write_labels(run, field, label_field, labels, first.test[predicts], columns)


def _evaluate(run: Run, scored: Any, label_field: str, field: str, names: list[str]) -> str:
    """Has FiftyOne evaluate the predictions in a field; returns the evaluation's key."""
    key = f"{field}_eval"
    run.track("evaluations", key)
    options = dict(gt_field=label_field, eval_key=key, classes=names, progress=False)
    write_durably(run.dataset, partial(scored.evaluate_classifications, field, **options))
    remember_id(run, "evaluations", key, document(run.dataset).evaluations[key])
    return key
