"""Pretrained text-to-image models of random weights: tuned, drawn from, refused, resumed and undone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from evenset.tests import tiny_pipelines
from evenset.tests.workflows.planted_photos import tiles
from evenset.workflows.balancing import tuned_images
from PIL import Image

TINY = dict(
    minutes=None,
    max_updates=8,
    preview_every=5,
    batch_size=2,
    lora_rank=2,
    precision="fp32",
    base_size_px=32,
    progress=False,
)
QUICK = dict(verdict_updates=20, verdict_seeds=2, pretrained_steps=3, judge="small cnn", progress=False)
LOOSE = dict(
    prototype_reject_quantile=0.0, probability_reject_quantile=0.0, gcn_reject_quantile=0.0, copy_reject_quantile=0.0
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Folders of pipelines by their kinds, made when they are asked for."""
    folder, made = tmp_path_factory.mktemp("bases"), {}

    def base(kind):
        if kind not in made:
            made[kind] = tiny_pipelines.write(kind, folder / kind)
        return made[kind]

    return base


@pytest.fixture
def photos(make_dataset, tmp_path):
    """18 photos of two classes, JPEG and PNG, upright and wide; one class has four."""
    paths = []
    for i, tile in enumerate(tiles()[:18]):
        image = tile.crop((0, 0, 100, 70)) if i % 3 else tile
        path = tmp_path / (f"{i}.jpg" if i % 2 else f"{i}.png")
        image.save(path, **({"quality": 80} if i % 2 else {}))
        paths.append(str(path))
    labels = ["roof" if i < 4 else "flower" for i in range(18)]
    return make_dataset(paths, labels)


def train(dataset, base, **settings):
    import evenset

    return evenset.train_generator(dataset, "ground_truth", base=str(base), **{**TINY, **settings})


def balance(dataset, **settings):
    import evenset

    usual = dict(generate_from_few=True, measure_benefit=False, add="always", target={"roof": 10})
    return evenset.balance_classes(dataset, "ground_truth", **{**QUICK, **LOOSE, **usual, **settings})


def test_a_tuned_model_adds_images_in_the_size_and_format_of_the_photos(photos, bases, everything):
    import evenset

    before = everything(photos)
    results = train(photos, bases("stable_diffusion"))
    assert Path(results.folder, "pytorch_lora_weights.safetensors").is_file()
    assert not list(Path(results.folder).glob("*/diffusion_pytorch_model*"))  # the base is not copied
    assert [Path(path).name for path in results.pictures] == ["samples_000005.png", "samples_final.png"]

    added = balance(photos, generator=results.run_key)
    assert added.added == 6
    real = {sample.id: sample for sample in photos.match_tags("synthetic", bool=False)}
    for sample in photos.match_tags("synthetic"):
        note = sample.synthetic
        source = real[note.source_image]
        assert source.ground_truth.label == sample.ground_truth.label == "roof"
        with Image.open(sample.filepath) as image, Image.open(source.filepath) as original:
            assert (image.size, image.mode, image.format) == (original.size, original.mode, original.format)
            if image.format == "JPEG":
                assert image.quantization == original.quantization
        assert note.base == str(bases("stable_diffusion")) and note.prompt == "a photo of a roof"
        assert 0.5 <= note.strength <= 0.8 and 2 <= note.guidance <= 4 and len(note.adapter) == 16

    evenset.delete_run(photos, "all")
    assert everything(photos) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", tiny_pipelines.KINDS)
def test_every_family_is_tuned_and_drawn_from(photos, bases, kind):
    results = train(photos, bases(kind), max_updates=3, preview_every=100)
    start = "noise" if kind == "sana" else "auto"
    assert balance(photos, generator=results.run_key, start=start, target={"roof": 6}).added == 2


def test_sana_starts_from_noise_alone(photos, bases):
    results = train(photos, bases("sana"), max_updates=2)
    with pytest.raises(ValueError, match="has no image-to-image pipeline: give start='noise'"):
        balance(photos, generator=results.run_key, start="images")


@pytest.mark.slow
def test_no_image_starts_from_a_label_that_may_be_wrong(photos, bases, monkeypatch):
    from evenset.workflows.reviewing import undecided

    results = train(photos, bases("stable_diffusion"), max_updates=2)
    roofs = photos.match({"ground_truth.label": "roof"}).values("id")
    monkeypatch.setattr(undecided, "undecided_labels", lambda dataset, field: dict.fromkeys(roofs[:3], "roof"))
    balance(photos, generator=results.run_key)
    assert set(photos.match_tags("synthetic").values("synthetic.source_image")) == {roofs[3]}


