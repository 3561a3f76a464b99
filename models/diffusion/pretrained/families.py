"""Families of text-to-image models, by diffusers' pipelines: how each reads prompts, and predicts from noise.

UNets with DDPM noise: Stable Diffusion (Rombach et al., 2022) and SDXL (Podell et al., 2023). Transformers of
rectified flow: Stable Diffusion 3 (Esser et al., 2024), FLUX.1, and Sana (Xie et al., 2024).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

Prompts = dict[str, Tensor]  # of P prompts, each [P, ...], by the names of the pipeline's arguments
TIME_SCALE = 1000  # of a flow network's time input: pure noise is 1000
FLUX_GUIDANCE = 3.5  # input of networks distilled from guided ones, in training
PATCH = 2  # latent positions a side of a transformer's patch
MIN_MULTIPLE_PX = 8  # which the pipelines of UNets ask for
SANA_MULTIPLE_PX = 32


class Family:
    """Base of the families: one text encoder, and no image-to-image pipeline."""

    pipeline: ClassVar[str]  # class in model_index.json
    image_to_image: ClassVar[str | None] = None  # class of diffusers
    network: ClassVar[str] = "transformer"  # component that is tuned
    text_encoders: ClassVar[tuple[str, ...]] = ()  # components that can be tuned too
    is_flow: ClassVar[bool] = True
    call: ClassVar[dict[str, Any]] = {}  # further arguments of the pipeline

    @classmethod
    def multiple_px(cls, pipe: Any) -> int:
        """Divides both sides of an image: pixels of the deepest level's positions, or of a patch."""
        if cls.network == "unet":
            positions = 2 ** (len(pipe.unet.config.block_out_channels) - 1)
        else:
            positions = PATCH
        return int(max(MIN_MULTIPLE_PX, pipe.vae_scale_factor * positions))

    @classmethod
    def native_side_px(cls, pipe: Any) -> int:
        """Side of the square images on which the base was trained."""
        return int(getattr(pipe, cls.network).config.sample_size * pipe.vae_scale_factor)

    @staticmethod
    def encode(pipe: Any, prompts: list[str]) -> Prompts:
        """Embeddings of prompts."""
        raise NotImplementedError

    @staticmethod
    def predict(pipe: Any, network: nn.Module, noisy: Tensor, times: Tensor, prompts: Prompts) -> Tensor:
        """Prediction of the network: noise, v, or velocity, as it was trained [B, C, h, w].

        Args:
            noisy: latents [B, C, h, w]
            times: 0 (image) .. 1 (noise) of a flow, or steps of DDPM [B]
            prompts: of the batch, each [B, ...]
        """
        raise NotImplementedError

    @staticmethod
    def guided(prompts: Prompts, negative: Prompts) -> dict[str, Any]:
        """Arguments of the pipeline: embeddings, and those of the empty prompt."""
        return {**prompts, **{f"negative_{name}": value for name, value in negative.items()}}


class StableDiffusion(Family):
    pipeline = "StableDiffusionPipeline"
    image_to_image = "StableDiffusionImg2ImgPipeline"
    network = "unet"
    text_encoders = ("text_encoder",)
    is_flow = False

    @staticmethod
    def encode(pipe: Any, prompts: list[str]) -> Prompts:
        return {"prompt_embeds": pipe.encode_prompt(prompts, pipe.text_encoder.device, 1, False)[0]}

    @staticmethod
    def predict(pipe: Any, network: nn.Module, noisy: Tensor, times: Tensor, prompts: Prompts) -> Tensor:
        predicted: Tensor = network(noisy, times, encoder_hidden_states=prompts["prompt_embeds"], return_dict=False)[0]
        return predicted


