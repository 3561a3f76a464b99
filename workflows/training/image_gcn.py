"""graph="image": a GCN over the patches or superpixels of each image, with a heat map of their contributions."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.files import aside
from ...models.images.reader import Images, in_order, thread_count
from ...models.images.survey import survey
from ...models.regular_files import regular
from ...models.settings import BoxSettings, ImageGraphSettings, ImageSettings, ResNetSettings
from ..data.labels import Labels
from ..display.tables import percent
from ..runs import launch
from ..runs.config import Config
from ..runs.run import Run
from .graph_scores import GraphScores
from .image_survey import errors_of, unreadable
from .partition import Split, SplitRule
from .resnet import PREDICT_BATCH, fit
from .training_set import TrainingSet, prepare

SUPERPIXEL_CHUNK = 1000  # bounds the memory for superpixels, images a file
FEATURE_MAPS = "maps.npy"  # in the run's folder, while it runs: they are large


@dataclass(frozen=True)
class ImageGraphConfig(Config):
    """Settings of train_gcn with graph="image"."""

    images: ImageSettings
    boxes: BoxSettings
    graph: ImageGraphSettings
    resnet: ResNetSettings


@dataclass
class NodeSource:
    """The nodes of the images."""

    fetch: Callable[[np.ndarray], Any]  # indices of images [B] -> Nodes; can be sent to other processes
    places: Callable[[int], np.ndarray]  # index of an image -> node of each pixel [S, S]
    features: int  # a node
    errors: dict[int, str]  # index of the image: why it cannot be read
    graph: str  # a sentence on the nodes
    notes: list[str] = field(default_factory=list)


def score(run: Run, labels: Labels, named: dict[Split, set[str]], config: ImageGraphConfig) -> GraphScores:
    """Trains the GCN on the training split, and scores every image."""
    from ...models.graphs import image_gcn

    rule = SplitRule(config.resnet.validation_fraction, config.resnet.seed)
    data = prepare(run, labels, config.images, named, rule)
    images = data.open_images()
    if config.graph.nodes == "superpixels":
        nodes = _superpixels(run, labels, images, config.graph)
    else:
        nodes = _patches(run, data, images, config)

    path = run.folder / "image_graph.safetensors"
    model = _trained(run, data, nodes, config.graph, path)
    readable = np.array([i for i in range(len(images)) if i not in nodes.errors], dtype=np.int64)
    logits = np.full((len(images), len(labels.names)), np.nan)
    for indices, scores, _ in image_gcn.predict(model, nodes.fetch, readable):
        logits[indices] = scores
        run.report("predicting", int(indices[-1]) + 1, len(images))

    def heat_maps() -> Iterator[tuple[int, np.ndarray]]:
        sizes = survey(images.paths, config.images).sizes
        for indices, scores, contributions in image_gcn.predict(model, nodes.fetch, readable):
            for row, i in enumerate(indices.tolist()):
                heat = image_gcn.paint(contributions[row, :, scores[row].argmax()], nodes.places(i))
                yield i, image_gcn.onto_image(heat, int(sizes[i, 0]), int(sizes[i, 1]), config.images.fit)

    return GraphScores(
        logits=logits,
        split_ids=data.split_ids,
        errors=nodes.errors,
        curves=run.curves,
        checkpoint=str(path),
        graph=f"{nodes.graph}, {config.graph.aggregation} of their scores",
        notes=nodes.notes,
        heat_maps=heat_maps,
    )


def _trained(run: Run, data: TrainingSet, nodes: NodeSource, settings: ImageGraphSettings, path: Path) -> Any:
    """The network, trained unless the run's folder has it."""
    from ...models.graphs import image_gcn

    labels = data.labels
    if not path.exists():
        shape = nodes.features, len(labels.names), settings
        model = image_gcn.build(*shape)
        train, validation = (np.flatnonzero(data.split_ids == part) for part in (Split.TRAIN, Split.VALIDATION))
        given = labels.class_ids, train, validation, settings
        with launch.lead(_train_along, shape, nodes.fetch, given):
            with closing(image_gcn.train(model, nodes.fetch, *given, run.check_stop)) as steps:
                for _ in run.watch(steps, "training the graph"):
                    pass
        image_gcn.save(model, path, dict(names=labels.names, settings=asdict(settings)))
    return image_gcn.load(path, settings)[0]


