"""Log of the images that a run drew, a line an image: a resumed run goes on after the last one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ...models.files import write_text
from ...models.regular_files import regular
from ...models.synthetic import Reason
from ..data.synthetic import SyntheticImage
from ..runs.run import Run
from .plan import Plan

FILE = "made.jsonl"
Line = dict[str, Any]  # label, kept (accepted), reason, path, notes


def read(run: Run) -> list[Line]:
    """The images so far. One whose file was deleted by hand no longer counts, so that another takes its place."""
    path = run.folder / FILE
    lines = [json.loads(line) for line in regular(path).read_text().splitlines()] if path.exists() else []
    deleted = {"kept": False, "reason": Reason.SURPLUS}
    return [{**line, **deleted} if line["kept"] and not Path(line["path"]).exists() else line for line in lines]


def append(run: Run, lines: list[Line]) -> None:
    """Writes some lines, all of them or none."""
    path = run.folder / FILE
    before = regular(path).read_text() if path.exists() else ""
    write_text(path, before + "".join(json.dumps(line) + "\n" for line in lines))


def count(lines: list[Line], names: list[str], only_accepted: bool = False) -> np.ndarray:
    """Images drawn, or accepted, of each class [K]."""
    counts = Counter(line["label"] for line in lines if line["kept"] or not only_accepted)
    return np.array([counts[name] for name in names])


def images(lines: list[Line], plan: Plan) -> list[SyntheticImage]:
    """All images of the log. At most `plan.add` of a class are accepted: it shrinks where samples were deleted."""
    left = dict(zip(plan.names, plan.add.tolist(), strict=True))
    drawn = []
    for line in lines:
        left[line["label"]] -= line["kept"]
        accepted = line["kept"] and left[line["label"]] >= 0
        drawn.append(SyntheticImage(line["path"], line["label"], line["notes"], accepted))
    return drawn
