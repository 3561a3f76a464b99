"""Rejection sampling: images are drawn and filtered until the plan is filled, or no draw is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.settings import BalanceSettings
from ...models.synthetic import Reason
from ..data import synthetic
from ..data.synthetic import SyntheticImage
from ..runs.run import Run
from . import draw_log
from .draw_log import Line
from .plan import Plan
from .sample_grids import remember_rejected

if TYPE_CHECKING:
    from ...models.quality.image_filters import Judged

UNFILTERED_BLOCK = 50  # images that are augmented and logged at once
BLOCK = 1000  # images that are drawn, filtered and logged at once: a kill loses no more
OVERSAMPLING = 1.2  # draws beyond those that the acceptance rate asks for: fewer blocks, and some surplus

Sampler = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, list[dict[str, Any]]]]
"""Numbers [B] and classes [B] -> images, uint8 [B, C, S, S], and the origin of each."""
Writer = Callable[[int, int], tuple[Path, dict[str, Any]]]
"""Number and class -> the file of an image, and its origin."""
Filter = Callable[[np.ndarray, np.ndarray, Sequence[str]], "tuple[Judged, list[dict[str, Any]]]"]
"""Images [B, C, S, S], their classes [B] and files, "" where they have none -> those accepted, and their figures."""


def sample(
    run: Run, plan: Plan, sampler: Sampler, accepts: Filter, settings: BalanceSettings, first_number: int = 0
) -> list[SyntheticImage]:
    """Draws until `plan.add` images of each class are accepted. Returns all images, rejected ones too.

    Image number i depends on the seed and on i alone, so that a resumed run draws the same.

    Args:
        first_number: number of the first image; the dataset has those before it
    """
    run.images_folder.mkdir(exist_ok=True)
    lines, wanted = draw_log.read(run), int(plan.add.sum())
    while True:
        drawn, accepted = draw_log.count(lines, plan.names), draw_log.count(lines, plan.names, only_accepted=True)
        counts = how_many_to_draw_next(drawn, accepted, plan.add, settings.max_draws_per_image)
        if not counts.any():
            break
        classes = np.repeat(np.arange(len(plan.names)), counts)
        numbers = np.arange(len(lines), len(lines) + len(classes)) + first_number
        images, origins = sampler(numbers, classes)
        run.report("filtering images", 0, 1)
        judged, figures = accepts(images, classes, [origin.get("path", "") for origin in origins])
        reasons = _reasons(judged, classes, plan.add - accepted)
        block = []
        for i, number in enumerate(numbers.tolist()):
            note = {"run": run.key, "label": plan.names[classes[i]], "number": number, **origins[i], **figures[i]}
            block.append(_save(run, images[i], note, reasons[i], settings.keep_rejected))
        remember_rejected(run, judged.reason, images)
        draw_log.append(run, block)
        lines += block
        done = sum(line["kept"] for line in lines)
        run.report("making images", min(done, wanted), wanted, f"{len(lines)} tried")
    run.check_stop()
    return draw_log.images(lines, plan)


def keep_all(run: Run, plan: Plan, write: Writer, first_number: int = 0) -> list[SyntheticImage]:
    """Writes `plan.add` images of each class, unfiltered. Image number i depends on the seed and on i alone."""
    run.images_folder.mkdir(exist_ok=True)
    lines, wanted = draw_log.read(run), int(plan.add.sum())
    while (missing := plan.add - draw_log.count(lines, plan.names, only_accepted=True)).clip(0).any():
        classes = np.repeat(np.arange(len(plan.names)), missing.clip(0))[:UNFILTERED_BLOCK]
        block = []
        for number, class_id in enumerate(classes.tolist(), len(lines) + first_number):
            run.check_stop()
            path, origin = write(number, class_id)
            note = dict(run=run.key, label=plan.names[class_id], number=number, **origin, reason="")
            block.append(dict(label=note["label"], kept=True, reason="", path=str(path), notes=note))
            run.report("augmenting images", len(lines) + len(block), wanted)
        draw_log.append(run, block)
        lines += block
    return draw_log.images(lines, plan)


def stem(run: Run, number: int) -> Path:
    """The path of image `number`, without its suffix."""
    return run.images_folder / f"{run.key}_{number:06d}"


def how_many_to_draw_next(
    drawn: np.ndarray, accepted: np.ndarray, wanted: np.ndarray, max_draws_per_image: float
) -> np.ndarray:
    """Images of each class to draw next; all 0 where nothing is missing, or no draw is left [K].

    Each missing image takes 1 / acceptance rate draws and OVERSAMPLING, up to the class's limit, and BLOCK in all.

    Args:
        drawn, accepted: images so far [K]
        wanted: accepted images in the end [K]
    """
    missing = np.maximum(wanted - accepted, 0)
    left = np.maximum(np.ceil(max_draws_per_image * wanted).astype(int) - drawn, 0)
    acceptance_rate = np.where(drawn > 0, np.maximum(accepted, 1) / np.maximum(drawn, 1), 1.0)
    counts = np.minimum(np.ceil(OVERSAMPLING * missing / acceptance_rate).astype(int), left) * (missing > 0)
    if counts.sum() > BLOCK:
        counts = np.ceil(counts * BLOCK / counts.sum()).astype(int)
    return np.asarray(counts)


def _reasons(judged: Judged, classes: np.ndarray, missing: np.ndarray) -> list[str]:
    """Why each image is not used, "" where it is accepted: images that pass fill their class in order [B].

    Args:
        missing: images of each class [K]
    """
    reasons, left = judged.reason.tolist(), missing.tolist()
    for i in np.flatnonzero(judged.kept).tolist():
        if left[classes[i]] > 0:
            left[classes[i]] -= 1
        else:
            reasons[i] = str(Reason.SURPLUS)
    return reasons  # type: ignore[no-any-return]


def _save(run: Run, pixels: np.ndarray, note: dict[str, Any], reason: str, keep_rejected: bool) -> Line:
    """Keeps a file if it is accepted, or rejected ones are kept. Returns its line of the log.

    Args:
        note: with `path`, where the sampler has written the file
    """
    written = note.pop("path", "")
    path = Path(written) if written else stem(run, note["number"]).with_suffix(".png")
    is_kept = not reason or (keep_rejected and reason != Reason.SURPLUS)
    if written and not is_kept:
        path.unlink()
    elif is_kept and not written:
        synthetic.save_image(path, pixels, note)
    return dict(label=note["label"], kept=not reason, reason=reason, path=str(path), notes={**note, "reason": reason})
