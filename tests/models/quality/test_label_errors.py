"""Mistakes: beside cleanlab's own scores and closed forms, and each thing that must not be looked at."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.rank import get_label_quality_scores
from evenset.models import mapped
from evenset.models.quality import label_errors, label_neighbours
from sklearn.metrics import average_precision_score

CLEANLAB = label_errors.METHODS[2:]


def noisy(confusion: np.ndarray, count: int = 6000, sharpness: float = 3.0, seed: int = 0):
    """Images that are chances [N, K], classes drawn by these, labels drawn by `confusion`, and what a perfect model of
    the labels says of each image [N, K]."""
    rng = np.random.default_rng(seed)
    chances = rng.normal(size=(count, len(confusion))) * sharpness
    chances = np.exp(chances) / np.exp(chances).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(len(confusion), p=row) for row in chances])
    labels = np.array([rng.choice(len(confusion), p=confusion[name]) for name in truth])
    return chances, truth, labels, chances @ confusion


def uniform(classes: int, rate: float) -> np.ndarray:
    return np.eye(classes) * (1 - rate - rate / (classes - 1)) + rate / (classes - 1)


def cyclic(classes: int, rate: float) -> np.ndarray:
    return (1 - rate) * np.eye(classes) + rate * np.roll(np.eye(classes), 1, axis=1)


@pytest.mark.parametrize("method", CLEANLAB)
def test_the_scores_of_cleanlab_are_theirs_turned_round(method):
    _, _, labels, probabilities = noisy(uniform(4, 0.2), 300)

    ours = label_errors.mistakenness(probabilities, labels, method=method)

    assert np.allclose(ours, 1 - get_label_quality_scores(labels, probabilities, method=method))


def test_another_method_is_refused_by_its_name():
    with pytest.raises(ValueError, match="no method 'margin': choose one of noise_mixture, evenset, self"):
        label_errors.mistakenness(np.full((2, 2), 0.5), np.array([0, 1]), method="margin")


def best_possible(confusion: np.ndarray):
    """What Bayes' rule says with the true chances and the true confusion; beside it our score, and cleanlab's best."""
    chances, truth, labels, probabilities = noisy(confusion)
    rows, wrong = np.arange(len(labels)), labels != truth
    ideal = 1 - chances[rows, labels] * confusion[labels, labels] / probabilities[rows, labels]
    ours = label_errors.mistakenness(probabilities, labels)
    theirs = [label_errors.mistakenness(probabilities, labels, method=name) for name in CLEANLAB]
    assert ours.min() >= 0 and ours.max() <= 1
    assert abs(ours.mean() - wrong.mean()) < 0.05  # the scores are probabilities
    return [average_precision_score(wrong, scores) for scores in (ideal, ours)], max(
        average_precision_score(wrong, scores) for scores in theirs
    )


def test_mistakes_that_are_anything_are_found_as_well_as_can_be():
    (ideal, ours), _ = best_possible(uniform(5, 0.3))
    assert ours > ideal - 0.01


def test_mistakes_that_are_always_the_same_are_found_where_a_score_of_the_model_alone_is_lost():
    (ideal, ours), theirs = best_possible(cyclic(5, 0.3))
    assert ours > ideal - 0.05 and theirs < ideal - 0.3


def test_the_confusion_is_found_and_taken_out():
    confusion = cyclic(4, 0.3)
    chances, _, labels, probabilities = noisy(confusion)

    assert np.abs(label_errors.noise_transition_matrix(probabilities, labels) - confusion).max() < 0.12
    assert np.abs(label_errors.deconvolve_noise(probabilities, confusion) - chances).mean() < 0.02


def test_few_labels_show_no_confusion_that_is_chance():
    """Of 60 labels, two wrong ones are anything: the next such label is no likelier for it."""
    _, _, labels, probabilities = noisy(uniform(3, 0.1), 60, sharpness=6.0)
    found = label_errors.noise_transition_matrix(probabilities, labels)
    off = found[~np.eye(3, dtype=bool)]
    assert off.max() < 2 * off.min()


def test_a_rows_own_label_has_no_part_in_its_average():
    """A leak is planted: the model of fold 1 knows the labels of fold 0, and would be certain of them."""
    rng = np.random.default_rng(0)
    folds, labels = np.arange(40) % 2, rng.integers(0, 2, 40)
    predictions = np.full((2, 40, 2), 0.5)
    predictions[1 - folds, np.arange(40)] = np.eye(2)[labels]  # the model that has seen a row
    neighbours = np.stack([np.roll(np.arange(40), 2), np.roll(np.arange(40), 4)], axis=1)  # of the same fold

    for fold in (0, 1):
        rows = np.flatnonzero(folds == fold)
        assert (label_errors.average(predictions[fold], rows, neighbours[rows]) == 0.5).all()


def test_the_average_is_half_the_rows_own_and_half_its_neighbours():
    predictions = np.array([[1.0, 0.0], [0.6, 0.4], [0.2, 0.8]])
    neighbours = np.array([[1, 2], [2, -1], [-1, -1]])

    found = label_errors.average(predictions, np.arange(3), neighbours)

    assert np.allclose(found[:, 0], [(1.0 + 0.4) / 2, (0.6 + 0.2) / 2, 0.2])
    scores = label_errors.mistakenness(predictions, np.array([0, 0, 1]), neighbours, method="self_confidence")
    assert np.allclose(scores, 1 - found[np.arange(3), [0, 0, 1]])


def test_votes_never_count_the_row_itself():
    neighbours = np.array([[0, 1, 2], [0, 2, -1], [0, 1, 2]])
    votes, others = label_neighbours.neighbour_votes(np.array([0, 1, 1]), neighbours, np.array([1, 0, 1]))
    assert votes.tolist() == [2, 1, 1] and others.tolist() == [2, 2, 2]


@pytest.mark.parametrize("confusion", [uniform(5, 0.2), cyclic(5, 0.2)], ids=["uniform", "confusable"])
def test_what_is_flagged_is_mostly_wrong_and_differs_from_its_label(confusion):
    _, truth, labels, probabilities = noisy(confusion, sharpness=6.0)
    scores = label_errors.mistakenness(probabilities, labels)

    chances = label_errors.posterior(probabilities, labels)

    flags = label_errors.flag(probabilities, labels, scores, chances)

    wrong = labels != truth
    assert wrong[flags].mean() > 0.75 and flags[wrong].mean() > 0.75
    assert scores[flags].min() >= np.quantile(scores[~flags], 0.9)
    suggestions = label_errors.suggest(chances, labels, flags)
    assert (suggestions[flags] != labels[flags]).all()
    assert (suggestions[flags & wrong] == truth[flags & wrong]).mean() > 0.8


def flagged(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    clean = label_errors.posterior(probabilities, labels)
    return label_errors.flag(probabilities, labels, label_errors.mistakenness(probabilities, labels), clean)


def test_clean_labels_are_left_alone():
    _, truth, _, probabilities = noisy(np.eye(4), 2000, sharpness=30.0)
    assert flagged(probabilities, truth).mean() < 0.03


@pytest.mark.parametrize("sharpness, count, most", [(0.7, 400, 0.12), (3.0, 2000, 0.3)])
def test_the_errors_of_a_weak_model_do_not_pass_for_those_of_the_labels(sharpness, count, most):
    """A model that knows little beside one that knows the classes; 8 and 20 % of the labels are wrong."""
    rate = 0.08 if count == 400 else 0.2
    chances, truth, labels, _ = noisy(uniform(10, rate), count, sharpness)
    blurred = chances**0.5 / (chances**0.5).sum(axis=1, keepdims=True)

    clean = label_errors.mixture_posterior(blurred, labels)
    scores = 1 - clean[np.arange(count), labels]
    flags = label_errors.flag(blurred, labels, scores, clean)

    assert 0.4 * rate < scores.mean() < most
    assert flags.sum() <= max(2 * scores.sum() + 1, (scores > 0.5).sum())


def test_one_class_and_classes_without_a_label_are_no_trouble():
    probabilities = np.tile([0.1, 0.7, 0.2], (30, 1))
    labels = np.ones(30, dtype=int)
    scores = label_errors.mistakenness(probabilities, labels)
    assert np.isfinite(scores).all() and not flagged(probabilities, labels).any()
    labels[:3] = 0  # class 2 has none
    assert np.isfinite(label_errors.mistakenness(probabilities, labels)).all()
    assert flagged(probabilities, labels).dtype == bool


def test_a_model_that_is_always_wrong_is_no_trouble():
    probabilities = np.tile(np.eye(3)[[0, 1, 2]] * 0.97 + 0.01, (10, 1))
    labels = np.tile([1, 2, 0], 10)
    with np.errstate(all="raise"):
        found = label_errors.noise_transition_matrix(probabilities, labels)
        assert np.isfinite(label_errors.mistakenness(probabilities, labels)).all()
    assert np.allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("dimensions", [2, 8, 64])
def test_near_duplicates_are_what_chance_would_not_put_so_near(dimensions):
    from evenset.models.graphs import nearest_neighbours
    from evenset.models.settings import GraphSettings

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(600, dimensions))
    vectors[1] = vectors[0]
    vectors[3] = vectors[2] + 1e-4 * rng.normal(size=dimensions)
    found = nearest_neighbours.build(vectors, GraphSettings(metric="euclidean", pca_dim=None))

    groups = label_neighbours.near_duplicates(found.neighbours, found.distances)

    assert groups[0] == groups[1] and groups[2] == groups[3]
    assert len(np.unique(groups)) >= 596  # by chance, two more at the most


def test_of_near_duplicates_the_majority_stays_and_in_a_tie_the_label_that_fits_best():
    labels = np.array([0, 0, 1, 2, 1, 0, 0, 3, 4, 5])
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 4, 4, 4])
    scores = np.array([0.9, 0.8, 0.1, 0.7, 0.6, 0.5, 0.5, 0.3, 0.2, 0.4])

    assert label_neighbours.contradictions(labels, groups, scores).tolist() == [-1, -1, 1, 4, -1, -1, -1, 8, -1, 8]


def test_of_near_duplicates_the_label_that_a_person_called_right_stays():
    labels, groups, scores = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), np.array([0.1, 0.1, 0.9, 0.1])

    assert label_neighbours.contradictions(labels, groups, scores, np.array([0, 0, 1, 0], bool)).tolist() == [
        2,
        2,
        -1,
        -1,
    ]
    assert label_neighbours.contradictions(labels, groups, scores, np.array([0, 1, 1, 0], bool)).tolist() == [
        -1,
        -1,
        0,
        -1,
    ]


@pytest.mark.parametrize("compute", label_errors.POSTERIORS.values())
def test_blocks_of_rows_give_what_all_rows_at_once_do(monkeypatch, compute):
    _, _, labels, probabilities = noisy(uniform(5, 0.2), sharpness=6.0)
    whole = compute(probabilities, labels)

    monkeypatch.setattr("evenset.models.probabilities.BLOCK_NUMBERS", 7000)
    parts = compute(probabilities, labels, np.empty_like(probabilities))

    np.testing.assert_allclose(parts, whole, rtol=1e-6)


def test_confident_learning_counts_in_a_file_what_it_counts_in_memory(monkeypatch, tmp_path):
    monkeypatch.setattr("evenset.models.probabilities.BLOCK_NUMBERS", 7000)
    _, _, labels, probabilities = noisy(uniform(5, 0.2), sharpness=6.0)
    table = mapped.empty(probabilities.shape, tmp_path / "table.npy", np.float64)
    table[:] = probabilities

    in_memory, in_file = (label_errors._count_issues(values, labels) for values in (probabilities, table))

    assert in_memory > 100 and abs(in_file - in_memory) <= 1
