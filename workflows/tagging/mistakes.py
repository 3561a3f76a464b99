"""find_mistakes on tags: the mistakenness of every tag that a sample has, or lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...models.settings import MistakeSettings
from ..data import tag_ids
from ..data.box_kinds import TagKind
from ..data.checks import check_output_field
from ..data.tags import TAGGED, Tags, read_tags
from ..mistakes.config import MistakeConfig
from ..mistakes.dismissed import dismissed_flags
from ..mistakes.results import MistakeResults
from ..runs.arguments import Progress
from ..runs.lifecycle import RunRequest
from ..runs.run import Run
from ..training import timed
from ..training.auto_embeddings import choose_source
from ..training.embedding_source import EmbeddingSource, note_source, refuse_seen, texts
from . import mistake_output
from .checks import check_arguments, require_tags
from .partition import draw_folds
from .scores import score
from .suggest import freeze
from .vectors import Described, describe
from .verdict import judge


def find_tag_mistakes(
    samples: Any, inputs: Mapping[str, Any], config: MistakeConfig, resume: str | None, progress: Progress
) -> MistakeResults:
    """Judges every tag by models that have not seen it, and writes the verdicts.

    Args:
        inputs: arguments of find_mistakes that its run records

    Raises:
        ValueError: a bad argument; nothing was written
    """
    label_field, embeddings = str(inputs["label_field"]), inputs["embeddings"]
    check_arguments(inputs, label_field)
    check_output_field(samples, inputs["output_field"], label_field, *texts(embeddings))
    tags = read_tags(samples, label_field, group_field=inputs["group_field"])
    if not resume:
        require_tags(tags, label_field, inputs["group_field"])
    refuse_seen(samples, embeddings)
    source, choice = choose_source(samples, embeddings, tags.as_labels(), resume, config.resnet.device)
    recorded = {**inputs, "embeddings": source.name if source else None}
    request = RunRequest("find_mistakes", config.parts, recorded, (inputs["output_field"],))
    with timed.start(samples, request, progress=progress, resume=resume, trains_resnet=False) as run:
        note_source(run, source, choice)
        return run.finish(_judge(run, freeze(run, tags), source, config))


def _judge(run: Run, tags: Tags, source: EmbeddingSource | None, config: MistakeConfig) -> MistakeResults:
    settings = config.mistakes
    described = describe(run, tags, source, config.images, config.graph, settings.seed)
    fold_of = _draw_folds(run, tags, described, settings)
    scores = score(run, tags, described.views, fold_of, complete=True, seed=settings.seed)
    run.report("judging tags", 0, 1)
    verdict = judge(tags, scores, fold_of, _dismissed(run, tags))
    run.cached_arrays("verdict", lambda: {"scores": verdict.scores, "probabilities": verdict.probabilities})
    mistake_output.write(run, tags, verdict, described)
    results = mistake_output.summarise(run, tags, verdict, described, int(fold_of.max()) + 1)
    results.views = mistake_output.save_view(run)
    return results


def _draw_folds(run: Run, tags: Tags, described: Described, settings: MistakeSettings) -> np.ndarray:
    """Fold of each sample that has tags and a vector, -1 for the others [N]; drawn once a run."""

    def compute() -> dict[str, np.ndarray]:
        fold_of = np.full(len(tags.ids), -1)
        usable = np.isin(np.arange(len(tags.ids)), described.views.usable)
        rows = np.flatnonzero(tags.is_known & usable)
        fold_of[rows] = draw_folds(tags, rows, described.groups, settings.folds, settings.seed)
        return dict(fold_of=fold_of)

    return run.cached_arrays("tag_folds", compute, tags.ids, ("fold_of",))["fold_of"]


def _dismissed(run: Run, tags: Tags) -> np.ndarray:
    """Whether a person dismissed the flag of each tag before, as the run first saw it [N, K]."""

    def compute() -> dict[str, np.ndarray]:
        place, column = _index(tags.ids.tolist()), _index(tags.names)
        dismissed = np.zeros(tags.values.shape, dtype=bool)
        for item, _, kind in dismissed_flags(run.dataset, run.record.inputs["label_field"]):
            sample_id, name = tag_ids.tag_of(item)
            if sample_id in place and name in column:
                cell = place[sample_id], column[name]
                dismissed[cell] |= (tags.values[cell] == TAGGED) == (kind == TagKind.EXTRA)
        return dict(rows=dismissed)

    return run.cached_arrays("dismissed", compute, tags.ids, ("rows",))["rows"]


def _index(names: list[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}
