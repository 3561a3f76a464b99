"""Embeddings by workers: images a second of one process, and of several that Ray starts, on the same files in turns.

All use the same timm network with drawn weights. The start of the workers is measured apart: it is paid once a run.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median

import encoders as plain
import pictures
from measure import goal, own_database
from tabulate import tabulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vit_small_patch14_reg4_dinov2", help="architecture of timm")
    parser.add_argument("--data", default="shapes", help=pictures.HELP)
    parser.add_argument("--images", type=int, default=1024, help="JPEG files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of each process
    with own_database() as folder:
        compare(options, plain.jpeg_files(options, folder), folder)


def compare(options: argparse.Namespace, files: list[str], folder: Path) -> None:
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

    def alone() -> tuple[float, float]:
        start = time.perf_counter()
        assert sum(len(rows) for rows, _ in encoder.encode(work, lambda done: None)) == len(files)
        return 0.0, time.perf_counter() - start

    def together() -> tuple[float, float]:
        """Seconds until the first shard is done, less those of a shard, and the rest."""
        start, ends = time.perf_counter(), []
        for _ in encode_by_workers(encoder, work, lambda done: None, Executor(str(options.workers)), False):
            ends.append(time.perf_counter() - start)
        shards = len(ends)
        a_shard = (ends[-1] - ends[0]) / max(shards - options.workers, 1)
        return ends[0] - a_shard, ends[-1] - ends[0] + a_shard

    times = [(alone()[1], *together()) for _ in range(options.rounds)]
    ratios = [one / rest for one, _, rest in times]
    whole = [one / (started + rest) for one, started, rest in times]
    rows = [
        ["one process", median(len(files) / one for one, _, _ in times), None],
        [f"{options.workers} workers", median(len(files) / rest for *_, rest in times), median(ratios)],
        ["with their start", median(len(files) / (started + rest) for _, started, rest in times), median(whole)],
    ]
    print(f"\n{options.model}: {len(files)} JPEGs, one thread a process; start {median(t[1] for t in times):.1f} s")
    print(tabulate(rows, ["", "images/s", "of one process"], floatfmt=".2f"))
    goal(f"{options.workers} workers reach 1.6 times one", median(ratios) >= 1.6, f"{median(ratios):.2f}")


if __name__ == "__main__":
    main()
