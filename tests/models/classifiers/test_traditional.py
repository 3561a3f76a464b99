from __future__ import annotations

import numpy as np
import pytest
from evenset.models.classifiers import traditional
from evenset.models.settings import TraditionalSettings
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

METHODS = {"svm": (traditional.svm, traditional.gradients), "k-nn": (traditional.nearest, traditional.pixels)}


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, 1, 8, 8] and classes [N]."""
    pixels, labels = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(labels))[:count]
    return (pixels[rows].reshape(-1, 1, 8, 8) * (255 / 16)).astype("uint8"), labels[rows]


@pytest.mark.parametrize(("method", "least"), [("svm", 0.94), ("k-nn", 0.94)])
def test_digits_are_classified(method, least):
    predict, describe = METHODS[method]
    images, labels = digits(700)
    vectors = describe(images)

    probabilities = predict(vectors[:400], labels[:400], vectors[400:], 10, TraditionalSettings())

    assert (probabilities.argmax(1) == labels[400:]).mean() >= least
    assert np.allclose(probabilities.sum(1), 1) and probabilities.min() >= 0


def test_a_value_of_c_gives_scikit_learns_linear_svm():
    images, labels = digits(200)
    vectors = traditional.gradients(images)

    probabilities = traditional.svm(vectors[:150], labels[:150], vectors[150:], 10, TraditionalSettings(svm_c=0.3))

    oracle = LinearSVC(C=0.3, random_state=0).fit(vectors[:150], labels[:150])
    assert np.array_equal(probabilities.argmax(1), oracle.predict(vectors[150:]))


def test_a_number_of_neighbours_gives_those_of_scikit_learn():
    images, labels = digits(200)
    vectors = traditional.pixels(images)

    probabilities = traditional.nearest(
        vectors[:150], labels[:150], vectors[150:], 10, TraditionalSettings(knn_neighbours=7)
    )

    oracle = KNeighborsClassifier(7, weights="distance").fit(vectors[:150], labels[:150])
    assert np.array_equal(probabilities, oracle.predict_proba(vectors[150:]))


@pytest.mark.parametrize("method", METHODS)
def test_a_class_without_a_label_is_never_predicted_and_two_classes_are_enough(method):
    predict, describe = METHODS[method]
    images = np.zeros((8, 3, 16, 16), dtype="uint8")
    images[4:, :, :8] = 200
    vectors = describe(images)
    labels = np.repeat([0, 2], 4)

    probabilities = predict(vectors, labels, vectors, 4, TraditionalSettings())

    assert probabilities.argmax(1).tolist() == labels.tolist()
    assert (probabilities[:, [1, 3]] == 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_one_label_a_class_leaves_nothing_to_validate_and_works(method):
    predict, describe = METHODS[method]
    images = np.zeros((2, 1, 8, 8), dtype="uint8")
    images[1, :, :, :4] = 255
    vectors = describe(images)

    assert predict(vectors, np.arange(2), vectors, 2, TraditionalSettings()).argmax(1).tolist() == [0, 1]


def test_the_number_of_neighbours_is_chosen_by_the_training_labels():
    """Every tenth label is wrong: the nearest one is correct nine times in ten, and the majority always."""
    rng = np.random.default_rng(0)
    truth = np.arange(600) % 2
    vectors = rng.normal(truth[:, None] * 6.0, 1.0, (600, 2))
    labels = np.where(np.arange(600) % 20 < 2, 1 - truth, truth)

    def accuracy(neighbours: int | None) -> float:
        probabilities = traditional.nearest(
            vectors[:500], labels[:500], vectors[500:], 2, TraditionalSettings(knn_neighbours=neighbours)
        )
        return float((probabilities.argmax(1) == truth[500:]).mean())

    assert accuracy(1) < 0.95
    assert accuracy(None) == 1.0


def test_gradients_count_directions_not_brightness():
    stripes = np.tile((np.arange(32) % 8 < 4) * 100, (32, 1)).astype("uint8")
    images = np.stack([stripes, stripes + 50, stripes.T])[:, None]

    plain, brighter, turned = traditional.gradients(images)

    assert np.allclose(plain, brighter, atol=1e-6)
    assert not np.allclose(plain, turned, atol=0.1)


def test_pixels_are_the_image_between_0_and_1():
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype("uint8")

    assert np.array_equal(traditional.pixels(images), images.reshape(3, 64).astype("float32") / 255)
    assert traditional.pixels(np.zeros((2, 3, 64, 64), dtype="uint8")).shape == (2, 3 * 32 * 32)