class StableDiffusionXL(Family):
    pipeline = "StableDiffusionXLPipeline"
    image_to_image = "StableDiffusionXLImg2ImgPipeline"
    network = "unet"
    text_encoders = ("text_encoder", "text_encoder_2")
    is_flow = False

    @staticmethod
    def encode(pipe: Any, prompts: list[str]) -> Prompts:
        embeds, _, pooled, _ = pipe.encode_prompt(
            prompts, device=pipe.text_encoder_2.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}

    @staticmethod
    def predict(pipe: Any, network: nn.Module, noisy: Tensor, times: Tensor, prompts: Prompts) -> Tensor:
        height, width = (side * pipe.vae_scale_factor for side in noisy.shape[-2:])
        ids = noisy.new_tensor([[height, width, 0, 0, height, width]]).expand(len(noisy), -1)  # uncropped
        added = {"text_embeds": prompts["pooled_prompt_embeds"], "time_ids": ids}
        predicted: Tensor = network(
            noisy,
            times,
            encoder_hidden_states=prompts["prompt_embeds"],
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
        return predicted


class StableDiffusion3(Family):
    pipeline = "StableDiffusion3Pipeline"
    image_to_image = "StableDiffusion3Img2ImgPipeline"
    text_encoders = ("text_encoder", "text_encoder_2")

    @staticmethod
    def encode(pipe: Any, prompts: list[str]) -> Prompts:
        embeds, _, pooled, _ = pipe.encode_prompt(
            prompts, None, None, device=pipe.text_encoder.device, do_classifier_free_guidance=False
        )
        return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}

    @staticmethod
    def predict(pipe: Any, network: nn.Module, noisy: Tensor, times: Tensor, prompts: Prompts) -> Tensor:
        predicted: Tensor = network(
            hidden_states=noisy,
            timestep=times * TIME_SCALE,
            encoder_hidden_states=prompts["prompt_embeds"],
            pooled_projections=prompts["pooled_prompt_embeds"],
            return_dict=False,
        )[0]
        return predicted


class Flux(Family):
    pipeline = "FluxPipeline"
    image_to_image = "FluxImg2ImgPipeline"
    text_encoders = ("text_encoder",)

    @classmethod
    def native_side_px(cls, pipe: Any) -> int:
        return int(pipe.default_sample_size * pipe.vae_scale_factor)

    @staticmethod
    def encode(pipe: Any, prompts: list[str]) -> Prompts:
        embeds, pooled, _ = pipe.encode_prompt(prompts, device=pipe.text_encoder.device)
        return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}

    @staticmethod
    def predict(pipe: Any, network: nn.Module, noisy: Tensor, times: Tensor, prompts: Prompts) -> Tensor:
        count, channels, height, width = noisy.shape
        sides = (height // PATCH, width // PATCH)
        predicted = network(
            hidden_states=pipe._pack_latents(noisy, count, channels, height, width),
            timestep=times,
            guidance=noisy.new_full((count,), FLUX_GUIDANCE) if pipe.transformer.config.guidance_embeds else None,
            pooled_projections=prompts["pooled_prompt_embeds"],
            encoder_hidden_states=prompts["prompt_embeds"],
            txt_ids=noisy.new_zeros(prompts["prompt_embeds"].shape[1], 3),
            img_ids=pipe._prepare_latent_image_ids(count, *sides, noisy.device, noisy.dtype),
            return_dict=False,
        )[0]
        factor = pipe.vae_scale_factor
        unpacked: Tensor = pipe._unpack_latents(predicted, height * factor, width * factor, factor)
        return unpacked

    @staticmethod
    def guided(prompts: Prompts, negative: Prompts) -> dict[str, Any]:
        return dict(prompts)  # the scale is an input of the network


class Sana(Family):
    pipeline = "SanaPipeline"
    call: ClassVar[dict[str, Any]] = dict(use_resolution_binning=False, negative_prompt=None)

    @classmethod
    def multiple_px(cls, pipe: Any) -> int:
        return SANA_MULTIPLE_PX

    @staticmethod
    def encode(pipe: Any, prompts: list[str]) -> Prompts:
        embeds, mask, _, _ = pipe.encode_prompt(prompts, False, device=pipe.text_encoder.device)
        return {"prompt_embeds": embeds, "prompt_attention_mask": mask}

    @staticmethod
    def predict(pipe: Any, network: nn.Module, noisy: Tensor, times: Tensor, prompts: Prompts) -> Tensor:
        predicted: Tensor = network(
            noisy,
            encoder_hidden_states=prompts["prompt_embeds"],
            encoder_attention_mask=prompts["prompt_attention_mask"],
            timestep=times * TIME_SCALE * pipe.transformer.config.timestep_scale,
            return_dict=False,
        )[0]
        return predicted[:, : noisy.shape[1]]  # some networks predict a variance too


FAMILIES: dict[str, type[Family]] = {
    family.pipeline: family for family in (StableDiffusion, StableDiffusionXL, StableDiffusion3, Flux, Sana)
}


def take(prompts: Prompts, rows: Tensor) -> Prompts:
    """The embeddings of some prompts."""
    return {name: value[rows] for name, value in prompts.items()}


@torch.no_grad()
def encode(family: type[Family], pipe: Any, prompts: list[str]) -> Prompts:
    """Embeddings of prompts, without a gradient."""
    return {name: value.detach() for name, value in family.encode(pipe, prompts).items()}
