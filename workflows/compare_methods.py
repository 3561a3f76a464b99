"""Which method does best on the user's own labels: each learns from a part of them, and is scored on the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..models.errors import InvalidInput
from ..models.probabilities import top_two
from ..models.settings import AttackSettings, CompareSettings, ImageSettings
from ..models.settings import split as split_settings
from .balancing.comparison import GenerationResults, compare_generation
from .comparison import methods as learners
from .comparison import rules as own_rules
from .comparison.results import CompareResults, score, table_rows
from .comparison.table_rows import OwnSettings, Row, check_resnets, field_names, read_rows
from .comparison.trials import Cut, Material, alike, cut_labels
from .data import saved_views
from .data.checks import check_images, check_output_field
from .data.durable_writes import write_durably
from .data.fields import declare, declare_classification, write_classifications, write_values
from .data.internals import document
from .data.labels import Labels, read_labels, require_classes
from .data.marks import remember_id
from .display.tables import counted
from .runs import lifecycle
from .runs.arguments import Part, Progress, Samples, check, public
from .runs.label_snapshot import freeze
from .runs.run import Run
from .training.embedding_source import open_source, refuse_seen
from .training.image_survey import survey_images
from .training.partition import Split, freeze_parts, named_parts, note_parts

TRAINED, SCORED = "trained", "held out"  # what output_field says of a sample


@public
def compare_methods(
    samples: Samples,
    label_field: str,
    *,
    task: str = "classification",
    methods: str | Sequence[str] | None = None,
    settings_of: OwnSettings = (),
    rules: own_rules.OptionalRules = None,
    test: Part = None,
    group_field: str | None = None,
    embeddings: str | None = None,
    output_field: str = "compare",
    progress: Progress = None,
    resume: str | None = None,
    **settings: Any,
) -> CompareResults | GenerationResults:
    """Compares methods on held-out labels; undo with `delete_run`.

    Each method learns from the training labels, in every repetition the same for all, and predicts the held-out
    samples, whose labels choose nothing. Only labels that a person gave, and no queue chose, score. The first
    repetition's predictions are written (`OUTPUT_FIELD_METHOD`), and FiftyOne evaluates each of them.

    Args:
        label_field: a field of `fo.Classification`
        task: "classification"; or "generation": ways to even out the classes (oversampling, logit adjustment,
            augmentation, changed and drawn images), with `generator`, `target`, `classes` and the settings of
            `balance_classes`
        methods: "hog + svm", "k-nn", "rules", "resnet", "image gcn", "gcn", "laplace", "ensemble"; None: all of them,
            "rules" where they are given
        settings_of: rows with settings of their own, {"resnet18 sgd": {"method": "resnet", "optimizer": "sgd"}}; a
            method's name needs no "method"
        rules: {label: expression of FiftyOne}, or lines of `label: expression`; the first match wins
        test: a view, or a tag, whose labels score in every repetition; None: another part is drawn in each
        group_field: samples with the same value (patient, video, product) stay on one side, as do near-duplicates
        embeddings: of "gcn", "laplace" and "ensemble", which then has no ResNet: a field of vectors, or a model of
            FiftyOne's zoo; None: made from the images
        output_field: new text field: which samples trained, and which were held out
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to go on with
        settings: fields of CompareSettings, ImageSettings and AttackSettings, and of the methods' own settings; a name
            that several methods have goes to all of them

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is no dataset or view, or there is no such setting
    """
    if task == "generation":
        own = dict(methods=methods, settings_of=settings_of or None, rules=rules, test=test, embeddings=embeddings)
        for name in [name for name, value in own.items() if value is not None]:
            raise InvalidInput(f"{name} is of task='classification': task='generation' compares its own ways to train")
        return compare_generation(
            samples,
            label_field,
            group_field=group_field,
            progress=progress,
            resume=resume,
            **{**settings, **check(compare_generation, settings)},
        )
    if task != "classification":
        raise InvalidInput(f"task has to be 'classification' or 'generation', not {task!r}")
    choices, image_settings, attack = _read_settings(settings)
    rows = read_rows(methods, settings_of, rules, settings)
    check_images(samples)
    labels = read_labels(samples, label_field, group_field=group_field)
    names = field_names(output_field, rows)
    for name in (output_field, *names.values()):
        check_output_field(samples, name, label_field, embeddings)
    given = named_parts(samples, test=test)
    ruled = own_rules.read(rules) if rules is not None else []
    own_rules.check(ruled, samples, labels, label_field)
    if not resume:
        require_classes(labels, label_field, group_field)
        refuse_seen(samples, embeddings)
        check_resnets(labels, rows)
        for seed in _seeds(choices):
            cut_labels(labels, alike(labels, None), given, choices, seed)
    source = open_source(samples, embeddings, labels, resume)
    said, notes = own_rules.apply(ruled, samples, labels) if ruled else (np.full(len(labels.ids), -1), [])
    inputs = dict(label_field=label_field, output_field=output_field, group_field=group_field, embeddings=embeddings)
    written_rows = [{"name": one.name, "method": one.method, **one.settings} for one in rows]
    written_rules = own_rules.write(ruled) if ruled else None
    with lifecycle.start(
        samples,
        lifecycle.RunRequest(
            "compare_methods",
            settings=(image_settings, choices, attack),
            inputs={**inputs, "methods": [], "settings_of": written_rows, "rules": written_rules},
            fields=(output_field, *names.values(), *(f"{name}_eval" for name in names.values())),
        ),
        progress=progress,
        resume=resume,
    ) as run:
        note_parts(run, test=test)
        labels, given = freeze(run, labels), freeze_parts(run, given)
        ruled_by = {"classes": said, "notes": np.array(notes, dtype=str)}
        kept = run.cached_arrays("rules", lambda: ruled_by, labels.ids, ("classes",))
        look = survey_images(run, labels, image_settings) if _needs_images(rows, embeddings) else None
        attacked = attack if choices.robustness else None
        material = Material(run, labels, look, image_settings, source, kept["classes"], attacked)
        cuts = [_cut(material, given, choices, seed) for seed in _seeds(choices)]
        found = {one.name: [learners.learn(material, one.method, one.settings, cut) for cut in cuts] for one in rows}
        written = _write(run, labels, label_field, output_field, names, found, cuts[0])
        return run.finish(_results(material, cuts, found, kept["notes"].tolist(), output_field, written))


def _read_settings(settings: dict[str, Any]) -> tuple[CompareSettings, ImageSettings, AttackSettings]:
    from ..models.classifiers import attacks

    own = [kind for _, kinds in learners.METHODS.values() for kind in kinds]
    found = split_settings(settings, CompareSettings, ImageSettings, AttackSettings, *dict.fromkeys(own))
    choices, image_settings, attack = found[:3]
    attacks.read_epsilons(attack.attack_epsilons)
    if choices.robustness:
        attacks.check_library()
    return choices, image_settings, attack


def _needs_images(rows: list[Row], embeddings: str | None) -> bool:
    without = {"rules"} | (set(learners.ON_VECTORS) if embeddings is not None else set())
    return any(one.method not in without for one in rows)


def _seeds(choices: CompareSettings) -> range:
    return range(choices.seed, choices.seed + choices.seeds)


def _cut(material: Material, given: dict[Split, set[str]], choices: CompareSettings, seed: int) -> Cut:
    """The samples that train and those that score, drawn once a run."""
    known, stats = material.known, material.look

    def compute() -> dict[str, np.ndarray]:
        cut = cut_labels(known, alike(known, stats), given, choices, seed, stats)
        split_ids = np.zeros(len(known.ids), dtype=np.int64)
        split_ids[cut.train], split_ids[cut.test] = Split.TRAIN, Split.TEST
        return {"parts": split_ids}

    split_ids = material.run.cached_arrays(f"cut_{seed}", compute, known.ids, ("parts",))["parts"]
    return Cut(seed, np.flatnonzero(split_ids == Split.TRAIN), np.flatnonzero(split_ids == Split.TEST))


def _write(
    run: Run,
    labels: Labels,
    label_field: str,
    output_field: str,
    names: dict[str, str],
    found: dict[str, list[dict[str, np.ndarray]]],
    cut: Cut,
) -> dict[str, dict[str, str]]:
    """Writes the first repetition, and has FiftyOne evaluate it; returns the names of what was written."""
    import fiftyone as fo
    from fiftyone import ViewField as F

    declare(run, output_field, fo.StringField)
    for word, rows in ((TRAINED, cut.train), (SCORED, cut.test)):
        write_values(run, output_field, dict.fromkeys(labels.ids[rows].tolist(), word))
    if run.dataset.app_config.sidebar_groups is None:
        run.track("sidebar", "usual")  # FiftyOne gives each evaluation a group there
    scored, evaluations = run.dataset.match(F(output_field) == SCORED), {}
    for number, (name, field) in enumerate(names.items(), 1):
        probabilities = found[name][0]["probabilities"]
        says = ~np.isnan(probabilities).any(1)
        classes, confidence, _ = top_two(probabilities[says])
        declare_classification(run, field, {})
        columns = dict(label=np.array(labels.names, dtype=object)[classes], confidence=confidence)
        write_classifications(run, field, labels.ids[cut.test[says]], columns)
        evaluations[name] = f"{field}_eval"
        run.track("evaluations", evaluations[name])
        about = dict(gt_field=label_field, eval_key=evaluations[name], classes=labels.names, progress=False)
        write_durably(run.dataset, partial(scored.evaluate_classifications, field, **about))
        remember_id(run, "evaluations", evaluations[name], document(run.dataset).evaluations[evaluations[name]])
        run.report("evaluating", number, len(names))
    saved = {"held out": saved_views.save(run, f"{output_field}: held out", scored)}
    return dict(fields=names, evaluations=evaluations, views=saved)


def _results(
    material: Material,
    cuts: list[Cut],
    found: dict[str, list[dict[str, np.ndarray]]],
    notes: list[str],
    output_field: str,
    written: dict[str, dict[str, str]],
) -> CompareResults:
    known, stats = material.known, material.look
    scores_of: dict[str, list[dict[str, Any]]] = {name: [] for name in found}
    for name, trials in found.items():
        for cut, kept in zip(cuts, trials, strict=True):
            numbers = {key: float(value) for key, value in kept.items() if value.ndim == 0}
            right = score(kept["probabilities"], known.class_ids[cut.test])
            scores_of[name].append({"method": name, "seed": cut.seed, **right, **numbers})
    return CompareResults(
        run_key=material.run.key,
        output_field=output_field,
        names=known.names,
        rows=table_rows(scores_of),
        scores=[one for trials in scores_of.values() for one in trials],
        trained=[len(cut.train) for cut in cuts],
        held_out=[len(cut.test) for cut in cuts],
        notes=notes + _notes(material, cuts),
        skipped={str(known.ids[i]): reason for i, reason in (stats.errors if stats else {}).items()},
        synthetic=known.synthetic_left_out,
        **written,
    )


def _notes(material: Material, cuts: list[Cut]) -> list[str]:
    known = material.known
    notes = list(known.notes)
    untrusted = int(((known.class_ids >= 0) & ~known.trusted).sum())
    if untrusted:
        notes.append(f"{counted(untrusted, 'label')} came from Evenset or a queue, and trained without scoring.")
    missing = [name for i, name in enumerate(known.names) if not (known.class_ids[cuts[0].train] == i).any()]
    if missing:
        notes.append(f"Not learned, since no label of it trains: {', '.join(missing[:5])}.")
    if len(cuts) > 1:
        notes.append("In brackets: Student's 95 % interval over the repetitions.")
    notes.append("The App's Model Evaluation panel compares the evaluations of the first repetition.")
    return notes
