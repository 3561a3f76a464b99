"""Pipes and devices where files belong, and generators and checkpoints that claim what no memory holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import evenset
import fiftyone as fo
import numpy as np
import pytest
import torch
from evenset.models.classifiers import linear, pretrained, resnet
from evenset.models.diffusion import network
from evenset.models.regular_files import read_json, regular
from evenset.models.settings import GeneratorSettings, ResNetSettings
from evenset.workflows.balancing.generator import NOTE, _check_note, find_generator
from safetensors.torch import load_file, save_file

HUGE = [100_000, 10**9, 2**70, 0, -1, 0.5, None, "8", True, [1], float("nan")]


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """Folder of a small generator of two classes."""
    folder = tmp_path_factory.mktemp("generator")
    pipeline = network.build(["a", "b"], 1, 8, GeneratorSettings(width=8, layers=1, patch_px=1))
    network.save(pipeline, folder)
    note = dict(names=["a", "b"], size_px=8, channels=1, dataset="", held_out=[], saw=[], images={}, warning="")
    (folder / NOTE).write_text(json.dumps(note))
    return folder


def edited(folder, name, **changes):
    """Edits a JSON file; returns what puts it back."""
    path = folder / name
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), **changes}))
    return lambda: path.write_text(before)


def test_a_whole_generator_is_read(generator, make_dataset):
    assert network.load(generator, "cpu").config.names == ["a", "b"]
    assert find_generator(make_dataset([]), generator, ["a"]).size_px == 8


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("model_index.json", ["names", "size_px", "channels", "patch_px", "sampling"]),
        (
            "unet/config.json",
            ["layers_per_block", "block_out_channels", "sample_size", "in_channels", "num_class_embeds"],
        ),
        ("unet/config.json", ["norm_num_groups", "down_block_types", "add_attention", "out_channels"]),
        ("scheduler/scheduler_config.json", ["num_train_timesteps", "prediction_type", "flow_shift"]),
    ],
)
def test_configurations_out_of_range_are_refused_before_anything_is_built(generator, file, names):
    whole = json.loads((generator / file).read_text())
    for name in names:
        values = [*HUGE, [10**9] * 3, [8] * 100_000, {"sampling_steps": 10**9}]
        for value in [value for value in values if value != whole[name]]:  # True is 1 in Python
            restore = edited(generator, file, **{name: value})
            with pytest.raises(ValueError, match="holds no generator that Evenset wrote"):
                network.load(generator, "cpu")
            restore()
    assert network.load(generator, "cpu")


def test_notes_of_a_generator_out_of_range_are_refused(generator, make_dataset):
    dataset = make_dataset([])
    for name in ("names", "size_px", "channels", "dataset", "held_out", "saw", "images", "warning", "other"):
        for value in [*HUGE, {"size_px": 10**9}, [5]]:
            restore = edited(generator, NOTE, **{name: value})
            if (name, value) not in (("images", {}), ("dataset", "8"), ("warning", "8")):
                with pytest.raises(ValueError, match="the notes of the generator in .* are damaged"):
                    find_generator(dataset, generator, ["a"])
            restore()
    for text in ("", "[]", "null", "{" * 5000, '{"a":' * 100_000, "\0", '{"names": NaN}'):
        (generator / "bad.json").write_text(text)
        with pytest.raises(ValueError):
            read = read_json(generator / "bad.json")
            _check_note(generator / "bad.json", read)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(generator, tmp_path, bad):
    file = generator / "unet" / "diffusion_pytorch_model.safetensors"
    whole = load_file(file)
    name = next(iter(whole))
    save_file({**whole, name: torch.full_like(whole[name], bad)}, file)
    with pytest.raises(ValueError, match=f"NaN or infinity in {name}"):
        network.load(generator, "cpu")
    save_file(whole, file)

    model = resnet.build(2, 1, 8, np.zeros(1), np.ones(1), ResNetSettings(weights="none"))
    state = model.state_dict()
    state["network.conv1.weight"] = torch.full_like(state["network.conv1.weight"], bad)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="NaN or infinity in network.conv1.weight"):
        pretrained.read_state_dict(tmp_path / "w.pth")
    model.load_state_dict(state)
    resnet.save(model, tmp_path / "checkpoint.safetensors", {})
    with pytest.raises(ValueError, match="NaN or infinity in network.conv1.weight"):
        resnet.load(tmp_path / "checkpoint.safetensors")


def test_a_view_that_claims_more_numbers_than_its_file_holds(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1).expand(64, 10**9, 7, 7)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match="conv1.weight claims 3,136,000,000,000 numbers in a file of"):
        pretrained.read_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["architecture", "classes", "channels", "size_px"])
def test_a_checkpoint_whose_notes_are_out_of_range(tmp_path, name):
    model = resnet.build(2, 1, 8, np.zeros(1), np.ones(1), ResNetSettings(weights="none"))
    for value in (10**9, -1, None, True):
        setattr(model, name, value)
        resnet.save(model, tmp_path / "c.safetensors", {})
        with pytest.raises(ValueError, match="damaged"):
            resnet.load(tmp_path / "c.safetensors")
    save_file({"weights": torch.zeros(2, 3)}, tmp_path / "l.safetensors", {"evenset": '{"linear": true}'})
    with pytest.raises(ValueError, match="do not fit together"):
        linear.load(tmp_path / "l.safetensors")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/tty", "pipe"])
def test_what_is_no_regular_file_is_named_and_not_opened(tmp_path, device):
    path = tmp_path / "file"
    os.mkfifo(path) if device == "pipe" else path.symlink_to(device)
    with pytest.raises(ValueError, match="is a pipe, a socket or a device, where a file belongs"):
        regular(path)
    assert regular(tmp_path / "missing") == tmp_path / "missing"


@pytest.mark.slow
def test_pipes_in_the_folders_of_runs_and_generators_hang_nothing(clusters, generator, tmp_path):
    """Files of runs and of a generator, one after another, are pipes while those who read them are called."""
    dataset = clusters(30, 20)
    dataset.persistent = True
    run = evenset.auto_label(dataset, "ground_truth", embeddings="vector", progress=False).run_key
    evenset.review_labels(dataset, "auto_label", status="all", force=True, progress=False)
    folder = Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id)
    names = {"parts.npz", "checkpoint.safetensors", "decision.npz", "changes.jsonl", NOTE}
    names |= {"model_index.json", "config.json", "scheduler_config.json", "diffusion_pytorch_model.safetensors"}
    files = [str(path) for path in [*folder.rglob("*"), *generator.rglob("*")] if path.name in names]
    assert len(files) == len(names)
    code = f"""
        import os, signal
        import evenset, fiftyone as fo
        from evenset.models.diffusion import network
        dataset = fo.load_dataset({dataset.name!r})
        quiet, vector = dict(progress=False), dict(embeddings="vector", progress=False)
        of_runs = [
            lambda: evenset.auto_label(dataset, run={run!r}, output_field="again", size_px=None, **quiet),
            lambda: evenset.auto_label(dataset, "ground_truth", after={run!r}, output_field="next", **vector),
            lambda: evenset.review_labels(dataset, "auto_label", **quiet),
        ]
        of_generators = [
            lambda: evenset.balance_classes(dataset, "ground_truth", generator={str(generator)!r}, dry_run=True),
            lambda: network.load(__import__("pathlib").Path({str(generator)!r})),
        ]
        of_reviews = [lambda: evenset.delete_run(dataset, "evenset_review_labels_1")]
        for path in filter(os.path.exists, {files!r}):
            os.rename(path, path + ".kept")
            os.mkfifo(path)
            for call in of_reviews if "review" in path else of_runs if "auto_label" in path else of_generators:
                signal.alarm(20)  # a call that hangs ends the process
                try:
                    call()
                except (ValueError, TypeError, OSError) as error:
                    assert not isinstance(error, BlockingIOError), error
                for key in [k for k in dataset.list_runs() if k not in ({run!r}, "evenset_review_labels_1")]:
                    evenset.delete_run(dataset, key)
            if os.path.exists(path + ".kept"):
                os.replace(path + ".kept", path)
        print("nothing hung")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith("nothing hung\n"), done.stderr[-2000:]
