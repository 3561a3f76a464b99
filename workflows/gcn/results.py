"""What train_gcn returns: how well the graph says what it was not told, and where it says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.labels import Labels, label_notes
from ..display.tables import counted, percent, table
from ..runs.run import Run
from ..training import held_out
from ..training.graph_scores import Scored
from ..training.partition import Split


@dataclass
class GCNResults:
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
    accuracy: float | None  # on the validation part; None where no class had a label to spare
    test_accuracy: float | None  # on `test`
    graph_recall: float | None  # part of the exact neighbours that the graph of samples has
    abstained: int  # samples of which nothing is said: no edges join them to a label
    rows: list[dict[str, Any]]  # a class: labels, recall on validation and test
    confusion: list[list[int]]  # given class by predicted class, validation part [K, K]
    curves: list[dict[str, Any]]  # an epoch: loss, and what was validated
    checkpoint: str
    skipped: dict[str, str]  # sample id: why it could not be read
    notes: list[str]
    synthetic: int  # samples left out because Evenset generated them
    seconds: float
    views: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        title = (
            f"{self.output_field}: {counted(self.trained, 'label')} trained, {self.validated:,} validated, "
            f"{counted(self.epochs, 'epoch')}"
        )
        found = f"accuracy {percent(self.accuracy) or 'unknown'} on validation"
        if self.test_accuracy is not None:
            found += f", {percent(self.test_accuracy)} on test"
        left = list(self.notes)
        left += [f"{len(self.skipped)} samples could not be read: results.skipped lists them"] if self.skipped else []
        left += [f"{self.synthetic} synthetic samples were left out"] if self.synthetic else []
        left += [f"Tick {self.heatmap_field!r} in the App's sidebar to see the heat maps"] if self.heatmap_field else []
        return "\n".join([title, f"{found}, {self.seconds:.1f} seconds", self.graph, "", table(self.rows), *left])


def summarise(
    run: Run, labels: Labels, found: Scored, output_field: str, heatmap_field: str | None, seconds: float
) -> GCNResults:
    """Scores the parts that did not train, and counts."""
    validation, test, rows = held_out.score(labels, found.logits, found.split_ids)
    silent = ~found.said
    silent[list(found.errors)] = False
    return GCNResults(
        run_key=run.key,
        output_field=output_field,
        heatmap_field=heatmap_field,
        graph=found.graph,
        names=labels.names,
        samples=len(labels.ids),
        trained=int((found.split_ids == Split.TRAIN).sum()),
        validated=int(((found.split_ids == Split.VALIDATION) & found.said).sum()),
        epochs=len(found.curves),
        accuracy=validation.accuracy if validation else None,
        test_accuracy=test.accuracy if test else None,
        graph_recall=found.recall,
        abstained=int(silent.sum()),
        rows=rows,
        confusion=validation.confusion.tolist() if validation else [],
        curves=found.curves,
        checkpoint=found.checkpoint,
        skipped={str(labels.ids[i]): reason for i, reason in found.errors.items()},
        notes=[*found.notes, *_silence(labels, found, silent), *label_notes(labels)],
        synthetic=labels.synthetic_left_out,
        seconds=round(seconds, 1),
    )


def _silence(labels: Labels, found: Scored, silent: np.ndarray) -> list[str]:
    """A sentence on the samples of which nothing is said, if there are any."""
    count = int(silent.sum())
    if not count:
        return []
    asked = int((silent & np.isin(found.split_ids, (Split.VALIDATION, Split.TEST))).sum())
    scored = f", {asked} of them with a label that could not be scored" if asked else ""
    return [
        f"{counted(count, 'sample', 'has', 'have')} no prediction: no edge leads to a label that trains{scored}. "
        "Label one of each such piece, or raise neighbours."
    ]
