"""Comparison of methods on the user's own labels: each trains on a part of them, and is scored on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..models.errors import InvalidInput
from ..models.settings import AttackSettings, BoxSettings, CompareSettings, ImageSettings, WorkerSettings
from ..models.settings import split as split_settings
from .balancing.comparison import GenerationResults, compare_generation
from .comparison import rules as user_rules
from .comparison.methods import METHODS, ON_VECTORS, run_trial
from .comparison.parallel_trials import train_networks
from .comparison.results import CompareResults, score, table_rows
from .comparison.table_rows import OwnSettings, Row, check_resnets, field_names, read_rows
from .comparison.trial_splits import split_labels, trial_split
from .comparison.trials import CompareConfig, Comparison, TrialSplit
from .comparison.writing import Outputs, Trials, write_trials
from .data import items
from .data.checks import check_images, check_output_field
from .data.labels import Labels, Reading, read_labels, require_classes
from .display.tables import counted
from .runs.arguments import Embeddings, Part, Progress, Samples, public
from .runs.label_snapshot import freeze
from .runs.lifecycle import RunRequest
from .runs.run import Run
from .training import timed
from .training.auto_embeddings import choose_source
from .training.embedding_source import EmbeddingSource, note_source, refuse_seen, texts
from .training.image_survey import survey_images
from .training.partition import Split, freeze_parts, named_parts, note_parts


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
    embeddings: Embeddings = None,
    unlabelled: str | None = None,
    output_field: str = "compare",
    progress: Progress = None,
    resume: str | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> CompareResults | GenerationResults:
    """Compares methods on held-out labels; undo with `delete_run`.

    In every repetition all methods train on the same labels, and predict the same held-out samples. Only labels that a
    person gave, and no queue chose, score. FiftyOne evaluates the first repetition, written to `OUTPUT_FIELD_METHOD`.

    Args:
        label_field: a field of `fo.Classification`, or of boxes
        task: "classification"; or "generation": ways to even out classes (oversampling, logit adjustment, augmentation,
            augmented and generated images), with `generator`, `target`, `classes` and settings of `balance_classes`
        methods: "hog + svm", "k-nn", "rules", "resnet", "image gcn", "gcn", "laplace", "ensemble"; None: all of them
        settings_of: settings by row, {"gcn": {"epochs": 9}, "resnet18 sgd": {"method": "resnet", "optimizer": "sgd"}}
        rules: {label: expression of FiftyOne}, or lines of `label: expression`; the first match wins; None: no "rules"
        test: a view, or a tag, whose labels score in every repetition; None: each draws its own
        group_field: samples with the same value (patient, video, product) stay on one side, as do near-duplicates
        embeddings: for "gcn", "laplace" and "ensemble", which then has no ResNet: a field of vectors, a model, or
            whatever `auto_label` takes; None: computed from the images
        unlabelled: a name that counts as no label, as "object" in proposals of boxes
        output_field: new text field: "trained" or "held out"
        progress: None for a bar, False for silence, or a function of (phase, done, total, note)
        resume: key of a stopped run to resume
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of CompareSettings, ImageSettings, BoxSettings, AttackSettings, WorkerSettings and the methods'
            own; a shared name sets all

    Raises:
        ValueError: a bad argument; nothing was written
        TypeError: `samples` is not a dataset or view, or a setting is unknown
    """
    own = dict(methods=methods, settings_of=settings_of or None, rules=rules, test=test, embeddings=embeddings)
    _check_task(task, **own, unlabelled=unlabelled)
    if task == "generation":
        return compare_generation(samples, label_field, group_field, progress, resume, **settings)
    inputs = Inputs(label_field, output_field, group_field, methods, settings_of, rules, embeddings, unlabelled)
    samples = items.source(samples, label_field)
    prepared = _read(samples, inputs, settings, resume, test)
    request = RunRequest("compare_methods", prepared.config.parts, vars(prepared.inputs), prepared.fields)
    with timed.start(samples, request, progress=progress, resume=resume) as run:
        note_parts(run, test=test)
        note_source(run, prepared.source, prepared.choice)
        return run.finish(_compare(run, prepared))


@dataclass(frozen=True)
class Inputs:
    """Arguments of compare_methods that its run records."""

    label_field: str
    output_field: str
    group_field: str | None
    methods: str | Sequence[str] | None
    settings_of: OwnSettings
    rules: user_rules.OptionalRules
    embeddings: Any  # a text once they are opened
    unlabelled: str | None


@dataclass(frozen=True)
class Prepared:
    """Samples and checked arguments of a run, read before it starts."""

    inputs: Inputs  # with every row in settings_of, and the rules as text
    config: CompareConfig
    rows: list[Row]
    labels: Labels
    named: dict[Split, set[str]]  # ids that the user named for a split
    source: EmbeddingSource | None  # of the vectors; None: they are computed from the images
    choice: str  # the sentence on embeddings="auto"
    by_rules: np.ndarray  # class by the user's rules, -1 where none matches [N]
    rule_notes: list[str]  # sentences on rules without effect

    @property
    def names(self) -> dict[str, str]:
        """The field of each row's predictions."""
        return field_names(self.inputs.output_field, self.rows)

    @property
    def fields(self) -> tuple[str, ...]:
        """Sample fields that the run creates."""
        names = self.names.values()
        return (self.inputs.output_field, *names, *(f"{name}_eval" for name in names))


