"""auto_label on tags: suggests tags to add and to remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ..data.checks import check_output_field
from ..data.tags import Tags, read_tags
from ..labeling.config import AutoLabelConfig
from ..runs.arguments import Progress
from ..runs.lifecycle import RunRequest
from ..runs.run import Run
from ..training import timed
from ..training.auto_embeddings import choose_source
from ..training.embedding_source import EmbeddingSource, note_source, refuse_seen, texts
from ..training.image_survey import errors_by_id
from .checks import check_arguments, require_tags
from .decision import decide
from .output_field import save_views, write_suggestions
from .partition import draw_folds, hold_out
from .results import TagResults, summarise
from .scores import score
from .vectors import Described, describe

FOLDS = 5
ROWS = ("paths", "values", "trusted", "groups")  # arrays of the tags with a row a sample


def suggest_tags(
    samples: Any, inputs: Mapping[str, Any], config: AutoLabelConfig, resume: str | None, progress: Progress
) -> TagResults:
    """Suggests tags, writes them into the output field, and saves views of them.

    Args:
        inputs: arguments of auto_label that its run records, and `validation`

    Raises:
        ValueError: a bad argument; nothing was written
    """
    label_field, embeddings = str(inputs["label_field"]), inputs["embeddings"]
    check_arguments({**inputs, **vars(config.labeling)}, label_field)
    check_output_field(samples, inputs["output_field"], label_field, *texts(embeddings))
    tags = read_tags(samples, label_field, classes=inputs["classes"], group_field=inputs["group_field"])
    if not resume:
        require_tags(tags, label_field, inputs["group_field"])
    refuse_seen(samples, embeddings)
    source, choice = choose_source(samples, embeddings, tags.as_labels(), resume, config.resnet.device)
    recorded = {name: value for name, value in inputs.items() if name != "validation"}
    recorded["embeddings"] = source.name if source else None
    request = RunRequest("auto_label", config.parts, recorded, (inputs["output_field"],))
    with timed.start(samples, request, progress=progress, resume=resume, trains_resnet=False) as run:
        note_source(run, source, choice)
        return run.finish(_suggest(run, freeze(run, tags), source, config))


def freeze(run: Run, tags: Tags) -> Tags:
    """The tags as the run first read them, for a resume."""
    arrays = {item.name: np.asarray(getattr(tags, item.name)) for item in fields(tags) if item.name != "ids"}
    kept = run.cached_arrays("tags", lambda: arrays, tags.ids, ROWS)
    notes, names = kept["notes"].tolist(), kept["names"].tolist()
    rows = {name: kept[name] for name in ROWS}
    return replace(tags, names=names, notes=notes, synthetic_left_out=int(kept["synthetic_left_out"]), **rows)


def _suggest(run: Run, tags: Tags, source: EmbeddingSource | None, config: AutoLabelConfig) -> TagResults:
    settings = config.labeling
    described = describe(run, tags, source, config.images, config.graph, settings.seed)
    fold_of, held_out = _parts(run, tags, described, config)
    scores = score(run, tags, described.views, fold_of, config.tags.complete, settings.seed)
    run.report("calibrating confidences", 0, 1)
    decision = decide(tags, scores, held_out, settings)
    write_suggestions(run, tags, scores, decision)
    results = summarise(run, tags, scores, decision, held_out, settings)
    results.skipped = errors_by_id(tags.as_labels(), described.errors)
    results.views = save_views(run)
    return results


def _parts(run: Run, tags: Tags, described: Described, config: AutoLabelConfig) -> tuple[np.ndarray, np.ndarray]:
    """Fold of each sample that trains, -1 for the others, and whether each is held out [N] each; drawn once a run."""

    def compute() -> dict[str, np.ndarray]:
        usable = tags.is_known & np.isin(np.arange(len(tags.ids)), described.views.usable)
        held_out = hold_out(tags, usable, described.groups, config.labeling)
        leaks = np.isin(described.groups, described.groups[held_out])
        train, fold_of = np.flatnonzero(usable & ~leaks), np.full(len(tags.ids), -1)
        fold_of[train] = draw_folds(tags, train, described.groups, FOLDS, config.labeling.seed)
        return dict(fold_of=fold_of, held_out=held_out)

    kept = run.cached_arrays("tag_parts", compute, tags.ids, ("fold_of", "held_out"))
    return kept["fold_of"], kept["held_out"]
