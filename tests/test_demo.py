import importlib.util
import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tidy(database):
    """Takes the demo's datasets away again."""
    import fiftyone as fo

    yield
    for name in fo.list_datasets("evenset-demo-*"):
        fo.delete_dataset(name)


def demo(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the demo on the tests' own database, its files below tmp_path."""
    environment = {**os.environ, "FIFTYONE_DEFAULT_DATASET_DIR": str(tmp_path / "datasets")}
    short = ["--no-app", "--epochs", "1"]
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), *short, *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.usefixtures("tidy")
@pytest.mark.slow
def test_with_thirty_labels_it_declines_to_promise_and_says_what_it_takes(tmp_path):
    done = demo(tmp_path, "--data", "digits", "--minutes", "0", "--labels", "30", "--samples", "150")

    assert done.returncode == 0, done.stderr
    assert "150 images of digits, 30 with a label" in done.stdout
    assert "Nothing is accepted: a precision of 95.0 % with 90 % confidence takes 45 held-out labels" in done.stdout
    assert "accuracy of all 120 suggestions" in done.stdout
    assert "nothing was accepted, and nothing promised" in done.stdout


@pytest.mark.usefixtures("tidy")
@pytest.mark.slow
def test_a_tree_of_class_folders_with_unlabelled_images_is_labelled_and_evened_out(tmp_path):
    rng = np.random.default_rng(0)
    for folder, level in (("dark", 40), ("light", 200), ("unlabelled", 120)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for i in range(8 if folder == "unlabelled" else 100):
            pixels = rng.normal(level, 10, (8, 8)).clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "data" / folder / f"{i} é.png")

    done = demo(tmp_path, "--minutes", "0.05", "--data", str(tmp_path / "data"))

    assert done.returncode == 0, done.stderr
    assert "208 images" in done.stdout and "200 with a label" in done.stdout
    assert "No label is hidden, so there is nothing to compare with" in done.stdout
    assert "The labels of 'light' are taken down to 10 of 100" in done.stdout
    assert "synthetic samples added" in done.stdout and "Fewer than 20 real images" in done.stdout


@pytest.mark.usefixtures("tidy")
@pytest.mark.slow
def test_scenes_of_photographs_are_labelled_and_wrong_labels_found(tmp_path):
    done = demo(tmp_path, "--minutes", "0")

    assert done.returncode == 0, done.stderr
    assert "1,880 images of photos, 300 with a label" in done.stdout
    accuracy = re.search(r"accuracy of all [\d,]+ suggestions +([\d.]+)%", done.stdout)
    assert accuracy and 80 < float(accuracy[1]) < 99  # a case in which a review has something to do
    found = re.search(r"Of (\d+) labels that are wrong, (\d+) are flagged", done.stdout)
    assert found and int(found[1]) == 9 and int(found[2]) >= 6


@pytest.fixture
def photos(monkeypatch):
    """The module of the scenes, with few of each photograph."""
    spec = importlib.util.spec_from_file_location("demo_photos", ROOT / "examples" / "demo_photos.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo_photos", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SCENES", 12)
    monkeypatch.setattr(module, "RARE_SCENES", 4)
    return module


def test_scenes_have_vectors_and_no_tile_has_both_labels_and_none(photos, tmp_path):
    cut = list(photos.scenes(tmp_path / "images"))

    assert len(cut) == 7 * 12 + 4 and {scene.label for scene in cut} == set(photos.PHOTOS)
    for one, other in combinations(cut, 2):
        assert one.tile != other.tile or one.has_label == other.has_label
    vectors = np.stack([scene.vector for scene in cut])
    assert np.isfinite(vectors).all() and len(np.unique(vectors, axis=0)) == len(cut)
    assert all(Image.open(scene.path).size == (96, 96) for scene in cut)


@pytest.mark.parametrize(("there", "words"), [(True, "at least two class folders"), (False, "there is no such folder")])
def test_a_folder_without_classes_is_refused_in_a_sentence(tmp_path, there, words):
    if there:
        (tmp_path / "data").mkdir()

    done = demo(tmp_path, "--data", str(tmp_path / "data"))

    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr
