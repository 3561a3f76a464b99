"""Order of the first review, before there is any label: typical and uncertain samples of each class in turn."""

from __future__ import annotations

from itertools import chain, zip_longest

import numpy as np

from ...models.probabilities import top_two
from ...models.vectors import unit_rows


def first_ranks(vectors: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Place of each sample in the first review, from 1; 0 for those that are not reviewed [N].

    A round gives each class its most typical sample, then its least certain one. Typical samples, nearest the class's
    centre, teach most while there are few labels (Hacohen et al., 2022).

    Args:
        vectors: [N, D]
        scores: log-probabilities of the classes [N, K]
        rows: indices of the samples to review; all have vectors and scores
    """
    probabilities = np.exp(scores[rows])
    class_ids, _, margins = top_two(probabilities)
    unit = unit_rows(vectors[rows])
    similarity = unit @ unit_rows(probabilities.T @ unit).T  # to the centre of each class [n, K]
    queues = []
    for i in range(scores.shape[1]):
        own = np.flatnonzero(class_ids == i)
        if not len(own):  # nobody is predicted to be of it: those nearest to it show whether it exists
            own = probabilities[:, i].argsort(kind="stable")[::-1][:1]
        typical = own[(-similarity[own, i]).argsort(kind="stable")]
        uncertain = own[margins[own].argsort(kind="stable")]
        queues.append([place for pair in zip(typical, uncertain, strict=True) for place in pair])
    turns = (place for place in chain.from_iterable(zip_longest(*queues)) if place is not None)
    order = np.array(list(dict.fromkeys(turns)), dtype=np.int64)
    ranks = np.zeros(len(scores), dtype=np.int64)
    ranks[rows[order]] = np.arange(1, len(order) + 1)
    return ranks
