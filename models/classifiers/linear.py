"""Logistic regression on the user's embeddings, the quick alternative to a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import splits
from ..checkpoints import load_tensors, save_tensors
from ..errors import InvalidInput
from ..probabilities import blocks
from . import tuned_regression

FOLDS = 3


@dataclass
class Linear:
    """Weights [K, D] and offsets [K] for vectors shifted by mean and divided by std [D]."""

    weights: np.ndarray
    offsets: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def train(
    vectors: np.ndarray,
    labels: np.ndarray,
    classes: int,
    seed: int = 0,
    strength: float | None = None,
    weights: np.ndarray | None = None,
) -> Linear:
    """Fits multinomial logistic regression.

    Args:
        vectors: [N, D]
        labels: class of each vector [N]; a class without one is never predicted
        strength: inverse regularisation; None: by cross-validation
        weights: of each vector in the loss, about 1 [N]; None: 1
    """
    from threadpoolctl import threadpool_limits

    mean, scale = _scale(vectors)
    scaled = (vectors - mean) / scale
    present, places = np.unique(labels, return_inverse=True)
    with threadpool_limits(1, "blas"):
        basis = tuned_regression.span(scaled)
        inputs = scaled @ basis
        strength = strength or _choose_strength(inputs, places, seed)
        found = tuned_regression.descend(inputs, places, strength, row_weights=weights)
    matrix, offsets = np.zeros((classes, vectors.shape[1])), np.full(classes, -1e9)
    matrix[present], offsets[present] = (basis @ found[:-1]).T, found[-1]
    return Linear(matrix, offsets, mean, scale)


def choose_strength(vectors: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """Inverse regularisation, by cross-validation."""
    from threadpoolctl import threadpool_limits

    mean, scale = _scale(vectors)
    places = np.unique(labels, return_inverse=True)[1]
    with threadpool_limits(1, "blas"):
        scaled = (vectors - mean) / scale
        return _choose_strength(scaled @ tuned_regression.span(scaled), places, seed)


def _scale(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale [D] of vectors, after which rows have length 1 on average, as the strengths expect."""
    return vectors.mean(0), np.maximum(vectors.std(0), 1e-6) * np.sqrt(vectors.shape[1])


def _choose_strength(inputs: np.ndarray, places: np.ndarray, seed: int) -> float:
    classes = int(places.max(initial=0)) + 1
    return tuned_regression.choose_strength(inputs, places, classes, _draw_folds(places, seed))


def _draw_folds(labels: np.ndarray, seed: int) -> np.ndarray:
    """Fold of each row [n]; one fold alone where no class has labels for two."""
    try:
        return splits.folds(labels, np.arange(len(labels)), FOLDS, seed)
    except InvalidInput:
        return np.zeros(len(labels), dtype=np.int64)


def predict(model: Linear, vectors: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Logits [N, K] of vectors [N, D].

    Args:
        out: array for them, in place of a new one

    Raises:
        ValueError: vectors of another length
    """
    if vectors.shape[1] != len(model.mean):
        raise InvalidInput(
            f"the vectors have {vectors.shape[1]} numbers, but the model was trained on {len(model.mean)}"
        )
    logits = np.empty((len(vectors), len(model.offsets))) if out is None else out
    for rows in blocks(len(vectors), sum(model.weights.shape)):
        logits[rows] = (vectors[rows] - model.mean) / model.std @ model.weights.T + model.offsets
    return logits


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
