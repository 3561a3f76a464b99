"""Balancing end to end on real digits: the plan, the samples, the verdict, and everything taken back."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.quality import paired_gain
from evenset.workflows.balancing.soundness import should_add
from evenset.workflows.data import labels as samples
from evenset.workflows.data import locks
from evenset.workflows.ui import balance as balance_overview
from fiftyone import ViewField as F
from PIL import Image

SMALL = dict(verdict_updates=40, verdict_seeds=2, measure_benefit=True, filter_augmented=True, progress=False)
QUICK = dict(epochs=1, min_updates=1, weights="none", size_px=16, precision="fp32", progress=False)  # of a ResNet


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Digits 0, 1 and 2 as files, with their classes."""
    from sklearn.datasets import load_digits

    digits, folder = load_digits(n_class=3), tmp_path_factory.mktemp("digits")
    paths = []
    for i, pixels in enumerate((digits.images * 15).astype(np.uint8)):
        paths.append(str(folder / f"{i}.png"))
        Image.fromarray(pixels).resize((16, 16)).save(paths[-1])
    return paths, digits.target


@pytest.fixture
def uneven(database, pictures):
    """100 zeros, 60 ones, 16 twos, and ten without a label."""
    import fiftyone as fo

    paths, truth = pictures
    dataset = fo.Dataset()
    for name, count in enumerate((100, 60, 16)):
        for i in np.flatnonzero(truth == name)[:count]:
            dataset.add_sample(fo.Sample(filepath=paths[i], ground_truth=fo.Classification(label=str(name))))
    dataset.add_samples([fo.Sample(filepath=path) for path in paths[-10:]])
    yield dataset
    dataset.delete()


def balance(dataset, **settings):
    import evenset

    return evenset.balance_classes(dataset, "ground_truth", source="augment", **{**SMALL, **settings})


def test_classes_are_evened_out_and_every_sample_says_where_it_comes_from(uneven):
    results = balance(uneven, add="always", measure_benefit=False)
    made = uneven.load_saved_view(results.views["synthetic"])

    counts = uneven.count_values("ground_truth.label")
    assert results.added == len(made) > 40
    assert counts["0"] == 100 and counts["1"] > 90 and counts["2"] <= 16 * 4
    assert {row["class"]: row["after"] for row in results.rows} == {k: v for k, v in counts.items() if k}
    real = set(uneven.match_tags("synthetic", bool=False).values("id"))
    for sample in made:
        notes = sample.synthetic
        assert sample.tags == ["synthetic"] and notes.run == results.run_key and notes.source == "augment"
        assert notes.label == sample.ground_truth.label and notes.nearest_real_id in real
        assert uneven[notes.nearest_real_id].ground_truth.label == notes.label
        assert 0 <= notes.class_probability <= 1 and notes.prototype_distance > 0
    assert "synthetic.class_probability" in uneven.get_field_schema(flat=True)


def test_the_run_takes_everything_away_again(uneven, everything):
    import evenset

    before = everything(uneven)
    first = balance(uneven, add="always", measure_benefit=False, max_ratio=1)
    second = balance(uneven, add="always", measure_benefit=False)
    assert first.added and second.added

    evenset.delete_run(uneven, first.run_key)
    assert len(uneven.match_tags("synthetic")) == second.added
    gone = evenset.delete_run(uneven, second.run_key)

    assert gone.samples == second.added
    assert everything(uneven) == before


@pytest.mark.slow
def test_a_run_that_is_deleted_while_another_makes_images_takes_nothing_of_it(uneven, elsewhere, everything):
    import evenset

    before = everything(uneven)
    first = balance(uneven, add="always", measure_benefit=False, max_ratio=1)
    delete = f"import evenset, fiftyone as fo; evenset.delete_run(fo.load_dataset({uneven.name!r}), {first.run_key!r})"

    def watch(phase, done, total, note):
        if phase == "making images" and done and uneven.name in left:
            assert elsewhere(delete).wait() == 0
            left.clear()

    left = [uneven.name]
    second = balance(uneven, add="always", measure_benefit=False, progress=watch)
    assert not left
    made = uneven.load_saved_view(second.views["synthetic"])

    assert len(made) == second.added and "synthetic.run" in uneven.get_field_schema(flat=True)
    assert samples.real_samples(uneven)[1] == second.added
    evenset.delete_run(uneven, second.run_key)
    assert everything(uneven) == before


