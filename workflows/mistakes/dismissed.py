"""Flags that a person dismissed; later runs do not raise them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data import folders, label_edits
from ..data.box_kinds import KIND, BoxKind
from ..runs import records


def find_dismissed(dataset: Any, label_field: str, ids: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Whether a person dismissed the flag of each label while it was the same [n].

    Args:
        ids: of samples [n]
        labels: the label of each [n]
    """
    flags = dismissed_flags(dataset, label_field)
    return np.array([(*pair, "label") in flags for pair in zip(ids.tolist(), labels, strict=True)], dtype=bool)


def dismissed_flags(dataset: Any, label_field: str) -> set[tuple[str, str, str]]:
    """Item, label and kind of each flag that a person dismissed."""
    flags = set()
    for key in dataset.list_runs():
        if key.startswith("evenset_review_labels_"):
            record = records.read_record(dataset, key)
            if record.state == "done" and record.inputs["label_field"] == label_field:
                lines = label_edits.read(folders.run_folder(dataset, key))
                flags |= {
                    (line["id"], _label_of(line), line["before"].get(KIND) or BoxKind.LABEL.value)
                    for line in lines
                    if _dismisses(line)
                }
    return flags


def _label_of(line: dict[str, Any]) -> str:
    """The label that was flagged; of a missing box the proposed one."""
    return str(line["before"]["label"] if line["given"] is None else line["given"])


def _dismisses(line: dict[str, Any]) -> bool:
    """Whether an edit removed a flag and kept the label."""
    if "given" not in line or not line["before"].get("is_issue"):
        return False
    is_missing = line["before"].get(KIND) == BoxKind.MISSING  # which, accepted, has a line that adds it
    return is_missing or line["after"].get("label") in (None, line["given"])  # None: in reviews of earlier versions
