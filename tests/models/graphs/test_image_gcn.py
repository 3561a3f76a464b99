"""The GCN inside an image: its logits, its contributions beside formulas, and heat maps of the evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evenset.models.graphs import image_gcn, image_nodes
from evenset.models.settings import ImageGraphSettings
from torch_geometric.nn import GCNConv

SMALL = ImageGraphSettings(node_channels=16, graph_epochs=30, batch_size=16, device="cpu", superpixels=16)
AGGREGATIONS = ("mean", "max", "attention")
NONE = np.zeros(0, dtype=np.int64)


def marked(count: int = 60, seed: int = 0):
    """Feature maps [N, 2, 4, 4] of noise in which one place, drawn anew for each, has the mark of the image's class."""
    rng = np.random.default_rng(seed)
    labels, places = np.arange(count) % 2, rng.integers(0, 16, count)
    maps = rng.normal(0, 0.3, (count, 2, 16)).astype(np.float32)
    maps[np.arange(count), labels, places] += 4
    return maps.reshape(count, 2, 4, 4), labels, places


def fetch_from(maps: np.ndarray) -> image_gcn.Fetch:
    return lambda rows: image_nodes.patches(maps[rows])


def fit(fetch, features, labels, settings=SMALL, rows=None, validation=NONE):
    model = image_gcn.build(features, 2, settings)
    rows = np.arange(len(labels)) if rows is None else rows
    return model, list(image_gcn.train(model, fetch, labels, rows, validation, settings))


def predict(model, fetch, count):
    found = list(image_gcn.predict(model, fetch, np.arange(count)))
    return np.concatenate([logits for _, logits, _ in found]), np.concatenate([parts for *_, parts in found])


