"""embeddings="auto": the vectors that are there, else the best encoder that can be had, else Evenset's own features."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from ...models import offline
from ...models.devices import has_gpu
from ...models.encoders import weights
from ...models.errors import InvalidInput
from ...models.settings import ResNetSettings
from ..data.internals import root_dataset
from ..data.labels import Labels, count_classes
from ..embeddings.encoders import TIMM, TORCHVISION
from .embedding_source import EmbeddingSource, learned_from_labels, open_source

AUTO = "auto"
SMALL_PX = 64  # an encoder of photos sees little in images up to this side
SAMPLED_FILES = 25  # whose size is read
MIN_DIMENSIONS = 4  # of a field of vectors; fewer are the points of a plot
MIN_LIST = 16  # of a field of lists, which may be boxes or other measurements
MIN_FINE_TUNING_LABELS = 200  # a class; with fewer a ResNet adds nothing to an encoder's vectors
NVIDIA = Path("/proc/driver/nvidia/version")  # is there with a GPU
FINE_TUNES = (
    f" A ResNet on the images takes part as well, as there are {MIN_FINE_TUNING_LABELS} labels a class or more; "
    "members='graph' leaves it out."
)
NO_RESNETS = (
    f" No ResNet takes part, as there are fewer than {MIN_FINE_TUNING_LABELS} labels a class; embeddings=None trains "
    "some all the same."
)
OWN = "Evenset's own features of the images"


@dataclass(frozen=True)
class Candidate:
    """An encoder that "auto" may choose."""

    name: str
    title: str
    megabytes: int  # of its weights
    milliseconds: float  # an image, on two processor cores with bf16

    @property
    def is_here(self) -> bool:
        """Whether its weights are on this machine."""
        name = self.name.removeprefix(TORCHVISION)
        return weights.torch_file(name).exists() if name in weights.RESNETS else weights.hub_file(name) is not None

    @property
    def out_of_reach(self) -> str:
        """Why its weights cannot be downloaded; "" where they can. Takes a second at most."""
        is_torch = self.name.startswith(TORCHVISION)
        return offline.out_of_reach(weights.TORCH_SERVER) if is_torch else offline.hub_out_of_reach()


SMALL = Candidate(f"{TIMM}vit_small_patch14_reg4_dinov2.lvd142m", "DINOv2 (ViT-S)", 88, 60.0)
BASE = Candidate(f"{TIMM}vit_base_patch14_reg4_dinov2.lvd142m", "DINOv2 (ViT-B)", 346, 200.0)
RESNET = Candidate(f"{TORCHVISION}resnet18", "torchvision's ImageNet ResNet-18", 47, 13.0)


def choose_source(
    samples: Any, embeddings: Any, labels: Labels, resume: str | None = None, device: str = "auto"
) -> tuple[EmbeddingSource | None, str]:
    """Opens the embeddings, where they are "auto" the first that can be had, and says why in a sentence.

    Returns:
        the source, or None for Evenset's own features; and the sentence, "" where nothing was chosen

    Raises:
        TypeError, ValueError: as `embedding_source.open_source`, but for "auto"
    """
    if not is_auto(embeddings):
        return open_source(samples, embeddings, labels, resume, device), ""
    for name in () if labels.has_boxes else vector_sources(samples):
        with contextlib.suppress(InvalidInput):  # a sample has no vector, or a bad one
            return open_source(samples, name, labels), sentence(name, "it has a vector for each sample")
    side_px = short_side_px(labels.paths.tolist())
    if side_px is None or side_px <= SMALL_PX:
        return None, sentence(None, why_own(side_px))
    problems: list[str] = []
    for candidate in candidates(has_gpu(device)):
        why = "" if candidate.is_here else candidate.out_of_reach
        try:
            if not why:
                source = open_source(samples, candidate.name, labels, device=device)
                return source, sentence(candidate.name, "; ".join([*problems, "it is the best encoder that is here"]))
        except InvalidInput as error:
            why = str(error)
        problems.append(f"{candidate.title} cannot be had ({why})")
    remedy = "connect to the internet once, or give embeddings="
    return None, sentence(None, f"{', and '.join(problems)}: {remedy}")


class Likely(NamedTuple):
    """What "auto" is going to choose, as far as can be told without a network and without torch."""

    name: str | None  # None: Evenset's own features
    reason: str
    candidate: Candidate | None = None  # an encoder whose vectors the images may still need


def likely_choice(samples: Any) -> Likely:
    """The likely choice, by a look at the schema and a few files."""
    for name in vector_sources(samples):
        return Likely(name, "it has a vector for each sample")
    side_px = short_side_px(samples.limit(SAMPLED_FILES).values("filepath"))
    if side_px is None or side_px <= SMALL_PX:
        return Likely(None, why_own(side_px))
    for candidate in candidates(NVIDIA.exists()):
        if candidate.is_here:
            return Likely(candidate.name, "its weights are on this machine", candidate)
        if candidate.name.startswith(TORCHVISION) or not offline.is_offline():
            return Likely(
                candidate.name, f"{candidate.megabytes} MB are downloaded first, if the server answers", candidate
            )
    return Likely(None, "no encoder's weights are on this machine")


def is_auto(embeddings: Any) -> bool:
    """Whether `embeddings` leaves the choice."""
    return isinstance(embeddings, str) and embeddings == AUTO


def trains_resnet(settings: ResNetSettings) -> bool:
    """Whether a setting is changed that a ResNet alone has: the user wants one."""
    shared = {"seed", "device", "precision", "validation_fraction"}
    usual = vars(ResNetSettings())
    return any(value != usual[name] for name, value in vars(settings).items() if name not in shared)


def fine_tunes(labels: Labels) -> bool:
    """Whether labels are enough for a ResNet to pay beside chosen vectors, and there are images to read."""
    count, classes = int(labels.is_labelled.sum()), count_classes(labels)
    return count >= MIN_FINE_TUNING_LABELS * max(classes, 1) and short_side_px(labels.paths.tolist()) is not None


def without_download(settings: ResNetSettings, paths: Sequence[str]) -> ResNetSettings:
    """Settings of a ResNet on photos, with random initial weights where ImageNet's cannot be had."""
    side_px, name = short_side_px(paths), settings.architecture
    has_file = name in weights.RESNETS and weights.torch_file(name).exists()
    if settings.weights != "auto" or side_px is None or side_px <= SMALL_PX or has_file:
        return settings
    return replace(settings, weights="none") if offline.out_of_reach(weights.TORCH_SERVER) else settings


