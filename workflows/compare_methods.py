"""Comparison of methods on the user's own labels: each trains on a part of them, and is scored on the others."""

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
from .comparison import rules as user_rules
from .comparison.methods import METHODS, ON_VECTORS, run_trial
from .comparison.results import CompareResults, score, table_rows
from .comparison.table_rows import OwnSettings, Row, check_resnets, field_names, read_rows
from .comparison.trial_splits import split_labels, trial_split
from .comparison.trials import CompareConfig, Comparison, TrialSplit
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
from .training.embedding_source import open_source, refuse_seen
from .training.image_survey import survey_images
from .training.partition import Split, freeze_parts, named_parts, note_parts

TRAINED, SCORED = "trained", "held out"  # values of output_field
Trials = dict[str, list[dict[str, np.ndarray]]]  # arrays of each repetition, by row


@public
def compare_methods(
    samples: Samples,
    label_field: str,
    *,
    task: str = "classification",
    methods: str | Sequence[str] | None = None,
    settings_of: OwnSettings = (),
    rules: user_rules.OptionalRules = None,
    test: Part = None,
    group_field: str | None = None,
    embeddings: str | None = None,
    output_field: str = "compare",
    progress: Progress = None,
    resume: str | None = None,
    **settings: Any,
) -> CompareResults | GenerationResults:
    """Compares methods on held-out labels; undo with `delete_run`.

    In every repetition all methods train on the same labels, and predict the same held-out samples, whose labels are
    used for scores alone. Only labels that a person gave, and no queue chose, score. The first repetition's
    predictions are written (`OUTPUT_FIELD_METHOD`), and FiftyOne evaluates each of them.

    Args:
        label_field: a field of `fo.Classification`
        task: "classification"; or "generation": ways to even out the classes (oversampling, logit adjustment,
            augmentation, augmented and generated images), with `generator`, `target`, `classes` and the settings of
            `balance_classes`
        methods: "hog + svm", "k-nn", "rules", "resnet", "image gcn", "gcn", "laplace", "ensemble"; None: all of them,
            "rules" only with `rules`
        settings_of: rows with settings of their own, {"resnet18 sgd": {"method": "resnet", "optimizer": "sgd"}}; a
            method's name needs no "method"
        rules: {label: expression of FiftyOne}, or lines of `label: expression`; the first match wins
        test: a view, or a tag, whose labels score in every repetition; None: each draws its own
        group_field: samples with the same value (patient, video, product) stay on one side, as do near-duplicates
        embeddings: for "gcn", "laplace" and "ensemble", which then has no ResNet: a field of vectors, or a model of
            FiftyOne's zoo; None: computed from the images
        output_field: new text field: "trained" or "held out"
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to resume
        settings: fields of CompareSettings, ImageSettings and AttackSettings, and of the methods' own settings; a name
            that several methods have goes to all of them

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting is unknown
    """
    if task == "generation":
        _reject(methods=methods, settings_of=settings_of or None, rules=rules, test=test, embeddings=embeddings)
        settings.update(check(compare_generation, settings), group_field=group_field, progress=progress, resume=resume)
        return compare_generation(samples, label_field, **settings)
    if task != "classification":
        raise InvalidInput(f"task has to be 'classification' or 'generation', not {task!r}")
    config = _read_config(settings)
    rows = read_rows(methods, settings_of, rules, settings)
    check_images(samples)
    labels = read_labels(samples, label_field, group_field=group_field)
    names = field_names(output_field, rows)
    for name in (output_field, *names.values()):
        check_output_field(samples, name, label_field, embeddings)
    named = named_parts(samples, test=test)
    read_rules = user_rules.read(rules) if rules is not None else []
    user_rules.check(read_rules, samples, labels, label_field)
    if not resume:
        require_classes(labels, label_field, group_field)
        refuse_seen(samples, embeddings)
        check_resnets(labels, rows)
        _check_splits(labels, named, config.compare)
    source = open_source(samples, embeddings, labels, resume)
    by_rules, notes = user_rules.apply(read_rules, samples, labels)
    inputs: dict[str, Any] = dict(label_field=label_field, output_field=output_field, group_field=group_field)
    row_inputs = [{"name": row.name, "method": row.method, **row.settings} for row in rows]
    inputs |= dict(
        methods=[], settings_of=row_inputs, rules=user_rules.write(read_rules) or None, embeddings=embeddings
    )
    fields = (output_field, *names.values(), *(f"{name}_eval" for name in names.values()))
    request = lifecycle.RunRequest("compare_methods", config.parts, inputs, fields)
    with lifecycle.start(samples, request, progress=progress, resume=resume) as run:
        note_parts(run, test=test)
        labels, named = freeze(run, labels), freeze_parts(run, named)
        arrays = {"classes": by_rules, "notes": np.array(notes, dtype=str)}
        arrays = run.cached_arrays("rules", lambda: arrays, labels.ids, ("classes",))
        stats = survey_images(run, labels, config.images) if _needs_images(rows, embeddings) else None
        comparison = Comparison(run, labels, stats, config, source, arrays["classes"], arrays["notes"].tolist())
        return run.finish(_compare(comparison, rows, named, label_field, output_field))


def _reject(**arguments: Any) -> None:
    """Rejects arguments of the other task."""
    for name in [name for name, value in arguments.items() if value is not None]:
        raise InvalidInput(f"{name} is of task='classification': task='generation' compares its own ways to train")


