"""Features of a sample's neighbourhood: embeddings normalised, projected to what neighbours share, and propagated.

Logistic regression on propagated features is SGC (Wu et al., 2019).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..vectors import EPS, unit_rows

SHRINKAGE = 0.05  # of the covariance, towards equal variances


def power_normalise(vectors: np.ndarray, dimensions: int, seed: int = 0) -> np.ndarray:
    """Vectors centred, of length 1, reduced by PCA [N, d].

    Of vectors without negative numbers (as after a ReLU) the square roots are taken first, so that few large numbers do
    not dominate distances (power normalisation, Perronnin et al., 2010).

    Args:
        vectors: finite [N, D]
        dimensions: d, at most
    """
    from sklearn.decomposition import PCA

    rows = np.sqrt(vectors) if (vectors >= 0).all() else vectors
    rows = unit_rows(rows - rows.mean(axis=0))
    dimensions = min(dimensions, *rows.shape)
    return to_unit_rms(PCA(dimensions, svd_solver="randomized", random_state=seed).fit_transform(rows))


def preserve_locality(rows: np.ndarray, adjacency: sp.csr_array) -> np.ndarray:
    """Locality preserving projections (He & Niyogi, 2003), weighted by squared eigenvalues [N, d].

    An eigenvalue is the correlation of neighbours along its direction. It is linear discriminant analysis without
    labels: directions that neighbours share become long, others short.

    Args:
        rows: [N, d]
        adjacency: normalised, CSR [N, N]
    """
    from scipy.linalg import eigh

    rows = (rows - rows.mean(axis=0)).astype(np.float64)
    covariance, local = rows.T @ rows, rows.T @ (adjacency @ rows)
    ridge = SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    eigenvalues, directions = eigh((local + local.T) / 2, covariance + ridge)
    return to_unit_rms(rows @ (directions * np.maximum(eigenvalues, 0) ** 2))


def propagate(rows: np.ndarray, adjacency: sp.csr_array, hops: int, teleport: float = 0.0) -> np.ndarray:
    """Rows propagated over `hops` hops [N, d]: SGC, or APPNP (Gasteiger et al., 2019) with a teleport probability.

    Args:
        rows: [N, d]
        adjacency: normalised, CSR [N, N]
        teleport: weight of the sample's own row in each hop, 0..1
    """
    propagated = rows
    for _ in range(hops):
        propagated = (1 - teleport) * (adjacency @ propagated) + teleport * rows
    return to_unit_rms(propagated)


def to_unit_rms(rows: np.ndarray) -> np.ndarray:
    """Scales all rows by one number, so that their mean squared length is 1."""
    return np.asarray(rows / max(np.sqrt((rows**2).sum(axis=1).mean()), EPS), np.float32)
