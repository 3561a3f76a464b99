"""Undo takes what the run wrote, known by its mark or its id, and leaves what only has its name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from evenset import delete_run, review_labels
from evenset.workflows.data import saved_views
from evenset.workflows.data.fields import declare_classification
from evenset.workflows.labeling import retarget
from evenset.workflows.runs import lifecycle, lookup, ownership, records

LABELLING = "evenset_auto_label_1"


def edit_record(dataset, key, **writes):
    config = records.read_record(dataset, key)
    config.writes.update(writes)
    records.save_record(dataset, config)


def another_run(dataset, field="auto_label"):
    """Writes `field`, and saves a view of the first one's name."""
    from evenset.models.settings import AutoLabelSettings

    inputs = dict(label_field="ground_truth", output_field=field)
    with lifecycle.start(
        dataset, lifecycle.RunRequest("auto_label", settings=(AutoLabelSettings(),), inputs=inputs), progress=False
    ) as run:
        declare_classification(run, field, {})
        saved_views.save(run, "auto_label: view", dataset.limit(1))
    return run.key


def test_a_field_and_a_view_that_a_later_run_wrote_under_the_same_names_stay(suggestions):
    dataset = suggestions(["cat", "dog"])
    dataset.delete_sample_field("auto_label")
    dataset.delete_saved_view("auto_label: view")
    later = another_run(dataset)

    gone = delete_run(dataset, LABELLING)

    assert (gone.fields, gone.views) == ([], [])
    assert dataset.has_sample_field("auto_label") and dataset.list_saved_views() == ["auto_label: view"]
    assert f"the field 'auto_label' stays: it is not the one that {LABELLING} wrote" in str(gone)
    assert f"the saved view 'auto_label: view' stays: it is not the one that {LABELLING} saved" in str(gone)
    gone = delete_run(dataset, later)
    assert (gone.fields, gone.views, dataset.list_saved_views()) == (["auto_label"], ["auto_label: view"], [])


def test_a_field_without_the_runs_mark_stays(suggestions):
    dataset = suggestions(["cat"])
    field = dataset.get_field("auto_label")
    field.description = "checked by hand"
    field.save()

    assert delete_run(dataset, LABELLING).fields == []
    assert dataset.values("auto_label.label") == ["cat"]


def test_a_field_with_another_name_stays_and_is_named(suggestions):
    dataset = suggestions(["cat"])
    dataset.rename_sample_field("auto_label", "kept")

    gone = delete_run(dataset, LABELLING)

    assert dataset.values("kept.label") == ["cat"]
    assert f"the field 'kept' stays: a field of {LABELLING} that got another name" in str(gone)


def test_an_edited_record_takes_neither_labels_nor_views_nor_samples_of_others(suggestions, everything):
    import fiftyone as fo

    dataset = suggestions(["cat", "dog"], ["cat", None])
    dataset.add_sample_field("synthetic", fo.EmbeddedDocumentField, embedded_doc_type=fo.DynamicEmbeddedDocument)
    dataset.add_sample_field("synthetic.run", fo.StringField)
    dataset.limit(1).set_values("synthetic.run", ["evenset_balance_classes_1"])
    dataset.save_view("mine", dataset.limit(1))
    dataset.evaluate_classifications("auto_label", gt_field="ground_truth", eval_key="mine", progress=False)
    label_field = dataset.get_field("ground_truth")
    label_field.description = f"written by {LABELLING}"
    label_field.save()
    dataset.reload()
    edit_record(dataset, LABELLING, fields=["ground_truth"], views=["mine"], samples=["evenset_balance_classes_1"],
                evaluations=["mine"], media_fields=["filepath"], attributes=["ground_truth.confidence"])  # fmt: skip
    before = everything(dataset)

    delete_run(dataset, LABELLING)

    after = everything(dataset)
    assert {**after["views"], **before["views"]} == before["views"] and "mine" in after["views"]
    for part in ("schema", "samples", "app"):
        assert after[part] == before[part], part
    assert dataset.has_evaluation("mine")


