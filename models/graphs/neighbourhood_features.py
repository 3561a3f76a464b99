"""Features of a sample's neighbourhood: embeddings normalised, projected to what neighbours share, and propagated.

Logistic regression on propagated features is SGC (Wu et al., 2019).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..probabilities import blocks
from ..vectors import EPS, unit_rows

PCA_ROWS = 50_000  # that fit the principal components
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

    has_roots = all((vectors[block] >= 0).all() for block in blocks(*vectors.shape))
    mean = np.zeros(vectors.shape[1])
    for block in blocks(*vectors.shape):
        mean += (np.sqrt(vectors[block]) if has_roots else vectors[block]).sum(axis=0, dtype=np.float64)
    mean = (mean / len(vectors)).astype(vectors.dtype)

    def centred(some: np.ndarray) -> np.ndarray:
        return unit_rows((np.sqrt(some) if has_roots else some) - mean)

    drawn = np.random.default_rng(seed).permutation(len(vectors))[:PCA_ROWS]
    pca = PCA(min(dimensions, *vectors.shape), svd_solver="randomized", random_state=seed)
    pca.fit(centred(vectors[np.sort(drawn)]))
    reduced = np.empty((len(vectors), pca.n_components_), np.float32)
    for block in blocks(*vectors.shape):
        reduced[block] = pca.transform(centred(vectors[block]))
    return to_unit_rms(reduced)


def preserve_locality(rows: np.ndarray, adjacency: sp.csr_array) -> np.ndarray:
    """Locality preserving projections (He & Niyogi, 2003), weighted by squared eigenvalues [N, d].

    An eigenvalue is the correlation of neighbours along its direction. It is linear discriminant analysis without
    labels: directions that neighbours share become long, others short.

    Args:
        rows: [N, d]
        adjacency: normalised, CSR [N, N]
    """
    from scipy.linalg import eigh

    rows = rows - rows.mean(axis=0)
    covariance, local = np.zeros((2, rows.shape[1], rows.shape[1]))
    for block in blocks(*rows.shape):
        own = rows[block].astype(np.float64)
        covariance += own.T @ own
        local += own.T @ (adjacency[block] @ rows).astype(np.float64)
    ridge = SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    eigenvalues, directions = eigh((local + local.T) / 2, covariance + ridge)
    return to_unit_rms(rows @ (directions * np.maximum(eigenvalues, 0) ** 2).astype(rows.dtype))


def propagate(rows: np.ndarray, adjacency: sp.csr_array, hops: int, teleport: float = 0.0) -> np.ndarray:
    """Rows propagated over `hops` hops [N, d]: SGC, or APPNP (Gasteiger et al., 2019) with a teleport probability.

    Args:
        rows: [N, d]
        adjacency: normalised, CSR [N, N]
        teleport: weight of the sample's own row in each hop, 0..1
    """
    propagated = rows
    for _ in range(hops):
        propagated = adjacency @ propagated
        propagated *= 1 - teleport
        for block in blocks(*rows.shape) if teleport else ():
            propagated[block] += teleport * rows[block]
    return to_unit_rms(propagated)


def to_unit_rms(rows: np.ndarray) -> np.ndarray:
    """Scales all rows by one number, so that their mean squared length is 1."""
    squares = sum(float(np.square(rows[block], dtype=np.float64).sum()) for block in blocks(*rows.shape))
    return np.asarray(rows / max(np.sqrt(squares / len(rows)), EPS), np.float32)
