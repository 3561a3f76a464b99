"""The example of the whole application, on a few drawn images: every step runs, and says what came of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.mark.usefixtures("database")
@pytest.mark.slow
def test_every_step_of_the_example_runs(tmp_path):
    rng = np.random.default_rng(0)
    for number, name in enumerate(("red", "green", "blue", "gray")):
        (tmp_path / name).mkdir()
        colour = (255 * np.eye(3)[number] if number < 3 else np.full(3, 128.0)) * 0.7
        for i in range(40):
            pixels = rng.normal(colour, 40, (12, 12, 3)).clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    environment = {**os.environ, "FIFTYONE_DEFAULT_DATASET_DIR": str(tmp_path / "datasets")}
    short = "--images 160 --labels 60 --minutes 0.1 --epochs 1 --steps 10".split()
    command = [sys.executable, str(ROOT / "examples" / "cifar10.py"), str(tmp_path), *short]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)

    assert done.returncode == 0, done.stderr
    for words in (
        "160 images of blue, gray, green, red",
        "of all suggestions are right",
        "labels were made wrong; of the",
        "green and red are taken down to a tenth",
        "Fewer than 10 real images, which a generator copies or confuses",
        "ensemble",
    ):
        assert words in done.stdout, done.stdout
