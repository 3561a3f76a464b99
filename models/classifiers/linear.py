"""Logistic regression on the user's embeddings, the quick alternative to a network."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints import load_tensors, save_tensors
from ..errors import InvalidInput


@dataclass
class Linear:
    """Weights [K, D] and offsets [K] for vectors standardised by mean and std [D]."""

    weights: np.ndarray
    offsets: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def train(vectors: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0) -> Linear:
    """Fits multinomial logistic regression, with regularisation by cross-validation.

    Args:
        vectors: [N, D]
        labels: class of each vector [N]; a class without one is never predicted
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    mean, std = vectors.mean(0), np.maximum(vectors.std(0), 1e-6)
    scaled = (vectors - mean) / std
    folds = min(3, int(np.bincount(labels)[np.unique(labels)].min()))
    model: Any = LogisticRegression(max_iter=2000)
    if folds >= 2:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        model = GridSearchCV(model, {"C": [0.001, 0.01, 0.1, 1.0]}, scoring="neg_log_loss", cv=splitter)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "The number of unique classes"
        )  # many classes with few labels are common here
        fitted = model.fit(scaled, labels)
    best = fitted.best_estimator_ if folds >= 2 else fitted
    weights, offsets = np.zeros((classes, vectors.shape[1])), np.full(classes, -1e9)
    if len(best.classes_) == 2:  # scikit-learn keeps one row for two classes
        weights[best.classes_] = np.vstack([-best.coef_, best.coef_]) / 2
        offsets[best.classes_] = np.array([-best.intercept_[0], best.intercept_[0]]) / 2
    else:
        weights[best.classes_], offsets[best.classes_] = best.coef_, best.intercept_
    return Linear(weights, offsets, mean, std)


def predict(model: Linear, vectors: np.ndarray) -> np.ndarray:
    """Logits [N, K] of vectors [N, D].

    Raises:
        ValueError: vectors of another length
    """
    if vectors.shape[1] != len(model.mean):
        raise InvalidInput(
            f"the vectors have {vectors.shape[1]} numbers, but the model was trained on {len(model.mean)}"
        )
    return np.asarray((vectors - model.mean) / model.std @ model.weights.T + model.offsets)


def save(model: Linear, path: Path, notes: dict[str, Any]) -> None:
    """Writes the model, with the caller's `notes` (class names)."""
    import torch

    tensors = {name: torch.as_tensor(value) for name, value in vars(model).items()}
    save_tensors(path, tensors, {**notes, "linear": True})


def load(path: Path) -> tuple[Linear, dict[str, Any]]:
    """Reads a checkpoint of `save`: the model, and the notes.

    Raises:
        ValueError: the file is damaged, or of another kind
    """
    tensors, notes = load_tensors(path)
    if not notes.get("linear"):
        raise InvalidInput(f"{path} is not a checkpoint of a logistic regression")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    rows, columns = shapes.get("weights", (0,))[0], shapes.get("mean", (0,))[0]
    if shapes != dict(weights=(rows, columns), offsets=(rows,), mean=(columns,), std=(columns,)):
        raise InvalidInput(f"{path} is damaged: weights, offsets, mean and std do not fit together")
    return Linear(**{name: tensor.numpy() for name, tensor in tensors.items()}), notes
