"""Weights of encoders: whether they are on this machine, or can be downloaded soon."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import InvalidInput
from ..offline import hub_out_of_reach

SAFETENSORS = "model.safetensors"
TORCH_SERVER = "https://download.pytorch.org"
RESNETS = {  # of torchvision: file of its newest ImageNet weights
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
    "resnet101": "resnet101-cd907fc2.pth",
    "resnet152": "resnet152-f82ba261.pth",
}


def hub_file(repository: str, name: str = SAFETENSORS) -> Path | None:
    """A file of the Hugging Face hub in the local cache; None where it is not there."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repository, name)
    return Path(path) if isinstance(path, str) else None


def fetch(repository: str, name: str = SAFETENSORS) -> Path:
    """A file of the Hugging Face hub: from the local cache, else downloaded.

    Raises:
        ValueError: it is not there, and cannot be downloaded
    """
    from huggingface_hub import hf_hub_download

    kept = hub_file(repository, name)
    if kept:
        return kept
    why = hub_out_of_reach()
    if why:
        raise InvalidInput(f"the weights of {repository} are not on this machine, and {why}: {REMEDY}")
    try:
        return Path(hf_hub_download(repository, name))
    except Exception as error:  # of the connection, the server or the disk
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidInput(f"{name} of {repository} cannot be downloaded ({reason}): {REMEDY}") from error


REMEDY = "connect to the internet once, since the file is kept, or give embeddings= a field of vectors"


def torch_file(name: str) -> Path:
    """Where torchvision keeps the weights of a ResNet."""
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
    return Path(home, "hub", "checkpoints", RESNETS[name]).expanduser()