def _check_splits(labels: Labels, named: dict[Split, set[str]], settings: CompareSettings) -> None:
    """Rejects labels of which a repetition could train or score nothing."""
    for seed in _seeds(settings):
        split_labels(labels, None, named, settings, seed)


def _read_config(settings: dict[str, Any]) -> CompareConfig:
    from ..models.classifiers import attacks

    of_methods = dict.fromkeys(kind for _, kinds in METHODS.values() for kind in kinds)
    config = CompareConfig(*split_settings(settings, ImageSettings, CompareSettings, AttackSettings, *of_methods)[:3])
    attacks.read_epsilons(config.attack.attack_epsilons)
    if config.compare.robustness:
        attacks.check_library()
    return config


def _needs_images(rows: list[Row], embeddings: str | None) -> bool:
    without = {"rules"} | (set(ON_VECTORS) if embeddings is not None else set())
    return any(row.method not in without for row in rows)


def _seeds(settings: CompareSettings) -> range:
    return range(settings.seed, settings.seed + settings.seeds)


def _compare(
    comparison: Comparison, rows: list[Row], named: dict[Split, set[str]], label_field: str, output_field: str
) -> CompareResults:
    """Runs all trials, writes those of the first repetition, and scores all."""
    settings = comparison.config.compare
    splits = [trial_split(comparison, named, settings, seed) for seed in _seeds(settings)]
    trials = {row.name: [run_trial(comparison, row.method, row.settings, split) for split in splits] for row in rows}
    names = field_names(output_field, rows)
    written = _write(comparison, label_field, output_field, names, trials, splits[0])
    return _results(comparison, splits, trials, output_field, written)


def _write(
    comparison: Comparison,
    label_field: str,
    output_field: str,
    names: dict[str, str],
    trials: Trials,
    first: TrialSplit,
) -> dict[str, dict[str, str]]:
    """Writes the first repetition, and has FiftyOne evaluate it; returns the names of what was written.

    Args:
        names: field of each row
    """
    import fiftyone as fo
    from fiftyone import ViewField as F

    run, labels = comparison.run, comparison.labels
    declare(run, output_field, fo.StringField)
    for value, indices in ((TRAINED, first.train), (SCORED, first.test)):
        write_values(run, output_field, dict.fromkeys(labels.ids[indices].tolist(), value))
    if run.dataset.app_config.sidebar_groups is None:
        run.track("sidebar", "usual")  # FiftyOne gives each evaluation a group there
    scored, evaluations = run.dataset.match(F(output_field) == SCORED), {}
    for number, (name, field) in enumerate(names.items(), 1):
        probabilities = trials[name][0]["probabilities"]
        predicts = ~np.isnan(probabilities).any(1)
        class_ids, confidence, _ = top_two(probabilities[predicts])
        declare_classification(run, field, {})
        columns = dict(label=np.array(labels.names, dtype=object)[class_ids], confidence=confidence)
        write_classifications(run, field, labels.ids[first.test[predicts]], columns)
        key = evaluations[name] = f"{field}_eval"
        run.track("evaluations", key)
        options = dict(gt_field=label_field, eval_key=key, classes=labels.names, progress=False)
        write_durably(run.dataset, partial(scored.evaluate_classifications, field, **options))
        remember_id(run, "evaluations", key, document(run.dataset).evaluations[key])
        run.report("evaluating", number, len(names))
    views = {"held out": saved_views.save(run, f"{output_field}: held out", scored)}
    return dict(fields=names, evaluations=evaluations, views=views)


def _results(
    comparison: Comparison,
    splits: list[TrialSplit],
    trials: Trials,
    output_field: str,
    written: dict[str, dict[str, str]],
) -> CompareResults:
    labels, stats = comparison.labels, comparison.stats
    scores: dict[str, list[dict[str, Any]]] = {name: [] for name in trials}
    for name, repetitions in trials.items():
        for split, arrays in zip(splits, repetitions, strict=True):
            numbers = {key: float(value) for key, value in arrays.items() if value.ndim == 0}
            measures = score(arrays["probabilities"], labels.class_ids[split.test])
            scores[name].append({"method": name, "seed": split.seed, **measures, **numbers})
    return CompareResults(
        run_key=comparison.run.key,
        output_field=output_field,
        names=labels.names,
        rows=table_rows(scores),
        scores=[repetition for repetitions in scores.values() for repetition in repetitions],
        trained=[len(split.train) for split in splits],
        held_out=[len(split.test) for split in splits],
        notes=[*comparison.rule_notes, *_notes(comparison, splits)],
        skipped={str(labels.ids[i]): reason for i, reason in (stats.errors if stats else {}).items()},
        synthetic=labels.synthetic_left_out,
        **written,
    )


def _notes(comparison: Comparison, splits: list[TrialSplit]) -> list[str]:
    labels = comparison.labels
    notes = list(labels.notes)
    untrusted = int(((labels.class_ids >= 0) & ~labels.trusted).sum())
    if untrusted:
        notes.append(f"{counted(untrusted, 'label')} came from Evenset or a queue, and trained without scoring.")
    trained = set(labels.class_ids[splits[0].train].tolist())
    missing = [name for i, name in enumerate(labels.names) if i not in trained]
    if missing:
        notes.append(f"Not learned, since no label of it trains: {', '.join(missing[:5])}.")
    if len(splits) > 1:
        notes.append("In brackets: Student's 95 % interval over the repetitions.")
    notes.append("The App's Model Evaluation panel compares the evaluations of the first repetition.")
    return notes