def sentence(name: str | None, reason: str) -> str:
    """The choice for the results."""
    return f"Embeddings, chosen automatically: {name or OWN}, as {reason}."


def why_own(side_px: float | None) -> str:
    """Why no encoder takes part."""
    return "no image can be read" if side_px is None else f"images of {side_px:.0f} px are too small for an encoder"


def vector_sources(samples: Any) -> list[str]:
    """Fields with a vector for each sample that were not learned from labels, and Brain runs with embeddings."""
    import fiftyone as fo

    dataset = root_dataset(samples)
    kinds = (fo.VectorField, fo.ArrayField, fo.ListField)
    names = [name for name, field in samples.get_field_schema(ftype=kinds).items() if _may_hold_vectors(field)]
    names = [name for name in names if not learned_from_labels(samples, name) and _has_all(samples, name)]
    keys = [key for key in dataset.list_brain_runs() if _has_embeddings(dataset.get_brain_info(key).config)]
    return [*names, *(key for key in keys if not learned_from_labels(samples, key))]


def _may_hold_vectors(field: Any) -> bool:
    import fiftyone as fo

    return not isinstance(field, fo.ListField) or isinstance(field.field, fo.FloatField)


def _has_all(samples: Any, name: str) -> bool:
    """Whether a field has a value in each sample, and the first is long enough for a vector."""
    first = samples.limit(1).values(name)
    least = MIN_LIST if bool(first) and isinstance(first[0], list) else MIN_DIMENSIONS
    is_vector = bool(first) and len(np.shape(first[0])) == 1 and len(first[0]) >= least
    return is_vector and samples.exists(name).count("id") == samples.count("id")


def _has_embeddings(config: Any) -> bool:
    is_of_patches = bool(getattr(config, "patches_field", None))
    return "Similarity" in type(config).__name__ and not is_of_patches


def short_side_px(paths: Sequence[str]) -> float | None:
    """Median shorter side of some of the images or boxes; None where none can be read."""
    from ...models.images.image_size import size_of

    sizes = map(size_of, paths[:: -(-len(paths) // SAMPLED_FILES)] if paths else ())
    sides = [min(size) for size in sizes if size]
    return median(sides) if sides else None


def candidates(on_gpu: bool) -> tuple[Candidate, ...]:
    """Encoders, the best first."""
    return (BASE if on_gpu else SMALL, RESNET)
