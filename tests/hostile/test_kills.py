"""Each workflow is killed at random moments, and resumed: it leaves what it leaves where nobody kills it.

Three moments each; `pytest --soak` takes ten, and as many of the clock.
"""

from __future__ import annotations

import functools
import os
import random
import signal
import time
from pathlib import Path

import evenset
import pytest

pytestmark = pytest.mark.slow
QUIET = dict(progress=False)
DATA = {
    "digits": dict(n=40, size_px=8, labelled=30),
    "clusters": dict(n=60, labelled=30),
    "boxed_digits": dict(images=12, boxes=3, labelled=36),
}
IMAGES = dict(size_px=8, augmentation="none", precision="fp32", weights="none", epochs=3, min_updates=1, **QUIET)
GENERATOR = dict(size_px=8, minutes=None, max_updates=12, width=32, precision="fp32", preview_every=6, **QUIET)
BALANCE = dict(
    source="augment", verdict_updates=3, verdict_seeds=2, target=6, max_ratio=3.0, add="always", size_px=8, **QUIET
)

PASTE = dict(source="paste", target={"3": 12}, size_px=8, **QUIET)

WORKFLOWS = {  # name: data, what is done before, and the call that is killed
    "preprocess_images": ("digits", None, lambda d: evenset.preprocess_images(d, size_px=8, **QUIET)),
    "check_dataset": (
        "digits",
        None,
        lambda d: evenset.check_dataset(d, label_field="ground_truth", tags=True, **QUIET),
    ),
    "train_resnet": ("digits", None, lambda d: evenset.train_resnet(d, "ground_truth", embeddings_field="e", **IMAGES)),
    "train_gcn, samples": (
        "clusters",
        None,
        lambda d: evenset.train_gcn(d, "ground_truth", embeddings="vector", **QUIET),
    ),
    "train_gcn, image": (
        "digits",
        None,
        lambda d: evenset.train_gcn(d, "ground_truth", graph="image", heatmap_field="h", graph_epochs=3, **IMAGES),
    ),
    "auto_label, vectors": (
        "clusters",
        None,
        lambda d: evenset.auto_label(d, "ground_truth", embeddings="vector", **QUIET),
    ),
    "auto_label, images": (
        "digits",
        None,
        lambda d: evenset.auto_label(d, "ground_truth", self_training_rounds=1, **IMAGES),
    ),
    "review_labels": (
        "clusters",
        lambda d: evenset.auto_label(d, "ground_truth", embeddings="vector", **QUIET),
        lambda d: evenset.review_labels(d, "auto_label", status="all", force=True, **QUIET),
    ),
    "find_mistakes, vectors": (
        "clusters",
        None,
        lambda d: evenset.find_mistakes(d, "ground_truth", embeddings="vector", **QUIET),
    ),
    "find_mistakes, images": ("digits", None, lambda d: evenset.find_mistakes(d, "ground_truth", folds=2, **IMAGES)),
    "train_generator": ("digits", None, lambda d: evenset.train_generator(d, "ground_truth", **GENERATOR)),
    "balance_classes": ("digits", None, lambda d: evenset.balance_classes(d, "ground_truth", **BALANCE)),
    "balance_classes, paste": ("boxed_digits", None, lambda d: evenset.balance_classes(d, "ground_truth", **PASTE)),
    "compare_methods": (
        "clusters",
        None,
        lambda d: evenset.compare_methods(
            d, "ground_truth", embeddings="vector", methods=["gcn", "laplace"], seeds=2, **QUIET
        ),
    ),
}


@pytest.fixture
def kills(request) -> int:
    return 10 if request.config.getoption("--soak") else 3


def resume(dataset, call):
    """Goes on with what was killed; where it had no record yet, it is called again."""
    open_ = [row["key"] for row in evenset.list_runs(dataset).rows if row["state"] != "done"]
    if open_:
        evenset.resume_run(dataset, open_[0], progress=False)
    elif not any(
        row["fields"] or row["state"] == "done" for row in evenset.list_runs(dataset).rows[dataset.info["before"] :]
    ):
        call(dataset)


@pytest.fixture
def prepared(request, clones):
    """prepared(data, before): a function that gives the same data set again and again, with the same runs."""

    def prepare(data, before):
        make, arguments = request.getfixturevalue(data), DATA[data]
        first = make(**arguments)

        def again():
            dataset = clones(first)
            if before:
                before(dataset)
            dataset.info["before"] = len(dataset.list_runs())
            dataset.save()
            return dataset

        return again

    return prepare


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_that_is_killed_ends_as_one_that_is_not(name, prepared, forked, moments, left_by, kills, tmp_path):
    data, before, call = WORKFLOWS[name]
    again = prepared(data, before)
    untouched, whole, counted = left_by(again()), again(), tmp_path / "count"

    def count():
        seen = moments().watch()
        call(whole)
        counted.write_text(str(seen.count))

    told = forked(count).told
    assert told[0] == "returned", told
    expected, draw = left_by(whole), random.Random(name)
    assert bool(whole.match_tags("synthetic")) == name.startswith("balance_classes")
    points = sorted(draw.sample(range(1, int(counted.read_text())), kills))
    for point in points:
        dataset = again()

        def killed(dataset=dataset, point=point):
            moments(point).watch()
            call(dataset)

        assert forked(killed).wait() in (signal.SIGKILL, 0), point
        resume(dataset, call)
        found = left_by(dataset)
        for part in expected:
            assert found[part] == expected[part], f"{part}, killed at {point} of {counted.read_text()}"
        evenset.delete_run(dataset, dataset.list_runs()[-1])
        assert left_by(dataset) == untouched, point
        dataset.delete()