def _check_task(task: str, **arguments: Any) -> None:
    """Rejects an unknown task; and for "generation", arguments of the other one."""
    if task not in ("classification", "generation"):
        raise InvalidInput(f"task has to be 'classification' or 'generation', not {task!r}")
    for name, value in arguments.items():
        if task == "generation" and value is not None:
            raise InvalidInput(f"{name} is of task='classification': task='generation' compares its own ways to train")


def _read(samples: Samples, inputs: Inputs, settings: dict[str, Any], resume: str | None, test: Part) -> Prepared:
    """Checks the arguments, and reads labels, vectors and the classes by the rules. Nothing is written.

    Raises:
        ValueError: a bad argument
    """
    config = _read_config(settings)
    rows = read_rows(inputs.methods, inputs.settings_of, inputs.rules, settings)
    check_images(samples)
    reading = Reading(config.boxes, inputs.unlabelled)
    labels = read_labels(samples, inputs.label_field, group_field=inputs.group_field, reading=reading)
    for name in (inputs.output_field, *field_names(inputs.output_field, rows).values()):
        check_output_field(samples, name, inputs.label_field, *texts(inputs.embeddings))
    named = named_parts(samples, test=test)
    rules = user_rules.read(inputs.rules) if inputs.rules is not None else []
    user_rules.check(rules, samples, labels, inputs.label_field)
    if not resume:
        require_classes(labels, inputs.label_field, inputs.group_field)
        refuse_seen(samples, inputs.embeddings)
        _check_splits(labels, named, config.compare)
        check_resnets(labels, rows, config.images.size_px)
    source, choice = choose_source(samples, inputs.embeddings, labels, resume)
    inputs = replace(inputs, embeddings=source.name if source else None)
    by_rules, notes = user_rules.apply(rules, samples, labels)
    row_inputs = [{"name": row.name, "method": row.method, **row.settings} for row in rows]
    inputs = replace(inputs, methods=[], settings_of=row_inputs, rules=user_rules.write(rules) or None)
    return Prepared(inputs, config, rows, labels, named, source, choice, by_rules, notes)


def _check_splits(labels: Labels, named: dict[Split, set[str]], settings: CompareSettings) -> None:
    """Rejects labels of which a repetition could train or score nothing."""
    for seed in _seeds(settings):
        split_labels(labels, None, named, settings, seed)


def _read_config(settings: dict[str, Any]) -> CompareConfig:
    from ..models.classifiers import attacks

    of_methods = dict.fromkeys(kind for _, kinds in METHODS.values() for kind in kinds)
    config = CompareConfig(
        *split_settings(
            settings, ImageSettings, BoxSettings, CompareSettings, AttackSettings, WorkerSettings, *of_methods
        )[:5]
    )
    attacks.read_epsilons(config.attack.attack_epsilons)
    if config.compare.robustness:
        attacks.check_library()
    return config


def _needs_images(rows: list[Row], embeddings: str | None) -> bool:
    without = {"rules"} | (set(ON_VECTORS) if embeddings is not None else set())
    return any(row.method not in without for row in rows)


def _seeds(settings: CompareSettings) -> range:
    return range(settings.seed, settings.seed + settings.seeds)


def _compare(run: Run, prepared: Prepared) -> CompareResults:
    """Runs all trials, writes those of the first repetition, and scores all."""
    inputs, config, rows = prepared.inputs, prepared.config, prepared.rows
    labels, named = freeze(run, prepared.labels), freeze_parts(run, prepared.named)
    arrays = {"classes": prepared.by_rules, "notes": np.array(prepared.rule_notes, dtype=str)}
    arrays = run.cached_arrays("rules", lambda: arrays, labels.ids, ("classes",))
    stats = survey_images(run, labels, config.images) if _needs_images(rows, inputs.embeddings) else None
    comparison = Comparison(run, labels, stats, config, prepared.source, arrays["classes"], arrays["notes"].tolist())
    splits = [trial_split(comparison, named, config.compare, seed) for seed in _seeds(config.compare)]
    train_networks(comparison, rows, splits)
    trials = {row.name: [run_trial(comparison, row.method, row.settings, split) for split in splits] for row in rows}
    outputs = Outputs(inputs.label_field, inputs.output_field, prepared.names)
    written = write_trials(comparison, outputs, trials, splits[0])
    return _results(comparison, splits, trials, outputs, written)


def _results(
    comparison: Comparison,
    splits: list[TrialSplit],
    trials: Trials,
    outputs: Outputs,
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
        output_field=outputs.field,
        names=labels.names,
        rows=table_rows(scores),
        scores=[repetition for repetitions in scores.values() for repetition in repetitions],
        trained=[len(split.train) for split in splits],
        held_out=[len(split.test) for split in splits],
        notes=[*comparison.rule_notes, *_notes(comparison, splits)],
        skipped={str(labels.ids[i]): reason for i, reason in (stats.errors if stats else {}).items()},
        synthetic=labels.synthetic_left_out,
        fields=outputs.names,
        evaluations=written["evaluations"],
        views=written["views"],
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
    if not labels.has_boxes:
        notes.append("The App's Model Evaluation panel compares the evaluations of the first repetition.")
    return notes