@pytest.mark.slow
def test_two_runs_do_not_fill_the_same_plan(uneven, refused):
    import evenset

    with locks.lock_field(uneven, "synthetic images of ground_truth"), refused(uneven, "another run is writing"):
        balance(uneven)

    def stop(phase, done, total, note):
        if phase == "making images" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        balance(uneven, add="always", measure_benefit=False, progress=stop)
    other = balance(uneven, add="always", measure_benefit=False)
    with pytest.raises(ValueError, match=f"{other.run_key} added synthetic samples to 'ground_truth' since"):
        evenset.resume_run(uneven, "evenset_balance_classes_1", progress=False)
    evenset.delete_run(uneven, other.run_key)

    assert evenset.resume_run(uneven, "evenset_balance_classes_1", progress=False).added == other.added


@pytest.mark.slow
def test_a_run_goes_on_by_the_labels_that_it_saw(uneven):
    import evenset

    def stop(phase, done, total, note):
        if phase == "making images" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        balance(uneven, target={"2": 30}, add="always", measure_benefit=False, progress=stop)
    twos = uneven.match(F("ground_truth.label") == "2")
    twos.set_values("ground_truth.label", ["1"] * len(twos))

    uneven.rename_sample_field("ground_truth", "mine")
    with pytest.raises(ValueError, match="has no field 'ground_truth'"):
        evenset.resume_run(uneven, "evenset_balance_classes_1", progress=False)
    uneven.rename_sample_field("mine", "ground_truth")
    assert evenset.resume_run(uneven, "evenset_balance_classes_1", progress=False).added == 14


@pytest.mark.slow
def test_a_view_counts_what_was_added_for_it(uneven):
    view = uneven.match(F("ground_truth.label") != None)  # noqa: E711
    chosen = uneven.select(view.values("id"))
    first = balance(chosen, add="always", measure_benefit=False)
    again = balance(chosen, add="always", measure_benefit=False)

    assert first.added > 40 and again.added == 0
    assert balance_overview.of_samples(chosen, "ground_truth", "majority", 3).add.sum() == 0
    real, left_out = samples.real_samples(uneven)
    plan = balance_overview.of_samples(real, "ground_truth", "majority", 3, with_synthetic=False)
    assert plan.add.sum() >= first.added == left_out and not plan.synthetic.any()  # of a comparison, which adds none


def test_numbers_of_numpy_are_numbers_of_images(uneven):
    def to_add(target):
        return [row["to_add"] for row in balance(uneven, target=target, dry_run=True).rows]

    assert to_add(np.int64(70)) == [0, 10, 48] and to_add({"1": np.float64(80)}) == [0, 20, 0]


@pytest.mark.slow
def test_a_changed_copy_of_a_held_out_image_does_not_train(uneven):
    import evenset
    from evenset.workflows.data import folders
    from evenset.workflows.training.partition import Split

    balance(uneven, add="always", measure_benefit=False)
    results = evenset.auto_label(
        uneven, "ground_truth", include_synthetic=True, members="graph", calibration_fraction=0.5, progress=False
    )
    with np.load(folders.run_folder(uneven, results.run_key) / "parts.npz") as kept:
        part = dict(zip(kept["ids"].tolist(), kept["parts"].tolist(), strict=True))
    made = [part[i] for i in uneven.match_tags("synthetic").values("id")]
    parents = [part[i] for i in uneven.match_tags("synthetic").values("synthetic.nearest_real_id")]

    assert Split.TRAIN in parents and len(set(parents)) > 1
    assert all(own == 0 for own, parent in zip(made, parents, strict=True) if parent != Split.TRAIN)
    assert any(own == Split.TRAIN for own in made)


@pytest.mark.slow
def test_what_is_made_of_a_test_image_trains_no_network_that_it_scores(uneven):
    import evenset
    from evenset.workflows.data import folders
    from evenset.workflows.training.partition import Split

    balance(uneven, add="always", measure_benefit=False)
    parent = uneven.match_tags("synthetic").first().synthetic.nearest_real_id
    results = evenset.train_resnet(uneven, "ground_truth", include_synthetic=True, test=uneven.select(parent), **QUICK)
    with np.load(folders.run_folder(uneven, results.run_key) / "parts.npz") as kept:
        trained = set(kept["ids"][kept["parts"] == Split.TRAIN].tolist())
    children = uneven.match(F("synthetic.nearest_real_id") == parent).values("id")

    assert trained and children and not trained & set(children)


