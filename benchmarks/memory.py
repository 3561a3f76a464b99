"""Peak memory of prediction: throughput.py starts this script once for each number of files."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
from evenset.workflows.runs import lifecycle
from measure import goal, own_database
from network import BATCH, NAMES, STEMS, same_network
from tabulate import tabulate


def compare(counts: list[int], files: list[str], size_px: int, stem: str, threads: int, folder: Path) -> None:
    """Peak memory for each number of images; the files repeat where the number exceeds theirs."""
    rows = []
    for count in counts:
        file_list = folder / "files.txt"
        file_list.write_text("\n".join(files[i % len(files)] for i in range(count)))
        command = [sys.executable, __file__, file_list, "--size-px", size_px, "--stem", stem, "--threads", threads]
        output = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True).stdout
        rows.append([count, *map(float, output.split()[-3:])])
    print("\nMemory of prediction, MB")
    print(tabulate(rows, ["images", "before", "peak", "results"], floatfmt=".1f"))
    if len(rows) > 1:
        count, before, after, results = (last - first for first, last in zip(rows[0], rows[-1], strict=True))
        growth = after - before
        figure = f"{growth:.0f} MB for {results:.0f} MB of results ({count * 3 * size_px**2 / 1e6:.0f} MB of pixels)"
        goal("memory grows by at most 3 x the size of the results", growth <= 3 * results, figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=Path, help="text file with one image path a line")
    parser.add_argument("--size-px", type=int, default=64)
    parser.add_argument("--stem", default=STEMS[0], choices=STEMS)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with own_database():
        print(*peak(options.list.read_text().splitlines(), options.size_px, options.stem, options.threads))


def peak(files: list[str], size_px: int, stem: str, threads: int) -> tuple[float, float, float]:
    """Memory before prediction, at its peak, and of the results and paths, in MB; predicts as auto_label does."""
    import fiftyone as fo
    from evenset.models.classifiers.resnet_prediction import predict
    from evenset.models.images.reader import Images
    from evenset.models.settings import ImageSettings, ResNetSettings
    from evenset.workflows.data.labels import Labels
    from evenset.workflows.training import resnet

    dataset = fo.Dataset()
    dataset.add_sample(fo.Sample(filepath=files[0]))
    ids, unlabelled = np.array([f"{number:024x}" for number in range(len(files))]), np.full(len(files), -1)
    labels = Labels(ids, np.array(files), unlabelled, NAMES, unlabelled >= 0, ids, 0)
    model, settings = same_network(size_px, stem, threads), ResNetSettings(device="cpu")
    image_settings = ImageSettings(threads=threads)
    list(predict(model, Images(files[: 4 * BATCH], image_settings, size_px, 3).batches(BATCH), settings))  # a warm-up
    with memory_samples() as samples:
        before = samples[0]
        with lifecycle.start(
            dataset, lifecycle.RunRequest("train_resnet", settings=(), inputs={}), progress=False
        ) as run:
            logits, vectors, _ = resnet.predict(run, labels, model, Images(files, image_settings, size_px, 3), settings)
    return before, max(samples), (logits.nbytes + vectors.nbytes + sum(map(len, files))) / 1e6


@contextlib.contextmanager
def memory_samples() -> Iterator[list[float]]:
    """Samples this process's memory (RSS) a hundred times a second, in MB."""
    process, ended = psutil.Process(), threading.Event()
    samples = [process.memory_info().rss / 1e6]

    def sample() -> None:
        while not ended.wait(0.01):
            samples.append(process.memory_info().rss / 1e6)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
