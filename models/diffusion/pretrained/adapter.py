"""Low-rank adapters (LoRA, Hu et al., 2022) of a pretrained network: added, saved and loaded by peft and diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...checkpoints import disk_errors, require_finite
from ...errors import InvalidInput
from ...regular_files import is_file
from .families import Family, Prompts

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]
TEXT_ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]
FILE = "pytorch_lora_weights.safetensors"  # as diffusers names it


class Denoiser(nn.Module):
    """The network of a pipeline with its adapter, and its text encoders where they are tuned."""

    def __init__(self, pipe: Any, family: type[Family], rank: int, tune_text_encoder: bool) -> None:
        super().__init__()
        self.family, self.names = family, family.text_encoders if tune_text_encoder else ()
        self.pipe = [pipe]  # in a list: its other networks are no part of this module
        for name in ("unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3"):
            if getattr(pipe, name, None) is not None:
                getattr(pipe, name).requires_grad_(False)
        self.network = getattr(pipe, family.network)
        self.text = nn.ModuleDict({name: getattr(pipe, name) for name in self.names})
        _inject(self.network, rank, ATTENTION)
        for encoder in self.text.values():
            _inject(encoder, rank, TEXT_ATTENTION)
        for parameter in self.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()  # updates are too small for bf16

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, prompts: Prompts | list[str]) -> torch.Tensor:
        """The prediction [B, C, h, w]; prompts are texts where their encoders are tuned."""
        pipe = self.pipe[0]
        embeddings = self.family.encode(pipe, prompts) if isinstance(prompts, list) else prompts
        return self.family.predict(pipe, self.network, noisy, times, embeddings)

    @property
    def tuned(self) -> dict[str, nn.Module]:
        """The networks that have an adapter, by their names in the pipeline."""
        return {self.family.network: self.network, **dict(self.text.items())}


def _inject(module: nn.Module, rank: int, modules: list[str]) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=modules)
    inject_adapter_in_model(config, module)


def save(denoiser: Denoiser, folder: Path) -> None:
    """Writes the adapter as diffusers' `load_lora_weights` reads it; the base is not copied.

    Raises:
        OSError: the disk is full, or fails otherwise
    """
    from peft.utils import get_peft_model_state_dict

    states = {f"{name}_lora_layers": get_peft_model_state_dict(module) for name, module in denoiser.tuned.items()}
    with disk_errors(folder):
        denoiser.pipe[0].save_lora_weights(folder, safe_serialization=True, **states)


def load(denoiser: Denoiser, folder: Path) -> None:
    """Loads an adapter of `save`.

    Raises:
        ValueError: it is missing, damaged, or of another base
    """
    from peft.utils import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / FILE
    if not is_file(path):
        raise InvalidInput(f"{folder} has no {FILE}: train the generator again")
    try:
        tensors = load_file(path)
        require_finite(tensors, path)
        for name, module in denoiser.tuned.items():
            state = {
                key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")
            }
            outcome: Any = set_peft_model_state_dict(module, state)
            if outcome.unexpected_keys or any("lora_" in key for key in outcome.missing_keys):
                raise InvalidInput("its layers are others")
    except (SafetensorError, OSError, RuntimeError, InvalidInput) as error:
        raise InvalidInput(
            f"the adapter in {folder} does not fit its base ({error}): train the generator again"
        ) from error
