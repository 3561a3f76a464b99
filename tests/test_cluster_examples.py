"""examples/cluster/: scripts that a shell reads, a manifest that Kubernetes can, and what this machine can run."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import evenset
import pytest
from evenset.examples.cluster import label
from evenset.models.errors import RunError

FOLDER = Path(__file__).parents[1] / "examples" / "cluster"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
COMMAND = re.compile(r"#\s+(?:python|sh|sbatch) (examples/cluster/\S+)")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_shell_reads_each_script(script):
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, check=False).stderr == b""


def test_every_file_is_in_the_docs_and_names_files_that_are_there():
    page = (FOLDER.parents[1] / "docs" / "scale.md").read_text()
    for path in FOLDER.glob("*.*"):
        assert f"(../examples/cluster/{path.name})" in page, path.name
        assert all((FOLDER.parents[1] / name).exists() for name in COMMAND.findall(path.read_text()))


def test_the_manifest_starts_the_script_on_eight_gpus_with_database_and_storage():
    import yaml

    job = yaml.safe_load((FOLDER / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"]["entrypoint"] == "python /etc/evenset/label.py DATASET LABEL_FIELD --workers ray"

    cluster, gpus = job["spec"]["rayClusterSpec"], 0
    for group in [{**cluster["headGroupSpec"], "replicas": 1}, *cluster["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == "IMAGE"
        assert {"FIFTYONE_DATABASE_URI", "EVENSET_DIR"} <= {variable["name"] for variable in container["env"]}
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
        assert mounted["script"] == "/etc/evenset"
        assert container["resources"]["requests"]["cpu"] == container["resources"]["limits"]["cpu"]
        gpus += group["replicas"] * int(container["resources"]["limits"]["nvidia.com/gpu"])
    assert gpus == 8


def test_the_script_resumes_a_last_run_that_ended_early(clusters, monkeypatch):
    dataset = clusters(n=60, labelled=40)
    options = dict(dataset=dataset.name, label_field="ground_truth", workers="2", embeddings="vector")
    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module("evenset.workflows.auto_label"), "summarise", lost)
        with pytest.raises(RunError, match="head was lost"):
            label.label(argparse.Namespace(**options))
    dataset.reload()
    label.label(argparse.Namespace(**options))
    assert [run["state"] for run in evenset.list_runs(dataset).rows] == ["done"]


def lost(*_, **__):
    raise RunError("the head was lost")


@pytest.mark.slow
def test_the_recipe_for_one_machine_labels_and_trains_on_two_processes(digits, tmp_path):
    import timm
    from timm.models import save_for_hf

    save_for_hf(timm.create_model("test_vit", pretrained=False), str(tmp_path / "tiny"), safe_serialization=True)
    dataset = digits(n=60, size_px=16, labelled=40)
    few = {"GPUS": "2", "TRAIN": "--epochs 2 --min-updates 1 --size-px 16 --weights none --device cpu"}
    run("eight_gpus.sh", dataset.name, "ground_truth", "--embeddings", f"timm/local-dir:{tmp_path / 'tiny'}", **few)
    dataset.reload()
    assert dataset.count("auto_label") == dataset.count("resnet") == 60


def run(script, *arguments, **variables):
    """A recipe, with this Python and its commands."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **variables, "PYTHON": sys.executable, "PATH": path}
    ended = subprocess.run(["sh", str(FOLDER / script), *arguments], env=environment, capture_output=True, check=False)
    assert ended.returncode == 0, (ended.stdout + ended.stderr).decode()[-3000:]
