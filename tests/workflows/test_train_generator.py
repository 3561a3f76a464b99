"""A generator trained on real digits, and what balance_classes makes of it: small enough to take seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evenset.workflows.data.synthetic import read_image
from PIL import Image

TINY = dict(minutes=None, max_updates=30, width=8, preview_every=15, progress=False)
QUICK = dict(verdict_updates=20, verdict_seeds=2, sampling_steps=3, progress=False)
LOOSE = dict(
    prototype_reject_quantile=0.0, probability_reject_quantile=0.0, gcn_reject_quantile=0.0, copy_reject_quantile=0.0
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """40 zeros, 30 ones and 6 twos as files."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, folder, found = load_digits(n_class=3), tmp_path_factory.mktemp("digits"), []
    for name, count in enumerate((40, 30, 6)):
        for i in np.flatnonzero(digits.target == name)[:count]:
            found.append((str(folder / f"{i}.png"), str(name)))
            Image.fromarray((digits.images[i] * 15).astype(np.uint8)).save(found[-1][0])
    return found


@pytest.fixture
def digits(database, files):
    import fiftyone as fo

    dataset = fo.Dataset()
    dataset.add_samples(
        [fo.Sample(filepath=path, ground_truth=fo.Classification(label=name)) for path, name in files], progress=False
    )
    yield dataset
    dataset.delete()


def train(dataset, **settings):
    import evenset

    return evenset.train_generator(dataset, "ground_truth", **{**TINY, **settings})


def balance(dataset, **settings):
    import evenset

    few = dict(generate_from_few=True, measure_benefit=True)
    return evenset.balance_classes(dataset, "ground_truth", **{**QUICK, **LOOSE, **few, "add": "always", **settings})


class StopAt:
    """A progress that breaks off when a phase comes to a number."""

    def __init__(self, phase, done):
        self.phase, self.done = phase, done

    def __call__(self, phase, done, total, note):
        if phase == self.phase and done >= self.done:
            raise KeyboardInterrupt


def tensors(results):
    from safetensors.numpy import load_file

    return load_file(next(Path(results.folder).rglob("*.safetensors")))


def test_a_generator_is_trained_and_writes_nothing_to_the_samples(digits, everything):
    import evenset

    before = everything(digits)
    results = train(digits)

    assert evenset.load_results(digits, results.run_key) == results
    assert results.steps == 30 and results.trained + results.held_out == 76 and results.held_out > 10
    assert len(results.pictures) == 3 and all(Path(path).exists() for path in results.pictures)
    assert json.loads((Path(results.folder) / "model_index.json").read_text())["names"] == ["0", "1", "2"]
    now = everything(digits)
    for part in ("schema", "samples", "views", "app"):
        assert now[part] == before[part]

    evenset.delete_run(digits, results.run_key)
    assert everything(digits) == before


def test_a_training_that_was_broken_off_goes_on_to_the_same_weights(digits):
    import evenset

    expected = tensors(train(digits))
    with pytest.raises(KeyboardInterrupt):
        train(digits, progress=StopAt("training the generator", 20))
    found = evenset.resume_run(digits, "evenset_train_generator_2", progress=False)

    assert found.steps == 30
    assert all((value == expected[name]).all() for name, value in tensors(found).items())


@pytest.mark.slow
def test_a_training_goes_on_with_its_network_where_there_are_more_cores(digits, monkeypatch):
    import evenset
    from evenset.models.diffusion import network as denoiser

    monkeypatch.setattr(denoiser, "_cores", lambda device: 2.0)
    expected = tensors(train(digits, width=None, precision="fp32"))
    with pytest.raises(KeyboardInterrupt):
        train(digits, width=None, precision="fp32", progress=StopAt("training the generator", 20))
    monkeypatch.setattr(denoiser, "_cores", lambda device: 64.0)
    found = evenset.resume_run(digits, "evenset_train_generator_2", progress=False)

    assert all((value == expected[name]).all() for name, value in tensors(found).items())
    assert not list(Path(found.folder).parent.glob("training.safetensors"))


