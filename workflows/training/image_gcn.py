"""graph="image": every image is a graph of its own, of patches or superpixels, and shows what spoke for its label."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...models.files import aside
from ...models.images.reader import Images, in_order, thread_count
from ...models.images.survey import survey
from ...models.regular_files import regular
from ...models.settings import ImageGraphSettings, ImageSettings, ResNetSettings
from ..data.labels import Labels
from ..display.tables import percent
from ..runs.run import Run
from .graph_scores import Scored
from .image_survey import ImageStats, errors_of, survey_images, unreadable
from .partition import Split, split_parts
from .resnet import PREDICT_BATCH, fit

CHUNK = 1000  # images whose superpixels are kept in one file
MAPS = "maps.npy"  # in the run's folder, while it runs: they are large


@dataclass
class Source:
    """Where the nodes of the images come from."""

    fetch: Callable[[np.ndarray], Any]  # indices of images [B] -> Nodes
    places: Callable[[int], np.ndarray]  # index of an image -> which node each of its pixels belongs to [S, S]
    features: int  # numbers a node
    errors: dict[int, str]  # index of the image: why it cannot be read
    graph: str  # a sentence on the nodes
    notes: list[str] = field(default_factory=list)


def score(
    run: Run,
    labels: Labels,
    given: dict[Split, set[str]],
    settings: tuple[ImageSettings, ImageGraphSettings, ResNetSettings],
) -> Scored:
    """Cuts every image into nodes, trains on a part of the labels, and scores every image."""
    from ...models.graphs import image_gcn

    image_settings, graph_settings, resnet_settings = settings
    stats = survey_images(run, labels, image_settings)
    split_ids = split_parts(run, labels, stats, resnet_settings, given)
    images = Images(labels.paths.tolist(), image_settings, stats.size_px, stats.channels)
    if graph_settings.nodes == "superpixels":
        source = _superpixels(run, labels, images, graph_settings)
    else:
        source = _patches(run, labels, stats, split_ids, images, resnet_settings, graph_settings)

    path = run.folder / "image_graph.safetensors"
    model = _trained(run, labels, split_ids, source, graph_settings, path)
    readable = np.array([i for i in range(len(images)) if i not in source.errors], dtype=np.int64)
    logits = np.full((len(images), len(labels.names)), np.nan)
    for indices, found, _ in image_gcn.predict(model, source.fetch, readable):
        logits[indices] = found
        run.report("predicting", int(indices[-1]) + 1, len(images))

    def evidence() -> Iterator[tuple[int, np.ndarray]]:
        sizes = survey(images.paths, image_settings).sizes
        for indices, found, contributions in image_gcn.predict(model, source.fetch, readable):
            for row, i in enumerate(indices.tolist()):
                heat = image_gcn.paint(contributions[row, :, found[row].argmax()], source.places(i))
                yield i, image_gcn.onto_image(heat, int(sizes[i, 0]), int(sizes[i, 1]), image_settings.fit)

    return Scored(
        logits=logits,
        split_ids=split_ids,
        errors=source.errors,
        curves=run.curves,
        checkpoint=str(path),
        graph=f"{source.graph}, {graph_settings.aggregation} of their scores",
        notes=source.notes,
        evidence=evidence,
    )


def _trained(
    run: Run, labels: Labels, split_ids: np.ndarray, source: Source, settings: ImageGraphSettings, path: Path
) -> Any:
    """The network, trained or as the run's folder has it."""
    from ...models.graphs import image_gcn

    def fetch(rows: np.ndarray) -> Any:
        run.check_stop()  # an epoch can be long, a batch is not
        return source.fetch(rows)

    if not path.exists():
        model = image_gcn.build(source.features, len(labels.names), settings)
        train, validation = (np.flatnonzero(split_ids == part) for part in (Split.TRAIN, Split.VALIDATION))
        steps = image_gcn.train(model, fetch, labels.class_ids, train, validation, settings)
        for _ in run.watch(steps, "training the graph"):
            pass
        image_gcn.save(model, path, dict(names=labels.names, settings=asdict(settings)))
    return image_gcn.load(path, settings)[0]


# Patches


def _patches(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    split_ids: np.ndarray,
    images: Images,
    settings: ResNetSettings,
    graph_settings: ImageGraphSettings,
) -> Source:
    """Places of the feature maps of a ResNet, which is trained on the same part of the labels first."""
    from ...models.classifiers import resnet
    from ...models.graphs import image_nodes

    notes: list[str] = []
    if graph_settings.train_backbone:
        fitted = fit(run, labels, stats, split_ids, images.settings, settings)
        model, _ = resnet.load(run.folder / "checkpoint.safetensors")
        settings, images = replace(settings, precision=fitted.precision), fitted.images
        notes = _alone(fitted.logits, labels, split_ids)
        _set_curves_apart(run)
    else:
        model = resnet.build(len(labels.names), stats.channels, stats.size_px, stats.mean, stats.std, settings)
    maps, errors = _maps(run, labels, model, images, settings, graph_settings.grid)
    _, channels, height, width = maps.shape
    places = image_nodes.patch_places(height, width, stats.size_px)
    return Source(
        fetch=lambda rows: image_nodes.patches(maps[rows]),
        places=lambda i: places,
        features=channels,
        errors=errors,
        graph=f"{height} x {width} patches an image, of {channels} features",
        notes=notes,
    )