def _train_along(shape: tuple[Any, ...], fetch: Callable[[np.ndarray], Any], given: tuple[Any, ...]) -> None:
    """Trains in step with the first process, which owns the run; it gives the initial weights."""
    from ...models.graphs import image_gcn

    for _ in image_gcn.train(image_gcn.build(*shape), fetch, *given):
        pass


# Patches


@dataclass
class PatchMaps:
    """Nodes of images from their feature maps, in a file of the run."""

    path: Path

    @cached_property
    def maps(self) -> np.ndarray:
        """[N, C, h, w].

        Raises:
            ValueError: another process's file cannot be read
        """
        if not self.path.exists():
            raise InvalidInput(f"{socket.gethostname()} cannot read {self.path}: set EVENSET_DIR to shared storage")
        return np.asanyarray(np.load(regular(self.path), mmap_mode="r"))

    def __call__(self, rows: np.ndarray) -> Any:
        from ...models.graphs import image_nodes

        return image_nodes.patches(self.maps[rows])

    def __reduce__(self) -> tuple[Any, ...]:  # another process opens the file itself
        return PatchMaps, (self.path,)


def _patches(run: Run, data: TrainingSet, images: Images, config: ImageGraphConfig) -> NodeSource:
    """Places of a ResNet's feature maps; the ResNet is trained first on the same split."""
    from ...models.classifiers import resnet
    from ...models.graphs import image_nodes

    labels, stats, settings, notes = data.labels, data.stats, config.resnet, []
    if config.graph.train_backbone:
        fitted = fit(run, data, settings)
        model, _ = resnet.load(run.folder / "checkpoint.safetensors")
        settings, images = replace(settings, precision=fitted.precision), fitted.images
        notes = _resnet_accuracy(fitted.logits, labels, data.split_ids)
        _rename_resnet_curves(run)
    else:
        model = resnet.build(len(labels.names), stats.channels, stats.size_px, stats.mean, stats.std, settings)
    errors = _map_features(run, labels, model, images, settings, config.graph.grid)
    fetch = PatchMaps(run.folder / FEATURE_MAPS)
    _, channels, height, width = fetch.maps.shape
    places = image_nodes.patch_places(height, width, stats.size_px)
    return NodeSource(
        fetch=fetch,
        places=lambda i: places,
        features=channels,
        errors=errors,
        graph=f"{height} x {width} patches an image, of {channels} features",
        notes=notes,
    )


def _map_features(
    run: Run, labels: Labels, model: Any, images: Images, settings: ResNetSettings, grid: int
) -> dict[int, str]:
    """Writes feature maps of all images, in half precision, since memory may be too small; why some have none."""
    from ...models.classifiers.resnet_prediction import choose_precision
    from ...models.devices import accelerator
    from ...models.graphs import image_nodes

    path = run.folder / FEATURE_MAPS
    if not path.exists():
        (run.folder / "unreadable.npz").unlink(missing_ok=True)

    def compute() -> dict[str, np.ndarray]:
        maps: Any = None
        process = accelerator(settings.device, choose_precision(model, settings))
        model.to(process.device)
        with aside(path) as part:
            for indices, block in images.batches(PREDICT_BATCH):
                with process.autocast():
                    block_maps = image_nodes.feature_maps(model, block, grid)
                if maps is None:
                    shape = (len(images), *block_maps.shape[1:])
                    maps = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=shape)
                maps[indices] = block_maps
                run.report("mapping features", int(indices[-1]) + 1, len(images))
            maps.flush()
        return unreadable(labels.ids, images.errors)

    kept = run.cached_arrays("unreadable", compute, labels.ids)
    return errors_of(kept, labels.ids)


