"""Pretrained weights, from torchvision or a file, adapted to other classes, channels and stems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints import require_finite
from ..errors import InvalidInput
from ..regular_files import is_file


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """A state dict from .safetensors, or from a torch file that holds only tensors.

    Raises:
        ValueError: the file is missing, damaged, or holds code, NaN or infinity
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not is_file(path):
        raise InvalidInput(
            f"weights {str(path)!r} is not a file: pass 'imagenet', 'none', or a .safetensors or .pth file"
        )
    try:
        state: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, EOFError, RuntimeError) as error:
        reason = (str(error) or "it ends early").splitlines()[0]
        raise InvalidInput(f"{path} is damaged, or not a file of weights ({reason})") from error
    except Exception as error:  # torch raises pickle's own errors for objects other than tensors
        raise InvalidInput(
            f"{path} holds more than tensors, and loading it could run code: save its state_dict()"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    if not state or not all(isinstance(value, Tensor) and isinstance(name, str) for name, value in state.items()):
        raise InvalidInput(f"{path} holds no state dict: save model.state_dict()")
    size = path.stat().st_size
    for name, value in state.items():
        if value.layout != torch.strided or value.numel() * value.element_size() > size:  # a view may claim any shape
            raise InvalidInput(
                f"{path} is damaged: {name} claims {value.numel():,} numbers in a file of {size:,} bytes"
            )
    require_finite(state, path)
    return dict(state)


def imagenet_weights(architecture: str) -> dict[str, Tensor]:
    """torchvision's weights, downloaded once.

    Raises:
        ValueError: they cannot be downloaded
    """
    from torchvision import models

    try:
        weights = models.get_model_weights(architecture)["DEFAULT"]
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        raise InvalidInput(
            f"the ImageNet weights of {architecture} cannot be downloaded ({error}): connect to the internet once, "
            "as the file is kept, or pass weights='none' or the path of a file"
        ) from error


def load_matching_weights(model: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Loads weights for any number of classes, channels and stem; a last layer of another shape stays as it is.

    Args:
        source: name of the weights in the error

    Raises:
        ValueError: they are of another architecture
    """
    own = model.state_dict()
    matching = {_own_name(name, own): value for name, value in state.items()}
    stem = matching.get("network.conv1.weight")
    if stem is not None and stem.ndim == 4:
        matching["network.conv1.weight"] = _fit_stem(stem, own["network.conv1.weight"])
    if matching.get("head.weight") is None or matching["head.weight"].shape != own["head.weight"].shape:
        matching.update({"head.weight": own["head.weight"], "head.bias": own["head.bias"]})
    for name in ("mean", "std", "prior"):
        matching[name] = own[name]
    missing = [name for name in own if name not in matching and not name.endswith("num_batches_tracked")]
    wrong = [name for name in own if name in matching and matching[name].shape != own[name].shape]
    extra = [name for name in matching if name not in own]
    if missing or wrong or extra:
        layer = [*wrong, *missing, *extra][0].removeprefix("network.")
        raise InvalidInput(
            f"{source} does not fit {model.architecture} ({layer}): choose the architecture of these weights"
        )
    model.load_state_dict(matching, strict=False)


def _own_name(name: str, own: dict[str, Tensor]) -> str:
    """Name in a ResNet of Evenset for a name of torchvision's, or of a network wrapped for several GPUs."""
    name = name.removeprefix("module.")
    name = name.replace("fc.", "head.") if name.startswith("fc.") else name
    return name if name in own or name.startswith("head.") else f"network.{name}"


def _fit_stem(weight: Tensor, like: Tensor) -> Tensor:
    """Kernel of the first layer for other channels (sum, distributed evenly) and a smaller size (its middle)."""
    if weight.shape[1] != like.shape[1]:
        weight = weight.sum(1, keepdim=True).expand(-1, like.shape[1], -1, -1) / like.shape[1]
    margin = (weight.shape[-1] - like.shape[-1]) // 2
    return weight[..., margin:-margin, margin:-margin] if margin > 0 else weight
