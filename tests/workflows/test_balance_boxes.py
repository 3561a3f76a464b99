"""Balancing the classes of boxes: the plan in boxes, and objects pasted into other images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from evenset import balance_classes, delete_run, resume_run, split_dataset, train_generator
from evenset.workflows.balancing import pasting
from evenset.workflows.data import synthetic
from evenset.workflows.data.boxes import as_array
from fiftyone import ViewField as F
from PIL import Image, ImageDraw

WIDE, HIGH = 160, 120
COLOURS = {"disk": (190, 60, 50), "block": (50, 60, 190)}


def scene(rng, objects, mode="RGB"):
    """Noisy green with red disks and blue blocks, and their boxes."""
    image = Image.fromarray((np.array([70, 150, 80]) + rng.normal(0, 5, (HIGH, WIDE, 3))).clip(0, 255).astype("uint8"))
    draw, boxes = ImageDraw.Draw(image), []
    cells = rng.permutation(12)
    for cell, label in zip(cells, objects, strict=False):
        px = int(rng.integers(18, 26))
        left, top = 6 + 38 * (cell % 4) + int(rng.integers(0, 5)), 6 + 38 * (cell // 4) + int(rng.integers(0, 5))
        shape = [left, top, left + px - 1, top + px - 1]
        (draw.ellipse if label == "disk" else draw.rectangle)(shape, fill=COLOURS[label])
        boxes.append(fo.Detection(label=label, bounding_box=[left / WIDE, top / HIGH, px / WIDE, px / HIGH]))
    return image.convert(mode), boxes


@pytest.fixture
def shapes(make_dataset, tmp_path):
    """shapes(counts): an image for each pair of counts, of disks and of blocks."""

    def make(counts=((5, 0),) * 6 + ((1, 0),) * 4 + ((2, 1),) * 4, suffix="png", mode="RGB", seed=0):
        rng, paths, labels = np.random.default_rng(seed), [], []
        for number, (disks, blocks) in enumerate(counts):
            image, boxes = scene(rng, ["disk"] * disks + ["block"] * blocks, mode)
            paths.append(str(tmp_path / f"{seed}_{number:03d}.{suffix}"))
            image.save(paths[-1])
            labels.append(fo.Detections(detections=boxes))
        dataset = make_dataset(paths)
        dataset.add_sample_field("gt", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
        dataset.set_values("gt", labels)
        return dataset

    return make


def paste(dataset, **arguments):
    return balance_classes(dataset, "gt", source="paste", **{"progress": False, "target": {"block": 12}, **arguments})


def added(dataset):
    return list(dataset.match_tags("synthetic"))


def pasted(sample):
    return [box for box in sample.gt.detections if box.evenset_source_sample != box.evenset_host]


def labels_of(dataset):
    return Counter(box.label for sample in added(dataset) for box in sample.gt.detections)


def overlaps(boxes):
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    shared = np.maximum(np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None]), 0).prod(axis=2)
    return shared - np.diag(np.diag(shared))


def test_the_plan_counts_boxes_and_a_dry_run_writes_nothing(shapes, everything):
    dataset = shapes()
    before = everything(dataset)
    plan = paste(dataset, target="majority", dry_run=True)

    assert plan.rows[0] == {"class": "block", "real": 4, "synthetic": 0, "to_add": 12, "after": 16}
    assert plan.rows[1]["to_add"] == 0 and plan.noun == "box" and plan.preview is not None
    assert "12 synthetic boxes would be added" in str(plan)
    assert any("more than 3 synthetic boxes for a real one" in note for note in plan.notes)
    assert any("no network is trained" in note for note in plan.notes)
    assert everything(dataset) == before


def test_objects_are_pasted_with_boxes_beside_those_of_the_host_and_undone(shapes, everything):
    dataset = shapes()
    before, real = everything(dataset), {sample.id: sample for sample in dataset}
    results = paste(dataset)

    counts = labels_of(dataset)
    assert counts["block"] == 8 and results.rows[0]["after"] == 12  # with those that hosts brought
    assert results.rows[0]["added"] + results.rows[0]["copied"] == 8 and results.rows[1]["copied"] == counts["disk"]
    assert results.added == len(added(dataset)) and any("has the boxes of the image" in note for note in results.notes)
    ids = [box.id for sample in dataset for box in sample.gt.detections]
    assert len(set(ids)) == len(ids)
    for sample in added(dataset):
        host = real[sample.synthetic.nearest_real_id]
        assert sample.tags == ["synthetic"] and sample.synthetic.source == "paste" and sample.filepath != host.filepath
        copies = [box for box in sample.gt.detections if box.evenset_source_sample == host.id]
        assert [(box.label, box.bounding_box, box.evenset_source) for box in copies] == [
            (box.label, box.bounding_box, box.id) for box in host.gt.detections
        ]
        assert 1 <= len(pasted(sample)) <= 4
        for box in pasted(sample):
            source = real[box.evenset_source_sample]
            (own,) = [other for other in source.gt.detections if other.id == box.evenset_source]
            assert own.label == box.label == "block" and box.evenset_host == host.id and source.id != host.id
            assert box.evenset_run == results.run_key
    assert dataset.load_saved_view(results.views["synthetic"]).count() == results.added

    delete_run(dataset, results.run_key)
    assert everything(dataset) == before


def test_no_object_covers_another_of_any_field_and_its_pixels_are_in_its_box(shapes):
    dataset = shapes(((3, 0),) * 8 + ((0, 1),) * 3)
    other = [[0.02, 0.02, 0.4, 0.9]]
    dataset.add_sample_field("found", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    dataset.set_values("found", [fo.Detections(detections=[fo.Detection(bounding_box=box) for box in other])] * 11)
    assert paste(dataset).added

    for sample in added(dataset):
        new = as_array([box.bounding_box for box in pasted(sample)])
        boxes = np.concatenate([as_array([box.bounding_box for box in sample.gt.detections])])
        assert overlaps(boxes)[-len(new) :].max() == 0
        assert overlaps(np.concatenate([new, np.array(other)])).max() == 0
        pixels = np.asarray(Image.open(sample.filepath)).astype(int)
        for left, top, width, height in new * [WIDE, HIGH, WIDE, HIGH]:
            middle = pixels[int(top + height / 2), int(left + width / 2)]
            assert np.abs(middle - COLOURS["block"]).max() < 45


def test_boxes_that_a_view_hides_are_not_covered_either(shapes):
    dataset = shapes()
    view = dataset.filter_labels("gt", F("bounding_box")[0] < 0.5, only_matches=False)
    assert paste(view, target={"block": 7}).added
    for sample in added(dataset):
        assert overlaps(as_array([box.bounding_box for box in sample.gt.detections])).max() == 0


def test_hosts_are_images_with_few_objects_of_full_classes(shapes):
    dataset = shapes(((9, 0),) * 20 + ((1, 0),) * 5 + ((2, 1),) * 4)
    results = paste(dataset, target={"block": 12}, objects_per_image=1)
    copied = labels_of(dataset)["disk"] / results.added
    assert copied < 3  # 6.7 on average in the real ones


def test_an_image_without_objects_is_a_host_and_one_that_nobody_annotated_is_not(shapes):
    dataset = shapes(((0, 0),) * 2 + ((6, 0),) * 3 + ((2, 1),) * 4)
    first, second = dataset.limit(2)
    second.gt = None
    second.save()
    unlabelled = dataset.skip(2).first()
    unlabelled.gt.detections[0].label = None
    unlabelled.save()
    paste(dataset, objects_per_image=1)

    hosts = Counter(sample.synthetic.nearest_real_id for sample in added(dataset))
    assert hosts.most_common(1)[0][0] == first.id and not {second.id, unlabelled.id} & set(hosts)


def contents(dataset):
    """Pixels and boxes of the new samples, without the ids that are drawn."""
    return [
        (
            np.asarray(Image.open(sample.filepath)).tobytes(),
            [(box.label, box.bounding_box, box.evenset_source) for box in sample.gt.detections],
        )
        for sample in added(dataset)
    ]


def test_the_same_seed_gives_the_same_images_and_a_stopped_run_goes_on_to_them(shapes, monkeypatch):
    dataset, one = shapes(), dict(objects_per_image=1)
    first = paste(dataset, **one)
    expected = contents(dataset)
    delete_run(dataset, first.run_key)
    other = paste(dataset, seed=1, **one)
    assert contents(dataset) != expected
    delete_run(dataset, other.run_key)

    monkeypatch.setattr(pasting, "BLOCK", 1)

    def stop(phase, done, total, note):
        if phase == pasting.PHASE and 4 <= done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paste(dataset, progress=stop, **one)
    assert not added(dataset)
    results = resume_run(dataset, dataset.list_runs()[-1], progress=False)
    assert contents(dataset) == expected and results.added == len(expected)


def test_held_out_images_are_neither_hosts_nor_sources(shapes):
    dataset = shapes()
    held_out = dataset.take(6, seed=0)
    held_out.tag_samples("test")
    ids = set(held_out.values("id"))
    results = paste(dataset, target="majority")

    assert any("6 samples are left out, tagged 'test'" in note for note in results.notes)
    assert results.added
    for sample in added(dataset):
        assert not {sample.synthetic.nearest_real_id, *(box.evenset_source_sample for box in pasted(sample))} & ids


@pytest.mark.slow
def test_after_a_split_new_images_are_of_its_training_part_and_join_it(shapes):
    dataset = shapes(((3, 1),) * 20)
    split_dataset(dataset, "gt", train=0.6, val=0.2, test=0.2, near_duplicates=False, progress=False)
    train = set(dataset.match_tags("train").values("id"))
    paste(dataset, target={"block": 18})

    for sample in added(dataset):
        assert {sample.synthetic.nearest_real_id, *(box.evenset_source_sample for box in pasted(sample))} <= train
    split_dataset(dataset, "gt", keep=True, train=0.6, val=0.2, test=0.2, near_duplicates=False, progress=False)
    assert all("train" in sample.tags for sample in added(dataset))


@pytest.mark.slow
def test_a_split_that_comes_after_leaves_out_images_made_of_held_out_ones(shapes):
    dataset = shapes(((3, 1),) * 20)
    paste(dataset, target={"block": 60}, objects_per_image=1)
    split_dataset(dataset, "gt", train=0.6, val=0.2, test=0.2, near_duplicates=False, progress=False)

    train = set(dataset.match_tags("train").match_tags("synthetic", bool=False).values("id"))
    tagged = {bool({"train", "val", "test"} & set(sample.tags)) for sample in added(dataset)}
    assert tagged == {True, False}
    for sample in added(dataset):
        parents = {sample.synthetic.nearest_real_id, *(box.evenset_source_sample for box in pasted(sample))}
        assert ("train" in sample.tags) == (parents <= train) and not {"val", "test"} & set(sample.tags)


def test_boxes_that_cannot_be_cut_out_are_counted_by_reason(shapes):
    dataset = shapes(((2, 0),) * 6)
    bad = [
        [0.0, 0.2, 0.2, 0.2], [0.9, 0.5, 0.2, 0.2],  # at the border, beyond it
        [0.2, 0.2, 0.02, 0.02],  # 3 px
        [0.2, 0.2, 0.0, 0.2], [float("nan"), 0.2, 0.1, 0.1],  # no area, no numbers
    ]  # fmt: skip
    sample = dataset.first()
    for box in bad:
        sample.gt.detections.append(fo.Detection(label="block", bounding_box=box))
    sample.save()
    results = paste(dataset)

    assert results.added == 0
    (note,) = [note for note in results.notes if "can be cut out" in note]
    assert "'block'" in note and "2 cut off at the border" in note and "1 smaller than min_paste_px=12" in note
    assert any("left out, without an area" in note for note in results.notes)
    assert any("left out, without finite numbers" in note for note in results.notes)


def test_objects_that_others_cover_are_not_cut_out(shapes):
    dataset = shapes(((2, 0),) * 6 + ((0, 1),))
    sample = dataset.last()
    left, top, width, height = sample.gt.detections[0].bounding_box
    sample.gt.detections.append(fo.Detection(label="disk", bounding_box=[left, top, width / 2, height]))
    sample.save()
    assert any("1 covered by other boxes" in note for note in paste(dataset).notes)


def test_full_images_take_no_object_and_the_results_say_what_is_lacking(shapes):
    dataset = shapes(((3, 0),) * 6 + ((0, 1),) * 2)
    covering = [fo.Detections(detections=[fo.Detection(bounding_box=[0, 0, 1, 1])])] * 8
    dataset.add_sample_field("other", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    dataset.set_values("other", covering)
    results = paste(dataset, target={"block": 6})

    assert results.added == 0 and not added(dataset)
    (note,) = [note for note in results.notes if "No place is free" in note]
    assert "'block' lacks 4 of 4. 8 images were searched" in note


def test_a_class_of_one_box_is_pasted_into_other_images(shapes):
    dataset = shapes(((2, 0),) * 6 + ((0, 1),))
    results = paste(dataset, target="majority")
    assert labels_of(dataset)["block"] == 3 and any("Fewer than 20 real boxes" in note for note in results.notes)
    (source,) = dataset.match_tags("synthetic", bool=False).skip(6)
    assert {box.evenset_source_sample for sample in added(dataset) for box in pasted(sample)} == {source.id}


def test_masks_cut_objects_out_and_go_with_them_and_those_that_do_not_fit_are_skipped(shapes):
    dataset = shapes(((2, 0),) * 6 + ((0, 1),) * 4)
    with_blocks = dataset.skip(6)
    round_mask = np.hypot(*(np.mgrid[:20, :20] - 9.5)) < 9
    masks = [round_mask, round_mask, np.pad(round_mask, ((0, 40), (0, 60))), np.zeros((20, 20), bool)]
    for sample, mask in zip(with_blocks, masks, strict=True):
        sample.gt.detections[0].mask = mask
        sample.save()
    fitting, unfit = with_blocks.values("id")[:2], [sample.gt.detections[0].id for sample in with_blocks.skip(2)]
    results = paste(dataset, target={"block": 16})

    boxes = [box for sample in added(dataset) for box in pasted(sample)]
    assert boxes and {box.evenset_source_sample for box in boxes} <= set(fitting)
    assert all(0.5 < box.mask.mean() < 0.8 for box in boxes)
    assert set(results.skipped) <= set(unfit) and "its mask does not fit its box" in results.skipped.values()


@pytest.mark.parametrize("change", ["deleted", "replaced", "moved", "sample"])
def test_images_and_boxes_that_change_while_it_runs_are_passed_over(shapes, change):
    dataset = shapes(((2, 0),) * 6 + ((0, 1),) * 3)
    changed = dataset.skip(6).first()
    changed_id = changed.id

    def interfere(phase, done, total, note):
        if phase != pasting.PHASE or getattr(interfere, "done", False):
            return
        interfere.done = True
        if change == "deleted":
            Path(changed.filepath).unlink()
        elif change == "replaced":
            Image.new("RGB", (50, 50)).save(changed.filepath)
        elif change == "moved":
            box = dataset[changed_id].gt.detections[0]
            moved = dict(sample_id=changed_id, label_id=box.id, value=[0.1, 0.1, 0.1, 0.1])
            dataset.set_label_values("gt.detections.bounding_box", [moved])
        else:
            dataset.delete_samples([changed_id])

    results = paste(dataset, target={"block": 12}, objects_per_image=1, progress=interfere)
    later = added(dataset)[1:]
    assert len(later) >= 3 and labels_of(dataset)["block"] == 9
    assert changed_id not in {box.evenset_source_sample for sample in later for box in sample.gt.detections}
    assert changed_id in results.skipped


@pytest.mark.parametrize(
    ("suffix", "mode"), [("png", "L"), ("png", "RGBA"), ("png", "P"), ("jpg", "RGB"), ("tif", "RGB")]
)
def test_new_images_have_the_format_of_their_hosts(shapes, suffix, mode):
    dataset = shapes(suffix=suffix, mode=mode)
    paste(dataset)
    for sample in added(dataset):
        host = dataset[sample.synthetic.nearest_real_id].filepath
        with Image.open(host) as old, Image.open(sample.filepath) as new:
            assert (new.format, new.mode, new.size) == (old.format, old.mode, old.size)
            difference = np.abs(np.asarray(new.convert("RGB")).astype(int) - np.asarray(old.convert("RGB"))).max(axis=2)
        changed = np.zeros((HIGH, WIDE), dtype=bool)
        boxes = as_array([box.bounding_box for box in pasted(sample)])
        for left, top, width, height in boxes * [WIDE, HIGH, WIDE, HIGH]:
            changed[int(top) - 4 : int(top + height) + 5, int(left) - 4 : int(left + width) + 5] = True
        assert difference[changed].max() > 25 and (suffix == "jpg" or mode == "P" or difference[~changed].max() == 0)


def test_objects_are_upright_in_photos_that_their_exif_data_turn(shapes):
    dataset = shapes(suffix="jpg")
    for sample in dataset:
        image = Image.open(sample.filepath).transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6  # the App turns it back
        image.save(sample.filepath, quality=95, exif=exif)
    assert paste(dataset).added
    for sample in added(dataset):
        with Image.open(sample.filepath) as image:
            assert image.size == (WIDE, HIGH) and image.getexif().get(0x0112) is None
            pixels = np.asarray(image).astype(int)
        for box in sample.gt.detections:
            left, top, width, height = np.array(box.bounding_box) * [WIDE, HIGH, WIDE, HIGH]
            middle = pixels[int(top + height / 2), int(left + width / 2)]
            assert np.abs(middle - COLOURS[box.label]).max() < 60


def test_images_of_16_bits_take_no_objects(shapes):
    dataset = shapes(((0, 0),) + ((1, 0),) * 5 + ((0, 1),) * 4)
    deep = dataset.first()
    Image.fromarray(np.full((HIGH, WIDE), 30000, dtype=np.uint16)).save(deep.filepath)
    results = paste(dataset, objects_per_image=1, target={"block": 16})
    assert "more than 8 bits" in results.skipped[deep.id]
    assert deep.id not in {sample.synthetic.nearest_real_id for sample in added(dataset)}


def test_what_is_there_counts_for_the_next_plan(shapes):
    dataset = shapes()
    paste(dataset)
    names = ["block", "disk"]
    assert synthetic.count(dataset, "gt", names)[0] == labels_of(dataset)["block"] == 8
    assert synthetic.runs_of(dataset, "gt") == ["evenset_balance_classes_1"]
    assert paste(dataset).added == 0
    assert paste(dataset, dry_run=True).rows[0]["synthetic"] == 8


def test_boxes_refuse_other_sources_and_samples_refuse_pasting(shapes, refused):
    dataset = shapes()
    dataset.set_values("weather", [fo.Classification(label="sun"), fo.Classification(label="rain")] * 7)
    for source in ("generate", "augment"):
        with refused(dataset, "'gt' holds boxes", f"source='{source}' makes", "with source='paste'"):
            balance_classes(dataset, "gt", source=source, progress=False)
    with refused(dataset, "'gt' holds boxes", "a generator draws", "with source='paste'"):
        train_generator(dataset, "gt", progress=False)
    with refused(dataset, "'weather' has one label for each sample", "source='augment'"):
        balance_classes(dataset, "weather", source="paste", progress=False)
    with refused(dataset, "pasted objects are not filtered", "leave filter_augmented out"):
        paste(dataset, filter_augmented=True)


@pytest.mark.parametrize("kind", ["pixels", "none", "one class", "polylines", "held out"])
def test_boxes_that_cannot_be_balanced_are_refused_with_the_reason(shapes, refused, kind):
    dataset = shapes(((2, 1),) * 3)
    words = {
        "pixels": "are in pixels", "none": "no box of 'gt' can be cropped", "one class": "two classes are needed",
        "polylines": "needs fo.Detections", "held out": "all samples are tagged 'test'",
    }[kind]  # fmt: skip
    field = "gt"
    if kind == "pixels":
        scaled = (as_array(own) * 100 for own in dataset.values("gt.detections.bounding_box"))
        dataset.set_values("gt.detections.bounding_box", [own.tolist() for own in scaled])
    elif kind == "none":
        dataset.set_values("gt", [fo.Detections()] * 3)
    elif kind == "one class":
        dataset.set_values("gt.detections.label", [["disk"] * 3] * 3)
    elif kind == "polylines":
        field = "lines"
        line = fo.Polyline(label="a", points=[[(0.1, 0.1), (0.4, 0.2), (0.3, 0.5)]])
        dataset.set_values("lines", [fo.Polylines(polylines=[line.copy()]) for _ in range(3)])
    else:
        dataset.tag_samples("test")
    with refused(dataset, words):
        balance_classes(dataset, field, source="paste", progress=False)


@pytest.mark.slow
def test_the_benefit_is_measured_on_crops_of_images_that_take_no_part(shapes):
    dataset = shapes(((2, 1),) * 30)
    measured = dict(measure_benefit=True, verdict_updates=30, verdict_seeds=2, add="always")
    results = paste(dataset, target={"block": 50}, **measured)
    assert results.gain and [row["class"] for row in results.verdict] == ["block", "disk"]
    held_out = sum(row["held_out"] for row in results.verdict)
    assert 10 <= held_out <= 40 and results.added
    used = {box.evenset_source_sample for sample in added(dataset) for box in sample.gt.detections}
    assert len(used) <= 30 - held_out // 3


def test_too_few_crops_are_not_measured_and_the_results_say_so(shapes):
    dataset = shapes()
    results = paste(dataset, add="if it gains")
    assert results.decision == "too few to measure" and results.added == 0
    assert any("Too few to measure" in note for note in results.notes)


def test_patches_are_the_objects_that_are_cut_out(shapes):
    dataset = shapes(((2, 1),) * 8)
    patches = dataset.to_patches("gt").match(F("gt.label").is_in(["disk", "block"])).limit(12)
    ids = set(patches.values("id"))
    paste(patches, target={"block": 8})
    assert added(dataset) and {box.evenset_source for sample in added(dataset) for box in pasted(sample)} <= ids
