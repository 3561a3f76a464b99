"""Flags that a person dismissed; later runs do not raise them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data import folders, label_edits
from ..runs import records


def find_dismissed(dataset: Any, label_field: str, ids: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Whether a person dismissed the flag of each sample while it had the same label [n].

    Args:
        ids: of samples [n]
        labels: the label of each [n]
    """
    pairs = set()
    for key in dataset.list_runs():
        if key.startswith("evenset_review_labels_"):
            record = records.read_record(dataset, key)
            if record.state == "done" and record.inputs["label_field"] == label_field:
                lines = label_edits.read(folders.run_folder(dataset, key))
                pairs |= {(line["id"], line["given"]) for line in lines if _dismisses(line)}
    return np.array([pair in pairs for pair in zip(ids.tolist(), labels, strict=True)], dtype=bool)


def _dismisses(line: dict[str, Any]) -> bool:
    """Whether an edit removed a flag and kept the label."""
    is_flag = "given" in line and line["before"].get("is_issue")
    return bool(is_flag and line["after"].get("label") in (None, line["given"]))  # None: in reviews of earlier versions
