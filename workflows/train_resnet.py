"""Trains a ResNet on the labelled samples, and scores every sample with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..models.images import Images, Survey, survey
from ..models.settings import ImageSettings, ResNetSettings, split
from . import runs
from .results import percent, table
from .runs import Progress, Run
from .samples import (
    Labels,
    check_images,
    check_output_field,
    declare_classification,
    read_labels,
    require_classes,
    write_classifications,
)

PREDICT_BATCH = 64
TRAIN, VALIDATION, HELD_OUT, TEST = 1, 2, 3, 4  # part of each sample; 0: not labelled, or left out


@dataclass
class TrainResults:
    """What `train_resnet` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    names: list[str]
    trained: int  # images
    validated: int
    epochs: int
    accuracy: float  # on the validation part
    test_accuracy: float | None  # on `test`
    test_loss: float | None
    rows: list[dict[str, Any]]  # a class: labels, recall on validation and test
    confusion: list[list[int]]  # given class by predicted class, validation part [K, K]
    curves: list[dict[str, Any]]  # an epoch: loss, validation loss, accuracy, recall of each class
    checkpoint: str
    picture: str | None  # right and wrong predictions on `test`
    precision: str
    skipped: dict[str, str]  # sample id: why its image could not be used
    synthetic: int  # samples left out because Evenset generated them
    views: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        title = f"{self.output_field}: {self.trained} images trained, {self.validated} validated, {self.epochs} epochs"
        found = f"accuracy {percent(self.accuracy)} on validation"
        if self.test_accuracy is not None:
            found += f", {percent(self.test_accuracy)} on test"
        left = [f"{len(self.skipped)} images could not be read: results.skipped lists them"] if self.skipped else []
        left += [f"{self.synthetic} synthetic samples were left out"] if self.synthetic else []
        return "\n".join([title, found, "", table(self.rows), *left])


def train_resnet(
    samples: Any,
    label_field: str,
    *,
    output_field: str = "resnet",
    embeddings_field: str | None = None,
    validation: Any = None,
    test: Any = None,
    group_field: str | None = None,
    classes: Sequence[str] | dict[str, Sequence[str]] | None = None,
    progress: Progress | bool | None = None,
    resume: str | None = None,
    **settings: Any,
) -> TrainResults:
    """Trains a ResNet on the labelled samples, and writes a prediction for every sample; undo with `delete_run`.

    Args:
        label_field: a field of `fo.Classification`; samples without a label are predicted only
        output_field: new field of `fo.Classification`: label, confidence, margin
        embeddings_field: new field of vectors; None: they are kept in the run's folder alone
        validation, test: a view, or a tag; None: a seeded, stratified part validates, and nothing is tested
        group_field: samples with the same value (patient, video, product) stay on one side
        classes: names in order, or `{name: [synonyms]}`
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to go on with
        settings: fields of ImageSettings and ResNetSettings

    Raises:
        ValueError: a bad argument; nothing was written
    """
    image_settings, resnet_settings = split(settings, ImageSettings, ResNetSettings)
    check_images(samples)
    check_output_field(samples, output_field, label_field, embeddings_field)
    known = read_labels(samples, label_field, classes=classes, group_field=group_field)
    if not resume:
        require_classes(known, label_field)
    given = {VALIDATION: _members(samples, validation), TEST: _members(samples, test)}
    inputs = dict(label_field=label_field, output_field=output_field, embeddings_field=embeddings_field, classes=classes)
    with runs.start(
        samples,
        "train_resnet",
        settings=(image_settings, resnet_settings),
        inputs={**inputs, "group_field": group_field},
        fields=(output_field, *([embeddings_field] if embeddings_field else [])),
        progress=progress,
        resume=resume,
    ) as run:
        known = freeze(run, known)
        look = look_at(run, known, image_settings)
        parts = split_parts(run, known, look, resnet_settings, given)
        fitted = fit(run, known, look, parts, image_settings, resnet_settings)
        _write(run, known, fitted, output_field, embeddings_field)
        return run.finish(_results(run, known, parts, fitted, output_field))


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
    """The labels as the run first saw them: a resumed run trains on the same."""
    plain = {name: np.asarray(value) for name, value in vars(known).items()}
    kept = run.arrays("labels", lambda: plain)
    return Labels(**{**kept, "names": kept["names"].tolist(), "synthetic": int(kept["synthetic"])})  # type: ignore[arg-type]


