"""examples/day.sh runs as it stands, and leaves an exported training set; the photos are what their text says."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from evenset.examples import photos

ROOT = Path(__file__).parents[1]


def test_some_labels_are_wrong_and_three_files_are_spoilt(tmp_path):
    from PIL import Image, ImageOps

    folder = photos.make(tmp_path / "day")

    truth, labels = (photos.read_rows(folder / f"{name}.csv") for name in ("truth", "labels"))
    assert {path.name for path in (folder / "photos").iterdir()} == set(truth)
    assert len(truth) == sum(photos.COUNTS.values()) + 3 and len(labels) == 130
    assert sum(truth[file] != label for file, label in labels.items()) == photos.WRONG
    files = {file: (folder / "photos" / file).read_bytes() for file in truth}
    assert sum(content == files["copy.jpg"] for content in files.values()) == 2
    mirrored = ImageOps.mirror(Image.open(folder / "photos" / "mirrored.jpg"))
    assert sum(abs_difference(mirrored, folder / "photos" / file) < 5 for file in truth if file[0].isdigit()) == 1


def abs_difference(image, path) -> float:
    import numpy as np
    from PIL import Image

    return float(np.abs(np.asarray(image, float) - np.asarray(Image.open(path), float)).mean())


@pytest.mark.slow
@pytest.mark.usefixtures("database")
def test_the_day_runs_in_the_shell(tmp_path):
    import fiftyone as fo

    folder = tmp_path / "day"
    environment = {**os.environ, "PYTHON": sys.executable, "EVENSET": f"{sys.executable} -m evenset"}
    command = ["sh", str(ROOT / "examples" / "day.sh"), str(folder)]

    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=3000)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"The training set is in {folder}/export" in done.stdout and "evenset_export_dataset_1" in done.stdout
    assert "evenset-day" not in fo.list_datasets()
    with (folder / "export" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"train", "val", "test"} and len(rows) >= 230
    truth = photos.read_rows(folder / "truth.csv")
    real = [row for row in rows if Path(row["file"]).name in truth]
    assert sum(truth[Path(row["file"]).name] == row["label"] for row in real) > 0.95 * len(real)
