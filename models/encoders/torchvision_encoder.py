"""torchvision's ImageNet ResNets as encoders: the vector before the last layer (He et al., 2016)."""

from __future__ import annotations

from torch import nn
from torchvision import models

from ..errors import InvalidInput
from ..offline import out_of_reach
from .encoder import Encoder
from .weights import REMEDY, RESNETS, TORCH_SERVER, torch_file


def build(name: str) -> Encoder:
    """A ResNet with its newest ImageNet weights and without its classifier.

    Raises:
        ValueError: unknown, or its weights cannot be had
    """
    if name not in RESNETS:
        raise InvalidInput(f"torchvision/{name}: it is one of {', '.join(RESNETS)}")
    weights = models.get_model_weights(name)["DEFAULT"]
    if not torch_file(name).exists() and (why := out_of_reach(TORCH_SERVER)):
        raise InvalidInput(f"the ImageNet weights of {name} are not on this machine, and {why}: {REMEDY}")
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise InvalidInput(f"the ImageNet weights of {name} cannot be downloaded ({error}): {REMEDY}") from error
    network = models.get_model(name, weights=None)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InvalidInput(f"{torch_file(name)} does not fit {name}: delete the file, and it is downloaded") from error
    network.fc = nn.Identity()
    look = weights.transforms()
    size_px, read_px = look.crop_size[0], look.resize_size[0]
    return Encoder(f"torchvision/{name}", network, size_px, read_px, tuple(look.mean), tuple(look.std), RESNETS[name])