def look_at(run: Run, known: Labels, settings: ImageSettings) -> Look:
    """Decodes the labelled images once: sizes, statistics, near-duplicates, and which are damaged."""
    from ..models.splits import join, near_duplicates

    def compute() -> dict[str, np.ndarray]:
        found: Survey = survey(
            known.paths[known.known].tolist(), settings, lambda done, total: run.report("looking at images", done, total)
        )
        groups = join(near_duplicates(found.thumbnails), known.groups[known.known])
        return dict(
            size_px=np.array(found.size_px(settings)),
            gray=np.array(found.gray or settings.grayscale),
            mean=found.mean,
            std=found.std,
            groups=groups,
            bad=known.known[list(found.errors)] if found.errors else np.zeros(0, dtype=np.int64),
            reasons=np.array(list(found.errors.values()), dtype=str),
        )

    kept = run.arrays("survey", compute)
    errors = dict(zip(kept["bad"].tolist(), kept["reasons"].tolist(), strict=True))
    channels = 1 if kept["gray"] else 3
    mean, std = (np.atleast_1d(kept[name])[:channels] for name in ("mean", "std"))
    return Look(int(kept["size_px"]), channels, mean, std, kept["groups"], errors)


def split_parts(
    run: Run, known: Labels, look: Look, settings: ResNetSettings, given: dict[int, set[str] | None], held_out: float = 0.0, random: bool = False
) -> np.ndarray:
    """The part of each sample: TRAIN, VALIDATION, HELD_OUT, TEST, or 0 -> [N].

    Args:
        given: ids that the user chose for a part; None: drawn here
        held_out: fraction of the trusted labels that is kept from training, to calibrate
        random: draw them plainly, as a promise needs; else a share of each class
    """
    from ..models.splits import draw

    def compute() -> dict[str, np.ndarray]:
        parts = np.zeros(len(known.ids), dtype=np.int64)
        usable = np.array([i for i in known.known if i not in look.errors], dtype=np.int64)
        parts[usable] = TRAIN
        for part, ids in given.items():
            parts[usable[np.isin(known.ids[usable], list(ids or ()))]] = part
        group = dict(zip(known.known.tolist(), look.groups.tolist(), strict=True))

        def take(part: int, fraction: float, rows: np.ndarray, stratify: bool) -> None:
            if fraction and len(rows):
                members = np.array([group[i] for i in rows.tolist()])
                parts[rows[draw(known.classes[rows], members, fraction, settings.seed, stratify=stratify)]] = part

        take(HELD_OUT, held_out, usable[known.trusted[usable] & (parts[usable] == TRAIN)], not random)
        if given.get(VALIDATION) is None:
            take(VALIDATION, settings.validation_fraction, np.flatnonzero(parts == TRAIN), True)
        return {"parts": parts, "ids": known.ids, "paths": known.paths}

    parts = run.arrays("parts", compute)["parts"]
    check_parts(parts, known, settings)
    return parts


def check_parts(parts: np.ndarray, known: Labels, settings: ResNetSettings) -> None:
    """Refuses parts that nothing can be learned from.

    Raises:
        ValueError: fewer than two classes to train, or nothing to validate
    """
    if len(np.unique(known.classes[parts == TRAIN])) < 2:
        raise ValueError("after validation, test and damaged images are set aside, fewer than two classes are left to train")
    if not (parts == VALIDATION).any():
        raise ValueError(
            f"no label is left to validate ({settings.validation_fraction:g} of {(parts == TRAIN).sum()}): "
            "label more samples, or raise validation_fraction"
        )


def fit(
    run: Run, known: Labels, look: Look, parts: np.ndarray, image_settings: ImageSettings, settings: ResNetSettings
) -> Fitted:
    """Trains, keeps the checkpoint in the run's folder, and predicts every sample."""
    from ..models import resnet

    images = Images(known.paths.tolist(), image_settings, look.size_px, look.channels)
    model = resnet.build(len(known.names), look.channels, look.size_px, look.mean, look.std, settings)
    precision = run.note("precision", lambda: resnet.choose_precision(model, settings))
    settings = replace(settings, precision=precision)
    cut = resnet.Parts(np.flatnonzero(parts == TRAIN), np.flatnonzero(parts == VALIDATION))
    path = run.folder / "checkpoint.safetensors"
    if not path.exists():
        steps = resnet.train(model, images.__getitem__, known.classes, cut, settings, run.folder)
        for step in run.watch(steps, "training"):
            run.curve(step)
        notes = dict(names=known.names, images=asdict(replace(image_settings, size_px=look.size_px)))
        resnet.save(model, path, notes)
        for rest in ("last.safetensors", "best.safetensors"):
            (run.folder / rest).unlink(missing_ok=True)
    model, _ = resnet.load(path)
    logits, embeddings, errors = predict(run, model, images, settings)
    return Fitted(logits, embeddings, model.prior.numpy(), errors, run.curves, precision, images)


