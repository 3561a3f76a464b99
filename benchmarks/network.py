"""One ResNet-18 for every method, and the same network behind FiftyOne's interface."""

from __future__ import annotations

from typing import Any

BATCH = 64  # images a batch, for every method
NAMES = [f"class {number}" for number in range(10)]
STEMS = ("torchvision", "small")
STEM_HELP = (
    "first layers: torchvision's own (7 x 7, stride 2), or Evenset's for images below 65 px, at 16 times the cost"
)


def same_network(size_px: int, stem: str, threads: int) -> Any:
    """Evenset's module around torchvision's resnet18, with the same weights in every process."""
    import torch
    from evenset.models.classifiers.resnet import ResNet

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = ResNet("resnet18", len(NAMES), 3, 8 if stem == "small" else 224).eval()
    model.size_px = size_px
    return model


def as_fiftyone_model(model: Any) -> Any:
    """The same network behind FiftyOne's interface; as in Evenset, bytes are scaled a batch at a time."""
    import torch
    from fiftyone.utils.torch import ClassifierOutputProcessor, TorchImageModel, TorchImageModelConfig
    from torchvision.transforms import PILToTensor

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network(images)[0]

    config = dict(model=Logits(), transforms=PILToTensor(), ragged_batches=False, embeddings_layer="network.network")
    return TorchImageModel(
        TorchImageModelConfig({**config, "output_processor": ClassifierOutputProcessor(NAMES), "device": "cpu"})
    )
