"""Pretrained text-to-image models of random weights: tuned, drawn from, refused, resumed and undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from evenset.tests import tiny_pipelines
from evenset.tests.workflows.planted_photos import tiles
from PIL import Image

TINY = dict(minutes=None, max_updates=8, preview_every=5, batch_size=2, lora_rank=2, precision="fp32", progress=False)
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


@pytest.mark.parametrize("kind", tiny_pipelines.KINDS)
def test_every_family_is_tuned_and_drawn_from(photos, bases, kind):
    results = train(photos, bases(kind), max_updates=3, preview_every=100)
    start = "noise" if kind == "sana" else "auto"
    assert balance(photos, generator=results.run_key, start=start, target={"roof": 6}).added == 2


def test_sana_starts_from_noise_alone(photos, bases):
    results = train(photos, bases("sana"), max_updates=2)
    with pytest.raises(ValueError, match="has no image-to-image pipeline: give start='noise'"):
        balance(photos, generator=results.run_key, start="images")
