"""A record of a run that was edited or damaged: it is listed as broken, stops nobody else, and can be deleted."""

from __future__ import annotations

import evenset
import fiftyone.core.odm as foo
import pytest
from evenset.operators.tabs.run_details import describe_run
from evenset.workflows.runs import lookup, records
from evenset.workflows.ui import overview

KEYS = ["evenset_auto_label_1", "evenset_review_labels_1"]
DAMAGED = [{}, {"cls": "os.system"}, {"type": 5, "state": "done"}]
CHANGES = [
    *({name: value} for name in records.TYPES for value in (..., None, [{"a": 1}])),  # ...: it is missing
    *({"state": "nothing"}, {"writes": {"fields": "first", "views": 5}}, {"inputs": {"a": 1}}),
]


@pytest.fixture
def reviewed(clusters, finished):
    """A dataset with two runs of auto_label, and a review of the second."""

    def make():
        dataset = clusters(30, 20)
        for name in ("first", "second"):
            evenset.auto_label(dataset, "ground_truth", embeddings="vector", output_field=name, progress=False)
        evenset.review_labels(dataset, "second", status="all", force=True, progress=False)
        return dataset

    return finished("records to damage", make)


def damage(dataset, key, change):
    """Edits the record in the database, as a person could; returns it as it was."""
    runs, number = foo.get_db_conn().runs, {"_id": dataset._doc.runs[key].id}
    config = runs.find_one(number)["config"]
    edited = change if change in DAMAGED else {**config, **change}
    runs.update_one(number, {"$set": {"config": {k: v for k, v in edited.items() if v is not ...}}})
    dataset.reload()
    return config


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow, id="all"), pytest.param(5, id="some")])
def test_a_broken_record_is_listed_with_what_is_missing_and_the_others_are_used(reviewed, step):
    for key in KEYS:
        for change in [*CHANGES, *DAMAGED][::step]:
            config = damage(reviewed, key, change)

            rows = {row["key"]: row for row in evenset.list_runs(reviewed).rows}
            assert len(rows) == 3 and rows["evenset_auto_label_2"]["state"] == "done"
            assert rows[key]["state"] == "broken", change
            assert "was edited or damaged, and has no usable " in rows[key]["error"]
            assert lookup.writer_of(reviewed, "second", "auto_label").state == "done"
            assert lookup.audits_of(reviewed, "second") == []
            assert overview.count(reviewed, "ground_truth", None)
            assert describe_run(reviewed, key)
            assert lookup.view_of(reviewed, key) is None
            for call in (evenset.resume_run, evenset.load_results, evenset.stop_run):
                with pytest.raises(ValueError, match=f"{key} is "):
                    call(reviewed, key)
            damage(reviewed, key, dict(config))
            assert evenset.list_runs(reviewed).rows[0]["state"] == "done"


@pytest.mark.parametrize("change", [DAMAGED[0], {"state": ...}, {"writes": {"fields": "first", "views": 5}}], ids=str)
def test_a_broken_record_can_be_deleted(reviewed, change):
    for key in KEYS[::-1]:
        damage(reviewed, key, change)
        evenset.delete_run(reviewed, key)
    assert [row["key"] for row in evenset.list_runs(reviewed).rows] == ["evenset_auto_label_2"]
