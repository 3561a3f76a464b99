"""graph="samples": a GCN over the graph of nearest samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...models.settings import BoxSettings, GCNSettings, GraphSettings, ImageSettings, TrainGCNSettings
from ..data.labels import Labels
from ..display.tables import percent
from ..runs.config import Config
from ..runs.run import Run
from ..training.embedding_source import EmbeddingSource, learned_from_labels, read_joined, weigh_sources
from ..training.graph_scores import GraphScores
from ..training.image_features import extract_features
from ..training.image_survey import errors_of, groups_of_all, survey_images, unreadable, without_images
from ..training.joined_sources import Joined
from ..training.partition import Split, SplitRule, split_parts

RECALL_QUERIES = 1000  # samples whose exact neighbours are searched, to measure the graph's recall


@dataclass(frozen=True)
class SampleGraphConfig(Config):
    """Settings of train_gcn with graph="samples"."""

    images: ImageSettings
    boxes: BoxSettings
    graph: GraphSettings
    gcn: GCNSettings
    training: TrainGCNSettings


def score(
    run: Run, labels: Labels, named: dict[Split, set[str]], source: EmbeddingSource | None, config: SampleGraphConfig
) -> GraphScores:
    """Builds the graph, trains the GCN on the training split, and scores every sample that edges join to a label."""
    from ...models.graphs import gcn, label_propagation

    if source is None:
        stats = survey_images(run, labels, config.images)
        vectors, _, errors = extract_features(run, labels, stats, config.images)
    else:
        joined = _read_once(run, labels, source)
        errors = joined.errors
        stats = without_images(labels, errors)
    rule = SplitRule(config.training.validation_fraction, config.training.seed)
    split_ids = split_parts(run, labels, stats, named, rule)
    train_labels = np.where(split_ids == Split.TRAIN, labels.class_ids, -1)
    if source is not None:
        groups = groups_of_all(labels, stats.groups)
        vectors = joined.scaled(weigh_sources(run, source, joined, train_labels, groups))
    graph = _build(run, labels, vectors, config.graph)
    recall = run.remember("graph_recall", lambda: _recall(vectors, graph, config.graph))

    inputs = gcn.prepare(graph, vectors, config.gcn)
    model = gcn.build(inputs[0].shape[1], len(labels.names), config.gcn)
    path = run.folder / "gcn.safetensors"
    _train(run, model, inputs, train_labels, config.gcn, dict(names=labels.names, vectors=source and source.name))
    probabilities = gcn.predict(model, *inputs).astype(np.float64)
    probabilities[~label_propagation.reached(graph, train_labels)] = np.nan
    neighbours = graph.neighbours.shape[1]
    return GraphScores(
        logits=np.log(np.maximum(probabilities, 1e-12)),
        split_ids=split_ids,
        errors=errors,
        curves=run.curves,
        checkpoint=str(path),
        graph=f"{neighbours} neighbours a sample, {percent(recall)} of the exact ones",
        recall=recall,
        notes=_size_note(neighbours, config.graph) + _leak_note(source),
    )


def _read_once(run: Run, labels: Labels, source: EmbeddingSource) -> Joined:
    """Vectors of the user's as the run first saw them."""

    def compute() -> dict[str, np.ndarray]:
        vectors, lengths, errors = read_joined(run, labels, source)
        return dict(vectors=vectors, lengths=lengths, **unreadable(labels.ids, errors))

    kept = run.cached_arrays("given_vectors", compute, labels.ids, ("vectors",))
    return Joined(kept["vectors"], kept["lengths"], errors_of(kept, labels.ids))


def _build(run: Run, labels: Labels, vectors: np.ndarray, settings: GraphSettings) -> Any:
    """The graph, built once a run."""
    import scipy.sparse as sp

    from ...models.graphs import nearest_neighbours

    def compute() -> dict[str, np.ndarray]:
        run.report("building the neighbour graph", 0, 1)
        graph = nearest_neighbours.build(vectors, settings)
        weights = {name: getattr(graph.weights, name) for name in ("data", "indices", "indptr")}
        run.report("building the neighbour graph", 1, 1)
        return dict(neighbours=graph.neighbours, distances=graph.distances, **weights)

    kept = run.cached_arrays("graph", compute, labels.ids)
    weights = sp.csr_array((kept["data"], kept["indices"], kept["indptr"]), shape=(len(vectors),) * 2)
    return nearest_neighbours.Graph(kept["neighbours"], kept["distances"], weights)


def _recall(vectors: np.ndarray, graph: Any, settings: GraphSettings) -> float:
    from ...models.graphs import nearest_neighbours

    return nearest_neighbours.recall(vectors, graph, settings, RECALL_QUERIES)


def _train(
    run: Run, model: Any, inputs: tuple[Any, Any], labels: np.ndarray, settings: GCNSettings, notes: dict[str, Any]
) -> None:
    """Trains the model in place, unless the run's folder has its weights."""
    from ...models.checkpoints import load_tensors, save_tensors
    from ...models.graphs import gcn

    path = run.folder / "gcn.safetensors"
    if not path.exists():
        for _ in run.watch(gcn.train(model, *inputs, labels, settings), "training the GCN"):
            pass
        save_tensors(path, model.state_dict(), {**notes, "settings": asdict(settings)})
    model.load_state_dict(load_tensors(path)[0])


def _size_note(neighbours: int, settings: GraphSettings) -> list[str]:
    """A sentence where there are too few samples for the number of neighbours."""
    if neighbours == settings.neighbours:
        return []
    return [
        f"Only {neighbours + 1} samples can be compared: each is joined to all others, not to {settings.neighbours}."
    ]


def _leak_note(source: EmbeddingSource | None) -> list[str]:
    """A sentence where the vectors may have been learned from the validation labels."""
    names = [block.name for block in source.blocks] if source else []
    origins = {name: learned_from_labels(source.samples, name) for name in names if source}
    return [
        f"{name!r} was {origin}, and may know the held-out labels: the accuracy is too good."
        for name, origin in origins.items()
        if origin
    ]
