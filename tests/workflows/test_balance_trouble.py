"""Balancing that is killed, has no room on the disk, or has images of every kind; and verdicts on images whose worth is
known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evenset import balance_classes, compare_methods, delete_run, list_runs, resume_run, train_generator
from evenset.workflows.data.synthetic import read_image
from PIL import Image

TINY = dict(minutes=None, max_updates=20, width=8, preview_every=10**6)
QUICK = dict(verdict_updates=20, verdict_seeds=2, sampling_steps=3)
LOOSE = dict(
    prototype_reject_quantile=0.0, probability_reject_quantile=0.0, gcn_reject_quantile=0.0, copy_reject_quantile=0.0
)
COUNTS = (60, 40, 12)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Files of the digits 0, 1 and 2."""
    from sklearn.datasets import load_digits

    found, folder = load_digits(n_class=3), tmp_path_factory.mktemp("digits")
    paths = [str(folder / f"{i}.png") for i in range(len(found.images))]
    for path, pixels in zip(paths, found.images, strict=True):
        Image.fromarray((pixels * 15).astype(np.uint8)).save(path)
    return np.array(paths), found.target


@pytest.fixture
def uneven(make_dataset, pictures):
    def make(*counts: int):
        paths, truth = pictures
        rows = np.concatenate([np.flatnonzero(truth == name)[:count] for name, count in enumerate(counts)])
        return make_dataset(paths[rows].tolist(), [str(name) for name in truth[rows]])

    return make


def images_of(dataset):
    """Label and pixels of each synthetic sample, in their order."""
    rows = zip(*dataset.match_tags("synthetic").values(["ground_truth.label", "filepath"]), strict=True)
    return [(label, read_image(path).tolist()) for label, path in rows]


KILLED = """
    import os, signal
    import fiftyone as fo, evenset
    from evenset.workflows.balancing import rejection_sampling
    from evenset.workflows.data import synthetic
    rejection_sampling.BLOCK = synthetic.ADD_BATCH = 20
    def watch(phase, done, total, note):
        if phase == {end[0]!r} and done >= {end[1]}:
            os.kill(os.getpid(), signal.SIGKILL)
    evenset.{workflow}(fo.load_dataset({name!r}), "ground_truth", progress=watch, **{settings!r})
"""


@pytest.mark.parametrize(
    "end", [("training the generator", 10), ("making images", 1), ("adding samples", 20)], ids=lambda end: end[0]
)
@pytest.mark.slow
def test_a_balance_that_is_killed_goes_on_to_the_same_samples(uneven, elsewhere, monkeypatch, everything, end):
    from evenset.workflows.balancing import rejection_sampling

    monkeypatch.setattr(rejection_sampling, "BLOCK", 20)
    settings = dict(TINY, **QUICK, **LOOSE, precision="fp32", measure_benefit=False, max_ratio=None)
    dataset = uneven(*COUNTS)
    before = everything(dataset)
    balance_classes(dataset, "ground_truth", **settings, progress=False)
    expected = images_of(dataset)
    delete_run(dataset, "evenset_balance_classes_1")

    code = KILLED.format(end=end, workflow="balance_classes", name=dataset.name, settings=settings)
    assert elsewhere(code).wait() == -9
    dataset.reload()
    assert list_runs(dataset).rows[0]["state"] == "stopped"
    results = resume_run(dataset, "evenset_balance_classes_1", progress=False)

    assert images_of(dataset) == expected and results.added == len(expected) == 20 + 48
    delete_run(dataset, results.run_key)
    assert everything(dataset) == before


def test_a_disk_that_is_full_while_images_are_written_ends_the_run_and_nothing_is_half_there(uneven, monkeypatch):
    dataset, saved, save = uneven(*COUNTS), [], Image.Image.save

    def full(image, path, *given, **more):
        saved.append(path)
        if str(path).endswith(".part") and len(saved) > 9:
            raise OSError(28, "No space left on device")
        save(image, path, *given, **more)

    settings = dict(QUICK, **LOOSE, source="augment", measure_benefit=False, progress=False)
    with monkeypatch.context() as patched:
        patched.setattr(Image.Image, "save", full)
        with pytest.raises(OSError, match=r"is full: make room.*evenset.resume_run"):
            balance_classes(dataset, "ground_truth", **settings)

    assert not dataset.match_tags("synthetic")
    assert resume_run(dataset, "evenset_balance_classes_1", progress=False).added == 20 + 36


