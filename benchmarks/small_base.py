"""A small latent diffusion model at 32 px, in the folders of diffusers: a base to tune."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import generator
import numpy as np
import pictures
import torch
import verdict
from torch.nn import functional as F

SIDE_PX, LATENT_CHANNELS = 32, 4
PROMPT = "a photo of a {class}"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class Data(NamedTuple):
    """Images of ten classes, of which the base does not see four."""

    classes: tuple[str, ...]
    unseen: tuple[str, ...]
    parts: dict[str, tuple[np.ndarray, np.ndarray]]  # uint8 [N, 3, 32, 32] and classes [N], to train and to test

    def images_of(self, part: str, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Images of these classes, uint8 [n, 3, 32, 32], and the index of their names [n]."""
        pixels, labels = self.parts[part]
        index = np.array([names.index(name) if name in names else -1 for name in self.classes])[labels]
        return pixels[index >= 0], index[index >= 0]


def fashion() -> Data:
    """Fashion-MNIST, padded from 28 px."""
    parts = {}
    for part, name in (("train", "train"), ("test", "t10k")):
        pixels, labels = generator.real(name)
        parts[part] = np.repeat(np.pad(pixels, ((0, 0), (0, 0), (2, 2), (2, 2))), 3, axis=1), labels
    return Data(pictures.CLOTHES, ("Bag", "Ankle boot", "Dress", "Shirt"), parts)


def cifar(folder: Path) -> Data:
    """CIFAR-10 in class folders, under train/ and test/."""
    names = tuple(sorted(path.name for path in (folder / "train").iterdir()))
    parts = {part: verdict.read_folder(folder / part) for part in ("train", "test")}
    return Data(names, ("automobile", "bird", "horse", "ship"), parts)


def pretrain(folder: Path, minutes: float, data: Data) -> None:
    """Trains autoencoder and UNet on the classes that it may see, and saves a StableDiffusionPipeline."""
    import diffusers

    torch.manual_seed(0)
    names = [name for name in data.classes if name not in data.unseen]
    pixels, labels = data.images_of("train", names)
    autoencoder = diffusers.AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=SIDE_PX,
        mid_block_add_attention=False,
    )
    _train_autoencoder(autoencoder, pixels, 12 * minutes)
    with torch.no_grad():
        sample = autoencoder.encode(_scaled(pixels[:512])).latent_dist.mean
    autoencoder.register_to_config(scaling_factor=1 / float(sample.std()))
    text, tokenizer = _text(folder.parent)
    unet = diffusers.UNet2DConditionModel(
        sample_size=SIDE_PX // 2,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    beta = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1)
    pipe = diffusers.StableDiffusionPipeline(
        vae=autoencoder.eval(),
        text_encoder=text.eval(),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=diffusers.DPMSolverMultistepScheduler(**{k: v for k, v in beta.items() if k != "clip_sample"}),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    _train_unet(pipe, pixels, labels, names, 48 * minutes)
    pipe.save_pretrained(folder)


def _text(folder: Path) -> tuple[Any, Any]:
    """A text encoder of random weights, and a tokenizer of letters: a prompt is a fixed point, no more."""
    import transformers

    words = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({word: i for i, word in enumerate(words)}))
    merges.write_text("#version: 0.2\n")
    config = transformers.CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        initializer_factor=3.0,
    )
    tokenizer = transformers.CLIPTokenizer(str(vocabulary), str(merges), model_max_length=32)
    return transformers.CLIPTextModel(config), tokenizer


def _scaled(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).float() / 127.5 - 1


def _train_autoencoder(autoencoder: Any, pixels: np.ndarray, seconds: float) -> None:
    optimizer, rng = torch.optim.AdamW(autoencoder.parameters(), 1e-3), np.random.default_rng(0)
    began, updates = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        batch = _scaled(pixels[rng.integers(0, len(pixels), 64)])
        with torch.autocast("cpu", torch.bfloat16):
            posterior = autoencoder.encode(batch).latent_dist
            decoded = autoencoder.decode(posterior.sample()).sample
        loss = F.mse_loss(decoded.float(), batch) + 1e-4 * posterior.kl().float().mean() / batch[0].numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        updates += 1
    print(f"autoencoder: {updates:,} updates, loss {loss.item():.4f}", flush=True)


def _train_unet(pipe: Any, pixels: np.ndarray, labels: np.ndarray, names: list[str], seconds: float) -> None:
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    with torch.no_grad():
        blocks = torch.split(torch.from_numpy(pixels), 512)
        latents = torch.cat([pipe.vae.encode(block.float() / 127.5 - 1).latent_dist.mean for block in blocks])
        prompts = [PROMPT.replace("{class}", name) for name in (*names,)]
        texts = pipe.encode_prompt([*prompts, ""], "cpu", 1, False)[0]
    latents = latents * pipe.vae.config.scaling_factor
    optimizer, rng = torch.optim.AdamW(pipe.unet.parameters(), 1e-3), np.random.default_rng(0)
    began, updates, total = time.monotonic(), 0, 0.0
    while (done := (time.monotonic() - began) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, updates / 100) * (1 - done)
        rows = rng.integers(0, len(latents), 64)
        captions = np.where(rng.random(64) < 0.1, len(names), labels[rows])
        clean, noise = latents[rows], torch.randn(64, *latents.shape[1:])
        steps = torch.randint(0, 1000, (64,))
        with torch.autocast("cpu", torch.bfloat16):
            predicted = pipe.unet(scheduler.add_noise(clean, noise, steps), steps, texts[captions]).sample
        loss = F.mse_loss(predicted.float(), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        updates, total = updates + 1, 0.99 * total + 0.01 * loss.item()
    print(f"UNet: {updates:,} updates of 64, loss {total:.4f}", flush=True)
