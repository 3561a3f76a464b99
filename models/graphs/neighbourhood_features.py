"""What a sample's neighbours say of it before any label does: embeddings made even, turned to what neighbours share,
and averaged over the graph. Logistic regression on them is SGC (Wu et al., 2019), and better (see each function)."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp

from ..vectors import unit_rows

STRENGTH = 2.0  # C of logistic regression, for rows of length 1 on average
SHRINK = 0.05  # of the covariance, towards equal variances
MISSING = float(np.log(1e-4))  # of a class that has no label


def even_out(vectors: np.ndarray, dimensions: int, seed: int = 0) -> np.ndarray:
    """Vectors centred, of length 1, in the directions of most variance [N, d].

    Of those without a negative number (what a network gives after its last ReLU) the square roots are taken first, so
    that few large numbers decide no distance (power normalisation, Perronnin et al., 2010).

    Args:
        vectors: finite [N, D]
        dimensions: d, at most
    """
    from sklearn.decomposition import PCA

    rows = np.sqrt(vectors) if (vectors >= 0).all() else vectors
    rows = unit_rows(rows - rows.mean(axis=0))
    most = min(dimensions, *rows.shape)
    return to_unit(PCA(most, svd_solver="randomized", random_state=seed).fit_transform(rows))


def turn_to_shared(rows: np.ndarray, adjacency: sp.csr_array) -> np.ndarray:
    """Directions that neighbours share are made long, those in which they differ short [N, d].

    Directions as in locality preserving projections (He & Niyogi, 2003), each weighted by the square of how alike
    neighbours are along it: without a label, what linear discriminant analysis does with labels.

    Args:
        rows: [N, d]
        adjacency: normalised, CSR [N, N]
    """
    from scipy.linalg import eigh

    rows = (rows - rows.mean(axis=0)).astype(np.float64)
    spread, shared = rows.T @ rows, rows.T @ (adjacency @ rows)
    even = SHRINK * np.trace(spread) / len(spread) * np.eye(len(spread))
    alike, directions = eigh((shared + shared.T) / 2, spread + even)
    return to_unit(rows @ (directions * np.maximum(alike, 0) ** 2))


def diffuse(rows: np.ndarray, adjacency: sp.csr_array, hops: int, keep: float = 0.0) -> np.ndarray:
    """Rows averaged over so many hops [N, d]; each hop keeps a part of the sample's own (Gasteiger et al., 2019).

    Args:
        rows: [N, d]
        adjacency: normalised, CSR [N, N]
        keep: 0..1; 0 is SGC
    """
    found = rows
    for _ in range(hops):
        found = (1 - keep) * (adjacency @ found) + keep * rows
    return to_unit(found)


def to_unit(rows: np.ndarray) -> np.ndarray:
    """Scales all rows by one number, so that their mean squared length is 1."""
    return np.asarray(rows / max(np.sqrt((rows**2).sum(axis=1).mean()), 1e-12), np.float32)


def classify(rows: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Log-probabilities [N, K] by logistic regression on the rows that have a label.

    Args:
        rows: of length 1 on average [N, d]
        labels: class of each row, -1 where unknown [N]; at least two classes
    """
    from sklearn.linear_model import LogisticRegression

    known = labels >= 0
    model = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes")  # many classes of few labels are usual here
        model.fit(rows[known], labels[known])
    found = np.full((len(rows), classes), MISSING)
    found[:, model.classes_] = model.predict_log_proba(rows)
    return found