def _rename_resnet_curves(run: Run) -> None:
    """Keeps the ResNet's epochs apart from the GCN's, which count from 1 as well."""
    path = run.folder / "resnet_curves.jsonl"
    if not path.exists():
        (run.folder / "curves.jsonl").rename(path)


def _resnet_accuracy(logits: np.ndarray, labels: Labels, split_ids: np.ndarray) -> list[str]:
    """A sentence on the ResNet's accuracy without the graph."""
    accuracies = []
    for part, name in ((Split.VALIDATION, "validation"), (Split.TEST, "test")):
        rows = np.flatnonzero(split_ids == part)
        if len(rows):
            accuracy = float((logits[rows].argmax(1) == labels.class_ids[rows]).mean())
            accuracies.append(f"{percent(accuracy)} on {name}")
    return [f"The ResNet alone: {', '.join(accuracies)}."] if accuracies else []


# Superpixels


def _superpixels(run: Run, labels: Labels, images: Images, settings: ImageGraphSettings) -> NodeSource:
    """Superpixels of all images, computed once a run on all cores."""
    from ...models.graphs import image_nodes

    image_nodes.check_room(images.size_px, settings)

    def chunk(first: int) -> dict[str, np.ndarray]:
        rows = np.arange(first, min(first + SUPERPIXEL_CHUNK, len(images)))

        def compute() -> dict[str, np.ndarray]:
            return {**_segment(run, images, rows, settings), **unreadable(labels.ids, images.errors)}

        return run.cached_arrays(f"superpixels_{first:08d}", compute, labels.ids[rows])

    @lru_cache(maxsize=1)
    def places(first: int) -> np.ndarray:
        return chunk(first)["places"]

    chunks, errors = [], {}
    for first in range(0, len(images), SUPERPIXEL_CHUNK):
        arrays = chunk(first)
        errors.update(errors_of(arrays, labels.ids))
        chunks.append([arrays[name] for name in ("features", "edges", "nodes", "joins")])
    features, edges, nodes, joins = zip(*chunks, strict=True)
    graphs = image_nodes.SuperpixelGraphs(*map(np.concatenate, (features, edges, nodes, joins)))
    mean = graphs.nodes[graphs.nodes > 0].mean()
    return NodeSource(
        fetch=graphs,
        places=lambda i: places(i - i % SUPERPIXEL_CHUNK)[i % SUPERPIXEL_CHUNK],
        features=graphs.features.shape[1],
        errors=errors,
        graph=f"{mean:.0f} superpixels an image, of {graphs.features.shape[1]} features",
    )


def _segment(run: Run, images: Images, rows: np.ndarray, settings: ImageGraphSettings) -> dict[str, np.ndarray]:
    """Superpixels of some images as the flat arrays of SuperpixelGraphs, with their places [n, S, S]."""
    from ...models.graphs import image_nodes

    threads = thread_count(images.settings)
    places = np.zeros((len(rows), images.size_px, images.size_px), dtype=np.uint16)
    nodes, joins = np.zeros((2, len(rows)), dtype=np.int64)
    features, edges = [], [np.zeros((0, 2), dtype=np.uint16)]
    for indices, block in images.batches(PREDICT_BATCH, rows):
        segmented = in_order(lambda image: image_nodes.superpixels(image, settings), block, threads, 2 * threads)
        for row, superpixels in zip((indices - rows[0]).tolist(), segmented, strict=True):
            places[row], nodes[row], joins[row] = superpixels.places, len(superpixels.features), len(superpixels.edges)
            features.append(superpixels.features)
            edges.append(superpixels.edges)
        run.report("cutting superpixels", int(indices[-1]) + 1, len(images))
    width = image_nodes.width(images.channels)
    flat = np.concatenate([np.zeros((0, width), np.float32), *features])
    return dict(features=flat, edges=np.concatenate(edges), nodes=nodes, joins=joins, places=places)
