"""Out-of-fold predictions of the labels, and of the labels with planted errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.quality import planted_errors
from ...models.quality.planted_errors import KINDS, Planted
from ...models.settings import LabelSpreadingSettings
from ..runs.run import Run
from .config import MistakeConfig


class Judged(NamedTuple):
    """The labelled samples that are judged."""

    ids: np.ndarray  # [n]
    class_ids: np.ndarray  # [n]
    folds: np.ndarray  # [n]
    names: list[str]  # of the classes [K]


class Predicted(NamedTuple):
    """Out-of-fold probabilities of the labelled samples."""

    probabilities: np.ndarray  # [n, K]
    rounds: list[Planted]


def predict(
    run: Run, vectors: np.ndarray, judged: Judged, config: MistakeConfig, details: np.ndarray | None = None
) -> Predicted:
    """Predicts the labels, and the labels with planted errors of each kind; computed once a run.

    Args:
        vectors: of the n labelled samples, and then of the others [N, D]
        details: further directions of Evenset's own features [N, p]
    """

    def compute() -> dict[str, np.ndarray]:
        from ..training.graph_members import OutOfFold
        from ..training.graph_views import kept_views

        seed = config.mistakes.seed
        with kept_views(run, vectors, LabelSpreadingSettings(seed=seed), config.graph, details) as views:
            members, labels = OutOfFold(views, len(judged.names), seed), np.full(len(vectors), -1)

            def predict_labels(class_ids: np.ndarray) -> np.ndarray:
                labels[: len(class_ids)] = class_ids
                return _with_prior(members(labels, judged.folds), class_ids)

            run.report("predicting labels", 0, 1)
            arrays = {"probabilities": predict_labels(judged.class_ids)}
            for kind in KINDS:
                run.report(f"planting {kind} errors", 0, 1)
                planted = planted_errors.plant(judged.class_ids, arrays["probabilities"], kind, seed)
                arrays[f"{kind} labels"], arrays[f"{kind} probabilities"] = planted, predict_labels(planted)
        return arrays

    rows = ("probabilities", *(f"{kind} {name}" for kind in KINDS for name in ("labels", "probabilities")))
    kept = run.cached_arrays("out_of_fold", compute, judged.ids, rows)
    rounds = [Planted(kind, kept[f"{kind} labels"], judged.class_ids, kept[f"{kind} probabilities"]) for kind in KINDS]
    return Predicted(kept["probabilities"], rounds)


def _with_prior(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fills rows that no member could predict with the frequencies of the labels [n, K]."""
    prior = np.bincount(labels, minlength=probabilities.shape[1]) / len(labels)
    return np.where(np.isnan(probabilities), prior, probabilities)
