"""Scores of logits against labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Evaluation(NamedTuple):
    """Scores on labelled images."""

    loss: float
    accuracy: float
    recall: np.ndarray  # of each class, NaN where it has no image [K]
    confusion: np.ndarray  # label by predicted class, counts [K, K]


def evaluate(logits: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Loss, accuracy, recall and confusion of logits [N, K] for the classes [N]."""
    import torch
    from sklearn.metrics import confusion_matrix

    confusion = confusion_matrix(labels, logits.argmax(1), labels=np.arange(logits.shape[1]))
    with np.errstate(invalid="ignore"):
        recall = np.diag(confusion) / confusion.sum(1)
    scores = torch.from_numpy(logits).float()
    loss = torch.nn.functional.cross_entropy(scores, torch.as_tensor(labels)).item()
    return Evaluation(loss, float(np.diag(confusion).sum() / max(len(labels), 1)), recall, confusion)
