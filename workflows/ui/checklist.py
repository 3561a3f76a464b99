"""Checklist of a dataset: what is left to do in the order of the work, each with a count, a reason and a button."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...models.settings import SplitSettings
from ..data import items
from ..data.label_text import or_none
from ..data.labels import SYNTHETIC
from ..data.status import Status
from ..display.tables import counted, percent, plural
from ..mistakes.class_size import MIN_CLASS_LABELS
from ..runs import lookup
from ..runs.records import RunRecord
from . import tag_suggestions
from .class_views import is_open
from .latest_check import LatestCheck
from .overview import NO_LABELS, STATES, Overview
from .training_set import TrainingSet

MAX_RATIO = 3.0  # of the largest class to the smallest; above it, balancing is recommended
MAX_NAMES = 5  # of classes in a sentence
MAX_FIRST = 30  # samples to label first
NOTHING_LEFT = {  # by the noun of an item
    items.SAMPLE: "Checked, labelled, even, split and exported: nothing is left to do here.",
    items.BOX: "Checked, labelled, split and exported: nothing is left to do here.",
    items.TAG: "Checked, tagged and split: nothing is left to do here.",
}
MIN_CLASSES = {items.SAMPLE: 2, items.BOX: 2, items.TAG: 1}  # with a label, for a model to learn from
LABEL = {items.SAMPLE: "label", items.BOX: "label", items.TAG: "tag"}
LABELLED = {items.SAMPLE: "labelled sample", items.BOX: "labelled box", items.TAG: "tag"}
UNLABELLED = {  # noun and verbs with a number
    items.SAMPLE: ("sample", "has no label", "have no label"),
    items.BOX: ("box", "has no label", "have no label"),
    items.TAG: ("sample", "has no tags yet", "have no tags yet"),
}
UNTOUCHED = {
    items.SAMPLE: ("sample", "with neither a label nor a suggestion", "with neither a label nor a suggestion"),
    items.BOX: ("box", "with neither a label nor a suggestion", "with neither a label nor a suggestion"),
    items.TAG: ("sample", "with neither tags nor suggestions", "with neither tags nor suggestions"),
}
START, ACCEPT, FIRST, TARGET, PROBLEMS = "start", "accept", "first", "target", "problems"  # events of a step


@dataclass(frozen=True)
class Step:
    """A step that is left: a sentence with its count, the reason, and a button."""

    sentence: str
    reason: str = ""
    button: str = ""
    operator: str = ""  # that the button opens, or starts
    tab: str = ""  # or the tab that it opens
    view: str = ""  # or the saved view that it shows
    event: str = ""  # or the panel's own event; with START, a second button opens the tab or the operator's form
    tag: str = ""  # of the samples that the event works on; "": all
    params: dict[str, Any] = field(default_factory=dict)  # of the event, or values of the form


@dataclass(frozen=True)
class Findings:
    """What the runs of a dataset say, beside the counts of its labels."""

    done: dict[str, RunRecord]  # the newest finished run of each workflow
    unreadable: int = 0  # unlabelled samples that auto_label cannot read
    flagged: int = 0  # labels that the newest find_mistakes flagged, and nobody has decided
    check: LatestCheck | None = None
    check_views: dict[str, str] = field(default_factory=dict)  # of the check, by kind of problem
    targets: list[dict[str, Any]] = field(default_factory=list)  # rows of the newest auto_label
    stopped: int = 0  # runs that were stopped, failed or killed
    is_pasteable: bool = True  # or to be augmented; Polylines and tags are not
    to_add: int = 0  # images that would even out the classes
    multiplied: list[str] = field(default_factory=list)  # sentences on undecided mistakes among those
    last: TrainingSet = field(default_factory=TrainingSet)


def steps(counts: Overview, findings: Findings) -> list[Step]:
    """The steps that are left, the next one first; empty where nothing is. Tags are not evened out."""
    every = [
        _check(findings),
        *_few_labels(counts),
        _mistakes(counts, findings),
        *_suggestions(counts, findings),
        _unchecked_labels(counts, findings),
        *_split(counts, findings),
        _uneven(counts, findings),
        *_export(counts, findings),
        _stopped(findings),
    ]
    return [step for step in every if step]


def next_step(left: list[Step]) -> int:
    """Index of the recommended step: the first that is not a look at the images alone."""
    return next((place for place, step in enumerate(left) if step.operator != "check_dataset" and not step.view), 0)


def _check(findings: Findings) -> Step | None:
    check = findings.check
    if check is None:
        reason = "Finds damaged files, duplicates, leaks between splits, and dark, blurred or odd images."
        return Step("The images are not checked", reason, "Check", operator="check_dataset", event=START)
    titles = [f"{title} ({count:,})" for title, count in check.titles.items()]
    if not titles:
        return None
    sentence = f"The check found: {_listed(titles)}"
    view = next(iter(findings.check_views.values()), "")
    params = dict(field=check.output_field)
    return Step(sentence, "", "Look at them", view=view, event=PROBLEMS if view else "", params=params)


def _few_labels(counts: Overview) -> list[Step]:
    labelled = {name: row[Status.LABELLED] for name, row in counts.classes.items() if row[Status.LABELLED]}
    if not labelled:
        return [Step(NO_LABELS[counts.noun])]
    if len(labelled) < MIN_CLASSES[counts.noun]:
        count = counted(sum(labelled.values()), "label")
        return [Step(f"There is one class among {count}: label a few samples of another")]
    few = {name: count for name, count in labelled.items() if count < MIN_CLASS_LABELS}
    if not few or not counts.unlabelled:
        return []
    names = _listed([f"{name} ({count})" for name, count in few.items()])
    reason = f"Fewer than {MIN_CLASS_LABELS} labels are too few to judge one of them, or to learn the class well."
    sentence = f"{counted(len(few), 'class', 'has', 'have')} few labels: {names}"
    return [Step(sentence, reason, "Show what to label", event=FIRST, params=dict(classes=[*few]))]


def _mistakes(counts: Overview, findings: Findings) -> Step | None:
    if not findings.flagged:
        return None
    noun = LABEL[counts.noun]
    reason = f"Wrong {plural(noun)} teach every model what is wrong."
    return Step(f"{counted(findings.flagged, noun)} may be wrong", reason, "Look at them", tab="mistakes")


def _suggestions(counts: Overview, findings: Findings) -> list[Step]:
    if not _has_classes(counts):
        return []
    labelled, accepted, review = (counts.total(state) for state in STATES[:3])
    auto_label: dict[str, Any] = dict(button="Auto-label", operator="auto_label")
    if "auto_label" not in findings.done:
        reason = f"{counted(labelled, 'label')} can suggest the others."
        sentence = counted(counts.unlabelled, *UNLABELLED[counts.noun])
        return [Step(sentence, reason, **auto_label)] if counts.unlabelled else []
    found, left = [], counts.left - findings.unreadable
    if accepted:
        reason = "They are confident enough to accept."
        sentence = f"{counted(accepted, 'suggestion')} to accept"
        found.append(Step(sentence, reason, "Accept", operator="review_labels", event=ACCEPT))
    elif review:
        found += _target(findings, counts.noun)
    without = Step(f"{counted(left, *UNTOUCHED[counts.noun])}", "", **auto_label)
    look = Step(
        f"{counted(review, 'suggestion')} left to look at", "The least certain come first.", "Review", tab="review"
    )
    by_size = sorted([(left, without), (review, look)], key=lambda pair: -pair[0])
    return found + [step for count, step in by_size if count > 0]


def _target(findings: Findings, noun: str) -> list[Step]:
    """Why nothing is accepted, and the target that would accept something."""
    record = findings.done["auto_label"]
    target = record.settings.get("target_precision", 1.0)
    lower = [row for row in findings.targets if row["target"] < target and row["accepted"]]
    if not lower or any(row["accepted"] for row in findings.targets if row["target"] == target):
        return []
    best = lower[-1]
    reason = f"The held-out labels are too few, or too often predicted wrong. {percent(best['target'])} would accept "
    params = dict(run_key=record.key, target=best["target"])
    sentence = f"No suggestion reaches the target precision of {percent(target)}"
    button = f"Accept at {percent(best['target'])}"
    return [Step(sentence, f"{reason}{counted(best['accepted'], noun)}.", button, event=TARGET, params=params)]


def _unchecked_labels(counts: Overview, findings: Findings) -> Step | None:
    labelled = counts.total(Status.LABELLED)
    if "find_mistakes" in findings.done or not _has_classes(counts):
        return None
    noun = LABEL[counts.noun]
    reason = f"Some may be wrong: models that have not seen a {noun} judge it."
    sentence = f"{counted(labelled, noun, 'is', 'are')} not checked"
    return Step(sentence, reason, "Find mistakes", operator="find_mistakes", event=START)


def _uneven(counts: Overview, findings: Findings) -> Step | None:
    sizes = _sizes(counts)
    is_left = is_uneven(counts) and "balance_classes" not in findings.done
    if not is_left or not findings.is_pasteable:
        return None
    is_of_boxes, several = counts.noun == items.BOX, "boxes" if counts.noun == items.BOX else "images"
    sentence = f"The largest class has {max(sizes) / min(sizes):.0f} times as many {several} as the smallest"
    reason = "Rare classes are predicted less often than they occur."
    tag = findings.last.train_tag
    of_train = f" of images tagged {tag!r}" if tag else ""
    copies = counted(findings.to_add, "pasted object" if is_of_boxes else "augmented copy")
    reason += f" {copies}{of_train} would help." * bool(findings.to_add)
    reason = " ".join([reason, *findings.multiplied])
    source, button = ("paste", "Paste") if is_of_boxes else ("augment", "Augment")
    work: dict[str, Any] = dict(operator="balance_classes", params=dict(source=source), tag=tag)
    return Step(sentence, reason, button, tab="balance", event=START, **work)


def is_uneven(counts: Overview) -> bool:
    """Whether the largest class has more than MAX_RATIO times as many images, or boxes, as the smallest."""
    sizes = _sizes(counts)
    return len(sizes) > 1 and max(sizes) > MAX_RATIO * min(sizes)


def _has_classes(counts: Overview) -> bool:
    """Whether enough classes have a label to tell them apart; of tags one is enough."""
    return len(_sizes(counts)) >= MIN_CLASSES[counts.noun]


def _sizes(counts: Overview) -> list[int]:
    """Labelled and synthetic images, or boxes, of each class with a label."""
    return [row[Status.LABELLED] + row[SYNTHETIC] for row in counts.classes.values() if row[Status.LABELLED]]


def _split(counts: Overview, findings: Findings) -> list[Step]:
    """Before the classes are evened out: copies of a held-out image would leak into training."""
    if not _has_classes(counts):
        return []
    last, labelled = findings.last, LABELLED[counts.noun]
    split: dict[str, Any] = dict(operator="split_dataset", event=START)
    if "split_dataset" not in findings.done:
        parts = (
            f"{SplitSettings.train:.0%} to train, {SplitSettings.val:.0%} to validate, {SplitSettings.test:.0%} to test"
        )
        sentence = f"{counted(counts.total(Status.LABELLED), labelled, 'is', 'are')} not split"
        return [Step(sentence, f"{parts}; near-duplicates stay together.", "Split", **split)]
    if not last.unsplit:
        return []
    sentence = f"{counted(last.unsplit, labelled, 'is', 'are')} in no part of the split"
    return [Step(sentence, "All others keep their part.", "Extend the split", params=last.extend or {}, **split)]


def _export(counts: Overview, findings: Findings) -> list[Step]:
    last = findings.last
    if not _has_classes(counts) or last.is_exported:
        return []
    again = "export_dataset" in findings.done
    sentence = "The last export lacks what has changed since" if again else "No folder for a training program yet"
    noun = "image" if counts.noun == items.SAMPLE else counts.noun
    which = "images" if counts.noun == items.TAG else "labels"
    reason = f"{counted(sum(_sizes(counts)), noun)} with their {which}, a manifest and a model card."
    return [Step(sentence, reason, "Export", operator="export_dataset", params=last.export or {})]


def _stopped(findings: Findings) -> Step | None:
    if not findings.stopped:
        return None
    sentence = f"{counted(findings.stopped, 'run', 'was', 'were')} stopped or failed"
    return Step(sentence, "Resume or delete them.", "Runs", tab="runs")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def with_problems(dataset: Any, field: str) -> Any:
    """View of the samples in which a check found a problem."""
    from fiftyone import ViewField as F

    return dataset.match(F(f"{field}.problems").length() > 0)


def first_to_label(dataset: Any, label_field: str, suggestions: str | None, classes: list[str]) -> Any:
    """View of unlabelled items to label first: likely of these classes, or a random draw without suggestions."""
    if items.has_tags(dataset, label_field):
        return tag_suggestions.real(dataset).match({label_field: None}).take(MAX_FIRST, seed=0)
    if suggestions:
        paths = ["id", "tags", *(f"{field}.label" for field in (label_field, suggestions)), f"{suggestions}.confidence"]
        unlabelled = lookup.unlabelled_name(dataset, suggestions)
        rows = zip(*items.values(dataset, paths), strict=True)
        likely = [
            (-(confidence or 0.0), i)
            for i, tags, label, suggestion, confidence in rows
            if or_none(None if label == unlabelled else label) is None
            and suggestion in classes
            and SYNTHETIC not in tags
        ]
        if likely:
            return items.select(dataset, label_field, [i for _, i in sorted(likely)[:MAX_FIRST]])
    return items.matching(dataset, label_field, is_open).take(MAX_FIRST, seed=0)


def targets_of(dataset: Any, record: RunRecord | None) -> list[dict[str, Any]]:
    """Rows of target precisions in a run's results; empty without a run, or in a run of an earlier version."""
    return lookup.read_results(dataset, record.key).get("targets", []) if record else []
