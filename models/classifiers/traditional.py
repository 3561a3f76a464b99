"""What was done before networks: a linear SVM on gradients (Dalal & Triggs, 2005), and votes of the nearest images
(Cover & Hart, 1967)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..settings import TraditionalSettings

GRADIENTS_PX, CELL_PX = 32, 4  # side at which gradients are counted, and of the cells in which they are
PIXELS_PX = 32  # longest side at which pixels are compared
PENALTIES = (0.01, 0.1, 1.0)  # that cross-validation chooses from
VOTES = (1, 3, 5, 10, 20)
CHOOSING_ROWS = 2000  # labels that cross-validation takes, at the most


def gradients(images: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients -> float32 [B, D].

    Args:
        images: uint8 [B, C, S, S]
    """
    from skimage.feature import hog

    small = _resize(images, GRADIENTS_PX)
    cells = dict(orientations=9, pixels_per_cell=(CELL_PX, CELL_PX), cells_per_block=(2, 2), channel_axis=-1)
    return np.stack([hog(image, **cells) for image in small]).astype(np.float32)


def pixels(images: np.ndarray) -> np.ndarray:
    """Pixels as they are, 0..1, of images of at most 32 px -> float32 [B, D].

    Args:
        images: uint8 [B, C, S, S]
    """
    small = _resize(images, min(images.shape[-1], PIXELS_PX))
    return small.reshape(len(small), -1).astype(np.float32) / 255


def svm(
    vectors: np.ndarray, labels: np.ndarray, new: np.ndarray, classes: int, settings: TraditionalSettings
) -> np.ndarray:
    """A linear SVM, one class against the rest, of `vectors` -> probabilities of `new` vectors [M, K].

    A distance to a hyperplane is no probability: these are their softmax, which keeps their order.

    Args:
        vectors: [N, D]
        labels: class of each vector [N]
    """
    from scipy.special import softmax
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=settings.svm_c or 0.1, dual=True, tol=1e-3, random_state=settings.seed, max_iter=5000)
    if not settings.svm_c:
        model = _choose(model, {"C": list(PENALTIES)}, vectors, labels, settings.seed)
    model.fit(vectors, labels)
    scores = model.decision_function(new)
    if scores.ndim == 1:  # scikit-learn keeps one column for two classes
        scores = np.stack([-scores, scores], axis=1)
    probabilities = np.zeros((len(new), classes))
    probabilities[:, model.classes_] = softmax(scores, axis=1)
    return probabilities


def nearest(
    vectors: np.ndarray, labels: np.ndarray, new: np.ndarray, classes: int, settings: TraditionalSettings
) -> np.ndarray:
    """The share of each class among the nearest `vectors`, the nearer the weightier -> of `new` vectors [M, K].

    Args:
        vectors: [N, D]
        labels: class of each vector [N]
    """
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(settings.knn_neighbours or 1, len(labels)), weights="distance")
    if not settings.knn_neighbours:
        choices = [count for count in VOTES if count <= max(len(labels) // 2, 1)]  # folds train on half, or more
        model = _choose(model, {"n_neighbors": choices}, vectors, labels, settings.seed)
    model.fit(vectors, labels)
    probabilities = np.zeros((len(new), classes))
    probabilities[:, model.classes_] = model.predict_proba(new)
    return probabilities


def _choose(model: Any, values: dict[str, list[Any]], vectors: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """The model with the parameter that cross-validation of the training labels finds best; as it is, where a class
    has one label alone."""
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    rows = np.random.default_rng(seed).permutation(len(labels))[:CHOOSING_ROWS]
    folds = min(3, int(np.bincount(labels[rows])[np.unique(labels[rows])].min()))
    if folds < 2:
        return model
    cut = StratifiedKFold(folds, shuffle=True, random_state=seed)
    search = GridSearchCV(model, values, cv=cut, refit=False).fit(vectors[rows], labels[rows])
    return model.set_params(**search.best_params_)


def _resize(images: np.ndarray, side_px: int) -> np.ndarray:
    """uint8 [B, C, S, S] -> uint8 [B, side_px, side_px, C]."""
    import cv2

    planes = [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in images]
    how = cv2.INTER_AREA if images.shape[-1] > side_px else cv2.INTER_LINEAR
    small = [cv2.resize(plane, (side_px, side_px), interpolation=how) for plane in planes]
    return np.stack(small).reshape(len(images), side_px, side_px, images.shape[1])
