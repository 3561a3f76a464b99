"""Classifiers from before neural networks: a linear SVM on HOG (Dalal & Triggs, 2005), and k nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..settings import TraditionalSettings

HOG_PX, CELL_PX = 32, 4  # sides of the image and of the cells for HOG
MAX_PIXELS_PX = 32  # side of the image for k-NN
SVM_C_GRID = (0.01, 0.1, 1.0)  # for cross-validation
NEIGHBOURS_GRID = (1, 3, 5, 10, 20)
MAX_TUNING_LABELS = 2000  # for cross-validation


def gradients(images: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients -> float32 [B, D].

    Args:
        images: uint8 [B, C, S, S]
    """
    from skimage.feature import hog

    small = _resize(images, HOG_PX)
    cells = dict(orientations=9, pixels_per_cell=(CELL_PX, CELL_PX), cells_per_block=(2, 2), channel_axis=-1)
    return np.stack([hog(image, **cells) for image in small]).astype(np.float32)


def pixels(images: np.ndarray) -> np.ndarray:
    """Pixels, 0..1, of images reduced to at most 32 px -> float32 [B, D].

    Args:
        images: uint8 [B, C, S, S]
    """
    small = _resize(images, min(images.shape[-1], MAX_PIXELS_PX))
    return small.reshape(len(small), -1).astype(np.float32) / 255


def svm(
    vectors: np.ndarray, labels: np.ndarray, new: np.ndarray, classes: int, settings: TraditionalSettings
) -> np.ndarray:
    """Linear SVM, one against the rest -> probabilities of `new` vectors [M, K].

    They are the softmax of the distances to the hyperplanes, and not calibrated.

    Args:
        vectors: [N, D]
        labels: class of each vector [N]
    """
    from scipy.special import softmax
    from sklearn.svm import LinearSVC

    model = LinearSVC(C=settings.svm_c or 0.1, dual=True, tol=1e-3, random_state=settings.seed, max_iter=5000)
    if not settings.svm_c:
        model = _tune(model, {"C": list(SVM_C_GRID)}, vectors, labels, settings.seed)
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
    """k nearest neighbours (Cover & Hart, 1967), weighted by inverse distance -> probabilities of `new` vectors [M, K].

    Args:
        vectors: [N, D]
        labels: class of each vector [N]
    """
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(settings.knn_neighbours or 1, len(labels)), weights="distance")
    if not settings.knn_neighbours:
        grid = [count for count in NEIGHBOURS_GRID if count <= max(len(labels) // 2, 1)]  # folds train on half, or more
        model = _tune(model, {"n_neighbors": grid}, vectors, labels, settings.seed)
    model.fit(vectors, labels)
    probabilities = np.zeros((len(new), classes))
    probabilities[:, model.classes_] = model.predict_proba(new)
    return probabilities


def _tune(model: Any, grid: dict[str, list[Any]], vectors: np.ndarray, labels: np.ndarray, seed: int) -> Any:
    """Sets the parameter by cross-validation on the training labels; unchanged where a class has only one label."""
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    rows = np.random.default_rng(seed).permutation(len(labels))[:MAX_TUNING_LABELS]
    folds = min(3, int(np.bincount(labels[rows])[np.unique(labels[rows])].min()))
    if folds < 2:
        return model
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    search = GridSearchCV(model, grid, cv=splitter, refit=False).fit(vectors[rows], labels[rows])
    return model.set_params(**search.best_params_)


def _resize(images: np.ndarray, side_px: int) -> np.ndarray:
    """uint8 [B, C, S, S] -> uint8 [B, side_px, side_px, C]."""
    import cv2

    pixels = [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in images]
    interpolation = cv2.INTER_AREA if images.shape[-1] > side_px else cv2.INTER_LINEAR
    resized = [cv2.resize(image, (side_px, side_px), interpolation=interpolation) for image in pixels]
    return np.stack(resized).reshape(len(images), side_px, side_px, images.shape[1])