def test_a_dry_run_writes_nothing_and_shows_what_would_come(uneven, everything):
    before = everything(uneven)
    plan = balance(uneven, dry_run=True)

    assert everything(uneven) == before
    assert [row["to_add"] for row in plan.rows] == [0, 40, 48]
    assert plan.preview.ndim == 3 and plan.preview.dtype == np.uint8 and plan.preview.std() > 10
    assert "nothing was written" in str(plan) and plan.minutes > 0


@pytest.mark.slow
def test_the_verdict_is_measured_and_decides_and_refused_images_are_kept_where_it_adds_none(uneven):
    results = balance(uneven, add="if it gains", keep_rejected=True, prototype_reject_quantile=0.5, verdict_updates=10)

    assert results.decision in ("add", "do not add", "undecided")
    assert [row["class"] for row in results.verdict] == ["0", "1", "2"]
    assert {row["verdict"] for row in results.verdict} == {"too few to measure"}  # fewer than 50 are held out
    assert len(results.arms) == 7 and len(results.gain) == 3
    assert results.added == 0 and not uneven.has_saved_view("ground_truth: synthetic")
    assert "add='always'" in results.notes[-1]
    assert list(results.views) == ["rejected"]
    assert len(uneven.load_saved_view("ground_truth: rejected")) == sum(results.refused.values()) > 0
    assert not uneven.match_tags("synthetic").count("ground_truth.label")


@pytest.mark.slow
def test_synthetic_samples_are_left_out_of_training_unless_they_are_asked_for(uneven):
    import evenset

    added = balance(uneven, add="always", measure_benefit=False).added
    without = evenset.train_resnet(uneven, "ground_truth", output_field="without", **QUICK)
    with_them = evenset.train_resnet(uneven, "ground_truth", output_field="with_them", include_synthetic=True, **QUICK)

    assert without.synthetic == added and f"{added} synthetic samples were left out" in str(without)
    assert with_them.synthetic == 0
    assert with_them.trained + with_them.validated <= 176 + added
    assert with_them.trained > without.trained + added / 2  # one that is like a held-out image does not train
    assert with_them.validated == without.validated
    assert not uneven.match_tags("synthetic").count("with_them.label")


@pytest.mark.parametrize("members", ["graph", "graph and resnet"])
@pytest.mark.slow
def test_auto_label_trains_on_synthetic_samples_and_neither_labels_nor_calibrates_by_them(uneven, members):
    import evenset
    from evenset.workflows.data import folders
    from evenset.workflows.training.partition import Split

    given = list(uneven.values("id"))
    added = balance(uneven, add="always", measure_benefit=False).added
    bare = uneven.match_tags("synthetic").limit(1)
    bare.clear_sample_field("ground_truth")  # it has no label any more

    results = evenset.auto_label(uneven, "ground_truth", include_synthetic=True, members=members, **QUICK)

    uneven.reload()
    folder = folders.run_folder(uneven, results.run_key)
    with np.load(folder / "parts.npz") as parts, np.load(folder / "decision.npz") as decision:
        trained = set(parts["ids"][parts["parts"] == Split.TRAIN].tolist())
        others = set(parts["ids"][parts["parts"] > Split.TRAIN].tolist())
        reference = len(decision["reference"])
    made = set(uneven.match_tags("synthetic").values("id"))
    assert len(made & trained) > added / 2 and not made & others and reference == len(trained - made)
    assert (results.samples, results.labelled) == (len(given), 176) and results.synthetic == 0
    assert f"{added - 1} synthetic samples trained, and did not calibrate." in results.notes
    assert sorted(uneven.exists("auto_label").values("id")) == sorted(given)


