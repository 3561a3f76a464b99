"""Splits labelled samples into training, validation, held-out and test parts, whole groups at a time."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ...models.settings import ResNetSettings, TrainGCNSettings
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.run import Run
from .image_survey import Look, groups_of_all

TRAIN, VALIDATION, HELD_OUT, TEST = 1, 2, 3, 4  # part of each sample; 0: not labelled, or left out
A_VIEW = "a view"  # in place of a tag, in a run's record
NAMED = {VALIDATION: "validation", TEST: "test"}


def split_parts(
    run: Run,
    known: Labels,
    look: Look,
    settings: ResNetSettings | TrainGCNSettings,
    given: dict[int, set[str]],
    held_out: float = 0.0,
    random: bool = False,
    validate: bool = True,
    kept: dict[int, set[str]] | None = None,
) -> np.ndarray:
    """The part of each sample: TRAIN, VALIDATION, HELD_OUT, TEST, or 0 -> [N].

    Args:
        given: ids that the user named for a part; the others are drawn here
        held_out: fraction of the trusted labels that is kept from training, to calibrate
        random: draw them plainly, as a promise needs; else a share of each class
        validate: have a VALIDATION part too
        kept: ids of the parts as an earlier round has them: of those, none is drawn
    """

    def compute() -> dict[str, np.ndarray]:
        parts = np.zeros(len(known.ids), dtype=np.int64)
        usable = np.array([i for i in known.known if i not in look.errors], dtype=np.int64)
        parts[usable] = TRAIN
        groups = groups_of_all(known, look.groups)
        for part, ids in given.items():
            rows = usable[np.isin(known.ids[usable], list(ids)) & ~known.made[usable]]
            if not len(rows):
                raise ValueError(
                    f"none of the {counted(len(ids), 'sample')} given as {NAMED[part]} has a label and an image"
                )
            parts[rows] = part
            parts[(parts == TRAIN) & known.made & np.isin(groups, groups[rows])] = 0
        if kept:
            keep_aside(parts, kept, known, groups)
        else:
            set_aside(parts, HELD_OUT, known, groups, held_out, settings.seed, stratify=not random)
        if validate and VALIDATION not in {**given, **(kept or {})}:
            set_aside(parts, VALIDATION, known, groups, settings.validation_fraction, settings.seed, stratify=True)
        return {"parts": parts, "paths": known.paths}

    parts = run.arrays("parts", compute, known.ids, ("parts", "paths"))["parts"]
    check_parts(parts, known)
    return parts


def set_aside(
    parts: np.ndarray, part: int, known: Labels, groups: np.ndarray, fraction: float, seed: int, *, stratify: bool
) -> None:
    """Moves about `fraction` of the training part to `part`, whole groups at a time.

    Only trusted labels are held out; others of their groups must not train then, and leave for no part.

    Args:
        groups: index of each sample's group [N]
    """
    from ...models.splits import draw

    rows = np.flatnonzero((parts == TRAIN) & ~known.made & (known.trusted | (part != HELD_OUT)))
    if fraction and len(rows):
        _move(parts, part, rows[draw(known.classes[rows], groups[rows], fraction, seed, stratify=stratify)], groups)


def keep_aside(parts: np.ndarray, kept: dict[int, set[str]], known: Labels, groups: np.ndarray) -> None:
    """Moves from the training part what an earlier round has kept from it; others of their groups leave for no part.

    Args:
        kept: ids of each part
    """
    for part, ids in kept.items():
        allowed = (parts == TRAIN) & (known.trusted | (part != HELD_OUT))
        _move(parts, part, np.flatnonzero(allowed & np.isin(known.ids, list(ids))), groups)


def _move(parts: np.ndarray, part: int, rows: np.ndarray, groups: np.ndarray) -> None:
    parts[(parts == TRAIN) & np.isin(groups, groups[rows])] = 0
    parts[rows] = part


def check_parts(parts: np.ndarray, known: Labels) -> None:
    """Refuses parts that nothing can be learned from.

    Raises:
        ValueError: fewer than two classes to train
    """
    if len(np.unique(known.classes[parts == TRAIN])) < 2:
        raise ValueError(
            "after validation, test and damaged images are set aside, fewer than two classes are left to train"
        )


def note_parts(run: Run, **given: Any) -> None:
    """Notes in the run's record which tag named a part, or that a view did: the run itself keeps the samples."""
    for name, part in given.items():
        if part is not None:
            run.note(name, partial(str, part if isinstance(part, str) else A_VIEW))


def named_parts(samples: Any, validation: Any = None, test: Any = None) -> dict[int, set[str]]:
    """Ids of the parts that the user named by a tag or a view.

    Raises:
        ValueError: a part has no sample, or both have the same one
    """
    found = {}
    for part, given in ((VALIDATION, validation), (TEST, test)):
        if given is not None:
            view = samples.match_tags(given) if isinstance(given, str) else given
            mine, other = samples._root_dataset, view._root_dataset
            if mine._doc.id != other._doc.id:
                raise ValueError(f"{NAMED[part]} has to be a view of {mine.name!r}, not of {other.name!r}")
            found[part] = set(view.values("id"))
            if not found[part]:
                what = f"no sample has the tag {given!r}" if isinstance(given, str) else "the view is empty"
                raise ValueError(f"{NAMED[part]}: {what}")
    both = found.get(VALIDATION, set()) & found.get(TEST, set())
    if both:
        raise ValueError(
            f"validation and test share {counted(len(both), 'sample')}, the first is {min(both)}: leave each in one"
        )
    return found


def freeze_parts(run: Run, given: dict[int, set[str]]) -> dict[int, set[str]]:
    """The parts as the run first saw them: a resumed run has the same."""
    kept = run.arrays("named", lambda: {NAMED[part]: np.array(sorted(ids)) for part, ids in given.items()})
    return {part: set(kept[name].tolist()) for part, name in NAMED.items() if name in kept}
