import numpy as np
from evenset.models import splits


def test_the_same_image_at_another_brightness_of_noise_is_a_near_duplicate_and_another_is_not():
    rng = np.random.default_rng(0)
    images = rng.random((20, 256)).astype("float32")
    again = np.clip(images[:5] + rng.normal(0, 0.004, (5, 256)), 0, 1).astype("float32")

    groups = splits.near_duplicates(np.vstack([images, again]))

    assert (groups[20:] == groups[:5]).all()
    assert len(np.unique(groups)) == 20


def test_near_duplicates_are_those_of_all_pairs_whatever_the_block_of_rows(monkeypatch):
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import radius_neighbors_graph

    rng = np.random.default_rng(0)
    images = rng.random((12, 64))
    rows = np.vstack([images + rng.normal(0, 0.011, images.shape) for _ in range(6)] + [images, images]).clip(0, 1)
    rows = rows[rng.permutation(len(rows))]
    pattern = rows - rows.mean(1, keepdims=True)
    features = np.hstack([pattern / np.linalg.norm(pattern, axis=1, keepdims=True), rows.mean(1, keepdims=True)])
    expected = connected_components(radius_neighbors_graph(features, np.sqrt(0.002)), directed=False)[1]

    monkeypatch.setattr(splits, "BLOCK_ROWS", 7)
    groups = splits.near_duplicates(rows)

    assert 12 < len(np.unique(expected)) < 80
    assert ((groups[:, None] == groups) == (expected[:, None] == expected)).all()


def test_flat_images_are_duplicates_only_at_the_same_brightness():
    flat = np.repeat(np.array([[0.0], [0.0], [0.5], [1.0]]), 256, axis=1).astype("float32")

    groups = splits.near_duplicates(flat)

    assert groups[0] == groups[1]
    assert len(np.unique(groups)) == 3


def test_joined_groups_connect_what_either_connects():
    groups = splits.join(np.array([0, 0, 1, 2, 3]), np.array(["", "a", "a", "", ""]))

    assert groups[0] == groups[1] == groups[2]
    assert len({groups[2], groups[3], groups[4]}) == 3


def test_a_draw_keeps_groups_whole_shares_even_and_every_class_in_training():
    rng = np.random.default_rng(1)
    labels = rng.choice(4, 400, p=[0.6, 0.3, 0.08, 0.02])
    groups = rng.integers(0, 150, 400)

    drawn = splits.draw(labels, groups, 0.25, seed=3, stratify=True)

    assert all(drawn[groups == g].all() or not drawn[groups == g].any() for g in np.unique(groups))
    assert set(labels[~drawn]) == set(labels)
    assert abs(drawn.mean() - 0.25) < 0.06
    assert abs(drawn[labels == 0].mean() - 0.25) < 0.08


def test_a_plain_draw_is_half_of_the_samples_and_the_same_for_the_same_seed():
    labels = np.random.default_rng(0).integers(0, 10, 300)
    one = splits.draw(labels, np.arange(300), 0.5, seed=0, stratify=False)

    assert one.sum() == 150
    assert (one == splits.draw(labels, np.arange(300), 0.5, seed=0, stratify=False)).all()
    assert (one != splits.draw(labels, np.arange(300), 0.5, seed=1, stratify=False)).any()


def test_a_class_with_one_label_is_never_drawn():
    labels = np.array([0] * 20 + [1])

    assert not any(splits.draw(labels, np.arange(21), 0.5, seed, stratify=False)[20] for seed in range(30))


def test_a_class_of_large_groups_is_drawn_from_too():
    """Five products of 20 pictures in each class: 15 % of a class is less than a product."""
    labels, groups = np.repeat([0, 1, 2], 100), np.arange(300) // 20

    drawn = splits.draw(labels, groups, 0.15, seed=0, stratify=True)

    assert np.bincount(labels[drawn]).tolist() == [20, 20, 20]
    assert len(np.unique(groups[drawn])) == 3


def test_a_mirrored_copy_is_a_near_duplicate_where_it_is_asked_for():
    images = np.random.default_rng(0).random((6, 16, 16)).astype("float32")
    thumbnails = np.vstack([images.reshape(6, -1), images[2, :, ::-1].reshape(1, -1)])

    assert len(np.unique(splits.near_duplicates(thumbnails))) == 7
    groups = splits.near_duplicates(thumbnails, mirrored=True)
    assert groups[6] == groups[2] and len(np.unique(groups)) == 6


def test_similar_vectors_are_those_above_the_cosine_similarity_whatever_their_length():
    vectors = np.array([[1, 0, 0], [20, 1, 0], [0, 1, 0], [0, 0, 0]], dtype="float32")  # the cosine of two is .9988

    groups = splits.similar_vectors(vectors, 0.99)
    assert groups[0] == groups[1] and len(np.unique(groups)) == 3
    assert len(np.unique(splits.similar_vectors(vectors, 0.999))) == 4
