"""Trains a graph convolutional network over samples, or inside each image, and predicts every sample."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..models.errors import InvalidInput
from ..models.probabilities import softmax, top_two
from ..models.settings import GCN_SETTINGS
from .data import items
from .data.checks import check_images, check_output_field
from .data.fields import declare, write_values
from .data.label_fields import declare_labels, write_labels
from .data.labels import Labels, Reading, read_labels, require_classes
from .gcn import sample_graph
from .gcn.results import GCNResults, summarise
from .gcn.sample_graph import SampleGraphConfig
from .runs.arguments import Classes, Embeddings, Part, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .training import image_gcn, timed
from .training.auto_embeddings import choose_source
from .training.embedding_source import EmbeddingSource, note_source, texts
from .training.graph_scores import GraphScores
from .training.image_gcn import ImageGraphConfig
from .training.partition import Split, freeze_parts, named_parts, note_parts
from .training.resnet import check_network

HEAT_MAP_BATCH = 500  # heat maps a write


@public
def train_gcn(
    samples: Samples,
    label_field: str,
    *,
    graph: str = "samples",
    embeddings: Embeddings = None,
    output_field: str = "gcn",
    heatmap_field: str | None = None,
    validation: Part = None,
    test: Part = None,
    group_field: str | None = None,
    include_synthetic: bool = False,
    classes: Classes = None,
    unlabelled: str | None = None,
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> GCNResults:
    """Trains a GCN on the labelled samples, and writes a prediction for every sample; undo with `delete_run`.

    Args:
        label_field: a field of `fo.Classification`, or of boxes; what has no label is predicted only
        graph: "samples", each joined to its nearest others, or "image": patches or superpixels inside each image
        embeddings: of graph="samples": a field of vectors, a model, or whatever `auto_label` takes; None: label-free
            image features
        output_field: new field of the same type: label, confidence, margin
        heatmap_field: of graph="image": new field of `fo.Heatmap`, the places that support the label
        validation: a view or tag that validates; None: a random, stratified part does
        test: a view or tag that is scored at the end; None: nothing is tested
        group_field: samples with the same value (patient, video, product) stay on one side
        include_synthetic: also train on the samples that `balance_classes` added; they never score
        classes: names in order, or `{name: [synonyms]}`
        unlabelled: a name that counts as no label, as "object" in proposals of boxes
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of ImageSettings, and of GraphSettings, GCNSettings and TrainGCNSettings (graph="samples"),
            or of ImageGraphSettings and ResNetSettings (graph="image"); and of BoxSettings

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting does not exist
    """
    inputs = Inputs(
        label_field, graph, embeddings, classes, output_field, heatmap_field, group_field, include_synthetic, unlabelled
    )
    config = _read_config(inputs, settings)
    samples = items.source(samples, label_field)
    prepared = _read(samples, inputs, config, resume, validation, test)
    inputs = replace(inputs, embeddings=prepared.source.name if prepared.source else None)
    request = RunRequest("train_gcn", config.parts, vars(inputs), inputs.fields)
    with timed.start(samples, request, progress=progress, resume=resume) as run:
        note_parts(run, validation=validation, test=test)
        note_source(run, prepared.source, prepared.choice)
        results = run.finish(_train(run, prepared, inputs, config))
        (run.folder / image_gcn.FEATURE_MAPS).unlink(missing_ok=True)
        return results


@dataclass(frozen=True)
class Inputs:
    """Arguments of train_gcn that its run records."""

    label_field: str
    graph: str
    embeddings: Any  # a text once they are opened
    classes: Classes
    output_field: str
    heatmap_field: str | None
    group_field: str | None
    include_synthetic: bool
    unlabelled: str | None

    @property
    def fields(self) -> tuple[str, ...]:
        """Sample fields that the run creates."""
        return (self.output_field, *([self.heatmap_field] if self.heatmap_field else []))


@dataclass(frozen=True)
class Prepared:
    """Samples and checked arguments of a run, read before it starts."""

    labels: Labels
    named: dict[Split, set[str]]  # ids that the user named for a split
    source: EmbeddingSource | None  # of the vectors; None: they are computed from the images
    choice: str  # the sentence on embeddings="auto"
    started: float  # when the reading began, by time.monotonic


def _read_config(inputs: Inputs, settings: dict[str, Any]) -> SampleGraphConfig | ImageGraphConfig:
    """The settings of the graph; rejects an unknown graph, and arguments of the other one."""
    graph = inputs.graph
    if graph not in GCN_SETTINGS:
        raise InvalidInput(f"graph has to be one of {', '.join(GCN_SETTINGS)}, not {graph!r}")
    if graph == "image" and inputs.embeddings is not None:
        raise InvalidInput("embeddings are of graph='samples': a graph inside each image is made from the image")
    if graph == "samples" and inputs.heatmap_field is not None:
        raise InvalidInput("heatmap_field is of graph='image': a graph of samples has no places in the image to show")
    return SampleGraphConfig.read(settings) if graph == "samples" else ImageGraphConfig.read(settings)


def _read(
    samples: Samples,
    inputs: Inputs,
    config: SampleGraphConfig | ImageGraphConfig,
    resume: str | None,
    validation: Part,
    test: Part,
) -> Prepared:
    """Checks the arguments, and reads labels, vectors and named splits. Nothing is written.

    Raises:
        ValueError: a bad argument
    """
    started = time.monotonic()
    check_images(samples)
    check_output_field(
        samples, inputs.output_field, inputs.label_field, *texts(inputs.embeddings), inputs.heatmap_field
    )
    if inputs.heatmap_field is not None:
        check_output_field(samples, inputs.heatmap_field, inputs.label_field, name="heatmap_field")
    labels = read_labels(
        samples,
        inputs.label_field,
        classes=inputs.classes,
        group_field=inputs.group_field,
        include_synthetic=inputs.include_synthetic,
        reading=Reading(config.boxes, inputs.unlabelled),
    )
    if inputs.heatmap_field is not None and labels.has_boxes:
        raise InvalidInput("heatmap_field covers a whole image, not its boxes: leave it out for boxes")
    named = named_parts(samples, validation, test)
    if not resume:
        require_classes(labels, inputs.label_field, inputs.group_field)
        if isinstance(config, ImageGraphConfig):
            _check_image_graph(labels, config)
    source, choice = choose_source(samples, inputs.embeddings, labels, resume)
    return Prepared(labels, named, source, choice, started)


def _train(run: Run, prepared: Prepared, inputs: Inputs, config: SampleGraphConfig | ImageGraphConfig) -> GCNResults:
    """Trains the GCN, and writes its predictions and heat maps."""
    labels, named = freeze(run, prepared.labels), freeze_parts(run, prepared.named)
    if isinstance(config, SampleGraphConfig):
        scores = sample_graph.score(run, labels, named, prepared.source, config)
    else:
        scores = image_gcn.score(run, labels, named, config)
    _write(run, labels, scores, inputs)
    if inputs.heatmap_field:
        _write_heat_maps(run, labels, scores, inputs.heatmap_field)
    seconds = time.monotonic() - prepared.started
    return summarise(run, labels, scores, inputs.output_field, inputs.heatmap_field, seconds)


def _check_image_graph(labels: Labels, config: ImageGraphConfig) -> None:
    """Rejects weights that do not fit, and images too small for superpixels."""
    if config.graph.nodes == "superpixels":
        from ..models.graphs.image_nodes import check_room

        if config.images.size_px:
            check_room(config.images.size_px, config.graph)
        return
    if not config.graph.train_backbone and config.resnet.weights == "none":
        raise InvalidInput(
            "train_backbone is off and weights are 'none': an untrained ResNet has nothing to show. Turn "
            "train_backbone on, or give weights"
        )
    check_network(labels, config.resnet, config.images.size_px)


def _write(run: Run, labels: Labels, scores: GraphScores, inputs: Inputs) -> None:
    import fiftyone as fo

    rows = np.flatnonzero(scores.is_predicted & ~labels.synthetic_mask)
    best, confidence, margin = top_two(softmax(scores.logits[rows]))
    declare_labels(run, inputs.output_field, inputs.label_field, {"margin": fo.FloatField})
    columns = dict(label=np.array(labels.names, dtype=object)[best], confidence=confidence, margin=margin)
    write_labels(run, inputs.output_field, inputs.label_field, labels, rows, columns)


def _write_heat_maps(run: Run, labels: Labels, scores: GraphScores, heatmap_field: str) -> None:
    """Contributions of the places to the predicted label, -1 against .. 1 for it; the App overlays them."""
    import fiftyone as fo

    assert scores.heat_maps is not None  # for graph="image" they are computed
    declare(run, heatmap_field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Heatmap)
    waiting: dict[str, Any] = {}
    total = int(scores.is_predicted.sum())
    for done, (i, heat) in enumerate(scores.heat_maps(), start=1):
        if not labels.synthetic_mask[i]:
            waiting[str(labels.ids[i])] = fo.Heatmap(map=heat, range=[-1, 1])
        if len(waiting) == HEAT_MAP_BATCH or done == total:
            write_values(run, heatmap_field, waiting)
            run.report("writing heat maps", done, total)
            waiting = {}