@pytest.mark.slow
def test_images_may_start_from_those_of_other_classes(photos, bases):
    results = train(photos, bases("stable_diffusion"), max_updates=2)
    balance(photos, generator=results.run_key, across_classes=True, target={"roof": 14})
    sources = photos.match_tags("synthetic").values("synthetic.source_image")
    assert set(photos.select(sources).values("ground_truth.label")) == {"roof", "flower"}


def test_copies_are_refused_at_full_size(photos, bases, monkeypatch):
    """A model that returns the image that it starts from makes copies, mirrored ones too."""
    from evenset.models.diffusion.pretrained import drawing

    def copy(pipe, family, prompts, requests, steps, precision):
        for index, request in enumerate(requests):
            yield index, request.start[:, ::-1] if request.number % 2 else request.start

    results = train(photos, bases("stable_diffusion"), max_updates=2, base_size_px=96)
    monkeypatch.setattr(drawing, "draw", copy)
    refused = balance(photos, generator=results.run_key, copy_reject_quantile=0.01, add="always")
    assert refused.refused == {"copy": 30} and refused.added == 0


class ByColour:
    """An encoder of image files: three means and deviations of colours, which a part of an image has too."""

    name, preprocessing, version, precision = "by colour", "", "", None
    errors: ClassVar[dict] = {}
    notes: ClassVar[dict] = {}

    def choose_precision(self, count):
        return None

    def encode(self, files, report):
        pixels = [np.asarray(Image.open(path).convert("RGB"), dtype=float) for path in files.paths]
        vectors = [np.concatenate([of.mean((0, 1)) - 128, of.std((0, 1)) - 60]) for of in pixels]
        yield np.arange(len(vectors)), np.array(vectors, dtype=np.float32)


@pytest.mark.slow
def test_enlarged_parts_are_refused_where_an_encoder_finds_the_original(photos, bases, monkeypatch):
    import evenset
    from evenset.models.diffusion.pretrained import drawing
    from evenset.models.quality import copies
    from evenset.workflows.balancing import copy_candidates, image_sources

    def far(reference, images):  # as the search by pixels does among many photos
        return copies.Nearest(np.zeros(len(images), dtype=int), np.ones(len(images)), np.ones(len(images)))

    def enlarge(pipe, family, prompts, requests, steps, precision):
        for index, request in enumerate(requests):
            height, width = request.start.shape[:2]
            part = Image.fromarray(request.start[height // 5 :, width // 6 : -width // 6])
            yield index, np.asarray(part.resize((width, height), Image.Resampling.BICUBIC))

    results = train(photos, bases("stable_diffusion"), max_updates=2, base_size_px=96)
    monkeypatch.setattr(drawing, "draw", enlarge)
    monkeypatch.setattr(copies, "search", lambda reference, images, own=None: far(reference, images))
    options = dict(generator=results.run_key, copy_reject_quantile=0.01, target={"flower": 20})
    with monkeypatch.context() as without:
        without.setattr(image_sources, "CopyCandidates", lambda *_: None)
        by_pixels = balance(photos, **options)
    evenset.delete_run(photos, by_pixels.run_key)
    monkeypatch.setattr(copy_candidates, "encoder_at_hand", lambda *_: "by colour")
    monkeypatch.setattr(copy_candidates, "open_encoder", lambda *_: ByColour())
    by_vectors = balance(photos, **options)

    assert by_vectors.refused["copy"] > 20 > 2 * by_pixels.refused.get("copy", 0)


@pytest.mark.slow
def test_same_seed_same_images(photos, bases):
    import evenset

    results = train(photos, bases("stable_diffusion"), max_updates=2)
    pixels = []
    for _ in range(2):
        run = balance(photos, generator=results.run_key, start="noise")
        paths = sorted(photos.match_tags("synthetic").values("filepath"))
        pixels.append([np.asarray(Image.open(path)).tobytes() for path in paths])
        evenset.delete_run(photos, run.run_key)
    assert pixels[0] == pixels[1] and len(pixels[0]) == 6


def test_workers_draw_the_images_of_one_process(photos, bases, backwards, monkeypatch):
    import evenset

    monkeypatch.setattr(tuned_images, "CHUNK", 2)
    results = train(photos, bases("stable_diffusion"), max_updates=2)
    pixels, origins = [], []
    for workers in (None, 2):
        run = balance(photos, generator=results.run_key, workers=workers)
        added = photos.match_tags("synthetic").sort_by("filepath")
        pixels.append([np.asarray(Image.open(path)).tobytes() for path in added.values("filepath")])
        origins.append(added.values("synthetic.source_image"))
        evenset.delete_run(photos, run.run_key)
    assert pixels[0] == pixels[1] and origins[0] == origins[1] and len(pixels[0]) == 6
    assert {name for _, name in backwards[0]} == {"draw_photos"} and len(backwards[0]) > 2


class StopAt:
    """A progress that breaks off when a phase comes to a number."""

    def __init__(self, phase, done):
        self.phase, self.done = phase, done

    def __call__(self, phase, done, total, note):
        if phase == self.phase and done >= self.done:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "phase, done", [pytest.param("encoding images", 1, marks=pytest.mark.slow), ("tuning the pretrained model", 1)]
)
def test_a_stopped_tuning_resumes_to_the_same_adapter(photos, bases, phase, done):
    import evenset

    whole = train(photos, bases("stable_diffusion"), max_updates=12)
    with pytest.raises(KeyboardInterrupt):
        train(photos, bases("stable_diffusion"), max_updates=12, progress=StopAt(phase, done))
    resumed = evenset.resume_run(photos, "evenset_train_generator_2", progress=False)
    first, second = (
        Path(results.folder, "pytorch_lora_weights.safetensors").read_bytes() for results in (whole, resumed)
    )
    assert first == second
    assert not list(Path(resumed.folder).parent.glob("latents/*"))


@pytest.mark.slow
def test_a_stopped_drawing_resumes_with_the_same_images(photos, bases):
    import evenset

    results = train(photos, bases("stable_diffusion"), max_updates=2)
    with pytest.raises(KeyboardInterrupt):
        balance(photos, generator=results.run_key, progress=StopAt("drawing images", 3))
    resumed = evenset.resume_run(photos, "evenset_balance_classes_1", progress=False)
    whole = balance(photos, generator=results.run_key, target={"roof": 10 + resumed.added})
    assert resumed.added == 6 and whole.added == 6


def test_the_dry_run_draws_eight_images_a_class_by_the_untuned_model(photos, bases, everything):
    import evenset

    before = everything(photos)
    plan = evenset.balance_classes(
        photos, "ground_truth", base=str(bases("stable_diffusion")), dry_run=True, pretrained_steps=2,
        generate_from_few=True, minutes=None, max_updates=10,
    )  # fmt: skip
    assert plan.preview.shape[1] == 120 + 8 * 96 and plan.minutes > 0
    assert any("before it is tuned; its card names no licence" in note for note in plan.notes)
    assert everything(photos) == before


def test_a_base_is_refused_before_a_run_begins(photos, bases, tmp_path, refused):
    with refused(photos, "is neither a run, nor the folder of a diffusers pipeline"):
        train(photos, "no such thing")
    folder = shutil.copytree(bases("stable_diffusion"), tmp_path / "copy")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "KandinskyPipeline"}))
    with refused(photos, "is a KandinskyPipeline, which cannot be tuned"):
        train(photos, folder)
    with refused(photos, "grayscale cannot be used with a pretrained base"):
        train(photos, bases("stable_diffusion"), grayscale=True)
    with refused(photos, "descriptions: 'rooof: a roof' is not as NAME: TEXT, with NAME one of flower, roof"):
        train(photos, bases("stable_diffusion"), descriptions="rooof: a roof")
    with refused(photos, "prompt has to contain {class}"):
        train(photos, bases("stable_diffusion"), prompt="a photo")