def test_a_deletion_that_is_killed_is_finished_by_the_next(prepared, forked, moments, left_by, kills, tmp_path):
    again, counted = prepared("clusters", None), tmp_path / "count"
    before = left_by(again())

    def delete(dataset, last=None):
        seen = moments(last).watch()
        evenset.delete_run(dataset, "evenset_auto_label_1")
        counted.write_text(str(seen.count))

    def labelled():
        dataset = again()
        evenset.auto_label(dataset, "ground_truth", embeddings="vector", **QUIET)
        return dataset

    whole = labelled()
    assert forked(lambda: delete(whole)).told[0] == "returned"
    for point in random.Random(0).sample(range(1, int(counted.read_text())), kills):
        dataset = labelled()
        assert forked(functools.partial(delete, dataset, point)).wait() in (signal.SIGKILL, 0), point
        if evenset.list_runs(dataset).rows:
            evenset.delete_run(dataset, "evenset_auto_label_1")
        assert left_by(dataset) == before, point
        dataset.delete()


def test_an_audit_that_is_killed_is_deleted_and_drawn_again(prepared, forked, moments, left_by, kills):
    again = prepared("clusters", lambda d: evenset.auto_label(d, "ground_truth", embeddings="vector", **QUIET))
    whole, draw = again(), random.Random(0)
    whole.match({"auto_label.status": "review"}).limit(20).set_values("auto_label.status", ["accepted"] * 20)

    def audit(dataset, last=None):
        moments(last).watch()
        return evenset.audit_labels(dataset, "auto_label", size=5, **QUIET)

    evenset.audit_labels(whole, "auto_label", size=5, **QUIET)
    for _ in range(kills):
        dataset = again()
        dataset.match({"auto_label.status": "review"}).limit(20).set_values("auto_label.status", ["accepted"] * 20)
        forked(functools.partial(audit, dataset, draw.randrange(1, 100))).wait()
        for row in evenset.list_runs(dataset).rows[1:]:
            evenset.delete_run(dataset, row["key"])
        evenset.audit_labels(dataset, "auto_label", size=5, **QUIET)
        found, expected = left_by(dataset), left_by(whole)
        for part in expected:
            assert found[part] == expected[part], part
        dataset.delete()


@pytest.mark.soak
@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_that_is_killed_at_any_time_ends_as_one_that_is_not(name, prepared, forked, left_by, kills):
    """By the clock, which also stops the work between two writes."""
    data, before, call = WORKFLOWS[name]
    again = prepared(data, before)
    whole, began = again(), time.monotonic()
    assert forked(lambda: call(whole)).told[0] == "returned"
    seconds, expected = time.monotonic() - began, left_by(whole)
    for _ in range(kills):
        dataset = again()
        child = forked(functools.partial(call, dataset))
        time.sleep(random.uniform(0, seconds))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        resume(dataset, call)
        found = left_by(dataset)
        for part in expected:
            assert found[part] == expected[part], part
        dataset.delete()


@pytest.mark.parametrize("name", [name for name in WORKFLOWS if name != "review_labels"])
def test_a_workflow_goes_on_without_samples_that_were_deleted_and_their_files(
    name, prepared, forked, moments, tmp_path
):
    """It is killed late, so that most of what it computed is kept by rows; an eighth of the samples goes."""
    data, before, call = WORKFLOWS[name]
    dataset, counted = prepared(data, before)(), tmp_path / "count"
    whole = prepared(data, before)()

    def killed(dataset, last=None):
        seen = moments(last).watch()
        call(dataset)
        counted.write_text(str(seen.count))

    assert forked(lambda: killed(whole)).told[0] == "returned"
    assert forked(lambda: killed(dataset, int(0.8 * int(counted.read_text())))).wait() == signal.SIGKILL
    gone = dataset.select(dataset.match_tags("synthetic", bool=False).values("id")[::8])
    count, files = len(gone), [path for path in gone.values("filepath") if Path(path).exists()]
    dataset.delete_samples(gone)
    moved = [Path(path).rename(f"{path}.away") for path in files]

    results = evenset.resume_run(dataset, evenset.list_runs(dataset).rows[0]["key"], progress=False)

    assert f"{count} samples of the run were deleted since: it continues without them" in str(results)
    left = set(dataset.match_tags("synthetic", bool=False).values("id"))
    assert set(getattr(results, "skipped", {})) <= left
    for field in [
        name for name in dataset.get_field_schema() if name in ("auto_label", "resnet", "gcn", "preprocessed_path")
    ]:
        assert dataset.count(field) == len(left)
    assert evenset.delete_run(dataset, results.run_key) and not dataset.list_runs()
    for path in moved:
        path.rename(str(path).removesuffix(".away"))
