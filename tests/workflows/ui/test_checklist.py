"""Checklist of the Overview tab: what is left to do, in the order of the work."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.workflows.checking.problems import KINDS
from evenset.workflows.runs.records import RunRecord
from evenset.workflows.ui import checklist, overview
from evenset.workflows.ui.checklist import Findings, steps
from evenset.workflows.ui.latest_check import LatestCheck
from evenset.workflows.ui.overview import Overview
from evenset.workflows.ui.training_set import TrainingSet

CHECKED = LatestCheck("evenset_check_dataset_1", "check", 100, {})


def done(*methods, **settings):
    return {name: RunRecord(f"evenset_{name}_1", name, settings, {}, 100, "done", 0.0) for name in methods}


def standing(unlabelled=0, cats=50, **dogs):
    """Labelled samples of one class, and 50 of another that has suggestions too."""
    zero = dict.fromkeys(overview.STATES, 0)
    return Overview({"cat": zero | dict(labelled=cats), "dog": zero | dict(labelled=50) | dogs}, unlabelled)


@pytest.mark.parametrize(
    ("counts", "methods", "left"),
    [
        (Overview({}, 9), (), [""]),
        (Overview({"cat": dict.fromkeys(overview.STATES, 9)}, 9), (), [""]),
        (standing(9), (), ["Auto-label", "Find mistakes", "Split", "Export"]),
        (standing(), (), ["Find mistakes", "Split", "Export"]),
        (standing(10, accepted=2, review=8), ("auto_label",), ["Accept", "Review", "Find mistakes", "Split", "Export"]),
        (
            standing(15, review=8),
            ("auto_label", "find_mistakes"),
            ["Review", "Auto-label", "Split", "Export"],
        ),
        (standing(9_008, review=8), ("auto_label", "find_mistakes"), ["Auto-label", "Review", "Split", "Export"]),
        (standing(cats=10), ("auto_label", "find_mistakes"), ["Split", "Augment", "Export"]),
        (standing(cats=10), ("auto_label", "find_mistakes", "balance_classes"), ["Split", "Export"]),
        (
            standing(9, cats=4),
            ("auto_label", "find_mistakes", "balance_classes"),
            ["Show what to label", "Auto-label", "Split", "Export"],
        ),
    ],
)
def test_what_is_left_stands_in_the_order_of_the_work(counts, methods, left):
    assert [step.button for step in steps(counts, Findings(done(*methods), check=CHECKED))] == left


def test_where_all_is_split_and_exported_nothing_is_left_until_it_changes():
    done_all = done("auto_label", "find_mistakes", "balance_classes", "split_dataset", "export_dataset")
    assert steps(standing(), Findings(done_all, check=CHECKED, last=TrainingSet(is_exported=True))) == []
    last = TrainingSet(unsplit=7, extend=dict(keep=True), export=dict(include_synthetic=True))
    extend, export = steps(standing(), Findings(done_all, check=CHECKED, last=last))
    assert extend.sentence == "7 labelled samples are in no part of the split" and extend.params == dict(keep=True)
    assert export.sentence == "The last export lacks what has changed since" and export.params == last.export


def test_steps_that_only_add_start_at_a_click_and_the_others_open_a_form():
    findings = Findings(done("auto_label"), to_add=12)
    found = {step.button: step for step in steps(standing(9, cats=10, accepted=2), findings)}
    started = [name for name, step in found.items() if step.event == checklist.START]
    assert started == ["Check", "Find mistakes", "Split", "Augment"]
    assert found["Accept"].event == checklist.ACCEPT and not found["Export"].event
    assert found["Augment"].params == dict(source="augment") and "12 augmented copies" in found["Augment"].reason
    assert found["Split"].reason.startswith("80% to train, 10% to validate, 10% to test")
    unpasteable = steps(standing(9, cats=10, accepted=2), Findings(done("auto_label"), is_pasteable=False))
    assert [step.button for step in unpasteable] == [name for name in found if name != "Augment"]


def test_where_a_split_exists_only_its_training_images_are_copied_and_their_mistakes_are_named():
    last = TrainingSet(train_tag="fit")
    findings = Findings(done("split_dataset"), to_add=12, last=last, multiplied=["3 labels may be wrong."])
    (step,) = [step for step in steps(standing(cats=10), findings) if step.button == "Augment"]
    assert step.tag == "fit" and step.reason.endswith(
        "12 augmented copies of images tagged 'fit' would help. 3 labels may be wrong."
    )


def test_wrong_labels_come_before_suggestions():
    findings = Findings(done("auto_label", "find_mistakes"), flagged=53, check=CHECKED)
    first = steps(standing(10, accepted=2, review=8), findings)[0]
    assert (first.tab, first.sentence) == ("mistakes", "53 labels may be wrong")


def test_the_check_stands_first_but_labels_are_next():
    found = steps(standing(9), Findings({}))
    assert found[0].operator == "check_dataset" and found[checklist.next_step(found)].operator == "auto_label"
    check = LatestCheck("evenset_check_dataset_1", "check", 100, {next(iter(KINDS)): 3})
    found = steps(standing(9), Findings({}, check=check, check_views={"some": "check: some"}))
    assert found[0].view == "check: some" and "(3)" in found[0].sentence
    assert found[checklist.next_step(found)].operator == "auto_label"


def test_where_nothing_is_accepted_the_target_that_would_is_offered():
    rows = [dict(target=target, accepted=count) for target, count in ((0.8, 85), (0.9, 20), (0.95, 0))]
    findings = Findings(done("auto_label", target_precision=0.95), targets=rows, check=CHECKED)
    (step,) = [step for step in steps(standing(100, review=100), findings) if step.event == checklist.TARGET]
    assert step.params == dict(run_key="evenset_auto_label_1", target=0.9) and step.button == "Accept at 90.0 %"
    assert "95.0 %" in step.sentence and "20 samples" in step.reason
    accepts = Findings(done("auto_label", target_precision=0.9), targets=rows, check=CHECKED)
    assert not any(step.event == checklist.TARGET for step in steps(standing(100, review=100), accepts))


def test_stopped_runs_come_last():
    last = steps(standing(9), Findings({}, stopped=2, check=CHECKED))[-1]
    assert (last.tab, last.sentence) == ("runs", "2 runs were stopped or failed")


def test_what_is_labelled_first_is_likely_of_the_rare_class(make_dataset):
    import fiftyone as fo

    dataset = make_dataset([f"/nowhere/{number}.png" for number in range(50)], ["cat", "dog"] + [None] * 48)
    drawn = checklist.first_to_label(dataset, "ground_truth", None, ["dog"])
    assert len(drawn) == 30 and drawn.count("ground_truth.label") == 0
    names = np.where(np.arange(50) % 10 == 5, "dog", "cat")
    dataset.add_sample_field("said", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.set_values("said", [fo.Classification(label=str(name), confidence=i / 50) for i, name in enumerate(names)])
    likely = checklist.first_to_label(dataset, "ground_truth", "said", ["dog"])
    assert [path.split("/")[-1] for path in likely.values("filepath")] == [f"{n}.png" for n in (45, 35, 25, 15, 5)]
