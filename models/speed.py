"""Speed of this machine: seconds of a matrix product, of decoding a photo, and of training a small network."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import numpy as np

MATRIX = 256  # rows of the product
PHOTO_PX = 512  # side of the photo
MIN_REPEATS, MAX_SECONDS = 3, 0.3  # of one measurement; the fastest counts, as others use the machine too
CLOCK = time.perf_counter
BATCH, CHANNELS, SIDE_PX = 8, 64, 32  # of the network, whose layers are like a ResNet's on small images


def matrix_seconds() -> float:
    """Seconds of a product of single-precision matrices."""
    rows = np.random.default_rng(0).normal(size=(MATRIX, MATRIX)).astype(np.float32)
    return _fastest(lambda: rows @ rows)


def photo_seconds() -> float:
    """Seconds to decode and reduce a JPEG file of PHOTO_PX."""
    import cv2
    from PIL import Image

    coarse = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    photo, file = cv2.resize(coarse, (PHOTO_PX, PHOTO_PX), interpolation=cv2.INTER_CUBIC), io.BytesIO()
    Image.fromarray(photo).save(file, "jpeg")

    def decode() -> None:
        with Image.open(io.BytesIO(file.getvalue())) as image:
            cv2.resize(np.asarray(image.convert("RGB")), (64, 64), interpolation=cv2.INTER_AREA)

    return _fastest(decode)


def network_seconds() -> float:
    """Seconds of an update of a small network, on the device and in the arithmetic that training would choose."""
    import torch

    from .devices import accelerator, faster_precision, multiplies_bf16

    with torch.random.fork_rng(devices=[]):  # what is trained afterwards starts from the same weights
        layers = [torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(4)]
    device = accelerator().device
    model = torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.ReLU()))).to(device)
    images = torch.zeros(BATCH, CHANNELS, SIDE_PX, SIDE_PX, device=device)

    def update(precision: str) -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = model(images).float().square().mean()
        loss.backward()
        loss.item()  # waits for a GPU

    update("fp32")
    precision = faster_precision(update, "auto") if multiplies_bf16("auto") else "fp32"
    return _fastest(lambda: update(precision))


def _fastest(work: Callable[[], object]) -> float:
    work()  # the first fills caches
    times: list[float] = []
    while len(times) < MIN_REPEATS or sum(times) < MAX_SECONDS:
        started = CLOCK()
        work()
        times.append(CLOCK() - started)
    return min(times)
