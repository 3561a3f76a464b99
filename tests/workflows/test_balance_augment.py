"""Balancing by augmented photos of several sizes and formats, and what a balance says before it draws."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evenset import balance_classes, delete_run, find_mistakes
from evenset.models.images.first_images import photo_kind
from evenset.models.settings import BalanceSettings
from evenset.operators.forms.balance import warn_before_drawing
from evenset.operators.forms.form import Form
from evenset.workflows.balancing.plan import plan_images
from evenset.workflows.reviewing.undecided import undecided_mistakes
from evenset.workflows.ui import balance, flips
from PIL import Image, JpegImagePlugin

COUNTS = {"coffee": 20, "cat": 8}
FILES = [
    *[("RGB", "jpg", dict(quality=70)), ("RGB", "jpg", dict(quality=95, subsampling=0))],
    *[(mode, "png", {}) for mode in ("L", "RGBA", "P")],
    *[("RGB", suffix, {}) for suffix in ("tif", "bmp", "webp")],
]


def scenes():
    from skimage import data

    return {"coffee": Image.fromarray(data.coffee()), "cat": Image.fromarray(data.chelsea())}


@pytest.fixture
def photos(make_dataset, tmp_path):
    """Crops of two photos, in several sizes, modes and formats; 20 and 8 of them."""
    rng, paths, labels = np.random.default_rng(0), [], []
    for name, scene in scenes().items():
        for number in range(COUNTS[name]):
            mode, suffix, options = FILES[number % len(FILES)]
            left, top, width, height = *rng.integers(0, 100, 2), *rng.integers(90, 160, 2)
            paths.append(str(tmp_path / f"{name}_{number}.{suffix}"))
            scene.crop((left, top, left + width, top + height)).convert(mode).save(paths[-1], **options)
            labels.append(name)
    return make_dataset(paths, labels)


def augmented(dataset, **settings):
    return balance_classes(dataset, "ground_truth", source="augment", progress=False, **settings)


def no_network(monkeypatch):
    from evenset.models.classifiers import small_cnn
    from evenset.models.graphs import gcn

    def refuse(*_, **__):
        raise AssertionError("a network was trained")

    monkeypatch.setattr(small_cnn, "train", refuse)
    monkeypatch.setattr(gcn, "train", refuse)


def test_augmented_photos_are_files_like_their_originals_and_no_network_is_trained(photos, everything, monkeypatch):
    no_network(monkeypatch)
    before = everything(photos)
    results = augmented(photos)

    assert results.added == 12 and results.decision == "not measured" and not results.skipped
    for sample in photos.match_tags("synthetic"):
        parent = photos[sample.synthetic.nearest_real_id].filepath
        with Image.open(parent) as old, Image.open(sample.filepath) as new:
            assert (new.format, new.mode, new.size) == (old.format, old.mode, old.size)
            assert Path(sample.filepath).suffix == Path(parent).suffix and new.tobytes() != old.tobytes()
            if old.format == "JPEG":
                assert new.quantization == old.quantization
                assert JpegImagePlugin.get_sampling(new) == JpegImagePlugin.get_sampling(old)
    delete_run(photos, results.run_key)
    assert everything(photos) == before


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files_and_another_others(photos):
    def files(**settings):
        results = augmented(photos, **settings)
        paths = photos.match_tags("synthetic").values("filepath")
        pixels = [np.asarray(Image.open(path)).tolist() for path in paths]
        delete_run(photos, results.run_key)
        return pixels

    first = files()
    assert files() == first and files(seed=1) != first


def test_a_stopped_run_goes_on_to_the_same_files(photos, monkeypatch):
    from evenset import resume_run
    from evenset.workflows.balancing import rejection_sampling

    monkeypatch.setattr(rejection_sampling, "UNFILTERED_BLOCK", 5)

    def pixels():
        return [np.asarray(Image.open(path)).tolist() for path in photos.match_tags("synthetic").values("filepath")]

    def stop(phase, done, total, note):
        if phase == "augmenting images" and done == 7:
            raise KeyboardInterrupt

    expected_run = augmented(photos).run_key
    expected = pixels()
    delete_run(photos, expected_run)
    with pytest.raises(KeyboardInterrupt):
        balance_classes(photos, "ground_truth", source="augment", progress=stop)
    assert resume_run(photos, photos.list_runs()[-1], progress=False).added == 12
    assert pixels() == expected


def test_a_damaged_photo_is_skipped_and_another_of_its_class_is_taken(photos):
    cats = photos.match({"ground_truth.label": "cat"})
    bad = cats.first()
    Path(bad.filepath).write_bytes(b"no image")
    results = augmented(photos)

    assert results.added == 12 and set(results.skipped) <= {bad.id} and results.skipped
    assert bad.id not in photos.match_tags("synthetic").values("synthetic.nearest_real_id")


def test_a_class_of_fewer_than_ten_gets_none_from_a_generator_unless_it_is_forced(photos):
    def to_add(**settings):
        plan = balance_classes(photos, "ground_truth", dry_run=True, progress=False, **settings)
        return plan.rows[0], plan.notes

    (_, notes) = to_add()
    assert any("Fewer than 10 real images" in note and "cat (8)" in note for note in notes)
    results = balance_classes(photos, "ground_truth", progress=False)  # trains no generator: nothing is left to draw
    assert results.added == 0 and results.generator is None
    for settings in (dict(generate_from_few=True), dict(source="augment")):
        assert not any("Fewer than 10" in note for note in to_add(**settings)[1])


def test_the_refusal_leaves_the_other_classes():
    plan = plan_images(["a", "b", "c"], np.array([100, 15, 9]), np.zeros(3, int), "majority", None)

    found = plan.for_source(BalanceSettings())
    assert found.to_add == {"a": 0, "b": 85, "c": 0}
    assert [note.partition(":")[0] for note in found.notes if "little to learn" in note] == [
        "Fewer than 20 real images, so little to learn from"
    ]
    assert "c" not in next(note for note in found.notes if "little to learn" in note).rpartition(":")[2]
    assert plan.for_source(BalanceSettings(source="augment")) is plan


def test_undecided_mistakes_of_a_class_that_gets_images_are_said_until_they_are_decided(clusters):
    dataset = clusters(160, 160, classes=2)
    few = dataset.match({"ground_truth.label": "class 0"})
    dataset.delete_samples(few.values("id")[20:])
    moved = dataset.match({"truth": "class 1"}).limit(3)
    moved.set_values("ground_truth.label", ["class 0"] * 3)
    find_mistakes(dataset, "ground_truth", embeddings="vector", output_field="mistakes", progress=False)
    assert undecided_mistakes(dataset, "ground_truth")["class 0"] == 3

    def notes():
        return balance_classes(dataset, "ground_truth", source="augment", dry_run=True, progress=False).notes

    assert "3 labels of classes that get images may be wrong" in notes()[0] and "class 0 (3)" in notes()[0]
    form = Form(SimpleNamespace(dataset=dataset, view=dataset, params={}, has_custom_view=False), "Balance")
    warn_before_drawing(form, balance.of_samples(dataset, "ground_truth", "majority", 3.0), "ground_truth")
    assert form.lines.properties["mistakes"].view.params == dict(tab="mistakes", label_field="ground_truth")

    moved.set_values("ground_truth.label", ["class 1"] * 3)  # decided by an edit
    assert "class 0" not in undecided_mistakes(dataset, "ground_truth")
    assert not any("may be wrong" in note for note in notes())


def test_what_is_measured_is_said_with_its_time(photos):
    def notes(**settings):
        return " ".join(balance_classes(photos, "ground_truth", dry_run=True, progress=False, **settings).notes)

    assert "Nothing is measured: no network is trained" in notes(source="augment")
    assert "21 small networks" in notes(source="augment", measure_benefit=True)
    assert "px: about " in notes(source="augment", measure_benefit=True)
    assert "Too few to measure" in notes(source="augment", add="if it gains")


def test_flips_are_on_for_photos_and_off_for_small_or_gray_images(photos, make_dataset, tmp_path):
    assert photo_kind(photos.values("filepath"))[1] == 3
    assert flips.describe(photos).startswith("Flips: auto is horizontal here")
    for name, size, mode in (("small", (32, 32), "RGB"), ("gray", (200, 200), "L")):
        path = tmp_path / f"{name}.png"
        scenes()["cat"].resize(size).convert(mode).save(path)
        assert flips.describe(make_dataset([str(path)], ["a"])).startswith("Flips: auto is none here")
