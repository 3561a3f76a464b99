"""Nodes of an image graph: patches beside the layers of a ResNet, superpixels beside counts of their pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evenset.models.classifiers import resnet, resnet_prediction
from evenset.models.graphs import image_nodes
from evenset.models.settings import ImageGraphSettings, ResNetSettings
from scipy.sparse.csgraph import connected_components

SMALL = ImageGraphSettings(superpixels=16)


# Patches


@pytest.mark.parametrize(("grid", "shape"), [(1, (512, 2, 2)), (3, (256, 4, 4)), (8, (128, 8, 8)), (99, (64, 16, 16))])
def test_the_deepest_layer_that_has_the_grid_makes_the_patches(grid, shape):
    settings = ResNetSettings(weights="none", precision="fp32", device="cpu")
    network = resnet.build(2, 1, 16, np.full(1, 0.5), np.full(1, 0.25), settings)
    images = np.random.default_rng(0).integers(0, 255, (2, 1, 16, 16)).astype(np.uint8)

    maps = image_nodes.feature_maps(network, images, grid)

    assert maps.shape == (2, *shape)
    if grid == 1:  # the last layer's mean is the embedding
        ((_, _, embeddings),) = resnet_prediction.predict(network, [(np.arange(2), images)], settings)
        np.testing.assert_allclose(maps.mean((2, 3)), embeddings, rtol=1e-4, atol=1e-5)


def test_patches_are_joined_to_those_beside_above_and_below():
    nodes = image_nodes.patches(np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3))

    rows, columns = np.divmod(np.arange(6), 3)
    expected = np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns) == 1
    np.testing.assert_array_equal(nodes.adjacency[0], expected)
    np.testing.assert_array_equal(nodes.features[0, :, 0], np.arange(6))
    assert nodes.real.all() and nodes.real.shape == (1, 6)


# Superpixels


def test_superpixels_follow_the_square_and_are_described_by_what_they_hold(shapes):
    (image,) = shapes(1)
    found = image_nodes.superpixels(image, SMALL)

    inside = np.zeros((24, 24), dtype=bool)
    inside[2:10, 2:10] = True
    for number, features in enumerate(found.features):
        where = found.places == number
        assert inside[where].mean() in (0, 1)  # none lies on both sides of the square's edge
        np.testing.assert_allclose(features[:3], image[:, where].mean(1) / 255, atol=1e-6)
        np.testing.assert_allclose(features[3:6], image[:, where].std(1) / 255, atol=1e-4)
        np.testing.assert_allclose(features[-3:-1], np.argwhere(where).mean(0) / 24, atol=1e-6)
        assert features[-1] == pytest.approx(where.mean())
    assert found.features.shape[1] == image_nodes.width(3)


def test_texture_tells_standing_from_lying_stripes():
    lying = np.tile((np.arange(16)[:, None] % 4 < 2) * np.uint8(200), (1, 16))[None]
    settings = replace(SMALL, superpixels=2)
    one, other = (
        image_nodes.superpixels(image, settings).features[:, 2 : 2 + image_nodes.ORIENTATIONS].mean(0)
        for image in (lying, lying.transpose(0, 2, 1))
    )
    half = image_nodes.ORIENTATIONS // 2
    assert one.argmax() == half and other.argmax() == 0
    np.testing.assert_allclose(one[half], other[0], rtol=0.2)


def test_superpixels_that_touch_are_joined_and_all_hang_together(graphs_of):
    image = np.random.default_rng(0).integers(0, 255, (1, 24, 24)).astype(np.uint8)
    found = image_nodes.superpixels(image, SMALL)

    touching = {
        tuple(sorted((int(a), int(b))))
        for one, other in ((found.places[:, :-1], found.places[:, 1:]), (found.places[:-1], found.places[1:]))
        for a, b in zip(one.ravel(), other.ravel(), strict=True)
        if a != b
    }
    assert {tuple(edge) for edge in found.edges.tolist()} == touching
    adjacency = graphs_of(image[None])(np.array([0])).adjacency[0]
    np.testing.assert_array_equal(adjacency, adjacency.T)
    assert adjacency.sum() == 2 * len(touching)
    assert connected_components(adjacency.numpy())[0] == 1


def test_an_image_too_small_for_its_superpixels_is_refused():
    image = np.zeros((1, 8, 8), dtype=np.uint8)
    with pytest.raises(ValueError, match="8 x 8 px are too small for 60 superpixels: ask for superpixels=16"):
        image_nodes.superpixels(image, replace(SMALL, superpixels=60))
    assert len(image_nodes.superpixels(image, replace(SMALL, superpixels=16)).features) > 1