@pytest.mark.slow
def test_refused_images_are_kept_as_samples_without_a_label_where_it_is_asked_for(uneven):
    results = balance(uneven, add="always", measure_benefit=False, keep_rejected=True, prototype_reject_quantile=0.5)
    refused = uneven.load_saved_view(results.views["rejected"])

    assert len(refused) == sum(results.refused.values()) > 0
    assert Image.open(results.refused_picture).height == 96 * len(results.refused)
    assert set(refused.values("synthetic.reason")) == set(results.refused) <= {"prototype", "probability", "graph"}
    assert all("real images" in sentence for sentence in refused.values("synthetic.refusal"))
    assert refused.count("ground_truth.label") == 0
    assert set(map(tuple, refused.values("tags"))) == {("synthetic", "rejected")}


@pytest.mark.slow
def test_a_class_whose_images_are_all_damaged_gets_none_and_is_named(uneven, tmp_path):
    for sample in uneven.match(F("ground_truth.label") == "2"):
        path = tmp_path / f"{sample.id}.png"
        path.write_bytes(b"no image")
        sample.filepath = str(path)
        sample.save()

    results = balance(uneven, add="always", measure_benefit=False)

    assert results.added == 40 and len(results.skipped) == 16
    assert any("No image of 2 is left to learn from" in note for note in results.notes)


@pytest.mark.slow
def test_where_no_image_can_be_held_out_nothing_is_trained(uneven):
    uneven.set_values("video", ["one"] * len(uneven))
    with pytest.raises(ValueError, match="'video' has one value, 'one', for all .* none can be held out"):
        balance(uneven, group_field="video")
    labels = uneven.match(F("ground_truth").exists())
    labels.set_values("ground_truth.evenset_run", ["evenset_review_labels_1"] * len(labels), dynamic=True)
    with pytest.raises(ValueError, match="no image can be held out"):
        balance(uneven)

    assert balance(uneven, measure_benefit=False).added


@pytest.mark.parametrize(
    "gain, decision, when, added",
    [
        (0.1, paired_gain.ADD, "if it gains", True),
        (0.1, paired_gain.UNDECIDED, "if it gains", False),
        (0.0, paired_gain.UNDECIDED, "unless it loses", True),
        (-0.01, paired_gain.UNDECIDED, "unless it loses", False),
        (-0.1, paired_gain.DO_NOT_ADD, "unless it loses", False),
        (-0.1, paired_gain.DO_NOT_ADD, "always", True),
    ],
)
def test_the_verdict_decides_as_it_was_asked_to(gain, decision, when, added):
    found = paired_gain.Verdict(*[np.zeros(1)] * 4, ["undecided"], (gain, gain - 0.05, gain + 0.05), decision)

    assert should_add(found, when) is added


@pytest.mark.parametrize("when, added", [("if it gains", False), ("unless it loses", True), ("always", True)])
def test_without_a_measurement_only_who_asks_for_a_gain_gets_none(when, added):
    assert should_add(None, when) is added


def test_nothing_to_do_is_said(uneven):
    results = balance(uneven, target=10)

    assert results.added == 0 and "nothing to add" in results.notes[0]


def test_bad_arguments_are_refused_before_work_starts(uneven, refused):
    with refused(uneven, "'most'", "'majority'"):
        balance(uneven, target="most")
    with refused(uneven, "no run", "evenset_train_generator_7"):
        balance(uneven, generator="evenset_train_generator_7")
    with refused(uneven, "neither a run of this dataset nor the folder"):
        balance(uneven, generator="/nowhere/at/all")
    for size in (7, 200):
        with refused(uneven, f"size_px {size}", "from 8 to 128 px"):
            balance(uneven, size_px=size)
    with refused(uneven, "a number of images, or {class: number}, not None"):
        balance(uneven, target=None)
    with refused(uneven, "raise held_out_fraction"):
        balance(uneven, held_out_fraction=0)
    with refused(uneven, "no setting is called 'minuets'", "minutes", kind=TypeError):
        balance(uneven, minuets=2)


def test_a_field_of_the_user_s_own_that_is_called_synthetic_is_left_alone(uneven, refused):
    import fiftyone as fo

    uneven.add_sample_field("synthetic", fo.BooleanField)
    with refused(uneven, "'synthetic' already"):
        balance(uneven)


def test_one_class_in_all_is_refused(uneven, refused):
    import evenset

    view = uneven.match(F("ground_truth.label") == "0")
    with refused(uneven, "at least two classes"):
        evenset.balance_classes(view, "ground_truth", **SMALL)
