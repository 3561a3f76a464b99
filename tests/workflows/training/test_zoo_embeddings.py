"""`embeddings=` by the name of a model of FiftyOne's zoo."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

ZOO = """
import sys, torch, fiftyone as fo
from evenset import auto_label, resume_run
torch.manual_seed(0)
dataset = fo.load_dataset(sys.argv[1])

def stop(phase, done, total, note):
    if phase.startswith("computing embeddings") and done > 60:
        print("stopped at", done, "of", total)
        raise KeyboardInterrupt

given = dict(embeddings="local-resnet18-torch", target_precision=0.8)
try:
    auto_label(dataset, "ground_truth", **given, progress=stop)
except KeyboardInterrupt:
    resume_run(dataset, "evenset_auto_label_1", progress=False)
"""


@pytest.mark.slow
def test_embeddings_of_a_zoo_model_are_computed_and_the_work_can_be_stopped(digits, tmp_path):
    """A manifest of our own describes a ResNet-18 that needs no download; its weights are drawn."""
    config = dict(
        entrypoint_fcn="torchvision.models.resnet.resnet18",
        output_processor_cls="fiftyone.utils.torch.ClassifierOutputProcessor",
        classes=[str(i) for i in range(1000)],
        image_size=[32, 32],
        embeddings_layer="<fc",
    )
    model = dict(
        base_name="local-resnet18-torch",
        default_deployment_config_dict=dict(type="fiftyone.utils.torch.TorchImageModel", config=config),
        tags=["torch"],
    )
    (tmp_path / "manifest.json").write_text(json.dumps(dict(models=[model])))
    dataset = digits(n=160, size_px=8, labelled=100)

    done = subprocess.run(
        [sys.executable, "-c", ZOO, dataset.name],
        env={**os.environ, "FIFTYONE_MODEL_ZOO_MANIFEST_PATHS": str(tmp_path / "manifest.json")},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "stopped at 61 of 160" in done.stdout
    dataset.reload()
    rows = zip(*dataset.values(["auto_label.status", "auto_label.label", "truth"]), strict=True)
    right = [label == truth for status, label, truth in rows if status != "labelled"]
    assert sum(right) > 0.6 * len(right) == 36  # chance is a tenth
