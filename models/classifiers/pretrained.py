"""First weights of a network: from torchvision, or from a file, whatever its classes, channels and stem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InvalidInput
from ..regular_files import is_file
from ..step import require_finite


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict from .safetensors, or from a torch file that holds tensors alone.

    Raises:
        ValueError: the file is missing, damaged, or holds code, NaN or infinity
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not is_file(path):
        raise InvalidInput(f"weights {str(path)!r} is no file: give 'imagenet', 'none', or a .safetensors or .pth file")
    try:
        state: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, EOFError, RuntimeError) as error:
        reason = (str(error) or "it ends too soon").splitlines()[0]
        raise InvalidInput(f"{path} is damaged, or no file of weights ({reason})") from error
    except Exception as error:  # torch raises pickle's own errors for objects that are no tensors
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


def imagenet(architecture: str) -> dict[str, Tensor]:
    from torchvision import models

    try:
        weights = models.get_model_weights(architecture)["DEFAULT"]
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        raise InvalidInput(
            f"the ImageNet weights of {architecture} cannot be downloaded ({error}): connect to the internet once, "
            "as the file is kept, or give weights='none', or the path of a file"
        ) from error


def put(model: nn.Module, state: dict[str, Tensor], source: str, architecture: str) -> None:
    """Puts weights of any number of classes, channels and stem into `model`; its last layer stays new if it must."""
    own = model.state_dict()
    found = {}
    for name, value in state.items():
        name = name.removeprefix("module.")
        name = name.replace("fc.", "head.") if name.startswith("fc.") else name
        found[name if name in own or name.startswith("head.") else f"network.{name}"] = value
    stem = found.get("network.conv1.weight")
    if stem is not None and stem.ndim == 4:
        found["network.conv1.weight"] = _fit_stem(stem, own["network.conv1.weight"])
    if found.get("head.weight") is None or found["head.weight"].shape != own["head.weight"].shape:
        found.update({"head.weight": own["head.weight"], "head.bias": own["head.bias"]})
    for name in ("mean", "std", "prior"):
        found[name] = own[name]
    missing = [name for name in own if name not in found and not name.endswith("num_batches_tracked")]
    wrong = [name for name in own if name in found and found[name].shape != own[name].shape]
    extra = [name for name in found if name not in own]
    if missing or wrong or extra:
        place = [*wrong, *missing, *extra][0]
        raise InvalidInput(
            f"{source} does not fit {architecture} ({place.removeprefix('network.')}): "
            "choose the architecture that it was made with"
        )
    model.load_state_dict(found, strict=False)


def _fit_stem(weight: Tensor, like: Tensor) -> Tensor:
    """The first kernel for other channels (summed, or shared out) and another size (its middle)."""
    if weight.shape[1] != like.shape[1]:
        weight = weight.sum(1, keepdim=True).expand(-1, like.shape[1], -1, -1) / like.shape[1]
    cut = (weight.shape[-1] - like.shape[-1]) // 2
    return weight[..., cut : weight.shape[-1] - cut, cut : weight.shape[-1] - cut] if cut > 0 else weight