@pytest.mark.slow
def test_images_of_all_sizes_and_modes_train_a_generator_and_are_evened_out(make_dataset, tmp_path):
    rng, paths, labels = np.random.default_rng(0), [], []
    for number, mode in enumerate(["L", "RGB", "RGBA", "P", "1", "I;16"] * 8):
        width, height = rng.integers(9, 40, 2)
        image = Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 256) if mode == "I;16" else image
        paths.append(str(tmp_path / f"{number}.png"))
        (image if mode == "I;16" else image.convert(mode)).save(paths[-1])
        labels.append("many" if number < 36 else "few")
    dataset = make_dataset(paths, labels)

    settings = dict(QUICK, **LOOSE, add="always", progress=False)
    results = balance_classes(dataset, "ground_truth", size_px=13, **TINY, **settings)
    changed = balance_classes(dataset, "ground_truth", target=50, source="augment", **settings)

    assert not results.skipped and not changed.skipped
    made = dataset.match_tags("synthetic").values("filepath")
    sizes = {path: read_image(path).shape for path in made}
    assert len(made) == 24 + 14 + 12 and set(map(len, sizes.values())) == {3}
    assert {shape for path, shape in sizes.items() if results.run_key in path} == {(3, 13, 13)}


def test_a_class_without_images_gets_none_and_one_class_in_all_is_refused(uneven):
    dataset, given = uneven(30, 20, 0), dict(**QUICK, source="augment", measure_benefit=False, progress=False)
    results = balance_classes(dataset, "ground_truth", classes=["0", "1", "never seen"], **given)

    assert [(row["class"], row["added"]) for row in results.rows] == [("0", 0), ("1", 10), ("never seen", 0)]
    with pytest.raises(ValueError, match="no image of 'never seen' has a label"):
        balance_classes(dataset, "ground_truth", classes=["0", "1", "never seen"], target={"never seen": 9}, **given)
    with pytest.raises(ValueError, match="at least two classes"):
        train_generator(dataset.limit(30), "ground_truth", **TINY, progress=False)


@pytest.mark.slow
def test_a_comparison_of_ways_that_was_broken_off_goes_on_to_the_same_table(uneven):
    dataset = uneven(*COUNTS)
    settings = dict(TINY, **QUICK, **LOOSE, precision="fp32", classes={"round": ["0"], "1": [], "2": []})

    def stop(phase, done, total, note):
        if phase == "measuring: augmentation":
            raise KeyboardInterrupt

    expected = compare_methods(dataset, "ground_truth", task="generation", **settings, progress=False)
    with pytest.raises(KeyboardInterrupt):
        compare_methods(dataset, "ground_truth", task="generation", **settings, progress=stop)
    found = resume_run(dataset, "evenset_compare_methods_2", progress=False)

    assert found.names == ["round", "1", "2"] and len(found.rows) == 8
    assert (found.rows, found.verdicts, found.gains) == (expected.rows, expected.verdicts, expected.gains)


def test_the_plan_names_eight_classes_that_fell_short_and_counts_the_others():
    from evenset.workflows.balancing.plan import plan_images
    from evenset.workflows.balancing.results import fell_short

    names = [f"class {number:02d}" for number in range(12)]
    plan = plan_images(names, np.array([20, *[5] * 11]), np.zeros(12, int), "majority", None)

    (sentence,) = fell_short(plan, [], 5.0)
    assert "'class 08' has 0 of 15 and 3 more classes." in sentence and "class 09" not in sentence


