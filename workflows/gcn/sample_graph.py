"""graph="samples": every sample is a node, joined to its nearest others, and scored from their labels."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ...models.settings import GCNSettings, GraphSettings, ImageSettings, TrainGCNSettings
from ..data.labels import Labels
from ..display.tables import percent
from ..runs.run import Run
from ..training.embedding_source import Source, learned_from_labels, read_or_compute
from ..training.embeddings import label_free
from ..training.graph_scores import Scored
from ..training.image_survey import ImageStats, errors_of, survey_images, unreadable
from ..training.partition import Split, split_parts

QUERIES = 1000  # samples whose exact nearest others are searched, to check the graph


def score(
    run: Run,
    known: Labels,
    given: dict[Split, set[str]],
    source: Source | None,
    settings: tuple[ImageSettings, GraphSettings, GCNSettings, TrainGCNSettings],
) -> Scored:
    """Builds the graph, trains the GCN on a part of the labels, and scores every sample that edges join to one."""
    from ...models.graphs import gcn, label_propagation

    image_settings, graph_settings, gcn_settings, choices = settings
    if source is None:
        stats = survey_images(run, known, image_settings)
        vectors, _, errors = label_free(run, known, stats, image_settings)
    else:
        vectors, errors = _given_vectors(run, known, source)
        stats = _look_at_nothing(known, errors)
    split_ids = split_parts(run, known, stats, choices, given)
    graph = _build(run, known, vectors, graph_settings)
    recall = run.remember("graph_recall", lambda: _recall(vectors, graph, graph_settings))

    labels = np.where(split_ids == Split.TRAIN, known.class_ids, -1)
    inputs = gcn.prepare(graph, vectors, gcn_settings)
    model = gcn.build(inputs[0].shape[1], len(known.names), gcn_settings)
    path = run.folder / "gcn.safetensors"
    _train(run, model, inputs, labels, gcn_settings, dict(names=known.names, vectors=source and source.name))
    probabilities = gcn.predict(model, *inputs).astype(np.float64)
    probabilities[~label_propagation.reached(graph, labels)] = np.nan
    neighbours = graph.neighbours.shape[1]
    return Scored(
        logits=np.log(np.maximum(probabilities, 1e-12)),
        split_ids=split_ids,
        errors=errors,
        curves=run.curves,
        checkpoint=str(path),
        graph=f"{neighbours} neighbours a sample, {percent(recall)} of the exact ones",
        recall=recall,
        notes=_few(neighbours, graph_settings) + _seen(source),
    )


def _given_vectors(run: Run, labels: Labels, source: Source) -> tuple[np.ndarray, dict[int, str]]:
    """Vectors of a field or of a model of the zoo, as the run first saw them."""

    def compute() -> dict[str, np.ndarray]:
        vectors, errors = read_or_compute(run, labels, source)
        return dict(vectors=vectors, **unreadable(labels.ids, errors))

    kept = run.cached_arrays("given_vectors", compute, labels.ids, ("vectors",))
    return kept["vectors"], errors_of(kept, labels.ids)


def _look_at_nothing(labels: Labels, errors: dict[int, str]) -> ImageStats:
    """What the split needs where vectors are given and no image is decoded: samples of one file stay together."""
    from ...models.splits import join

    same_file = np.unique(labels.paths, return_inverse=True)[1]
    groups = join(same_file, labels.groups)[labels.labelled_indices]
    return ImageStats(size_px=0, channels=0, mean=np.zeros(0), std=np.zeros(0), groups=groups, errors=errors)


def _build(run: Run, labels: Labels, vectors: np.ndarray, settings: GraphSettings) -> Any:
    """The graph, built once a run."""
    import scipy.sparse as sp

    from ...models.graphs import nearest_neighbours as graphs

    def compute() -> dict[str, np.ndarray]:
        run.report("joining samples", 0, 1)
        found = graphs.build(vectors, settings)
        weights = {name: getattr(found.weights, name) for name in ("data", "indices", "indptr")}
        run.report("joining samples", 1, 1)
        return dict(neighbours=found.neighbours, distances=found.distances, **weights)

    kept = run.cached_arrays("graph", compute, labels.ids)
    weights = sp.csr_array((kept["data"], kept["indices"], kept["indptr"]), shape=(len(vectors),) * 2)
    return graphs.Graph(kept["neighbours"], kept["distances"], weights)


def _recall(vectors: np.ndarray, graph: Any, settings: GraphSettings) -> float:
    from ...models.graphs import nearest_neighbours as graphs

    return graphs.recall(vectors, graph, settings, QUERIES)


def _train(
    run: Run, model: Any, inputs: tuple[Any, Any], labels: np.ndarray, settings: GCNSettings, notes: dict[str, Any]
) -> None:
    """Trains, and keeps the weights in the run's folder; a run that has them reads them."""
    from ...models.checkpoints import load_tensors, save_tensors
    from ...models.graphs import gcn

    path = run.folder / "gcn.safetensors"
    if not path.exists():
        for _ in run.watch(gcn.train(model, *inputs, labels, settings), "training"):
            pass
        save_tensors(path, model.state_dict(), {**notes, "settings": asdict(settings)})
    model.load_state_dict(load_tensors(path)[0])


def _few(neighbours: int, settings: GraphSettings) -> list[str]:
    if neighbours == settings.neighbours:
        return []
    return [
        f"Only {neighbours + 1} samples can be compared: each is joined to all others, not to {settings.neighbours}."
    ]


def _seen(source: Source | None) -> list[str]:
    """A sentence where the vectors may know the labels that validate."""
    origin = learned_from_labels(source.samples, source.name) if source else ""
    if not source or not origin:
        return []
    return [f"{source.name!r} was {origin}, and may know the held-out labels: the accuracy is too good."]