def test_a_key_that_is_given_again_does_not_take_the_earlier_runs_field(suggestions):
    dataset = suggestions(["cat"])
    dataset.delete_run(LABELLING)  # FiftyOne's own: the field stays, and with it the mark
    assert another_run(dataset, "other") == LABELLING

    assert delete_run(dataset, LABELLING).fields == ["other"]
    assert dataset.values("auto_label.label") == ["cat"]


def test_a_view_with_another_name_is_still_the_runs(suggestions):
    dataset = suggestions(["cat"])
    dataset.update_saved_view_info("auto_label: view", {"name": "todo"})
    dataset.save_view("auto_label: view", dataset.limit(1), description=f"written by {LABELLING}")

    assert delete_run(dataset, LABELLING).views == ["todo"]
    assert dataset.list_saved_views() == ["auto_label: view"]


def test_a_view_that_was_saved_just_before_a_kill_is_known_by_its_description(suggestions):
    dataset = suggestions(["cat"])
    config = records.read_record(dataset, LABELLING)
    records.save_record(dataset, dataclasses.replace(config, ids={}))
    dataset.delete_saved_view("auto_label: view")
    dataset.save_view("auto_label: view", dataset.limit(1), description="mine")
    assert ownership.views_of(dataset, records.read_record(dataset, LABELLING)) == []

    dataset.delete_saved_view("auto_label: view")
    dataset.save_view("auto_label: view", dataset.limit(1), description=f"written by {LABELLING}")
    assert delete_run(dataset, LABELLING).views == ["auto_label: view"]


def test_an_evaluation_that_was_made_again_stays(suggestions):
    dataset = suggestions(["cat"], ["cat"])
    dataset.evaluate_classifications("auto_label", gt_field="ground_truth", eval_key="check", progress=False)
    edit_record(dataset, LABELLING, evaluations=["check"])
    config = records.read_record(dataset, LABELLING)
    assert ownership.evaluations_of(dataset, config) == ["check"]  # of a field of the run

    records.save_record(dataset, dataclasses.replace(config, ids={"evaluations": {"0" * 24: "check"}}))
    assert delete_run(dataset, LABELLING).evaluations == []
    assert dataset.has_evaluation("check")


def test_a_read_only_field_is_refused_before_anything_goes(suggestions, refused):
    dataset = suggestions(["cat"])
    field = dataset.get_field("auto_label")
    field.read_only = True
    field.save()
    with refused(dataset, "the field 'auto_label'", "is read-only, and would be written"):
        delete_run(dataset, LABELLING)
    with refused(dataset, "the field 'auto_label'", "is read-only, and would be written"):
        review_labels(dataset, "auto_label", progress=False)


def test_a_review_goes_by_the_run_that_wrote_the_field_last(suggestions):
    dataset = suggestions(["cat"])
    dataset.delete_sample_field("auto_label")
    with pytest.raises(ValueError, match="the field 'auto_label' of .*, which .*_1 wrote, was removed or renamed"):
        review_labels(dataset, "auto_label", progress=False)
    later = another_run(dataset)
    assert lookup.writer_of(dataset, "auto_label", "auto_label").key == later
    with pytest.raises(ValueError, match="no run of find_mistakes wrote the field 'auto_label'"):
        lookup.writer_of(dataset, "auto_label", "find_mistakes")


def test_every_field_that_a_run_notes_carries_its_mark():
    folder = Path(ownership.__file__).parents[1]
    writers = [path.name for path in folder.rglob("*.py") if 'track("fields"' in path.read_text(encoding="utf-8")]
    assert writers == ["fields.py"]


def test_another_target_is_not_written_into_a_later_runs_field(suggestions, monkeypatch):
    dataset = suggestions(["cat"])
    dataset.delete_sample_field("auto_label")
    another_run(dataset)
    results = dict(target_precision=0.9, output_field="auto_label")
    monkeypatch.setattr(lookup, "read_results", lambda dataset, key: results)
    with pytest.raises(ValueError, match=f"the field 'auto_label' is another run's now: that of {LABELLING}"):
        retarget.retarget(dataset, LABELLING, 0.8)