class Quiet:
    """A run as far as judging and measuring need one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def report(self, *_):
        pass

    def check_stop(self):
        pass

    def cached_arrays(self, name, compute, *_):
        return compute()


@pytest.mark.slow
def test_what_judges_has_learned_from_the_training_part_alone(tmp_path, pictures):
    from evenset.models.settings import FilterSettings, SmallCNNSettings
    from evenset.workflows.balancing.benefit import RealImages
    from evenset.workflows.balancing.image_filter import ImageFilter

    paths, truth = pictures
    images = np.stack([read_image(path) for path in paths[:300]])
    train, held, made = np.split(images, [150, 250])
    names = ["0", "1", "2"]

    def judging(place, held_labels):
        (tmp_path / place).mkdir()
        real = RealImages(names, train, truth[:150], np.arange(150).astype(str), held, held_labels)
        run, settings = Quiet(tmp_path / place), SmallCNNSettings(updates=60)
        return ImageFilter(run, real, FilterSettings(), settings, copies=True)

    right, wrong = judging("right", truth[150:250]), judging("wrong", (truth[150:250] + 1) % 3)
    judged, notes = right(made, truth[250:300])
    others, other_notes = wrong(made, truth[250:300])

    assert judged.kept.mean() > 0.8 and np.mean([one["graph_probability"] for one in notes]) > 0.8
    np.testing.assert_array_equal(judged.class_probability, others.class_probability)
    assert [one["graph_probability"] for one in notes] == [one["graph_probability"] for one in other_notes]
    misnamed, _ = right(made, (truth[250:300] + 1) % 3)  # the labels of what is judged teach nobody
    assert misnamed.kept.mean() < 0.1
    copied, notes = right(train[:20], truth[:20])
    assert (copied.reason == "copy").all() and [one["nearest_real_id"] for one in notes] == [str(i) for i in range(20)]


def quarters(rng, place, count):
    """Noise, bright in one quarter: uint8 [count, 1, 8, 8]."""
    images = rng.integers(0, 90, (count, 1, 8, 8), dtype=np.uint8)
    row, column = 4 * (place // 2), 4 * (place % 2)
    images[:, :, row : row + 4, column : column + 4] += 120
    return images


@pytest.mark.slow
def test_images_that_show_what_a_class_lacked_gain_and_wrongly_named_ones_do_not(tmp_path):
    """The third class has two looks, of which the training part has one."""
    from evenset.models.quality import paired_gain
    from evenset.models.settings import SmallCNNSettings
    from evenset.workflows.balancing import benefit
    from evenset.workflows.balancing.small_cnn_judge import SmallCNNJudge
    from evenset.workflows.data.synthetic import SyntheticImage, save_image

    rng = np.random.default_rng(0)
    train = np.concatenate([quarters(rng, place, count) for place, count in enumerate((60, 60, 15))])
    held = np.concatenate([quarters(rng, place, 60) for place in range(4)])
    labels, held_labels = np.repeat([0, 1, 2], [60, 60, 15]), np.repeat([0, 1, 2, 2], 60)
    real = benefit.RealImages(["a", "b", "c"], train, labels, labels.astype(str), held, held_labels)
    made = {"right": [], "wrong": []}
    for number, image in enumerate(quarters(rng, 3, 45)):
        save_image(tmp_path / f"{number}.png", image, {})
        for name, label in (("right", "c"), ("wrong", "a")):
            made[name].append(SyntheticImage(str(tmp_path / f"{number}.png"), label, {}, True))

    judge = SmallCNNJudge(Quiet(tmp_path), real, SmallCNNSettings(updates=60))
    judge.refinements = {benefit.AUGMENTED: dict(augmentation="strong")}  # CutMix alone shows the missing look
    found = benefit.measure(Quiet(tmp_path), judge, real, made, 3)

    right, wrong = (found.verdicts[name] for name in ("right", "wrong"))
    assert right.total[0] > 0.02 and found.recall["right"][2] > 0.9 > found.recall[found.best][2]
    assert wrong.total[0] < -0.02 and found.recall["wrong"][2] < 0.6 and wrong.decision == paired_gain.DO_NOT_ADD
