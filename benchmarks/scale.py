"""Work by workers: embeddings and folds by one process, and by several that Ray starts, on the same files in turns.

Embeddings are by a timm network with drawn weights, folds by small ResNets. The start of the workers is measured apart:
it is paid once a run.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import encoders as plain
import pictures
from measure import goal, own_database
from tabulate import tabulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=("embeddings", "folds"), default="embeddings")
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--model", default="vit_small_patch14_reg4_dinov2", help="architecture of timm")
    parser.add_argument("--data", default="shapes", help=pictures.HELP)
    parser.add_argument("--images", type=int, default=1024, help="JPEG files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of each process
    with own_database() as folder:
        files = plain.jpeg_files(options, folder)
        if options.stage == "folds":
            compare_folds(options, files, folder)
        else:
            compare_embeddings(options, files, folder)


def compare_folds(options: argparse.Namespace, files: list[str], folder: Path) -> None:
    """ResNets of find_mistakes, each trained without a fold of 32 px images of ten classes."""
    import fiftyone as fo
    import numpy as np
    import torch
    from evenset.models.settings import ImageSettings, ResNetSettings
    from evenset.workflows.data.labels import read_labels
    from evenset.workflows.mistakes.fold_models import NetworkWork, train_network_of
    from evenset.workflows.runs import shards
    from evenset.workflows.runs.detached import detached_run
    from evenset.workflows.runs.shared_files import share
    from evenset.workflows.training.image_survey import survey_images
    from evenset.workflows.training.training_set import TrainingSet

    torch.set_num_threads(1)
    dataset = fo.Dataset()
    dataset.add_samples(
        [fo.Sample(filepath=file, truth=fo.Classification(label=str(i % 10))) for i, file in enumerate(files)],
        progress=False,
    )
    images = ImageSettings(size_px=32, threads=1)
    labels = read_labels(dataset, "truth")
    stats = survey_images(detached_run(folder), labels, images)
    data = TrainingSet(labels, images, stats, np.ones(len(files), dtype=np.int64))
    settings = ResNetSettings(weights="none", epochs=3, min_updates=1, precision="fp32")
    work = NetworkWork(data, share(labels.paths.tolist(), False), settings, "fp32")
    folds = np.array_split(np.random.default_rng(0).permutation(len(files)), options.folds)

    def alone() -> float:
        start = time.perf_counter()
        for fold in folds:
            train_network_of(fold, work)
        return time.perf_counter() - start

    def together() -> list[float]:
        executor, start = shards.Executor(str(options.workers)), time.perf_counter()
        done = shards.results(folds, train_network_of, executor, lambda: None, work)
        return [time.perf_counter() - start for _ in done]

    report(options, f"ResNets without a fold of {len(files)} images", len(folds), "folds/s", alone, together)


def compare_embeddings(options: argparse.Namespace, files: list[str], folder: Path) -> None:
    import timm
    import torch
    from evenset.workflows.embeddings.encoders import Files, open_encoder
    from evenset.workflows.embeddings.sharded import encode_by_workers
    from evenset.workflows.runs.shards import Executor
    from timm.models import save_for_hf

    torch.set_num_threads(1)
    save_for_hf(
        timm.create_model(options.model, pretrained=False), str(folder / options.model), safe_serialization=True
    )
    encoder, work = open_encoder(f"timm/local-dir:{folder / options.model}"), Files(files, [""] * len(files), None)

    def alone() -> float:
        start = time.perf_counter()
        assert sum(len(rows) for rows, _ in encoder.encode(work, lambda done: None)) == len(files)
        return time.perf_counter() - start

    def together() -> list[float]:
        executor, start = Executor(str(options.workers)), time.perf_counter()
        done = encode_by_workers(encoder, work, lambda count: None, executor, False)
        return [time.perf_counter() - start for _ in done]

    report(options, f"{options.model}: {len(files)} JPEGs", len(files), "images/s", alone, together)


def report(
    options: argparse.Namespace,
    title: str,
    count: int,
    unit: str,
    alone: Callable[[], float],
    together: Callable[[], list[float]],
) -> None:
    """Prints rates of one process and of the workers.

    Args:
        alone: seconds of one process
        together: seconds until each shard is done
    """
    times = []
    for _ in range(options.rounds):
        one, ends = alone(), together()
        a_shard = (ends[-1] - ends[0]) / max(len(ends) - options.workers, 1)
        times.append((one, ends[0] - a_shard, ends[-1] - ends[0] + a_shard))  # one, the start, and the rest
    ratios = [one / rest for one, _, rest in times]
    whole = [one / (started + rest) for one, started, rest in times]
    rows = [
        ["one process", median(count / one for one, _, _ in times), None],
        [f"{options.workers} workers", median(count / rest for *_, rest in times), median(ratios)],
        ["with their start", median(count / (started + rest) for _, started, rest in times), median(whole)],
    ]
    print(f"\n{title}, one thread a process; start {median(t[1] for t in times):.1f} s")
    print(tabulate(rows, ["", unit, "of one process"], floatfmt=".2f"))
    goal(f"{options.workers} workers reach 1.6 times one", median(ratios) >= 1.6, f"{median(ratios):.2f}")


if __name__ == "__main__":
    main()