def test_a_generators_folder_is_found_by_a_relative_path_and_noted_whole(digits, monkeypatch, tmp_path):
    import shutil

    from evenset.workflows.balancing.generator import find_generator

    generator = train(digits)
    shutil.copytree(generator.folder, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    for given in ("mine", "~/mine", Path("mine")):
        found = find_generator(digits, given, ["0", "2"])
        assert found.source == str(found.folder) == str(tmp_path / "mine")
    (tmp_path / generator.run_key).mkdir()  # the run is meant
    assert find_generator(digits, generator.run_key, ["0"]).folder == Path(generator.folder)


def test_what_judges_runs_where_the_generator_does():
    from evenset.workflows.balancing.config import BalanceConfig

    small_cnn = BalanceConfig.read(dict(device="cpu", precision="fp32")).small_cnn

    assert (small_cnn.device, small_cnn.precision) == ("cpu", "fp32")


def test_images_drawn_by_a_run_are_added_and_a_run_that_was_broken_off_adds_the_same(digits, monkeypatch):
    import evenset
    from evenset.workflows.balancing import rejection_sampling

    monkeypatch.setattr(rejection_sampling, "BLOCK", 20)
    monkeypatch.setattr("evenset.models.diffusion.sampling.faster_precision", lambda run, device, repeats: "fp32")
    generator = train(digits).run_key
    first = balance(digits, generator=generator, measure_benefit=False, max_ratio=None)
    samples = digits.load_saved_view(first.views["synthetic"])
    expected = [(s.ground_truth.label, read_image(s.filepath).tolist()) for s in samples]
    evenset.delete_run(digits, first.run_key)

    with pytest.raises(KeyboardInterrupt):
        balance(
            digits, generator=generator, measure_benefit=False, max_ratio=None, progress=StopAt("making images", 15)
        )
    assert not digits.match_tags("synthetic")
    monkeypatch.setattr(
        "evenset.models.diffusion.sampling.faster_precision", lambda *_, **__: pytest.fail("measured twice")
    )
    second = evenset.resume_run(digits, "evenset_balance_classes_1", progress=False)
    samples = digits.load_saved_view(second.views["synthetic"])

    assert [(s.ground_truth.label, read_image(s.filepath).tolist()) for s in samples] == expected
    assert second.added == first.added == 10 + 34
    assert set(samples.values("synthetic.generator")) == {generator}
    assert set(samples.values("synthetic.steps")) == {3} and set(samples.values("synthetic.guidance")) == {2.0}


def test_workers_draw_and_judge_as_one_process_does(digits, backwards, monkeypatch):
    import evenset

    monkeypatch.setattr("evenset.models.diffusion.sampling.faster_precision", lambda run, device, repeats: "fp32")
    generator, done = train(digits).run_key, []
    for workers in (None, 2):
        settings = dict(sampling_batch_size=8, precision="fp32", max_ratio=None, workers=workers)
        results = balance(digits, generator=generator, **settings)
        samples = digits.match_tags("synthetic").sort_by("filepath")
        drawn = [(s.ground_truth.label, s.synthetic.steps, read_image(s.filepath).tolist()) for s in samples]
        done.append((drawn, results.arms, results.gain, results.decision))
        evenset.delete_run(digits, results.run_key)
    assert done[0] == done[1] and len(done[0][0]) == 44
    names = [name for _, name in backwards[0]]
    assert names.count("draw_pixels") >= 6 and names.count("train_on_worker") == 2 * 7


@pytest.mark.slow
def test_what_the_generator_was_kept_from_scores_and_nothing_else(digits):
    generator = train(digits, held_out_fraction=0.4)
    results = balance(digits, generator=generator.run_key)

    assert sum(row["held_out"] for row in results.verdict) == generator.held_out
    assert [row["held_out"] for row in results.verdict] == [row["held_out"] for row in generator.rows]
    assert results.generator == generator.run_key


def test_a_generator_that_saw_every_image_is_refused_as_its_own_judge(digits):
    generator = train(digits, held_out_fraction=0.0)
    with pytest.raises(ValueError, match=r"saw every image whose label.*measure_benefit=False"):
        balance(digits, generator=generator.run_key)

    assert balance(digits, generator=generator.run_key, measure_benefit=False).added


@pytest.mark.slow
def test_what_belongs_to_a_held_out_image_does_not_train_beside_a_generator_that_is_there(digits, read):
    from evenset.workflows.data import folders

    generator = train(digits)
    folder = folders.run_folder(digits, generator.run_key) / "generator" / "evenset.json"
    held = set(json.loads(folder.read_text())["held_out"])
    ids = digits.values("id")
    mate = next(i for i in ids if i not in held)
    twins = sorted(held)[:3]  # they belong to an image that the generator saw
    groups = dict.fromkeys(held, "held") | {mate: "twins"} | dict.fromkeys(twins, "twins")
    digits.set_values("video", [groups.get(i, f"own {n % 20}") for n, i in enumerate(ids)])
    new = digits[next(i for i in ids if i not in groups)].copy()
    new.filepath = str(Path(new.filepath).with_name("new.png"))
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(new.filepath)
    new["video"] = "held"
    digits.add_sample(new)

    balance(digits, generator=generator.run_key, group_field="video")

    (problem,) = read
    trained = set(problem.train_ids.tolist())
    assert len(problem.held_out) == len(held) - 3
    assert {mate, *twins} <= trained and not {new.id, *(held - set(twins))} & trained


@pytest.mark.slow
def test_a_copy_of_a_training_image_is_refused(digits, monkeypatch):
    real = {}
    for sample in digits:
        real.setdefault(sample.ground_truth.label, []).append(read_image(sample.filepath))

    def plant(pipeline, labels, settings, numbers, run=None):
        return np.stack([real[str(name)][n % len(real[str(name)])] for name, n in zip(labels, numbers, strict=True)])

    generator = train(digits).run_key
    monkeypatch.setattr("evenset.workflows.balancing.image_sources.draw_images", plant)
    results = balance(digits, generator=generator, measure_benefit=False, keep_rejected=True, copy_reject_quantile=0.05)

    made = digits.match_tags("synthetic")
    copies = made.match_tags("rejected")
    assert set(copies.values("synthetic.reason")) == {"copy"} and results.refused == {"copy": len(copies)}
    assert len(copies) > len(made) / 2 and max(copies.values("synthetic.nearest_real_distance")) < 0.001
    for sample in copies:
        assert (read_image(sample.filepath) == read_image(digits[sample.synthetic.nearest_real_id].filepath)).all()


def test_a_generator_that_diverged_is_kept_as_it_was_before(digits, monkeypatch):
    from evenset.models.diffusion import training

    learn, broken = training.backward, []

    def break_down(network, patch_px, batch, done, share=1.0):
        if done.updates == 14 and not broken:
            broken.append(batch)
            return float("nan")
        return learn(network, patch_px, batch, done, share)

    monkeypatch.setattr(training, "backward", break_down)
    with pytest.raises(FloatingPointError, match="update 15 has a loss of nan.*generator='evenset_train_generator_1'"):
        train(digits)

    results = balance(digits, generator="evenset_train_generator_1", measure_benefit=False)
    assert results.added and any("diverged: update 15 has a loss of nan" in note for note in results.notes)

    import evenset

    resumed = evenset.resume_run(digits, "evenset_train_generator_1", progress=False)
    assert resumed.steps < 15 and "diverged" in resumed.notes[-1]


def test_a_training_whose_time_ends_before_its_steps_says_so(digits):
    results = train(digits, minutes=0.02, max_updates=10**6)

    assert f"{results.steps:,} of 1,000,000 updates" in results.notes[-1] and "raise minutes" in results.notes[-1]
    assert not any("updates" in note for note in train(digits).notes)


@pytest.mark.slow
def test_a_folder_serves_another_dataset_and_must_draw_its_classes(digits, files, tmp_path):
    import fiftyone as fo

    folder = train(digits).folder
    other = fo.Dataset()
    try:
        for path, name in files:
            other.add_sample(fo.Sample(filepath=path, ground_truth=fo.Classification(label=name)))
        results = balance(other, generator=folder)
        assert results.added
        one = other.match_tags("synthetic", bool=False).first()
        one.ground_truth.label = "nine"
        one.save()
        with pytest.raises(ValueError, match="draws 0, 1, 2, and not 'nine'"):
            balance(other, generator=folder)
    finally:
        other.delete()


@pytest.fixture
def read(monkeypatch):
    """The images that `read_images` returned, in the order of the calls."""
    from evenset.workflows.balancing.benefit import read_images

    returned = []
    spy = "evenset.workflows.balance_classes.read_images"
    monkeypatch.setattr(spy, lambda *values: returned.append(read_images(*values)) or returned[-1])
    return returned


@pytest.mark.slow
def test_what_a_generator_saw_scores_in_no_other_dataset_either(digits, read):
    folder = Path(train(digits).folder)
    unseen = set(digits.select(json.loads((folder / "evenset.json").read_text())["held_out"]).values("filepath"))
    other = digits.clone()
    try:
        results = balance(other, generator=folder)
        (problem,) = read
        trained = set(other.select(problem.train_ids.tolist()).values("filepath"))
    finally:
        other.delete()

    scored = sum(row["held_out"] for row in results.verdict)
    assert 0 < scored <= len(unseen) and trained >= set(digits.values("filepath")) - unseen


def test_a_generator_that_saw_every_file_of_another_dataset_is_refused_there(digits):
    folder = train(digits, held_out_fraction=0.0).folder
    other = digits.clone()
    try:
        with pytest.raises(ValueError, match="saw every image"):
            balance(other, generator=folder)
    finally:
        other.delete()


@pytest.mark.slow
def test_real_images_are_read_as_the_generator_saw_them(digits, read):
    generator = train(digits, autocontrast=True).run_key
    balance(digits, generator=generator, measure_benefit=False)

    (problem,) = read
    assert set(problem.train.reshape(len(problem.train), -1).max(1)) == {255}


@pytest.mark.slow
def test_a_second_run_adds_no_image_that_the_first_one_has_added(digits):
    generator = train(digits).run_key
    first = balance(digits, generator=generator, measure_benefit=False, max_ratio=1)
    balance(digits, generator=generator, measure_benefit=False, max_ratio=3)

    images = [read_image(path).astype(int) for path in digits.match_tags("synthetic").values("filepath")]
    apart = [[np.abs(a - b).max() for b in images[first.added :]] for a in images[: first.added]]
    assert first.added == 16 and len(images) == 10 + 18 and np.min(apart) > 5


@pytest.mark.slow
def test_files_of_a_run_that_was_deleted_are_not_named_again(digits):
    import evenset

    generator, found = train(digits).run_key, []
    for _ in range(2):
        results = balance(digits, generator=generator, measure_benefit=False)
        found.append(set(digits.match_tags("synthetic").values("filepath")))
        evenset.delete_run(digits, results.run_key)

    assert found[0] and not found[0] & found[1]


@pytest.mark.slow
def test_an_exported_generator_draws_and_says_that_nobody_knows_what_it_saw(digits, tmp_path):
    from evenset.models.diffusion import training

    training.export(training.load(Path(train(digits).folder)), tmp_path)
    results = balance(digits, generator=tmp_path, measure_benefit=False)

    assert results.added == 28 and "are unknown" in results.notes[-1]
    index = tmp_path / "model_index.json"
    index.write_text(index.read_text().replace('"names"', '"called"'))
    with pytest.raises(ValueError, match="Evenset did not train"):
        balance(digits, generator=tmp_path)


@pytest.mark.slow
def test_without_a_generator_one_is_trained_and_serves_again(digits):
    first = balance(digits, **{key: TINY[key] for key in ("minutes", "max_updates", "width", "preview_every")})
    again = balance(digits, generator=first.run_key, target=60, measure_benefit=False)

    assert first.added == 10 + 18 and first.generator == first.run_key
    assert again.added == 20 + 20  # of the twos no more than three for a real one


def test_a_dry_run_draws_what_a_generator_that_is_there_would_draw(digits, everything):
    generator = train(digits).run_key
    before = everything(digits)
    plan = balance(digits, generator=generator, dry_run=True)
    longer = balance(digits, generator=generator, dry_run=True, verdict_updates=2000)

    assert everything(digits) == before
    assert plan.preview.std() > 0 and not any("real images, of which" in note for note in plan.notes)
    assert 0 < plan.minutes < longer.minutes / 5


@pytest.mark.slow
def test_a_class_of_one_image_gets_no_more_than_its_cap_and_is_named(digits):
    from fiftyone import ViewField as F

    twos = digits.match(F("ground_truth.label") == "2").values("id")
    digits.delete_samples(twos[1:])
    generator = train(digits).run_key
    results = balance(digits, generator=generator, measure_benefit=False)

    assert digits.count_values("ground_truth.label")["2"] == 4
    assert any("Fewer than 20 real images" in note and "2" in note for note in results.notes)


def test_where_every_image_is_refused_nothing_is_written(digits, everything):
    before = everything(digits)
    generator = train(digits).run_key
    shares = dict(
        prototype_reject_quantile=0.9,
        probability_reject_quantile=0.5,
        gcn_reject_quantile=0.5,
        copy_reject_quantile=0.5,
    )
    strict = dict(
        shares, min_probability_threshold=1.0, max_probability_threshold=1.0
    )  # neither network is so sure of noise
    results = balance(digits, generator=generator, max_draws_per_image=1.0, target=45, **strict)

    now = everything(digits)
    assert results.added == 0
    assert (now["schema"], now["samples"], now["views"]) == (before["schema"], before["samples"], before["views"])
    assert any("Fell short after 1 tries" in note for note in results.notes)
    assert sum(results.refused.values()) > 0


@pytest.mark.slow
def test_ways_to_even_out_classes_are_compared(digits, everything):
    import evenset

    before = everything(digits)
    generator = train(digits).run_key
    results = evenset.compare_methods(digits, "ground_truth", task="generation", generator=generator, **QUICK, **LOOSE)

    assert evenset.load_results(digits, results.run_key) == results
    ways = [row["training_set"] for row in results.rows]
    assert ways[:3] == ["real", "logit adjustment (Menon 2021)", "oversampling"]
    assert ways[-2:] == ["best of these + changed images", "best of these + drawn images"]
    assert set(results.gains) == set(results.verdicts) == {"changed images", "drawn images"}
    assert everything(digits)["samples"] == before["samples"]
    with pytest.raises(ValueError, match="rules is of task='classification'"):
        evenset.compare_methods(digits, "ground_truth", task="generation", rules={"0": "F('x')"})
    with pytest.raises(ValueError, match="'classification' or 'generation'"):
        evenset.compare_methods(digits, "ground_truth", task="guessing")
