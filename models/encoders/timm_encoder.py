"""Encoders of timm by name: weights from the Hugging Face hub or a local folder, as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..regular_files import is_file, read_json
from .encoder import Encoder
from .weights import SAFETENSORS, fetch

HUB, FOLDER = "hf-hub:", "local-dir:"  # timm's own prefixes
DINOV2_PX = 224  # its vectors are published at this side; timm's default of 518 costs seven times as much


def is_name(name: str) -> bool:
    """Whether timm knows a model of this name, with or without a tag; or it names a hub or local folder."""
    if name.startswith((HUB, FOLDER)):
        return True
    import timm

    return bool(timm.is_model(name))


def build(name: str) -> Encoder:
    """A model of timm without its classifier.

    Args:
        name: "ARCHITECTURE.TAG", "hf-hub:OWNER/NAME" or "local-dir:FOLDER", which has config.json and model.safetensors

    Raises:
        ValueError: unknown, without weights, or its weights cannot be had or do not fit
    """
    import timm
    from timm.data.config import resolve_model_data_config

    path, options = _find_weights(name)
    is_dinov2 = "dinov2" in _architecture(name)
    if is_dinov2:
        options["img_size"] = DINOV2_PX
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0, **options)
    except Exception as error:  # timm raises whatever its parts do
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidInput(f"timm cannot load {name!r} ({reason}): give another model") from error
    config: dict[str, Any] = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    size_px = DINOV2_PX if is_dinov2 else int(config["input_size"][-1])
    if config["input_size"][0] != 3:
        raise InvalidInput(f"{name!r} takes images of {config['input_size'][0]} channels: give a model that takes 3")
    read_px = max(size_px, round(size_px / config["crop_pct"]))
    return Encoder(f"timm/{name}", network, size_px, read_px, config["mean"], config["std"], _version(path))


def _architecture(name: str) -> str:
    if name.startswith(FOLDER):
        return str(read_json(Path(name.removeprefix(FOLDER)) / "config.json").get("architecture", ""))
    return name.rpartition("/")[2]


def _find_weights(name: str) -> tuple[Path, dict[str, Any]]:
    """The file of the weights, and the options that load them."""
    if name.startswith(FOLDER):
        path = Path(name.removeprefix(FOLDER)) / SAFETENSORS
        for file in (path, path.with_name("config.json")):
            if not is_file(file):
                raise InvalidInput(f"{path.parent} has no {file.name}: save the model by timm.models.save_for_hf")
        return path, {}
    if name.startswith(HUB):
        return fetch(name.removeprefix(HUB)), {}
    repository = hub_repository(name)
    if not repository:
        raise InvalidInput(f"timm has no pretrained weights for {name!r}: timm.list_pretrained() lists those that do")
    path = fetch(repository)
    return path, {"pretrained_cfg_overlay": dict(file=str(path), custom_load=False)}


def hub_repository(name: str) -> str:
    """The repository of a model's weights; "" where there is none."""
    from timm.models import get_pretrained_cfg

    try:
        config = get_pretrained_cfg(name)
    except (RuntimeError, ValueError) as error:  # an unknown tag
        raise InvalidInput(f"timm has no {name!r}: {error}") from error
    return str(config.hf_hub_id or "") if config else ""


def _version(path: Path) -> str:
    """The commit of a file of the hub, else its size and time."""
    if path.parent.parent.name == "snapshots":
        return path.parent.name
    return f"{path.stat().st_size}-{path.stat().st_mtime_ns}"
