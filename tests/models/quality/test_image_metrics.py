"""Distances of sets of embeddings, beside formulas and loops."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.quality import image_metrics
from scipy.linalg import sqrtm


def clouds(real=60, fake=50, shift=0.5, dims=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(real, dims)), rng.normal(shift, 1.3, size=(fake, dims))


def test_kid_is_the_unbiased_estimate_of_the_polynomial_kernel():
    real, fake = clouds(50, 50)

    mean, std = image_metrics.kid(real, fake)

    def kernel(one, two):
        return (np.dot(one, two) / 4 + 1) ** 3

    same = sum(kernel(rows[i], rows[j]) for rows in (real, fake) for i in range(50) for j in range(50) if i != j)
    apart = sum(kernel(one, two) for one in real for two in fake)
    assert mean == pytest.approx(same / (50 * 49) - 2 * apart / 50**2)
    assert std == pytest.approx(0, abs=1e-9)  # every subset is the whole


def test_kid_tells_like_from_unlike_and_its_seed_fixes_it(monkeypatch):
    monkeypatch.setattr(image_metrics, "SUBSET", 200)
    real, fake = clouds(600, 300)
    like = np.random.default_rng(1).normal(size=(400, 4))

    near, near_std = image_metrics.kid(real, like)
    far, far_std = image_metrics.kid(real, fake)

    assert abs(near) < 3 * near_std < far - 3 * far_std
    assert image_metrics.kid(real, fake) == (far, far_std)
    assert image_metrics.kid(real, fake, seed=1) != (far, far_std)


def test_fid_is_the_distance_of_two_normal_distributions():
    real, fake = clouds()

    means, spreads = (real.mean(0), fake.mean(0)), (np.cov(real.T), np.cov(fake.T))
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(
        spreads[0] + spreads[1] - 2 * sqrtm(spreads[0] @ spreads[1]).real
    )
    assert image_metrics.fid(real, fake) == pytest.approx(expected)
    assert image_metrics.fid(real, real) == pytest.approx(0, abs=1e-6)
    assert image_metrics.fid(real, real + 2) == pytest.approx(4 * 4)


@pytest.mark.parametrize("neighbours", [1, 5])
def test_precision_recall_density_and_coverage_are_those_of_plain_loops(monkeypatch, neighbours):
    monkeypatch.setattr(image_metrics, "BLOCK", 7)
    real, fake = clouds(60, 50, shift=2.5, dims=2)

    def ball(rows, i):
        return sorted(np.linalg.norm(rows[i] - rows[j]) for j in range(len(rows)) if j != i)[neighbours - 1]

    real_balls, fake_balls = ([ball(rows, i) for i in range(len(rows))] for rows in (real, fake))
    apart = [[np.linalg.norm(one - two) for two in fake] for one in real]
    pairs = [(i, j) for i in range(60) for j in range(50)]
    found = image_metrics.prdc(real, fake, neighbours)

    assert found == pytest.approx(
        {
            "precision": len({j for i, j in pairs if apart[i][j] <= real_balls[i]}) / 50,
            "recall": len({i for i, j in pairs if apart[i][j] <= fake_balls[j]}) / 60,
            "density": sum(apart[i][j] <= real_balls[i] for i, j in pairs) / (50 * neighbours),
            "coverage": len({i for i, j in pairs if apart[i][j] <= real_balls[i]}) / 60,
        }
    )
    assert all(0 < value < 1 for name, value in found.items() if name != "density")


def test_copies_of_few_images_are_precise_and_cover_little():
    real, _ = clouds(400, 5, dims=3)
    few = np.repeat(real[:4], 50, axis=0) + np.random.default_rng(2).normal(0, 1e-3, (200, 3))

    found = image_metrics.prdc(real, few)

    assert found["precision"] == 1 and found["coverage"] < 0.2 and found["recall"] < 0.05


@pytest.mark.parametrize("measure", [image_metrics.kid, image_metrics.fid, image_metrics.prdc])
def test_too_few_images_are_refused_in_a_sentence(measure):
    real, fake = clouds()
    with pytest.raises(ValueError, match="60 real and 1 generated"):
        measure(real, fake[:1])