def _maps(
    run: Run, labels: Labels, model: Any, images: Images, settings: ResNetSettings, grid: int
) -> tuple[np.ndarray, dict[int, str]]:
    """Feature maps of all images [N, C, h, w], half precision and on disk: they may not fit into memory."""
    from ...models.classifiers.resnet_prediction import choose_precision
    from ...models.devices import accelerator
    from ...models.graphs import image_nodes

    path = run.folder / MAPS
    if not path.exists():
        (run.folder / "unreadable.npz").unlink(missing_ok=True)

    def compute() -> dict[str, np.ndarray]:
        maps: Any = None
        process = accelerator(settings.device, choose_precision(model, settings))
        model.to(process.device)
        with aside(path) as part:
            for indices, block in images.batches(PREDICT_BATCH):
                with process.autocast():
                    found = image_nodes.feature_maps(model, block, grid)
                if maps is None:
                    shape = (len(images), *found.shape[1:])
                    maps = np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=shape)
                maps[indices] = found
                run.report("mapping features", int(indices[-1]) + 1, len(images))
            maps.flush()
        return unreadable(labels.ids, images.errors)

    kept = run.cached_arrays("unreadable", compute, labels.ids)
    return np.load(regular(path), mmap_mode="r"), errors_of(kept, labels.ids)


def _set_curves_apart(run: Run) -> None:
    """The ResNet's epochs and the graph's both count from 1: they go into files of their own."""
    path = run.folder / "resnet_curves.jsonl"
    if not path.exists():
        (run.folder / "curves.jsonl").rename(path)


def _alone(logits: np.ndarray, labels: Labels, split_ids: np.ndarray) -> list[str]:
    """A sentence on how well the ResNet does without the graph."""
    found = []
    for part, name in ((Split.VALIDATION, "validation"), (Split.TEST, "test")):
        rows = np.flatnonzero(split_ids == part)
        if len(rows):
            share = float((logits[rows].argmax(1) == labels.class_ids[rows]).mean())
            found.append(f"{percent(share)} on {name}")
    return [f"The ResNet alone: {', '.join(found)}."] if found else []


# Superpixels


def _superpixels(run: Run, labels: Labels, images: Images, settings: ImageGraphSettings) -> Source:
    """Superpixels of all images: cut once a run, on all cores, and kept in its folder."""
    from ...models.graphs import image_nodes

    image_nodes.check_room(images.size_px, settings)

    def chunk(first: int) -> dict[str, np.ndarray]:
        rows = np.arange(first, min(first + CHUNK, len(images)))

        def compute() -> dict[str, np.ndarray]:
            return {**_cut(run, images, rows, settings), **unreadable(labels.ids, images.errors)}

        return run.cached_arrays(f"superpixels_{first:08d}", compute, labels.ids[rows])

    @lru_cache(maxsize=1)
    def places(first: int) -> np.ndarray:
        return chunk(first)["places"]

    found, errors = [], {}
    for first in range(0, len(images), CHUNK):
        arrays = chunk(first)
        errors.update(errors_of(arrays, labels.ids))
        found.append([arrays[name] for name in ("features", "edges", "nodes", "joins")])
    features, edges, nodes, joins = zip(*found, strict=True)
    graphs = image_nodes.SuperpixelGraphs(*map(np.concatenate, (features, edges, nodes, joins)))
    mean = graphs.nodes[graphs.nodes > 0].mean()
    return Source(
        fetch=graphs,
        places=lambda i: places(i - i % CHUNK)[i % CHUNK],
        features=graphs.features.shape[1],
        errors=errors,
        graph=f"{mean:.0f} superpixels an image, of {graphs.features.shape[1]} features",
    )


def _cut(run: Run, images: Images, rows: np.ndarray, settings: ImageGraphSettings) -> dict[str, np.ndarray]:
    """Superpixels of the images `rows`, as the flat arrays of SuperpixelGraphs, and their places [n, S, S]."""
    from ...models.graphs import image_nodes

    threads = thread_count(images.settings)
    places = np.zeros((len(rows), images.size_px, images.size_px), dtype=np.uint16)
    nodes, joins = np.zeros((2, len(rows)), dtype=np.int64)
    features, edges = [], [np.zeros((0, 2), dtype=np.uint16)]
    for indices, block in images.batches(PREDICT_BATCH, rows):
        cut = in_order(lambda image: image_nodes.superpixels(image, settings), block, threads, 2 * threads)
        for place, found in zip((indices - rows[0]).tolist(), cut, strict=True):
            places[place], nodes[place], joins[place] = found.places, len(found.features), len(found.edges)
            features.append(found.features)
            edges.append(found.edges)
        run.report("cutting superpixels", int(indices[-1]) + 1, len(images))
    width = image_nodes.width(images.channels)
    flat = np.concatenate([np.zeros((0, width), np.float32), *features])
    return dict(features=flat, edges=np.concatenate(edges), nodes=nodes, joins=joins, places=places)
