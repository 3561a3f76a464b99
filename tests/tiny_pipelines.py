"""Text-to-image pipelines of random weights, small enough for a test, in folders as the hub has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
TEXT = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2)
DDPM = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1)


def clip_tokenizer(folder: Path) -> Any:
    words = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=32)


def letter_tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    names = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{letter: i for i, letter in enumerate(f"{LETTERS} ", 3)}}
    tokenizer = Tokenizer(WordLevel(names, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split("", "isolated")
    special = dict(pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **special)


def clip(projects: bool = False) -> Any:
    ids = dict(bos_token_id=0, eos_token_id=1, pad_token_id=1)
    config = transformers.CLIPTextConfig(vocab_size=80, max_position_embeddings=32, projection_dim=8, **ids, **TEXT)
    return (transformers.CLIPTextModelWithProjection if projects else transformers.CLIPTextModel)(config)


def t5(width: int) -> Any:
    config = transformers.T5Config(vocab_size=64, d_model=width, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    return transformers.T5EncoderModel(config)


def autoencoder(shift: float | None = None) -> Any:
    down, up = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
    sizes = dict(block_out_channels=(4, 8), latent_channels=4, norm_num_groups=2, sample_size=16)
    return diffusers.AutoencoderKL(down_block_types=down, up_block_types=up, shift_factor=shift, **sizes)


def unet(**more: Any) -> Any:
    sizes = dict(block_out_channels=(4, 8), layers_per_block=1, sample_size=16, norm_num_groups=2, attention_head_dim=2)
    blocks = dict(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D")
    )
    return diffusers.UNet2DConditionModel(**{**sizes, **blocks, "cross_attention_dim": 8, **more})


def stable_diffusion(folder: Path, prediction: str = "epsilon") -> None:
    diffusers.StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=clip(),
        tokenizer=clip_tokenizer(folder.parent / "words"),
        unet=unet(),
        scheduler=diffusers.DDIMScheduler(prediction_type=prediction, **DDPM),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def stable_diffusion_v(folder: Path) -> None:
    stable_diffusion(folder, "v_prediction")


def stable_diffusion_xl(folder: Path) -> None:
    added = dict(addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=32)
    words = folder.parent / "words"
    diffusers.StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=clip(),
        text_encoder_2=clip(projects=True),
        tokenizer=clip_tokenizer(words),
        tokenizer_2=clip_tokenizer(words),
        unet=unet(cross_attention_dim=16, **added),
        scheduler=diffusers.DDIMScheduler(**DDPM),
    ).save_pretrained(folder)


def stable_diffusion_3(folder: Path) -> None:
    sizes = dict(sample_size=16, patch_size=1, in_channels=4, out_channels=4, num_layers=1)
    heads = dict(attention_head_dim=8, num_attention_heads=4, caption_projection_dim=32)
    words = folder.parent / "words"
    diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(joint_attention_dim=32, pooled_projection_dim=16, **sizes, **heads),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(shift=0.06),
        text_encoder=clip(projects=True),
        tokenizer=clip_tokenizer(words),
        text_encoder_2=clip(projects=True),
        tokenizer_2=clip_tokenizer(words),
        text_encoder_3=t5(32),
        tokenizer_3=letter_tokenizer(),
    ).save_pretrained(folder)


def flux(folder: Path) -> None:
    sizes = dict(patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, guidance_embeds=True)
    heads = dict(attention_head_dim=16, num_attention_heads=2, axes_dims_rope=[4, 4, 8])
    diffusers.FluxPipeline(
        transformer=diffusers.FluxTransformer2DModel(joint_attention_dim=8, pooled_projection_dim=8, **sizes, **heads),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=autoencoder(shift=0.1),
        text_encoder=clip(),
        tokenizer=clip_tokenizer(folder.parent / "words"),
        text_encoder_2=t5(8),
        tokenizer_2=letter_tokenizer(),
    ).save_pretrained(folder)


def sana(folder: Path) -> None:
    heads = dict(num_attention_heads=2, attention_head_dim=4, num_cross_attention_heads=2, cross_attention_head_dim=4)
    sizes = dict(patch_size=1, in_channels=4, out_channels=4, num_layers=1, sample_size=16)
    blocks = ("ResBlock", "EfficientViTBlock")
    channels = dict(encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), latent_channels=4)
    scales = dict(encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)), attention_head_dim=2)
    layers = dict(encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1))
    sampling = dict(downsample_block_type="conv", upsample_block_type="interpolate")
    words = dict(hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)
    ids = dict(pad_token_id=0, eos_token_id=1, bos_token_id=2)
    diffusers.SanaPipeline(
        transformer=diffusers.SanaTransformer2DModel(cross_attention_dim=8, caption_channels=8, **sizes, **heads),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=diffusers.AutoencoderDC(
            in_channels=3,
            encoder_block_types=blocks,
            decoder_block_types=blocks,
            decoder_norm_types="rms_norm",
            decoder_act_fns="silu",
            scaling_factor=0.41,
            **channels,
            **scales,
            **layers,
            **sampling,
        ),
        text_encoder=transformers.Gemma2Model(transformers.Gemma2Config(head_dim=4, vocab_size=64, **words, **ids)),
        tokenizer=letter_tokenizer(),
    ).save_pretrained(folder)


KINDS: dict[str, Callable[[Path], None]] = {
    make.__name__: make
    for make in (stable_diffusion, stable_diffusion_v, stable_diffusion_xl, stable_diffusion_3, flux, sana)
}


def write(kind: str, folder: Path) -> Path:
    """A pipeline of the kind in `folder`, of the same weights each time."""
    torch.manual_seed(0)
    KINDS[kind](folder)
    return folder
