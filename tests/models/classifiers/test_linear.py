"""Logistic regression beside scikit-learn's, and its files."""

import warnings

import numpy as np
import pytest
from evenset.models.classifiers import linear
from evenset.models.classifiers.tuned_regression import STRENGTHS
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler


def clusters(classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), 40)
    return rng.normal(np.eye(8)[labels] * 4, 2.0).astype("float32"), labels


@pytest.mark.parametrize("classes", [2, 5])
def test_probabilities_are_those_of_scikit_learn(classes: int):
    vectors, labels = clusters(classes)
    model = linear.train(vectors, labels, classes)
    scaled = (vectors - vectors.mean(0)) / vectors.std(0) / np.sqrt(8)
    peers = [LogisticRegression(C=c, max_iter=2000).fit(scaled, labels).predict_proba(scaled) for c in STRENGTHS]

    ours = softmax(linear.predict(model, vectors), axis=1)

    assert min(np.abs(ours - peer).max() for peer in peers) < 0.02


def test_few_labels_of_long_vectors_are_learned_as_well_as_by_scikit_learn():
    rng = np.random.default_rng(0)
    means, labels = rng.normal(0, 0.25, (4, 600)), np.repeat(np.arange(4), [1, 5, 20, 40])
    hidden = rng.integers(0, 4, 2000)
    vectors, test = means[labels] + rng.normal(0, 1, (66, 600)), means[hidden] + rng.normal(0, 1, (2000, 600))
    scaler = StandardScaler().fit(vectors)
    peer = GridSearchCV(LogisticRegression(max_iter=2000), {"C": [0.001, 0.01, 0.1, 1.0]}, cv=2)

    ours = linear.predict(linear.train(vectors, labels, 4), test).argmax(1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one class has a single label
        theirs = peer.fit(scaler.transform(vectors), labels).predict(scaler.transform(test))
    assert (ours == hidden).mean() >= (theirs == hidden).mean() - 0.01


def test_one_label_of_each_class_suffices():
    vectors, labels = clusters(3)
    model = linear.train(vectors[[0, 40, 80]], labels[[0, 40, 80]], 3)

    assert (linear.predict(model, vectors).argmax(1) == labels).mean() > 0.5


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
