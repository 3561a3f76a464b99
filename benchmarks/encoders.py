"""Images a second of an encoder: Evenset from files to vectors, the raw forward pass, and compute_embeddings.

All use the same timm network with drawn weights, JPEG files, batch size and threads, and take turns in rounds. The raw
forward pass has its images in memory, in the precision that Evenset chose.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pictures
from measure import goal, own_database, seconds
from tabulate import tabulate

WIDE_PX, HIGH_PX = 500, 375  # of the files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vit_small_patch14_reg4_dinov2", help="architecture of timm")
    parser.add_argument("--data", default="shapes", help=pictures.HELP)
    parser.add_argument("--images", type=int, default=300, help="JPEG files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: one a core")
    options = parser.parse_args()
    options.threads = options.threads or len(os.sched_getaffinity(0))
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with own_database() as folder:
        compare(options, jpeg_files(options, folder), folder)


def jpeg_files(options: argparse.Namespace, folder: Path) -> list[str]:
    from PIL import Image

    (folder / "read").mkdir()
    files = []
    for number, path in enumerate(pictures.read(options.data, options.images, 0, folder / "read").paths):
        files.append(str(folder / f"{number:06d}.jpg"))
        Image.open(path).convert("RGB").resize((WIDE_PX, HIGH_PX), Image.Resampling.BICUBIC).save(files[-1], quality=90)
    return files


def compare(options: argparse.Namespace, files: list[str], folder: Path) -> None:
    import fiftyone as fo
    import timm
    import torch
    from evenset.models.encoders import encoder as encoders
    from evenset.models.encoders import timm_encoder
    from evenset.models.images.reader import Images
    from evenset.models.settings import ImageSettings
    from evenset.workflows.embeddings.encoders import Files, NetworkEncoder
    from timm.models import save_for_hf

    torch.set_num_threads(options.threads)
    save_for_hf(
        timm.create_model(options.model, pretrained=False), str(folder / options.model), safe_serialization=True
    )
    encoder = timm_encoder.build(f"local-dir:{folder / options.model}")
    batch, precision = encoders.batch_size(), encoder.precision("auto")
    process = encoders.accelerator("auto", precision)
    images = Images(files, ImageSettings(fit="crop"), encoder.read_px, 3)[np.arange(len(files))]
    tensors = encoders._normalised(encoder, torch.from_numpy(images))
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=path) for path in files], progress=False)
    model = as_fiftyone_model(encoder, str(process.device))

    def forward() -> None:
        with torch.inference_mode(), process.autocast():
            for first in range(0, len(tensors), batch):
                encoder.network(tensors[first : first + batch].to(process.device)).cpu()

    def evenset() -> None:
        blocks = NetworkEncoder(encoder).encode(Files(files, [], None), lambda done: None)
        assert sum(len(vectors) for _, vectors in blocks) == len(files)

    methods: dict[str, Callable[[], Any]] = {
        "forward pass": forward,
        "compute_embeddings": partial(
            dataset.compute_embeddings, model, batch_size=batch, num_workers=0, progress=False
        ),
        "Evenset": evenset,
    }
    rates: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(options.rounds):
        for name, run in methods.items():
            rates[name].append(len(files) / seconds(run))

    def ratio(name: str, other: str) -> float:
        """Median over rounds of the ratio within a round."""
        return median(a / b for a, b in zip(rates[name], rates[other], strict=True))

    rows = [
        [name, median(r), ratio(name, "forward pass"), ratio(name, "compute_embeddings")] for name, r in rates.items()
    ]
    print(f"\n{options.model}, {encoder.size_px} px, {precision}: {len(files)} JPEGs of {WIDE_PX} x {HIGH_PX} px,")
    print(f"{options.threads} threads, batches of {batch}")
    print(tabulate(rows, ["", "images/s", "of the forward pass", "of compute_embeddings"], floatfmt=".2f"))
    figure = ratio("Evenset", "forward pass")
    goal("Evenset reaches 0.90 of the forward pass", figure >= 0.90, f"{figure:.2f}")
    dataset.delete()


def as_fiftyone_model(encoder: Any, device: str) -> Any:
    """The same network behind FiftyOne's interface, with timm's own transforms."""
    from fiftyone.utils.torch import TorchImageModel, TorchImageModelConfig
    from torchvision import transforms

    class Vectors(TorchImageModel):  # type: ignore[misc]
        @property
        def has_embeddings(self) -> bool:
            return True

        def embed_all(self, images: Any) -> Any:
            import torch

            with torch.inference_mode():
                return self._model(torch.stack(list(images)).to(device)).cpu().numpy()

    look = transforms.Compose(
        [
            transforms.Resize(encoder.read_px, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(encoder.size_px),
            transforms.ToTensor(),
            transforms.Normalize(encoder.mean, encoder.std),
        ]
    )
    return Vectors(
        TorchImageModelConfig(dict(model=encoder.network, transforms=look, ragged_batches=False, device=device))
    )


if __name__ == "__main__":
    main()
