"""Images are made and judged until every class has what it is to get, or its tries are used up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..display.image_grid import COLUMNS, MAX_ROWS, image_grid, save

if TYPE_CHECKING:
    from ..data.synthetic import Made

import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...models.files import save_arrays, write_text
from ...models.regular_files import regular
from ..data import synthetic
from ..data.synthetic import Made
from ..runs.run import Run

if TYPE_CHECKING:
    from ...models.quality.image_filters import Judged

BLOCK = 1000  # images that are made, judged and written down at once: a kill loses no more
SPARE = 1.2  # drawn for each image that is still missing, as some will be refused

Draw = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, list[dict[str, Any]]]]
"""Numbers [B] and classes [B] -> images, uint8 [B, C, S, S], and what is to be noted of each."""
Judge = Callable[[np.ndarray, np.ndarray], "tuple[Judged, list[dict[str, Any]]]"]
"""Images [B, C, S, S] and their classes [B] -> which are kept, and what is to be noted of each."""


def make(
    run: Run,
    names: list[str],
    wanted: np.ndarray,
    draw: Draw,
    judge: Judge,
    max_draws_per_image: float,
    keep_rejected: bool,
    first: int = 0,
) -> list[Made]:
    """Makes `wanted` images of each class [K]; a run that was stopped goes on after the last block.

    What number i becomes depends on the seed and on i alone, so that a resumed run makes the same.

    Args:
        first: number of the first image: those before it are in the dataset already
    """
    folder = run.images_folder
    folder.mkdir(exist_ok=True)
    lines = _read(run)
    while (blocks := _next(lines, names, wanted, max_draws_per_image)) is not None:
        numbers, classes = blocks[0] + first, blocks[1]
        images, notes = draw(numbers, classes)
        judged, figures = judge(images, classes)
        block, have = [], _count(lines, only_kept=True)
        for i, number in enumerate(numbers.tolist()):
            name = names[classes[i]]
            note = {"run": run.key, "label": name, "number": number, **notes[i], **figures[i]}
            kept = bool(judged.kept[i] and have[name] < wanted[classes[i]])
            have[name] += kept
            reason = str(judged.reason[i]) or ("" if kept else synthetic.SPARE)
            path = folder / f"{run.key}_{number:06d}.png"
            if kept or (keep_rejected and reason != synthetic.SPARE):
                synthetic.save_image(path, images[i], note)
            block.append(dict(label=name, kept=kept, reason=reason, path=str(path), notes={**note, "reason": reason}))
        _remember(run, judged.reason, images)
        _append(run, block)
        lines += block
        done = sum(line["kept"] for line in lines)
        run.report("making images", min(done, int(wanted.sum())), int(wanted.sum()), f"{len(lines)} tried")
    run.check_stop()
    return _within(lines, dict(zip(names, wanted.tolist(), strict=True)))


def _within(lines: list[dict[str, Any]], wanted: dict[str, int]) -> list[Made]:
    """All that was made; kept are no more of a class than are wanted, which are fewer where samples were deleted."""
    have: Counter[str] = Counter()
    made = []
    for line in lines:
        have[line["label"]] += line["kept"]
        made.append(
            Made(
                line["path"],
                line["label"],
                line["notes"],
                line["kept"] and have[line["label"]] <= wanted[line["label"]],
            )
        )
    return made


def refused_picture(run: Run) -> str | None:
    """Draws some of the images that the filters refused, a row a reason; returns the path, None where there is none."""
    from ...models.quality.image_filters import CHECKS

    found, path = _refused(run), run.folder / "refused.png"
    if not found:
        return None
    return save(path, image_grid({reason: found[reason] for reason in CHECKS if reason in found}))


def _refused(run: Run) -> dict[str, np.ndarray]:
    """Some refused images of each reason, [n, C, S, S]."""
    path = run.folder / "refused.npz"
    if not path.exists():
        return {}
    with np.load(regular(path)) as file:
        return dict(file)


def _remember(run: Run, reasons: np.ndarray, images: np.ndarray) -> None:
    """Keeps as many of the images [B, C, S, S] that were refused as a picture shows, for their reasons [B]."""
    found, new = _refused(run), sorted(set(reasons.tolist()) - {""})
    if not new:
        return
    for reason in new:
        kept = found.get(reason, images[:0])
        fresh = [not (kept == image).all((1, 2, 3)).any() for image in images]  # a kill may have left these images
        found[reason] = np.concatenate([kept, images[(reasons == reason) & fresh]])
    save_arrays(run.folder / "refused.npz", **{reason: some[:COLUMNS] for reason, some in found.items()})


def _next(
    lines: list[dict[str, Any]], names: list[str], wanted: np.ndarray, max_draws_per_image: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Numbers and classes of the next block; None where nothing is missing, or no try is left."""
    tried, kept = (np.array([_count(lines, only)[name] for name in names]) for only in (False, True))
    missing = np.maximum(wanted - kept, 0)
    left = np.maximum(np.ceil(max_draws_per_image * wanted).astype(int) - tried, 0)
    rate = np.where(tried > 0, np.maximum(kept, 1) / np.maximum(tried, 1), 1.0)  # what the filters let through
    share = np.minimum(np.ceil(SPARE * missing / rate).astype(int), left) * (missing > 0)
    if not share.any():
        return None
    if share.sum() > BLOCK:
        share = np.ceil(share * BLOCK / share.sum()).astype(int)
    classes = np.repeat(np.arange(len(names)), share)
    return np.arange(len(lines), len(lines) + len(classes)), classes


def _count(lines: list[dict[str, Any]], only_kept: bool) -> Counter[str]:
    """How many of each class were tried, or kept."""
    return Counter(line["label"] for line in lines if line["kept"] or not only_kept)


def _read(run: Run) -> list[dict[str, Any]]:
    """The images so far; one whose file was deleted by hand is no longer kept, so that another takes its place."""
    path = run.folder / "made.jsonl"
    lines = [json.loads(line) for line in regular(path).read_text().splitlines()] if path.exists() else []
    gone = {"kept": False, "reason": synthetic.SPARE}
    return [{**line, **gone} if line["kept"] and not Path(line["path"]).exists() else line for line in lines]


def _append(run: Run, block: list[dict[str, Any]]) -> None:
    """Writes a block down, whole or not at all."""
    path = run.folder / "made.jsonl"
    before = regular(path).read_text() if path.exists() else ""
    write_text(path, before + "".join(json.dumps(line) + "\n" for line in block))


def class_grid(path: Path, names: list[str], made: list[Made]) -> str:
    """Draws some of the images that were made, a row for each of the first classes; returns the path."""
    from ..data.synthetic import read_image

    rows: dict[str, list[str]] = {name: [] for name in names}
    for one in made:
        rows[one.label].append(one.path)
    shown = [name for name in names if rows[name]][:MAX_ROWS]
    return save(path, image_grid({name: np.stack(list(map(read_image, rows[name][:COLUMNS]))) for name in shown}))
