"""What neighbours say without a label, beside dense matrices, scikit-learn, and data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from evenset.models.graphs import neighbourhood_features


def ring(n=30):
    """Each node joined to itself and two others, normalised."""
    joined = np.eye(n) + np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1)
    return sp.csr_array(joined.astype(np.float32) / 3)


def squared_length(rows):
    return (rows.astype(np.float64) ** 2).sum(axis=1).mean()


def test_diffusion_is_the_dense_formula():
    rows = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    step = ring().toarray().astype(float)

    powered = np.linalg.matrix_power(step, 3) @ rows
    np.testing.assert_allclose(
        neighbourhood_features.propagate(rows, ring(), 3), powered / np.sqrt(squared_length(powered)), atol=1e-5
    )
    settled = np.linalg.solve(np.eye(30) - 0.8 * step, 0.2 * rows)  # personalised PageRank, hops without end
    found = neighbourhood_features.propagate(rows, ring(), 200, teleport=0.2)
    np.testing.assert_allclose(found, settled / np.sqrt(squared_length(settled)), atol=1e-5)


def test_a_loud_direction_that_neighbours_do_not_share_becomes_quiet():
    """Neighbours on the ring share a slow wave; stronger noise lies in another direction."""
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(300) / 300)
    rows = np.stack([2 * rng.normal(size=300), wave], axis=1) @ np.array([[0.6, 0.8], [-0.8, 0.6]])

    turned = neighbourhood_features.preserve_locality(rows, ring(300))

    assert squared_length(turned) == pytest.approx(1, rel=1e-5)
    longest = turned[:, np.argmax(turned.var(axis=0))]
    assert abs(np.corrcoef(longest, wave)[0, 1]) > 0.98
    assert abs(np.corrcoef(rows[:, 0], wave)[0, 1]) < 0.6


@pytest.mark.parametrize("signed", [False, True])
def test_vectors_are_centred_and_of_one_length_and_the_square_roots_of_those_without_a_sign(signed):
    vectors = np.random.default_rng(0).normal(size=(200, 6)) ** 3
    expected = vectors if signed else np.sqrt(np.abs(vectors))

    rows = neighbourhood_features.power_normalise(vectors if signed else np.abs(vectors), 6)

    expected = expected - expected.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    expected -= expected.mean(axis=0)
    expected /= np.sqrt(squared_length(expected))
    np.testing.assert_allclose(rows @ rows.T, expected @ expected.T, atol=1e-4)  # all directions are kept: a rotation


def test_no_more_directions_than_there_are():
    vectors = np.random.default_rng(0).normal(size=(20, 6))
    assert neighbourhood_features.power_normalise(vectors, 3).shape == (20, 3)
    assert neighbourhood_features.power_normalise(vectors[:4], 6).shape == (4, 4)
