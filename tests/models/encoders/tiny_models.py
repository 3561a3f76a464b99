"""Text-image models of a few weights, written as a model of the hub is; and one whose answers are planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

WORDS = ["<pad>", "<unk>", "<bos>", "<eos>", "a", "photo", "of", "red", "green", "blue"]
TEXT = dict(vocab_size=len(WORDS), max_position_embeddings=16, bos_token_id=2, eos_token_id=3, pad_token_id=0)
SIZES = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, projection_dim=8)


def write_model(folder: Path, kind: str = "clip") -> str:
    """Writes a model with random weights, its tokenizer of words, and its preprocessing -> the folder."""
    import transformers as hf
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    prefix = {"clip": "CLIP", "siglip": "Siglip", "clipseg": "CLIPSeg"}[kind]
    text, vision = {**TEXT, **SIZES}, dict(image_size=16, patch_size=8, **SIZES)
    torch.manual_seed(0)
    config = getattr(hf, f"{prefix}Config")(text_config=text, vision_config=vision)
    network = getattr(hf, f"{prefix}Model")(config)
    with torch.no_grad():
        for weights in network.parameters():
            if weights.ndim > 1:
                weights.normal_(0, 0.5)
    network.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 3)])
    special = dict(pad_token="<pad>", unk_token="<unk>", bos_token="<bos>", eos_token="<eos>")
    hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    square = dict(height=16, width=16)
    size = {"shortest_edge": 16} if kind == "clip" else square
    preprocessing = hf.SiglipImageProcessor if kind == "siglip" else hf.CLIPImageProcessor
    preprocessing(size=size, crop_size=square).save_pretrained(folder)
    return str(folder)


class ColourEncoder:
    """Knows colours: an image's vector is its mean colour, a text's the colours that it names."""

    size_px, fit, scale = 8, "stretch", 20.0

    def __init__(self) -> None:
        self.encoded = 0  # images so far

    def image_vectors(self, images: np.ndarray) -> np.ndarray:
        self.encoded += len(images)
        colours = images.reshape(len(images), 3, -1).mean(axis=2) - images.mean(axis=(1, 2, 3))[:, None]
        return (colours / np.linalg.norm(colours, axis=1, keepdims=True)).astype(np.float32)

    def text_vectors(self, texts: list[str]) -> np.ndarray:
        names = [("red", "crimson"), ("green", "lime"), ("blue", "navy")]
        axes = np.eye(3) - 1 / 3
        rows = [
            sum((axes[i] for i, words in enumerate(names) if any(word in text for word in words)), np.full(3, 1e-6))
            for text in texts
        ]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32)