@pytest.mark.slow
def test_the_base_of_an_adapter_that_changed_or_went_is_named(photos, bases, tmp_path):
    folder = shutil.copytree(bases("stable_diffusion"), tmp_path / "base")
    results = train(photos, folder, max_updates=2)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="was tuned on another state of"):
        balance(photos, generator=results.run_key)
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match="is neither a run, nor the folder of a diffusers pipeline"):
        balance(photos, generator=results.run_key)


def test_an_earlier_generator_of_another_dataset_is_a_start(photos, make_dataset):
    """Classes of the same name keep what was learned; the size is that of the earlier generator."""
    import evenset
    from safetensors.torch import load_file

    small = dict(minutes=None, width=8, size_px=16, preview_every=100, progress=False)
    first = evenset.train_generator(photos, "ground_truth", max_updates=5, **small)
    paths, labels = photos.values("filepath"), ["wall" if i < 4 else "flower" for i in range(18)]
    other = make_dataset(paths, labels)
    second = evenset.train_generator(
        other, "ground_truth", base=first.folder, max_updates=1, minutes=None, warmup_updates=100,
        learning_rate=1e-7, preview_every=100, progress=False,
    )  # fmt: skip
    assert second.size_px == 16
    before, after = (load_file(next(Path(run.folder).rglob("*.safetensors"))) for run in (first, second))
    name = "class_embedding.weight"  # flower, roof; then flower, wall
    np.testing.assert_allclose(after[name][0], before[name][0], atol=1e-6)
    np.testing.assert_allclose(after[name][1], before[name][:2].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(after["conv_in.weight"], before["conv_in.weight"], atol=1e-6)


def test_an_adapter_is_no_start_for_another(photos, bases):
    results = train(photos, bases("stable_diffusion"), max_updates=2)
    with pytest.raises(ValueError, match="is tuned from .*: give base="):
        train(photos, results.run_key)
