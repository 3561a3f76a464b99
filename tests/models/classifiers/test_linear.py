"""Logistic regression beside scikit-learn's, and its files."""

import numpy as np
import pytest
from evenset.models.classifiers import linear
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression


def clusters(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), 40)
    return rng.normal(np.eye(8)[labels] * 4, 1.0).astype("float32"), labels


@pytest.mark.parametrize("classes", [2, 5])
def test_probabilities_are_those_of_scikit_learn(classes: int):
    vectors, labels = clusters(classes)
    model = linear.train(vectors, labels, classes)
    scaled = (vectors - vectors.mean(0)) / vectors.std(0)
    peers = [
        LogisticRegression(C=c, max_iter=2000).fit(scaled, labels).predict_proba(scaled) for c in (1e-3, 1e-2, 0.1, 1)
    ]

    ours = softmax(linear.predict(model, vectors), axis=1)

    assert min(np.abs(ours - peer).max() for peer in peers) < 1e-4


def test_a_class_without_labels_is_never_predicted_and_files_keep_the_model(tmp_path):
    vectors, labels = clusters(3)
    model = linear.train(vectors, np.where(labels == 2, 3, labels), 4)
    linear.save(model, tmp_path / "model.safetensors", {"names": list("abcd")})
    again, notes = linear.load(tmp_path / "model.safetensors")

    assert 2 not in linear.predict(model, vectors).argmax(1)
    assert np.array_equal(linear.predict(again, vectors), linear.predict(model, vectors))
    assert notes["names"] == list("abcd")


def test_vectors_of_another_length_are_refused():
    model = linear.train(*clusters(2), 2)

    with pytest.raises(ValueError, match="have 5 numbers, but the model was trained on 8"):
        linear.predict(model, np.zeros((3, 5)))
