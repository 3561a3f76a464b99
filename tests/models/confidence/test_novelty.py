import numpy as np
from evenset.models.confidence import novelty
from sklearn.metrics.pairwise import cosine_distances


def test_the_distance_is_the_nearest_cosine_distance():
    rng = np.random.default_rng(0)
    some, known = rng.normal(size=(70, 16)), rng.normal(size=(30, 16))

    assert np.allclose(novelty.distances(some, known, batch=32), cosine_distances(some, known).min(1))


def test_a_new_kind_lies_beyond_the_fence_and_the_known_kinds_do_not():
    rng = np.random.default_rng(0)
    centres = np.eye(20)[:4] * 10

    def draw(kind: np.ndarray, count: int) -> np.ndarray:
        return kind + rng.normal(0, 1, (count, 20))

    known = np.vstack([draw(centre, 100) for centre in centres])
    held = np.vstack([draw(centre, 25) for centre in centres])
    limit = novelty.tukey_fence(novelty.distances(held, known))

    assert (novelty.distances(draw(np.eye(20)[7] * 10, 50), known) > limit).mean() > 0.95
    assert (novelty.distances(np.vstack([draw(centre, 50) for centre in centres]), known) > limit).mean() < 0.02


def test_too_few_held_out_images_call_nothing_novel():
    assert novelty.tukey_fence(np.ones(7)) == np.inf
