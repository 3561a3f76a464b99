"""Objects of small classes, pasted into copies of other images until the plan is filled or no place is free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.flips import resolve_flips
from ...models.images.first_images import photo_kind
from ...models.images.region import Region
from ...models.settings import BoxSettings, ImageSettings
from ...models.synthetic import Origin
from ..data import scenes as data_scenes
from ..data import synthetic
from ..data.labels import Labels
from ..data.scenes import Scenes
from ..data.synthetic import SyntheticImage
from ..display.tables import counted
from ..runs.run import Run
from . import draw_log
from .canvas import Files
from .composer import Composer, Composition
from .config import BalanceConfig
from .draw_log import Line
from .plan import Plan

BLOCK = 50  # images that are composed and logged at once: a kill loses no more
CROP = BoxSettings()  # how the measurement and the grid of the results see an object
PHASE = "pasting objects"  # of the run


@dataclass(frozen=True)
class Pasting:
    """New images with pasted objects."""

    images: list[SyntheticImage]
    notes: list[str]
    errors: dict[str, str]  # id of a sample or box: why it could not be used


def paste(
    run: Run, samples: Any, labels: Labels, plan: Plan, config: BalanceConfig, held_out: Collection[str] = ()
) -> Pasting:
    """Pastes objects until `plan.add` boxes of each class are new, with those that the hosts bring.

    Args:
        labels: of the boxes that are cut out
        held_out: ids of samples that are neither hosts nor sources
    """
    label_field = run.record.inputs["label_field"]
    read = run.cached_arrays("scenes", lambda: vars(data_scenes.read_scenes(samples, label_field)))
    scenes = Scenes(**read)
    sources = labels.take(~np.isin(labels.sample_ids, list(held_out)))
    composer = _composer(run, scenes.without_hosts(held_out), sources, config)
    run.images_folder.mkdir(exist_ok=True)
    first_number = run.remember("first_number", lambda: synthetic.next_number(run.dataset))
    lines, wanted = draw_log.read(run), int(plan.add.sum())
    for line in lines:
        composer.uses[[*line["passed"], line["scene"]]] += 1
    lacking, is_full = _lacking(plan, lines), False
    while not is_full and (lacking > 0).any():
        block: list[Line] = []
        while len(block) < BLOCK and (lacking > 0).any():
            number = len(lines) + len(block) + first_number
            composition = composer.compose(number, lacking)
            if is_full := composition is None:
                break
            block.append(_write(composer, composition, number))
            lacking = lacking - _counts(block[-1], plan.names)
            run.report(PHASE, wanted - int(lacking.clip(0).sum()), wanted)
        draw_log.append(run, block)
        lines += block
    images = [_image(line) for line in lines if line["kept"]]
    notes = [*_host_note(images), *_no_source(composer, plan), *_fell_short(composer, plan, lines)]
    return Pasting(images, notes, composer.files.errors)


def _composer(run: Run, scenes: Scenes, labels: Labels, config: BalanceConfig) -> Composer:
    class_of = dict(zip(labels.ids.tolist(), labels.class_ids.tolist(), strict=True))
    class_ids = np.array([class_of.get(i, -1) for i in scenes.box_ids.tolist()], dtype=int)
    limits = ImageSettings(max_megabytes=config.images.max_megabytes, max_megapixels=config.images.max_megapixels)
    files = Files(run, scenes, run.record.inputs["label_field"], limits, config.paste.feather)
    flips = resolve_flips(config.augment.flips, *photo_kind(scenes.paths.tolist()))
    return Composer(files, labels.names, class_ids, config.paste, config.balance.seed, flips)


def _lacking(plan: Plan, lines: list[Line]) -> np.ndarray:
    """Boxes that each class lacks, negative where it has more than wanted [K]."""
    return np.asarray(plan.add - sum((_counts(line, plan.names) for line in lines if line["kept"]), 0 * plan.add))


def _counts(line: Line, names: list[str]) -> np.ndarray:
    """New boxes of each class in an image: pasted, or copied from its host [K]."""
    counts = Counter(line["copied"]) + Counter(label for label, _ in line["objects"])
    return np.array([counts[name] for name in names], dtype=int)


def _write(composer: Composer, composition: Composition, number: int) -> Line:
    """Writes an image and its boxes; returns the line of the log."""
    files, scene = composer.files, composition.scene
    host_id = str(files.scenes.ids[scene])
    notes = dict(run=files.run.key, number=number, source=str(Origin.PASTE), seed=composer.seed)
    notes = {**notes, "nearest_real_id": host_id, "reason": ""}
    path, boxes_file = files.write(composition.canvas, scene, number, notes)
    objects = []
    for pasted in composition.canvas.objects:
        left, top, width, height = pasted.box.tolist()
        region = Region(path, (left, top, width, height), CROP.box_margin, CROP.box_shape)
        objects.append((composer.names[composer.class_ids[pasted.row]], str(region)))
    class_ids = composer.class_ids[files.scenes.rows_of(scene)]
    copied = Counter(composer.names[i] for i in class_ids.tolist() if i >= 0)
    line = dict(label="", kept=True, reason="", path=path, notes=notes, boxes_file=boxes_file)
    return {**line, "objects": objects, "copied": dict(copied), "scene": scene, "passed": composition.passed}


def _image(line: Line) -> SyntheticImage:
    objects = tuple((label, region) for label, region in line["objects"])
    copied = tuple(line["copied"].items())
    return SyntheticImage(line["path"], "", line["notes"], True, line["boxes_file"], objects, copied)


def _host_note(images: list[SyntheticImage]) -> list[str]:
    """A sentence on the boxes that new images have from their hosts."""
    copied: Counter[str] = Counter()
    for image in images:
        copied.update(dict(image.copied))
    if not copied:
        return []
    listed = ", ".join(f"{name} {count:,}" for name, count in copied.most_common(5))
    more = f" and {len(copied) - 5} more classes" if len(copied) > 5 else ""
    return [
        f"Each new image has the boxes of the image that objects were pasted into, in all {copied.total():,}: "
        f"{listed}{more}."
    ]


def _no_source(composer: Composer, plan: Plan) -> list[str]:
    """Sentences on classes of which no box can be cut out."""
    notes = []
    for i in np.flatnonzero(plan.add).tolist():
        if not len(composer.sources[i]):
            why = composer.why_none(i) or "all are held out for the measurement"
            notes.append(f"No box of {plan.names[i]!r} can be cut out: {why}. Label more of the class.")
    return notes


def _fell_short(composer: Composer, plan: Plan, lines: list[Line]) -> list[str]:
    """A sentence on the classes for whose objects no place was free."""
    lacking = _lacking(plan, lines)
    rows = [i for i in np.flatnonzero(lacking > 0).tolist() if len(composer.sources[i])]
    if not rows:
        return []
    short = ", ".join(f"{plan.names[i]!r} lacks {lacking[i]:,} of {plan.add[i]:,}" for i in rows[:5])
    hosts = int(composer.scenes.is_annotated.sum())
    return [
        f"No place is free for more objects: {short}. {counted(hosts, 'image', 'was', 'were')} searched, and none has "
        "room beside its boxes where the class is, in its size. Add images with fewer objects, or lower the target."
    ]