def predict(run: Run, model: Any, images: Images, settings: ResNetSettings) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Logits [N, K] and embeddings [N, D] of every image, NaN where one cannot be read, and the reasons."""
    from ..models import resnet

    def compute() -> dict[str, np.ndarray]:
        logits: list[np.ndarray] = []
        embeddings: list[np.ndarray] = []
        rows: list[np.ndarray] = []
        for indices, scores, vectors in resnet.predict(model, images.batches(PREDICT_BATCH), settings):
            rows.append(indices)
            logits.append(scores)
            embeddings.append(vectors)
            run.report("predicting", int(indices[-1]) + 1, len(images))
        bad = np.array(list(images.errors), dtype=np.int64)
        if not rows:
            raise ValueError(f"none of the {len(images)} images can be read, the first: {images.errors[0]}")
        found = dict(logits=_spread(logits, rows, len(images)), embeddings=_spread(embeddings, rows, len(images)))
        return {**found, "bad": bad, "reasons": np.array(list(images.errors.values()), dtype=str)}

    kept = run.arrays("predictions", compute)
    errors = dict(zip(kept["bad"].tolist(), kept["reasons"].tolist(), strict=True))
    return kept["logits"], kept["embeddings"], errors


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [N, K] of logits [N, K]."""
    from scipy.special import softmax as scipy_softmax

    return np.asarray(scipy_softmax(logits.astype(np.float64), axis=1))


def top_two(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted class [N], its probability [N], and how far it leads the second [N]."""
    best = np.sort(probabilities, axis=1)
    return probabilities.argmax(1), best[:, -1], best[:, -1] - best[:, -2]


def _spread(parts: list[np.ndarray], rows: list[np.ndarray], total: int) -> np.ndarray:
    """Rows at their places [total, D], NaN elsewhere."""
    joined = np.concatenate(parts)
    whole = np.full((total, joined.shape[1]), np.nan, dtype=np.float32)
    whole[np.concatenate(rows)] = joined
    return whole


def _members(samples: Any, part: Any) -> set[str] | None:
    """Ids of a part that the user named by a tag or a view; None where it is None.

    Raises:
        ValueError: it holds no sample
    """
    if part is None:
        return None
    view = samples.match_tags(part) if isinstance(part, str) else part
    ids = set(view.values("id"))
    if not ids:
        raise ValueError(f"no sample has the tag {part!r}" if isinstance(part, str) else "the view given as a part is empty")
    return ids


def _write(run: Run, known: Labels, fitted: Fitted, output_field: str, embeddings_field: str | None) -> None:
    import fiftyone as fo

    rows = np.array([i for i in range(len(known.ids)) if i not in fitted.errors])
    classes, confidence, margin = top_two(softmax(fitted.logits[rows]))
    declare_classification(run, output_field, {"margin": fo.FloatField})
    columns = dict(label=np.array(known.names, dtype=object)[classes], confidence=confidence, margin=margin)
    write_classifications(run, output_field, known.ids[rows], columns)
    if embeddings_field:
        run.wrote("fields", embeddings_field)
        run.dataset.add_sample_field(embeddings_field, fo.VectorField)
        vectors = dict(zip(known.ids[rows].tolist(), fitted.embeddings[rows], strict=True))
        run.dataset.set_values(embeddings_field, vectors, key_field="id", progress=False)


def _results(run: Run, known: Labels, parts: np.ndarray, fitted: Fitted, output_field: str) -> TrainResults:
    from ..models.resnet import report
    from .pictures import prediction_grid

    def scored(part: int) -> Any:
        rows = np.flatnonzero(parts == part)
        return report(fitted.logits[rows], known.classes[rows]) if len(rows) else None

    validation, test = scored(VALIDATION), scored(TEST)
    counts = np.bincount(known.classes[known.known], minlength=len(known.names))
    rows = [
        {"class": name, "labels": int(counts[i]), "recall": percent(validation.recall[i])}
        | ({"test recall": percent(test.recall[i])} if test else {})
        for i, name in enumerate(known.names)
    ]
    picture = prediction_grid(run.folder / "predictions.png", known, fitted, np.flatnonzero(parts == TEST)) if test else None
    return TrainResults(
        run_key=run.key,
        output_field=output_field,
        names=known.names,
        trained=int((parts == TRAIN).sum()),
        validated=int((parts == VALIDATION).sum()),
        epochs=len(fitted.curves),
        accuracy=validation.accuracy,
        test_accuracy=test.accuracy if test else None,
        test_loss=test.loss if test else None,
        rows=rows,
        confusion=validation.confusion.tolist(),
        curves=fitted.curves,
        checkpoint=str(run.folder / "checkpoint.safetensors"),
        picture=picture,
        precision=fitted.precision,
        skipped={str(known.ids[i]): reason for i, reason in fitted.errors.items()},
        synthetic=known.synthetic,
    )
