"""Text-image encoders, by transformers: images and texts as vectors of one space.

CLIP (Radford et al., 2021), and SigLIP (Zhai et al., 2023; Tschannen et al., 2025) of a fixed resolution. Weights are
safetensors, and no code is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize

from ..devices import accelerator, multiplies_bf16
from ..errors import InvalidInput
from ..offline import hub_out_of_reach
from ..regular_files import is_folder
from ..settings import shown

KINDS = ("clip", "siglip")  # SigLIP 2 of a fixed resolution has the architecture of SigLIP
PLACE = "{class}"  # in a prompt
SETTING = "text_encoder"
TEXT_BATCH = 64


@dataclass(frozen=True)
class TextImageEncoder:
    """A network with two towers, the tokenizer of its texts, and the preprocessing of its images."""

    network: Any
    tokenizer: Any
    size_px: int
    fit: str  # "crop" or "stretch", of images that are not square
    mean: np.ndarray  # of each channel, 0..1 [3]
    std: np.ndarray  # [3]
    precision: str = "fp32"

    @property
    def scale(self) -> float:
        """Inverse temperature of the cosine similarities, as it was learned."""
        return float(self.network.logit_scale.detach().exp())

    @torch.inference_mode()
    def image_vectors(self, images: np.ndarray) -> np.ndarray:
        """Vectors of length 1 [B, D] of images, uint8 [B, 3, S, S]."""
        device = self.network.device
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (self.mean, self.std))
        pixels = (torch.from_numpy(images).to(device).float() / 255 - mean) / std
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return _unit_rows(self.network.get_image_features(pixel_values=pixels))

    @torch.inference_mode()
    def text_vectors(self, texts: list[str]) -> np.ndarray:
        """Vectors of length 1 of texts [T, D]; longer ones are cut."""
        config, batches = self.network.config, []
        is_siglip = config.model_type == "siglip"  # it was trained on texts in lower case, padded to its full length
        options = dict(padding="max_length" if is_siglip else True, truncation=True, return_tensors="pt")
        options["max_length"] = config.text_config.max_position_embeddings
        for first in range(0, len(texts), TEXT_BATCH):
            batch = [text.lower() if is_siglip else text for text in texts[first : first + TEXT_BATCH]]
            tokens = self.tokenizer(batch, **options).to(self.network.device)
            inputs = {name: tokens[name] for name in ("input_ids", *([] if is_siglip else ["attention_mask"]))}
            batches.append(_unit_rows(self.network.get_text_features(**inputs)))
        return np.concatenate(batches)


def _unit_rows(output: Any) -> np.ndarray:
    vectors = getattr(output, "pooler_output", output)  # until transformers 5 it was a tensor
    return np.asarray(normalize(vectors.float(), dim=1).cpu().numpy())


def read_prompts(text: str) -> list[str]:
    """The prompts of a setting, each with a place for the class.

    Raises:
        ValueError: one has none
    """
    prompts = [prompt.strip() for prompt in text.split(";") if prompt.strip()]
    wrong = [prompt for prompt in prompts if PLACE not in prompt]
    if wrong or not prompts:
        raise InvalidInput(
            f"prompts: {shown(wrong[0] if wrong else text)} has no {PLACE}: write 'a photo of a {PLACE}', and a "
            "semicolon between two prompts"
        )
    return prompts


def class_vectors(encoder: Any, names: dict[str, list[str]], prompts: list[str]) -> np.ndarray:
    """Vectors of length 1 of the classes: means over prompts and synonyms [K, D].

    Args:
        encoder: has `text_vectors`
        names: name of each class, with its synonyms
    """
    texts = {
        name: [prompt.replace(PLACE, word.replace("_", " ")) for word in (name, *synonyms) for prompt in prompts]
        for name, synonyms in names.items()
    }
    vectors = encoder.text_vectors([text for own in texts.values() for text in own])
    ends = np.cumsum([len(own) for own in texts.values()])[:-1]
    means = np.stack([rows.mean(axis=0) for rows in np.split(vectors, ends)])
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12))


def log_probabilities(image_vectors: np.ndarray, text_vectors: np.ndarray, scale: float) -> np.ndarray:
    """Zero-shot log-probabilities of the classes [N, K]; NaN where an image has no vector.

    Args:
        image_vectors: of length 1 [N, D]
        text_vectors: of the classes [K, D]
        scale: inverse temperature
    """
    from scipy.special import log_softmax

    return np.asarray(log_softmax(scale * (image_vectors @ text_vectors.T), axis=1), dtype=np.float64)


def load(name: str, device: str = "auto", setting: str = SETTING) -> TextImageEncoder:
    """Loads a model of the Hugging Face hub, from its cache if it is there, or from a folder.

    Args:
        setting: that names the model, for errors

    Raises:
        ValueError: transformers is not installed; the model cannot be had or read; or it is of another kind
    """
    try:
        return _load(name, device)
    except InvalidInput as error:
        raise InvalidInput(str(error).replace(SETTING, setting)) from error


def _load(name: str, device: str) -> TextImageEncoder:
    try:
        import transformers
    except ImportError as error:
        raise InvalidInput(
            "text_encoder needs the package transformers: pip install transformers, or leave text_encoder out"
        ) from error
    parts = _find(transformers, name)
    network, tokenizer, images = parts["AutoModel"], parts["AutoTokenizer"], parts["AutoImageProcessor"]
    used = accelerator(device).device
    encoder = TextImageEncoder(
        network=network.float().eval().to(used),
        tokenizer=tokenizer,
        size_px=int(network.config.vision_config.image_size),
        fit="crop" if getattr(images, "do_center_crop", False) else "stretch",
        mean=np.array(images.image_mean, dtype=np.float32),
        std=np.array(images.image_std, dtype=np.float32),
        precision="bf16" if used.type != "mps" and multiplies_bf16(used.type) else "fp32",
    )
    if not np.isfinite(encoder.text_vectors(["a photo"])).all():
        raise InvalidInput(f"text_encoder {name!r}: its weights hold NaN or infinity, so they are damaged")
    return encoder


def _find(transformers: Any, name: str) -> dict[str, Any]:
    """Network, tokenizer and image processor: from the folder, from the local cache, or downloaded."""
    instead = "or give the folder of a downloaded model"
    try:
        return _read(transformers, name, local_files_only=True)
    except InvalidInput:
        raise
    except Exception as error:  # of transformers, of the hub's client, of tokenizers: each has its own
        if is_folder(name):
            raise InvalidInput(
                f"text_encoder: the model in {name!r} cannot be loaded ({_reason(error)}): it takes config.json, "
                "model.safetensors, preprocessor_config.json, and the files of the tokenizer"
            ) from error
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise InvalidInput(f"text_encoder: there is no folder {name!r}") from error
        if why := hub_out_of_reach():
            raise InvalidInput(
                f"text_encoder: {name!r} is not in the local cache, and {why}: connect to the internet once, since the "
                f"files are kept, {instead}"
            ) from error
    try:
        return _read(transformers, name, local_files_only=False)
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(
            f"text_encoder: {name!r} cannot be had from the Hugging Face hub ({_reason(error)}): name a CLIP or SigLIP "
            f"model with safetensors, {instead}"
        ) from error


def _read(transformers: Any, name: str, local_files_only: bool) -> dict[str, Any]:
    options = dict(local_files_only=local_files_only, trust_remote_code=False)
    kind = transformers.AutoConfig.from_pretrained(name, **options).model_type
    if kind not in KINDS:
        raise InvalidInput(
            f"text_encoder: {name!r} is a model of type {kind!r}: take a CLIP, or a SigLIP of a fixed resolution"
        )
    parts = {
        part: getattr(transformers, part).from_pretrained(name, **options)
        for part in ("AutoTokenizer", "AutoImageProcessor")
    }
    return {**parts, "AutoModel": transformers.AutoModel.from_pretrained(name, use_safetensors=True, **options)}


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
