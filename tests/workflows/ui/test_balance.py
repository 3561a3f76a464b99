"""What the panel shows of a balance: the plan by counts, a finished run, and the form that adds what it made."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evenset import balance_classes, delete_run
from evenset.operators.evenset_panel import EvensetPanel
from evenset.operators.forms.refill import form_values
from evenset.workflows import load_results
from evenset.workflows.data import folders
from evenset.workflows.runs.records import RunRecord
from evenset.workflows.ui import balance as balance_overview
from evenset.workflows.ui import user_input

SMALL = dict(
    source="augment",
    verdict_updates=40,
    verdict_seeds=2,
    measure_benefit=True,
    filter_augmented=True,
    progress=False,
)


@pytest.fixture(scope="module")
def balanced(database, tmp_path_factory):
    """100 zeros, 60 ones and 16 twos, and a run that measured and added nothing, for all tests."""
    import fiftyone as fo
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, folder, dataset = load_digits(n_class=3), tmp_path_factory.mktemp("digits"), fo.Dataset()
    for name, count in enumerate((100, 60, 16)):
        for i in np.flatnonzero(digits.target == name)[:count]:
            path = str(folder / f"{i}.png")
            Image.fromarray((digits.images[i] * 15).astype(np.uint8)).resize((16, 16)).save(path)
            dataset.add_sample(fo.Sample(filepath=path, ground_truth=fo.Classification(label=str(name))))
    results = balance_classes(dataset, "ground_truth", target=90, add="if it gains", **SMALL)
    yield dataset, results
    dataset.delete()


@pytest.mark.slow
def test_the_plan_by_counts_is_that_of_a_dry_run(balanced):
    dataset, _ = balanced
    plan = balance_overview.of_samples(dataset, "ground_truth", "majority", 3.0)

    assert plan.rows == balance_classes(dataset, "ground_truth", dry_run=True, **SMALL).rows
    assert plan.add.tolist() == [0, 40, 48]
    assert balance_overview.of_samples(dataset.limit(3), "ground_truth", "median", 3.0).add.tolist() == [0]


@pytest.mark.slow
def test_the_plan_by_counts_knows_names_and_synonyms(balanced):
    dataset, _ = balanced
    classes = {"even": ["0", "2"], "1": []}
    plan = balance_overview.of_samples(dataset, "ground_truth", "majority", 3.0, classes)

    assert plan.rows == balance_classes(dataset, "ground_truth", dry_run=True, classes=classes, **SMALL).rows
    assert plan.names == ["even", "1"] and plan.real.tolist() == [116, 60]


def test_no_label_is_no_plan(clusters):
    assert balance_overview.of_samples(clusters(12, 0), "ground_truth", "majority", 3.0) is None


@pytest.mark.slow
def test_the_outcome_has_the_verdict_as_numbers(balanced):
    dataset, results = balanced
    found = balance_overview.outcome(dataset, results.run_key)

    assert load_results.load_results(dataset, results.run_key) == results
    assert found.decision == "undecided" and found.added == 0  # fewer than 50 are held out
    gain, low, high = (f"{100 * value:+.1f}" for value in results.gain)
    assert f"Undecided whether it is worth adding: balanced accuracy {gain} points ({low} to {high})" in found.sentence
    assert "None was added." in found.sentence
    assert [(row["name"], row["gain"]) for row in found.gains] == [
        (row["class"], pytest.approx(100 * row["gain"])) for row in results.verdict
    ]
    assert all(row["low"] <= row["gain"] <= row["high"] for row in found.gains)
    assert sum(found.refused.values()) == sum(results.refused.values()) > 0
    assert any("add='always'" in note for note in results.notes)  # it names a folder, and there is a button for it
    assert found.notes == [note for note in results.notes if "add='always'" not in note]
    assert not {"copy", "prototype", "probability", "graph"} & set(found.refused)
    assert list(found.refused.values()) == sorted(found.refused.values(), reverse=True)


@pytest.mark.slow
def test_the_outcome_of_an_earlier_version_lacks_what_its_results_lack(balanced, monkeypatch):
    dataset, results = balanced
    rows = [{"class": "9", "gain": 0.1}, {"class": "8", "gain": "+1.0"}, {"class": "7"}]
    monkeypatch.setattr(balance_overview.lookup, "read_results", lambda *_: dict(added=3, verdict=rows, picture=None))
    found = balance_overview.outcome(dataset, results.run_key)
    assert found.sentence == "The benefit was not measured. 3 samples were added." and found.views == {}
    assert found.gains == [dict(name="9", gain=10.0, low=None, high=None, word="undecided")]


def test_a_form_is_filled_in_with_names_and_synonyms_and_a_number_for_each_class():
    classes = {"cat": ["kitten", "puss"], "dog": []}
    inputs = dict(label_field="pet", output_field="auto_label", classes=classes, target={"cat": 9})
    filled = form_values(RunRecord("a", "balance_classes", dict(seed=3), inputs, 9, "done", 0.0))

    assert (filled.pop("target"), filled.pop("target_each")) == ("each", "cat = 9")
    assert filled == dict(
        label_field="pet", seed=3, classes="cat = kitten = puss, dog", more=True, view_target="DATASET", run_samples=9
    )
    assert user_input.read_target(user_input.write_target({"a = b": 3, "dog": 20})) == {"a = b": 3, "dog": 20}
    assert user_input.read_classes(filled["classes"]) == classes
    assert user_input.write_classes(["cat", "dog"]) == "cat, dog"


@pytest.mark.parametrize(
    "name", ["great white shark, white shark", 'a 5" pipe', '"so called"', " padded ", "a=b", "$x.y"]
)
def test_a_name_with_any_letter_is_read_as_it_was_written(name):
    assert user_input.read_target(user_input.write_target({name: 5, "cat": 3})) == {name: 5, "cat": 3}
    assert user_input.read_classes(user_input.write_classes({name: ["one"], "cat": [name]})) == {
        name: ["one"],
        "cat": [name],
    }
    assert user_input.read_classes(user_input.write_classes([name, "cat"])) == [name, "cat"]


@pytest.mark.slow
def test_some_of_the_refused_images_are_shown_though_none_is_kept(balanced):
    from evenset.workflows.display.image_grid import TILE_PX
    from PIL import Image

    dataset, results = balanced
    found = balance_overview.outcome(dataset, results.run_key)
    folder = folders.run_folder(dataset, results.run_key)
    with np.load(folder / "refused.npz") as kept:
        assert sorted(kept) == sorted(results.refused) and all(0 < len(some) <= 8 for some in kept.values())
    assert Image.open(found.refused_picture).height == TILE_PX * len(results.refused)
    drawn = sum(row["wanted"] for row in results.rows)
    assert len(list(folder.glob("images-*/*.png"))) == drawn  # only what passed


@pytest.mark.slow
def test_what_was_not_added_can_be_added_with_the_same_settings(balanced):
    dataset, results = balanced
    found = balance_overview.outcome(dataset, results.run_key)
    asked = []
    params = dict(run_key=found.run_key, generator=found.generator)
    EvensetPanel().tabs["balance"].on_balance_add(
        SimpleNamespace(dataset=dataset, params=params, prompt=lambda uri, params: asked.append((uri, params)))
    )

    [(operator, again)] = asked
    assert found.can_add and operator.endswith("/balance_classes")
    assert again["add"] == "always" and (again["target"], again["target_number"]) == ("number", 90)
    kept = {name: again[name] for name in ("verdict_updates", "source", "label_field", "seed")}
    assert kept == dict(verdict_updates=40, source="augment", label_field="ground_truth", seed=0)
    assert not {name for name, value in again.items() if not isinstance(value, (str, int, float, bool, type(None)))}


@pytest.mark.slow
def test_a_run_that_added_has_its_views_and_nothing_left_to_add(balanced):
    dataset, _ = balanced
    short = dict(add="always", measure_benefit=False, keep_rejected=True, prototype_reject_quantile=0.5)
    results = balance_classes(dataset, "ground_truth", **{**SMALL, **short})
    found = balance_overview.outcome(dataset, results.run_key)

    assert not found.can_add and set(found.views) == {"synthetic", "rejected"}
    state = SimpleNamespace(label_field="ground_truth", balance_target=None)
    EvensetPanel().tabs["balance"].load(SimpleNamespace(dataset=dataset, panel=SimpleNamespace(state=state)))
    assert state.balance["outcome"]["keeps"]  # so that nobody is told how to keep them
    assert found.sentence == f"The benefit was not measured. {results.added} samples were added."
    assert found.gains == [] and Path(found.picture).exists()
    plan = balance_overview.of_samples(dataset, "ground_truth", "majority", 3.0)
    assert plan.synthetic.sum() == results.added and plan.real.tolist() == [100, 60, 16]

    dataset.delete_saved_view(found.views["rejected"])
    assert set(balance_overview.outcome(dataset, results.run_key).views) == {"synthetic"}
    delete_run(dataset, results.run_key)


@pytest.mark.parametrize(("decision", "begins"), [("add", "Worth adding"), ("do not add", "Not worth adding")])
def test_each_verdict_has_its_sentence(decision, begins):
    found = balance_overview.sentence(dict(decision=decision, gain=[0.012, -0.001, 0.025], best="plain", added=1200))

    assert found == f"{begins}: balanced accuracy +1.2 points (-0.1 to +2.5) over plain. 1,200 samples were added."


def test_every_reason_of_the_filters_has_words():
    from evenset.models.quality.image_filters import CHECKS

    assert set(balance_overview.REASONS) == set(CHECKS)


@pytest.mark.slow
def test_the_last_grid_is_the_picture_and_no_single_image_is(balanced):
    dataset, results = balanced
    folder = folders.run_folder(dataset, results.run_key)
    assert list(folder.glob("images-*/*.png")) and balance_overview.newest_picture(dataset, results.run_key) is None

    for number in (2, 1):
        (folder / f"samples_{number:06d}.png").write_bytes(b"")
    newest = balance_overview.newest_picture(dataset, results.run_key)

    assert newest and re.search("samples_00000[12]", newest.name)
    for path in folder.glob("samples_*.png"):
        path.unlink()
    assert load_results.load_results(dataset, results.run_key).added == 0
