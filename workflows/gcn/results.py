"""Results of train_gcn: accuracy on held-out labels, and samples without a prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.labels import Labels, label_notes
from ..display.charts import Chart
from ..display.results import Part, RunResults
from ..display.tables import counted, left_out
from ..runs.run import Run
from ..training import held_out
from ..training.graph_scores import GraphScores
from ..training.image_survey import errors_by_id
from ..training.partition import Split


@dataclass(repr=False)
class GCNResults(RunResults):
    """What `train_gcn` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    heatmap_field: str | None
    graph: str  # a sentence on the graph
    names: list[str]
    samples: int
    trained: int
    validated: int
    epochs: int
    accuracy: float | None  # on the validation split; None where no class had a label to spare
    test_accuracy: float | None  # on `test`
    graph_recall: float | None  # of the exact neighbours, by the graph of samples
    abstained: int  # samples without a prediction: no edges join them to a label
    rows: list[dict[str, Any]]  # a class: labels, recall on validation and test
    confusion: list[list[int]]  # label by predicted class, validation split [K, K]
    curves: list[dict[str, Any]]  # an epoch: loss, and validation scores
    checkpoint: str
    skipped: dict[str, str]  # sample id: why it could not be read
    notes: list[str]
    synthetic: int  # samples left out because Evenset generated them
    seconds: float
    views: dict[str, str] = field(default_factory=dict)

    def parts(self) -> list[Part]:
        title = (
            f"{self.output_field}: {counted(self.trained, 'label')} trained, {self.validated:,} validated, "
            f"{counted(self.epochs, 'epoch')}"
        )
        accuracy = held_out.accuracy_text(self.accuracy, self.test_accuracy)
        notes = [*self.notes, *left_out(len(self.skipped), self.synthetic)]
        if self.heatmap_field:
            notes.append(f"Tick {self.heatmap_field!r} in the App's sidebar to see the heat maps.")
        return [title, f"{accuracy}, {self.seconds:.1f} seconds", self.graph, "", self.rows, *notes]

    def charts(self) -> dict[str, Chart]:
        return held_out.charts(self.curves, self.confusion, self.names, self.rows)


def summarise(
    run: Run, labels: Labels, scores: GraphScores, output_field: str, heatmap_field: str | None, seconds: float
) -> GCNResults:
    """Scores the validation and test splits, and counts the samples."""
    validation, test, rows = held_out.score(labels, scores.logits, scores.split_ids)
    abstained = ~scores.is_predicted
    abstained[list(scores.errors)] = False
    return GCNResults(
        run_key=run.key,
        output_field=output_field,
        heatmap_field=heatmap_field,
        graph=scores.graph,
        names=labels.names,
        samples=len(labels.ids),
        trained=int((scores.split_ids == Split.TRAIN).sum()),
        validated=int(((scores.split_ids == Split.VALIDATION) & scores.is_predicted).sum()),
        epochs=len(scores.curves),
        accuracy=validation.accuracy if validation else None,
        test_accuracy=test.accuracy if test else None,
        graph_recall=scores.recall,
        abstained=int(abstained.sum()),
        rows=rows,
        confusion=validation.confusion.tolist() if validation else [],
        curves=scores.curves,
        checkpoint=scores.checkpoint,
        skipped=errors_by_id(labels, scores.errors),
        notes=[*scores.notes, *_abstention_note(scores, abstained), *label_notes(labels)],
        synthetic=labels.synthetic_left_out,
        seconds=round(seconds, 1),
    )


def _abstention_note(scores: GraphScores, abstained: np.ndarray) -> list[str]:
    """A sentence on the samples without a prediction, if there are any."""
    count = int(abstained.sum())
    if not count:
        return []
    labelled = int((abstained & np.isin(scores.split_ids, (Split.VALIDATION, Split.TEST))).sum())
    unscored = f", {labelled} of them with a label that could not be scored" if labelled else ""
    return [
        f"{counted(count, 'sample', 'has', 'have')} no prediction: no edge leads to a label that trains{unscored}. "
        "Label one of each such piece, or raise neighbours."
    ]
