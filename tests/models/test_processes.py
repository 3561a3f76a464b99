"""Training in step: shares of a batch, and two processes that learn what one learns."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from evenset.models import processes

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
LAUNCHER += ["--nproc_per_node"]
# In float64, as one process that adds in another order drifts away in float32: by 4e-4 in four updates of a ResNet.
SCRIPT = """
import os, sys
from pathlib import Path
import numpy as np
import torch

torch.set_num_threads(1)
torch.Tensor.float = torch.Tensor.double
kind, path = sys.argv[1:]
rng = np.random.default_rng(0)
images, labels = rng.integers(0, 255, (60, 3, 16, 16)).astype(np.uint8), rng.integers(0, 3, 60)
if kind == "generator":
    from evenset.models.diffusion import training
    from evenset.models.settings import GeneratorSettings

    torch.set_default_dtype(torch.float64)
    settings = GeneratorSettings(
        max_updates=20, batch_size=9, device="cpu", precision="fp32", minutes=None, flips="horizontal", width=8)
    pipeline = training.build(["a", "b", "c"], 3, 16, settings)
    network = pipeline.unet
    steps = training.train(pipeline, images.__getitem__, labels, settings, Path(path).parent / "state")
elif kind == "adapter":
    from evenset.models.diffusion.pretrained import adapter, bases, latents, tuning
    from evenset.models.settings import GeneratorSettings, TuningSettings
    from evenset.tests import tiny_pipelines

    folder = Path(path).parent / os.environ.get("RANK", "0")
    base = bases.find(str(tiny_pipelines.write("stable_diffusion", folder / "base")))
    network = adapter.Denoiser(bases.load(base, "cpu", False), base.family, 2, False).double()
    network.pipe[0].to(torch.float64)
    kept = latents.Latents(folder / "latents", [latents.Bucket(16, 16)] * 60, (2,))
    list(kept.compute(network.pipe[0], lambda i: images[i].transpose(1, 2, 0)))
    settings = GeneratorSettings(
        max_updates=20, batch_size=9, device="cpu", precision="fp32", minutes=None, learning_rate=1e-2)
    examples = tuning.Examples(kept, labels, ["a", "b", "c"])
    steps = tuning.tune(network, examples, (settings, TuningSettings()), Path(path).parent / "state")
elif kind == "image graph":
    from evenset.models.graphs import image_gcn
    from evenset.models.graphs.image_nodes import SuperpixelGraphs
    from evenset.models.settings import ImageGraphSettings

    counts = rng.integers(2, 7, 60)  # nodes of each image, in a row
    edges = np.concatenate([np.stack([np.arange(n - 1), np.arange(1, n)], 1) for n in counts])
    graphs = SuperpixelGraphs(rng.normal(size=(counts.sum(), 5)), edges, counts, counts - 1)
    settings = ImageGraphSettings(graph_epochs=5, batch_size=17, device="cpu", node_channels=8, num_layers=2)
    network = image_gcn.build(5, 3, settings).double()

    def fetch(rows):
        nodes = graphs(rows)
        return nodes._replace(features=nodes.features.double(), adjacency=nodes.adjacency.double())

    steps = image_gcn.train(network, fetch, labels, np.arange(60), np.arange(0), settings)
else:
    from evenset.models.classifiers import resnet, resnet_training
    from evenset.models.settings import ResNetSettings

    settings = ResNetSettings(
        epochs=5, min_updates=1, batch_size=17, device="cpu", precision="fp32", augmentation="strong", weights="none",
        patience=50)
    network = resnet.build(3, 3, 16, np.full(3, 0.5), np.full(3, 0.25), settings).double()
    weights = (rng.integers(1, 9, 60) / 8).astype(np.float32) if kind == "weights" else None
    data = resnet_training.TrainingData(images.__getitem__, labels, np.arange(60), np.arange(0), weights)
    steps = resnet_training.train(network, data, settings, Path(path).parent / "state")
(Path(path).parent / "state").mkdir(exist_ok=True)
list(steps)
if os.environ.get("RANK", "0") == "0":
    torch.save(network.state_dict(), path)
"""


def launched(count: int, folder, kind: str) -> dict[str, torch.Tensor]:
    """The weights that `count` processes learn."""
    place = folder / f"{kind} {count}"
    place.mkdir()
    (place / "script.py").write_text(SCRIPT)
    command = [
        *([*LAUNCHER, str(count)] if count > 1 else [sys.executable]),
        str(place / "script.py"),
        kind,
        str(place / "weights.pt"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(place / "weights.pt")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["resnet", "weights", "generator", "adapter", "image graph"])
def test_two_processes_learn_what_one_learns_in_20_updates(tmp_path, kind):
    alone, together = (launched(count, tmp_path, kind) for count in (1, 2))
    assert alone.keys() == together.keys()
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, atol=1e-4, rtol=0, msg=name)


ALONE = """
import datetime, os, time
from evenset.models import processes

processes.MEETING = datetime.timedelta(seconds=10)
if os.environ["RANK"] == "1":
    time.sleep(30)
else:
    processes.members()
"""


@pytest.mark.slow
def test_a_call_in_one_process_alone_ends_with_a_sentence(tmp_path):
    (tmp_path / "script.py").write_text(ALONE)
    command = [*LAUNCHER, "2", str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0 and "did not call the same function of evenset: call it in all of them" in done.stderr


def process(rank, count):
    return SimpleNamespace(process_index=rank, num_processes=count, is_main_process=rank == 0)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_average_of_the_shares_is_the_mean_of_the_batch(count, weighted):
    rng, batch = np.random.default_rng(0), np.arange(5, 16)
    losses, weights = rng.random(20), rng.random(20) if weighted else None
    shares = [processes.own_share(process(rank, count), batch) for rank in range(count)]
    assert sorted(np.concatenate(shares)) == batch.tolist()
    factors = [processes.share_of_mean(process(0, count), batch, rows, weights) for rows in shares]
    means = [np.average(losses[rows], weights=None if weights is None else weights[rows]) for rows in shares]
    expected = np.average(losses[batch], weights=None if weights is None else weights[batch])
    assert np.mean([factor * mean for factor, mean in zip(factors, means, strict=True)]) == pytest.approx(expected)


def test_alone_a_check_raises_what_it_finds_and_nothing_is_distributed(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not processes.is_distributed() and not processes.is_follower()

    def stop():
        raise KeyError("stopped")

    with pytest.raises(KeyError, match="stopped"):
        processes.check_together(process(0, 1), stop)
    assert processes.shared(process(0, 1), "mine") == "mine"


@pytest.mark.parametrize(("rank", "follows"), [("0", False), ("1", True)])
def test_a_launch_has_one_owner(monkeypatch, rank, follows):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    assert processes.is_distributed() and processes.is_follower() is follows
