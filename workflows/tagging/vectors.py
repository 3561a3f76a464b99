"""Vectors of all samples, and the groups that stay on one side of a split."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import GraphSettings, ImageSettings, LabelSpreadingSettings
from ..data.tags import Tags
from ..runs.run import Run
from ..training.embedding_source import EmbeddingSource, read_joined, weigh_sources
from ..training.graph_views import GraphViews, build_views
from ..training.image_features import Features, extract_features
from ..training.image_survey import survey_images


class Described(NamedTuple):
    """The samples as the members see them."""

    views: GraphViews
    groups: np.ndarray  # index of each sample's group [N]
    errors: dict[int, str]  # index of a sample: why it has no vector


def describe(
    run: Run, tags: Tags, source: EmbeddingSource | None, images: ImageSettings, graph: GraphSettings, seed: int
) -> Described:
    """Vectors by the source, or label-free features of the images, and the graph of nearest samples.

    Raises:
        ValueError: fewer than two samples have a vector
    """
    from ...models import splits
    from ...models.quality import label_neighbours

    labels = tags.as_labels()
    if source is None:
        stats = survey_images(run, labels, images)
        features = extract_features(run, labels, stats, images)
        errors = {**stats.errors, **features.errors}
    else:
        joined = read_joined(run, labels, source)
        weights = weigh_sources(run, source, joined, labels.class_ids, np.arange(len(labels.ids)))
        features, errors = Features(joined.scaled(weights)), joined.errors
    run.report("building the neighbour graph", 0, 1)
    views = build_views(features.vectors, LabelSpreadingSettings(seed=seed), graph, features.details)
    if len(views.usable) < 2:
        reason = next(iter(errors.values()), "the others are zero")
        raise InvalidInput(f"fewer than two samples have a vector: {reason}")
    similar = np.arange(len(labels.ids))
    near = label_neighbours.near_duplicates(views.graph.neighbours, views.graph.distances)
    first = np.unique(near, return_index=True, return_inverse=True)
    similar[views.usable] = views.usable[first[1][first[2]]]
    run.report("building the neighbour graph", 1, 1)
    return Described(views, splits.join(splits.join(similar, labels.paths), labels.groups), errors)