# The network


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_it_finds_the_mark_and_shows_where_it_is(aggregation):
    maps, labels, _ = marked()
    new, truth, places = marked(40, seed=1)
    model, steps = fit(fetch_from(maps), 2, labels, replace(SMALL, aggregation=aggregation, num_layers=1))

    logits, contributions = predict(model, fetch_from(new), 40)

    assert (logits.argmax(1) == truth).all()
    assert steps[-1].loss < steps[0].loss / 2
    strongest = contributions[np.arange(40), :, truth].argmax(1)
    apart = np.abs(strongest // 4 - places // 4) + np.abs(strongest % 4 - places % 4)
    near = [(apart[truth == label] <= 1).mean() for label in (0, 1)]  # a round carries the mark one place on
    assert max(near) >= 0.9
    assert min(near) >= 0.9 or aggregation != "mean"  # the others may tell one of two classes by the other's absence


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_contributions_add_up_to_the_logits(aggregation, shapes, graphs_of):
    """Each aggregation by its own formula, from the scores of the nodes; superpixels, so that some are filling."""
    images = shapes()
    graphs = graphs_of(images)
    model, _ = fit(graphs, graphs.features.shape[1], np.arange(12) % 2, replace(SMALL, aggregation=aggregation))
    nodes = graphs(np.arange(12))
    model.eval().double()
    with torch.inference_mode():
        nodes = nodes._replace(features=nodes.features.double(), adjacency=nodes.adjacency.double())
        logits, contributions, scores = model(nodes)

    assert len(set(graphs.nodes.tolist())) > 1
    torch.testing.assert_close(contributions.sum(1), logits, rtol=0, atol=1e-12)
    assert (contributions[~nodes.real] == 0).all()
    for image, real in enumerate(nodes.real):
        own = scores[image, real]
        if aggregation == "attention":  # its weights, found from the contributions, are one for all classes, and whole
            weights = (contributions[image, real] / own).mean(1)
            assert (weights > 0).all() and weights.sum() == pytest.approx(1, abs=1e-9)
            expected = (weights[:, None] * own).sum(0)
        else:
            expected = own.mean(0) if aggregation == "mean" else own.max(0).values
        torch.testing.assert_close(logits[image], expected, rtol=0, atol=1e-9)


def test_an_image_scores_the_same_alone_and_beside_larger_graphs(shapes, graphs_of):
    graphs = graphs_of(shapes())
    model, _ = fit(graphs, graphs.features.shape[1], np.arange(12) % 2, replace(SMALL, graph_epochs=2))
    few, many = int(graphs.nodes.argmin()), int(graphs.nodes.argmax())
    model.eval()
    with torch.inference_mode():
        alone, beside = model(graphs(np.array([few])))[0][0], model(graphs(np.array([many, few])))[0][1]

    assert graphs.nodes[few] < graphs.nodes[many]
    torch.testing.assert_close(alone, beside)


def test_a_convolution_is_that_of_edge_lists():
    """PyG's GCNConv over the edges of one image says the same as the dense block does."""
    maps, _, _ = marked(1)
    model = image_gcn.build(2, 3, replace(SMALL, num_layers=1)).eval()
    nodes = image_nodes.patches(maps)
    listed = GCNConv(16, 16)
    listed.load_state_dict(model.convolutions[0].state_dict())

    hidden = model.enter(nodes.features[0]).relu()
    hidden = hidden + listed(hidden, nodes.adjacency[0].nonzero().T).relu()
    scores = model.leave(hidden)

    torch.testing.assert_close(model(nodes)[2][0], scores - scores.mean(1, keepdim=True), rtol=1e-4, atol=1e-6)


def test_the_seed_fixes_the_answer():
    maps, labels, _ = marked(20)
    once, again, other = (
        predict(fit(fetch_from(maps), 2, labels, replace(SMALL, graph_epochs=3, seed=seed))[0], fetch_from(maps), 20)[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize("switched", ["image_ce_weight", "node_gce_weight"])
def test_either_loss_can_be_switched_off(switched):
    maps, labels, _ = marked(32)
    settings = replace(SMALL, graph_epochs=4)
    both, _ = fit(fetch_from(maps), 2, labels, settings)
    one, steps = fit(fetch_from(maps), 2, labels, replace(settings, **{switched: 0.0}))

    assert steps[-1].loss < steps[0].loss
    assert not torch.equal(both.leave.weight, one.leave.weight)


def test_the_best_epoch_on_the_validation_part_stays():
    maps, labels, _ = marked(48)
    wrong = np.where(np.arange(48) < 32, labels, 1 - labels)  # the more it learns, the worse it is on this part
    rows, validation = np.arange(32), np.arange(32, 48)
    model, steps = fit(fetch_from(maps), 2, wrong, SMALL, rows, validation)

    found = [(step.metrics["accuracy"], -step.metrics["validation_loss"]) for step in steps]
    logits, _ = predict(model, fetch_from(maps), 48)
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits[32:]), torch.from_numpy(wrong[32:])).item()
    assert found.index(max(found)) < len(steps) - 1
    assert ((logits.argmax(1) == wrong)[32:].mean(), -loss) == pytest.approx(max(found))
    right = logits[32:].argmax(1) == wrong[32:]
    best = steps[found.index(max(found))]
    assert best.recall == pytest.approx([right[wrong[32:] == label].mean() for label in (0, 1)])


def test_a_saved_model_scores_the_same_and_carries_its_notes(tmp_path):
    maps, labels, _ = marked(16)
    model, _ = fit(fetch_from(maps), 2, labels, replace(SMALL, graph_epochs=1))
    image_gcn.save(model, tmp_path / "graph.safetensors", {"names": ["a", "b"]})
    again, notes = image_gcn.load(tmp_path / "graph.safetensors", SMALL)

    np.testing.assert_array_equal(predict(model, fetch_from(maps), 16)[0], predict(again, fetch_from(maps), 16)[0])
    assert notes["names"] == ["a", "b"]


# Superpixels


@pytest.mark.parametrize("colour", [0, 128, 255])
def test_an_image_of_one_colour_has_nodes_and_a_score(colour, shapes, graphs_of):
    images = np.concatenate([shapes(3), np.full((1, 3, 24, 24), colour, dtype=np.uint8)])
    graphs = graphs_of(images)
    model, _ = fit(graphs, graphs.features.shape[1], np.array([0, 0, 1, 1]), replace(SMALL, graph_epochs=2))

    logits, contributions = predict(model, graphs, 4)
    places = image_nodes.superpixels(images[3], SMALL).places
    heat = image_gcn.paint(contributions[3, :, 0], places)

    assert graphs.nodes[3] >= 1 and np.isfinite(graphs.features).all()
    assert np.isfinite(logits).all() and np.isfinite(heat).all()


# Heat maps


def test_a_heat_map_has_the_contribution_of_the_node_at_each_pixel():
    places = image_nodes.patch_places(2, 2, 4)
    heat = image_gcn.paint(np.array([0.5, -1.0, 0.0, 2.0]), places)

    expected = [[0.25, 0.25, -0.5, -0.5]] * 2 + [[0, 0, 1, 1]] * 2
    np.testing.assert_array_equal(heat, expected)
    assert heat.dtype == np.float32
    assert (image_gcn.paint(np.zeros(4), places) == 0).all()


@pytest.mark.parametrize("fit_", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("size", [(60, 40), (40, 60), (48, 48)])
def test_a_heat_map_comes_back_to_the_image_that_was_made_square(tmp_path, fit_, size):
    """What the network saw of the image is taken for its heat map: taken back, it has to lie on the image again."""
    from evenset.models.images.decode import load
    from evenset.models.settings import ImageSettings
    from PIL import Image

    width, height = size
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    pixels = (255 * (0.7 * across + 0.3 * down)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    seen = load(str(tmp_path / "image.png"), ImageSettings(fit=fit_), 24, 1)[..., 0] / 255

    back = image_gcn.onto_image(seen.astype(np.float32), width, height, fit_)

    whole = Image.fromarray(back).resize((width, height), Image.Resampling.BILINEAR)
    off = np.abs(np.asarray(whole) - pixels / 255)
    if fit_ == "crop" and width != height:
        side, left, top = min(size), (width - min(size)) // 2, (height - min(size)) // 2
        inner = np.zeros((height, width), dtype=bool)
        inner[top + 2 : top + side - 2, left + 2 : left + side - 2] = True
        assert off[inner].max() < 0.04
        assert back[0, 0] == 0 and abs(back.shape[1] / back.shape[0] - width / height) < 0.05
    else:
        assert off.max() < 0.06
