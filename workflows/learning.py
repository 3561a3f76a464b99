"""From labelled images to scores for all of them: what train_resnet and auto_label share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..models.images import Images, Survey, survey
from ..models.regular import regular
from ..models.settings import ImageSettings, ResNetSettings, TrainGCNSettings
from ..models.step import Step
from . import folders
from .records import save_config
from .results import counted
from .runs import Run
from .samples import Labels

PREDICT_BATCH = 64
TRAIN, VALIDATION, HELD_OUT, TEST = 1, 2, 3, 4  # part of each sample; 0: not labelled, or left out
GOING_ON = 0.25  # of the epochs, for a network that an earlier round has trained
A_VIEW = "a view"  # in place of a tag, in a run's record
MOST_NOTED = 5  # images; the results of a run would be long else
MORE_NOTED = "More images are to be looked at: preprocess_images lists them all, in results.doubtful."
NAMED = {VALIDATION: "validation", TEST: "test"}


class Look(NamedTuple):
    """What the labelled images look like."""

    size_px: int
    channels: int
    mean: np.ndarray  # 0..1 [C]
    std: np.ndarray  # 0..1 [C]
    groups: np.ndarray  # of the labelled samples; near-duplicates share one [n]
    errors: dict[int, str]  # index of the sample: why it cannot be read


@dataclass
class Fitted:
    """A trained network, and what it says of every sample."""

    logits: np.ndarray  # for evenly frequent classes [N, K]
    embeddings: np.ndarray  # [N, D]
    prior: np.ndarray  # added to the logits, it gives the training part's frequencies back [K]
    errors: dict[int, str]  # index of the sample: why it has no prediction
    curves: list[dict[str, Any]]
    precision: str
    images: Images


def freeze(run: Run, known: Labels) -> Labels:
    """The labels as the run first saw them, so that a resumed run trains on the same; deleted samples are left out."""
    plain = {name: np.asarray(value) for name, value in vars(known).items()}
    ids = run.arrays("labels", lambda: plain)["ids"]
    rows = tuple(plain.keys() - {"names", "notes", "synthetic"})
    return _labels(run.arrays("labels", lambda: plain, ids[~np.isin(ids, list(run.gone))], rows))


def frozen(dataset: Any, run_key: str) -> Labels | None:
    """The labels of a run that was stopped, as it first saw them; None where it ended before that."""
    path = folders.run_folder(dataset, run_key) / "labels.npz"
    if not path.exists():
        return None
    with np.load(regular(path), allow_pickle=False) as kept:
        return _labels(dict(kept))


def _labels(kept: dict[str, np.ndarray]) -> Labels:
    columns: dict[str, Any] = {**kept, "synthetic": int(kept["synthetic"])}
    columns.update((name, kept[name].tolist()) for name in ("names", "notes") if name in kept)
    return Labels(**columns)


def look_at(run: Run, known: Labels, settings: ImageSettings) -> Look:
    """Decodes the labelled images once: sizes, statistics, near-duplicates, and which are damaged."""
    from ..models.splits import join, near_duplicates

    def compute() -> dict[str, np.ndarray]:
        found: Survey = survey(
            known.paths[known.known].tolist(),
            settings,
            lambda done, total: run.report("looking at images", done, total),
        )
        note_images(run, found.notes)
        groups = join(near_duplicates(found.thumbnails), known.groups[known.known])
        return dict(
            size_px=np.array(found.size_px(settings)),
            gray=np.array(found.gray or settings.grayscale),
            mean=found.mean,
            std=found.std,
            groups=groups_of_all(known, groups),
            **unreadable(known.ids[known.known], found.errors),
        )

    kept = run.arrays("survey", compute, known.ids, ("groups",))
    errors = errors_of(kept, known.ids)
    channels = 1 if kept["gray"] else 3
    mean, std = (np.atleast_1d(kept[name])[:channels] for name in ("mean", "std"))
    return Look(int(kept["size_px"]), channels, mean, std, kept["groups"][known.known], errors)


def unreadable(ids: np.ndarray, errors: dict[int, str]) -> dict[str, np.ndarray]:
    """Errors by index, as arrays to keep; they go by id, as samples may be deleted before they are read again."""
    return dict(bad=ids[list(errors)], reasons=np.array(list(errors.values()), dtype=str))


def errors_of(kept: dict[str, np.ndarray], ids: np.ndarray) -> dict[int, str]:
    """Errors by index of the samples `ids`, of what `unreadable` gave."""
    reasons = dict(zip(kept["bad"].tolist(), kept["reasons"].tolist(), strict=True))
    return {i: reasons[name] for i, name in enumerate(ids.tolist()) if name in reasons}


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


def groups_of_all(known: Labels, groups: np.ndarray) -> np.ndarray:
    """The group of every sample, by those of the labelled ones [n]; -1 without a label [N]."""
    found = np.full(len(known.ids), -1)
    found[known.known] = groups
    return found


def set_aside(
    parts: np.ndarray, part: int, known: Labels, groups: np.ndarray, fraction: float, seed: int, *, stratify: bool
) -> None:
    """Moves about `fraction` of the training part to `part`, whole groups at a time.

    Only trusted labels are held out; others of their groups must not train then, and leave for no part.

    Args:
        groups: index of each sample's group [N]
    """
    from ..models.splits import draw

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


def check_weights(names: list[str], settings: ResNetSettings) -> None:
    """Refuses first weights that cannot be had or do not fit, before any image is read.

    Raises:
        ValueError: the file is missing, damaged, holds code, or is of another architecture; or cannot be downloaded
    """
    from ..models import resnet

    if settings.weights not in ("auto", "none"):
        resnet.build(len(names), 1, 8, np.zeros(1), np.ones(1), settings)  # the stem takes any channels and size


def fit(
    run: Run,
    known: Labels,
    look: Look,
    parts: np.ndarray,
    image_settings: ImageSettings,
    settings: ResNetSettings,
    watch: Callable[[Any, Step], None] | None = None,
    weights: np.ndarray | None = None,
    first: Path | None = None,
) -> Fitted:
    """Trains, keeps the checkpoint in the run's folder, and predicts every sample.

    Args:
        watch: is called with the network after each epoch
        weights: how much each sample counts in training [N]; None: all the same
        first: checkpoint to go on from, in a part of the epochs
    """
    from ..models import resnet

    images = Images(known.paths.tolist(), image_settings, look.size_px, look.channels)
    model = resnet.build(len(known.names), look.channels, look.size_px, look.mean, look.std, settings)
    precision = run.note("precision", lambda: resnet.choose_precision(model, settings))
    settings = replace(settings, precision=precision)
    cut = resnet.Parts(np.flatnonzero(parts == TRAIN), np.flatnonzero(parts == VALIDATION))
    path = run.folder / "checkpoint.safetensors"
    if not path.exists():
        if first:
            resnet.go_on(model, first, known.names)
            settings = replace(settings, epochs=part_of(settings.epochs), minimum_steps=part_of(settings.minimum_steps))

        def fetch(indices: np.ndarray) -> np.ndarray:
            run.check_stop()  # an epoch can be long, a batch is not
            return images[indices]

        steps = resnet.train(model, fetch, known.classes, cut, settings, run.folder, weights)
        for step in run.watch(steps, "training"):
            if watch:
                watch(model, step)
        notes = dict(names=known.names, images=asdict(replace(image_settings, size_px=look.size_px)))
        resnet.save(model, path, notes)
    (run.folder / "last.safetensors").unlink(missing_ok=True)
    model, _ = resnet.load(path)
    logits, embeddings, errors = predict(run, known, model, images, settings)
    return Fitted(logits, embeddings, model.prior.numpy(), errors, run.curves, precision, images)


def part_of(count: int) -> int:
    """Epochs or updates of a network that goes on."""
    return max(1, round(GOING_ON * count))


def predict(
    run: Run, known: Labels, model: Any, images: Images, settings: ResNetSettings
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Logits [N, K] and embeddings [N, D] of every image, NaN where one cannot be read, and the reasons."""
    from ..models import resnet

    def compute() -> dict[str, np.ndarray]:
        logits = np.full((len(images), model.classes), np.nan, dtype=np.float32)
        embeddings = np.full((len(images), model.head.in_features), np.nan, dtype=np.float32)
        for indices, scores, vectors in resnet.predict(model, images.batches(PREDICT_BATCH), settings):
            logits[indices], embeddings[indices] = scores, vectors
            run.report("predicting", int(indices[-1]) + 1, len(images))
        if len(images.errors) == len(images):
            raise ValueError(f"none of the {counted(len(images), 'image')} can be read, the first: {images.errors[0]}")
        note_images(run, images.notes)
        return dict(logits=logits, embeddings=embeddings, **unreadable(known.ids, images.errors))

    kept = run.arrays("predictions", compute, known.ids, ("logits", "embeddings"))
    return kept["logits"], kept["embeddings"], errors_of(kept, known.ids)


def note_images(run: Run, sentences: dict[int, str]) -> None:
    """Keeps what is to be known of images that were used all the same: `run.finish` adds it to the results' notes."""
    kept = run.note("images", list)
    new = [sentence for sentence in sentences.values() if sentence not in kept]
    more = [MORE_NOTED] if len(kept) + len(new) > MOST_NOTED and MORE_NOTED not in kept else []
    kept.extend([*new[: max(0, MOST_NOTED - len(kept))], *more])
    if new:
        save_config(run.dataset, run.key, run.config)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [N, K] of logits [N, K]."""
    from scipy.special import softmax as scipy_softmax

    return np.asarray(scipy_softmax(logits.astype(np.float64), axis=1))


def top_two(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted class [N], its probability [N], and how far it leads the second [N]."""
    best = np.sort(probabilities, axis=1)
    return probabilities.argmax(1), best[:, -1], best[:, -1] - best[:, -2]


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
