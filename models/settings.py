"""Every default, once: the forms, the command line and the docs are made from these dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import re
import reprlib
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
MAX_TEXT = 4096  # characters: a path on Linux has no more
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # NUL and halves of surrogate pairs: no database or file takes them


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    open_choices: bool = False,
    basic: bool = False,
    kind: type[int] | type[float] | None = None,
    empty: str = "",
) -> Any:
    """Declares one field: its default, a help text, its unit and its range.

    Args:
        choices: the values that a text may take
        open_choices: other texts are allowed too (a file's path, say)
        basic: shown at once in a form; the others stand behind "More"
        kind: type of the value where the default is None
        empty: meaning of None, which is refused without it
    """
    notes = dict(help=help, unit=unit, low=low, high=high, choices=choices, kind=kind or type(default), empty=empty)
    return field(default=default, metadata={**notes, "open_choices": open_choices, "basic": basic})


@dataclass(frozen=True)
class Settings:
    """Base of all settings: values are checked when they are set, and errors name the field."""

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, check(item, getattr(self, item.name)))


@dataclass(frozen=True)
class ImageSettings(Settings):
    size_px: int = setting(
        0,
        "side of the square image; 0 keeps the size when copies are written, "
        "and takes the median side (at most 224) when a model is trained",
        unit="px",
        low=0,
        high=2048,
        basic=True,
    )
    fit: str = setting(
        "pad",
        "how an image that is not square becomes square",
        choices=("stretch", "crop", "pad"),
        basic=True,
    )
    grayscale: bool = setting(False, "one channel instead of three", basic=True)
    denoise: str = setting(
        "none",
        "filter against noise",
        choices=("none", "median", "bilateral", "non-local means"),
        basic=True,
    )
    denoise_strength: float = setting(1.0, "how much the filter smooths: 1 is mild, 3 is strong", low=0.1, high=10.0)
    autocontrast: bool = setting(False, "stretches the gray values of each image to the full range")
    max_megabytes: float = setting(200.0, "larger files are skipped, and listed", unit="MB", low=0.01, high=10_000.0)
    max_megapixels: float = setting(
        120.0,
        "larger images are skipped, and listed; pixels that take more than four bytes in memory count for more",
        unit="MP",
        low=0.01,
        high=2000.0,
    )
    threads: int = setting(0, "decoding threads; 0: one a core", low=0, high=256)


@dataclass(frozen=True)
class CopySettings(Settings):
    format: str = setting("png", "file format of the copies", choices=("png", "jpeg"), basic=True)
    jpeg_quality: int = setting(92, "quality of JPEG copies", low=1, high=100)
    show_in_grid: bool = setting(True, "adds the copies to the media that the App's grid can show", basic=True)


@dataclass(frozen=True)
class ResNetSettings(Settings):
    architecture: str = setting(
        "resnet18", "torchvision network", choices=("resnet18", "resnet34", "resnet50"), basic=True
    )
    weights: str = setting(
        "auto",
        "first weights: imagenet (downloaded by torchvision), none, or a local .safetensors or .pth file; "
        "auto takes imagenet for images over 64 px",
        choices=("auto", "imagenet", "none"),
        open_choices=True,
        basic=True,
    )
    epochs: int = setting(40, "passes over the training part, at the most", low=1, high=10_000, basic=True)
    minimum_steps: int = setting(
        250, "few images are passed over more often, until the weights were updated this often", low=1, high=10_000_000
    )
    patience: int = setting(25, "epochs without a better validation score before training stops", low=1, high=10_000)
    batch_size: int = setting(
        32, "images an update (the last batch may be smaller)", unit="images", low=2, high=100_000
    )
    optimizer: str = setting("adam", "how weights are updated", choices=("adam", "adamw", "sgd"))
    learning_rate: float = setting(0.001, "largest step size; it warms up, and falls as a cosine", low=1e-7, high=10)
    weight_decay: float = setting(0.0005, "pull of the weights to zero", low=0.0, high=1.0)
    augmentation: str = setting(
        "light", "random changes of training images", choices=("none", "light", "strong"), basic=True
    )
    flips: str = setting(
        "none",
        "mirror training images (a mirrored digit is no digit, so only where asked)",
        choices=("none", "horizontal", "vertical", "both"),
    )
    class_loss_weight: float = setting(
        1.0, "weight of the cross-entropy adjusted by class frequency; 0: off", low=0.0, high=100.0
    )
    logit_adjustment: float = setting(
        1.0, "how far class frequency is put into the logits (Menon 2021); 0: plain cross-entropy", low=0.0, high=5.0
    )
    sample_loss_weight: float = setting(
        0.5, "weight of the generalized cross-entropy, robust to wrong labels; 0: off", low=0.0, high=100.0
    )
    sample_loss_power: float = setting(
        0.7, "q of the generalized cross-entropy: near 0 cross-entropy, at 1 mean absolute error", low=0.01, high=1.0
    )
    adversarial: bool = setting(
        False, "trains on images changed by an attack, so that small changes of pixels mislead it less"
    )
    adversarial_strength: float = setting(
        4.0, "largest change of a pixel by that attack", unit="1/255", low=0.1, high=64.0
    )
    adversarial_steps: int = setting(
        1, "steps of that attack; 1: fast FGSM (Wong 2020), more: PGD (Madry 2018)", low=1, high=100
    )
    validation_fraction: float = setting(0.15, "part of the labels that chooses the epoch", low=0.02, high=0.6)
    device: str = setting("auto", "where it runs", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = setting(
        "auto",
        "arithmetic; auto measures a few steps, where there is bf16, and takes the faster",
        choices=("auto", "fp32", "bf16"),
    )
    seed: int = setting(0, "fixes initial weights, order, augmentation and splits", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class GraphSettings(Settings):
    neighbours: int = setting(10, "edges drawn from each sample to its nearest others", low=1, high=200)
    metric: str = setting("cosine", "how alike two embeddings are", choices=("cosine", "euclidean"))
    graph_dim: int = setting(128, "embeddings are reduced to so many directions first; 0: never", low=0, high=4096)
    seed: int = setting(0, "fixes initial weights, order, augmentation and splits", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class GCNSettings(Settings):
    input_dim: int = setting(512, "wider vectors are projected to so many numbers first; 0: never", low=0, high=65_536)
    hidden_channels: int = setting(256, "width of the hidden layer", low=8, high=8192)
    dropout: float = setting(0.5, "part of the inputs and of the hidden layer left out at random", low=0.0, high=0.95)
    epochs: int = setting(60, "passes over the graph", low=1, high=10_000)
    batch_nodes: int = setting(
        50_000,
        "nodes that an update reads, at the most: where labelled ones and their neighbours are more, batches are drawn",
        unit="nodes",
        low=100,
        high=1_000_000_000,
    )
    learning_rate: float = setting(0.005, "Adam's step size", low=1e-6, high=1.0)
    weight_decay: float = setting(0.0005, "pull of the weights to zero", low=0.0, high=1.0)
    class_loss_weight: float = setting(1.0, "weight of the class loss; 0 switches it off", low=0.0, high=100.0)
    logit_adjustment: float = setting(
        1.0, "how far class frequency is evened out in the losses; 0 switches it off", low=0.0, high=3.0
    )
    sample_loss_weight: float = setting(
        0.5, "weight of the loss that wrong labels pull less; 0 switches it off", low=0.0, high=100.0
    )
    sample_loss_power: float = setting(
        0.7, "q of that loss: near 0 cross-entropy, at 1 most robust", low=0.01, high=1.0
    )
    seed: int = setting(0, "fixes initial weights, order, augmentation and splits", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class TrainGCNSettings(Settings):
    validation_fraction: float = setting(
        0.15, "part of the labels that does not train, so that it can be scored", low=0.02, high=0.6
    )
    seed: int = setting(0, "fixes initial weights, order, augmentation and splits", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class ImageGraphSettings(Settings):
    nodes: str = setting(
        "patches",
        "what an image is cut into: places of the ResNet's feature maps, or superpixels, which need no ResNet",
        choices=("patches", "superpixels"),
        basic=True,
    )
    aggregation: str = setting(
        "mean",
        "how the scores of the nodes make the image's: all alike, the best of each class, or by learned weights",
        choices=("mean", "max", "attention"),
        basic=True,
    )
    train_backbone: bool = setting(True, "trains the ResNet on the labels first; off: its first weights stay")
    grid: int = setting(
        4,
        "patches along a side, at the least: the deepest layer of the ResNet that has so many is taken",
        low=1,
        high=64,
    )
    superpixels: int = setting(60, "superpixels that an image is cut into, about", low=2, high=1000)
    compactness: float = setting(
        10.0, "how much superpixels keep together: low follows the colours, high makes squares", low=0.01, high=1000.0
    )
    rounds: int = setting(2, "convolutions: how many joins away a node sees", low=0, high=16)
    node_channels: int = setting(128, "width of the hidden layers", low=4, high=4096)
    node_dropout: float = setting(0.2, "part of the hidden layers left out at random", low=0.0, high=0.95)
    graph_epochs: int = setting(40, "passes over the training images", low=1, high=10_000)
    graph_learning_rate: float = setting(0.005, "Adam's step size", low=1e-7, high=1.0)
    image_loss_weight: float = setting(
        1.0, "weight of the class loss, which is on the image; 0 switches it off", low=0.0, high=100.0
    )
    node_loss_weight: float = setting(
        0.5, "weight of the sample loss, which is on each node; 0 switches it off", low=0.0, high=100.0
    )
    node_loss_power: float = setting(
        0.7, "q of the sample loss: near 0 cross-entropy, at 1 most robust", low=0.01, high=1.0
    )
    batch_size: int = setting(
        32, "images an update (the last batch may be smaller)", unit="images", low=2, high=100_000
    )
    weight_decay: float = setting(0.0005, "pull of the weights to zero", low=0.0, high=1.0)
    logit_adjustment: float = setting(
        1.0, "how far class frequency is put into the logits (Menon 2021); 0: plain cross-entropy", low=0.0, high=5.0
    )
    device: str = setting("auto", "where it runs", choices=("auto", "cpu", "cuda", "mps"))
    seed: int = setting(0, "fixes initial weights, order, augmentation and splits", low=0, high=2**31 - 1)


GCN_SETTINGS: dict[str, tuple[type[Settings], ...]] = {  # of train_gcn, by its graph
    "samples": (ImageSettings, GraphSettings, GCNSettings, TrainGCNSettings),
    "image": (ImageSettings, ImageGraphSettings, ResNetSettings),
}


@dataclass(frozen=True)
class SpreadSettings(Settings):
    view_dim: int = setting(200, "directions of the vectors that are kept", low=2, high=4096)
    folds: int = setting(3, "parts of the labels in turn held out to weigh the members", low=2, high=10)
    seed: int = setting(0, "fixes directions and folds", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class AutoLabelSettings(Settings):
    target_precision: float = setting(
        0.95, "part of the accepted labels that has to be right", low=0.5, high=0.999, basic=True
    )
    alpha: float = setting(0.1, "chance that the promise is broken", low=0.001, high=0.5)
    random_labels: bool = setting(
        False,
        "the labels are a random draw from all samples: then the precision is a promise, else an estimate",
        basic=True,
    )
    members: str = setting(
        "graph and resnet",
        "what labels the rest: labels that spread over the graph of nearest samples (quick), a ResNet on the images, "
        "or both, weighed by what they are worth",
        choices=("graph and resnet", "graph", "resnet"),
        basic=True,
    )
    rounds: int = setting(
        0, "the ResNet is trained again with what is certain, so often at the most, while it gains", low=0, high=20
    )
    calibration_fraction: float = setting(
        0.5, "part of the labels held out to calibrate; the rest trains; 0: nothing is promised", low=0.0, high=0.9
    )
    class_shares: str = setting(
        "labels",
        "how frequent classes are: as among the labels, or as the pool's own predictions say, which helps where labels "
        "were picked class by class and are right, and is ignored where they are a random draw",
        choices=("labels", "pool"),
    )
    per_class: bool = setting(
        False, "a threshold for each predicted class: each class by itself keeps the target, or accepts nothing"
    )
    review_unlike: bool = setting(True, "images that look like no labelled class go to review")
    seed: int = setting(0, "fixes initial weights, order, augmentation and splits", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class ReviewSettings(Settings):
    action: str = setting(
        "accept",
        "accept the suggestion, correct it with another label, or reject it",
        choices=("accept", "correct", "reject"),
        basic=True,
    )
    status: str = setting(
        "accepted",
        "which suggestions the action takes: the accepted (or flagged) ones, those in review (or not flagged), or both",
        choices=("accepted", "review", "all"),
        basic=True,
    )
    seen: bool = setting(False, "a person looked at each of these samples", basic=True)
    new_class: bool = setting(False, "a label that is written may be of a class that is not there yet, or no longer")
    force: bool = setting(False, "more than half of a class's labels may be changed at once")


@dataclass(frozen=True)
class AuditSettings(Settings):
    size: int = setting(60, "accepted samples to check", unit="samples", low=1, high=100_000, basic=True)
    alpha: float = setting(0.1, "chance that the true precision lies below the bound", low=0.001, high=0.5)
    seed: int = setting(0, "fixes the draw", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class TraditionalSettings(Settings):
    svm_penalty: float = setting(
        0.0, "C of the linear SVM; 0: chosen by cross-validation of the training labels", low=0.0, high=1e6
    )
    votes: int = setting(
        0, "nearest images that vote in k-NN; 0: chosen by cross-validation of the training labels", low=0, high=1000
    )
    seed: int = setting(0, "fixes the folds of the cross-validation", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class AttackSettings(Settings):
    strengths: str = setting("2, 8", "largest changes of a pixel that are tried, apart by commas", unit="1/255")
    attack_steps: int = setting(10, "steps of PGD", low=1, high=1000)
    attacked: int = setting(
        200, "held-out images that are attacked, at the most, drawn at random", unit="images", low=1, high=10_000_000
    )
    seed: int = setting(0, "fixes the draw", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class CompareSettings(Settings):
    test_fraction: float = setting(
        0.3, "part of the labels that scores and trains nothing, where no test is given", low=0.02, high=0.9, basic=True
    )
    seeds: int = setting(
        3, "repetitions, each with its own held-out part and first weights", low=1, high=100, basic=True
    )
    robustness: bool = setting(
        False, "adds accuracy under attacks that change each pixel a little (FGSM and PGD)", basic=True
    )
    seed: int = setting(0, "of the first repetition; the others count on from it", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class MistakeSettings(Settings):
    folds: int = setting(
        5, "parts of the labels, each judged by a model that learned from the others", low=2, high=20, basic=True
    )
    method: str = setting(
        "evenset",
        "how labels are scored: Evenset's way, which weighs how labels are confused, or a score of cleanlab",
        choices=("evenset", "self_confidence", "normalized_margin", "confidence_weighted_entropy"),
    )
    seed: int = setting(0, "fixes initial weights, order, augmentation and splits", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class GeneratorSettings(Settings):
    minutes: float = setting(
        5.0,
        "training stops after so long; 0: when its steps are done, so that the same seed gives the same",
        unit="minutes",
        low=0.0,
        high=10_000,
        basic=True,
    )
    steps: int = setting(
        0, "updates of the weights, at the most; 0: as many as the time allows", low=0, high=100_000_000
    )
    width: int = setting(
        0, "channels of the first level, a multiple of 8; 0: as time, size and device allow", low=0, high=1024
    )
    layers: int = setting(0, "blocks a level; 0: as time, size and device allow", low=0, high=8)
    patch_px: int = setting(
        0, "so many pixels a side are folded into channels first; 0: as the size allows", unit="px", low=0, high=8
    )
    batch_size: int = setting(
        0,
        "images an update, in more passes where memory is too small; 0: 32 on a processor, 128 on a GPU",
        unit="images",
        low=0,
        high=100_000,
    )
    learning_rate: float = setting(
        0.0, "largest step size; it warms up, and falls as a cosine; 0: as the width allows", low=0.0, high=1.0
    )
    warmup_steps: int = setting(100, "updates until the step size is reached", low=0, high=10_000_000)
    label_drop: float = setting(0.1, "part of the labels left out in training, for guidance", low=0.0, high=0.9)
    class_power: float = setting(
        0.5, "an image of a class of n is drawn by n^-power: 0 as it comes, 1 all classes alike", low=0.0, high=1.0
    )
    ema_decay: float = setting(0.999, "how slowly the averaged weights, which generate, follow", low=0.0, high=0.99999)
    flips: str = setting(
        "none",
        "mirror training images (a mirrored digit is no digit, so only where asked)",
        choices=("none", "horizontal", "vertical", "both"),
    )
    picture_steps: int = setting(300, "updates between two pictures of what it draws", low=1, high=100_000_000)
    device: str = setting("auto", "where it runs", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = setting(
        "auto",
        "arithmetic; auto measures a few steps, where there is bf16, and takes the faster",
        choices=("auto", "fp32", "bf16"),
    )
    seed: int = setting(0, "fixes initial weights, order, noise and splits", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.steps and not self.minutes:
            raise ValueError("a training without minutes and steps has no end: set one of them")


@dataclass(frozen=True)
class SamplingSettings(Settings):
    sampling_steps: int = setting(9, "steps of the solver from noise to image", low=1, high=1000)
    guidance: float = setting(2.0, "how much the label is stressed; 1: not", low=1.0, high=20.0)
    guidance_from: float = setting(0.2, "part of the way from noise at which guidance sets in", low=0.0, high=1.0)
    guidance_to: float = setting(0.6, "part of the way from noise at which it ends", low=0.0, high=1.0)
    batch_images: int = setting(
        256, "images drawn at once; halved where memory is too small", unit="images", low=1, high=100_000
    )
    sampling_seed: int = setting(0, "image i of a seed is the same whatever the batch", low=0, high=2**31 - 1)
    precision: str = setting(
        "auto",
        "arithmetic; auto measures a few steps, where there is bf16, and takes the faster",
        choices=("auto", "fp32", "bf16"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.guidance_from > self.guidance_to:
            begin, end = self.guidance_from, self.guidance_to
            raise ValueError(f"guidance_from has to be at most guidance_to, which is {end:g}, not {begin:g}")


@dataclass(frozen=True)
class TrainGeneratorSettings(Settings):
    held_out_fraction: float = setting(
        0.25, "part of the images that the generator never sees, so that its worth can be measured", low=0.0, high=0.9
    )
    seed: int = setting(0, "fixes initial weights, order, noise and splits", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class BalanceSettings(Settings):
    max_ratio: float = setting(
        3.0, "synthetic images for a real one of the class, at the most; 0: no cap", low=0.0, high=10_000, basic=True
    )
    source: str = setting(
        "generate",
        "where images come from: drawn by a generator, or real ones of the class, randomly changed",
        choices=("generate", "augment"),
        basic=True,
    )
    measure_benefit: bool = setting(
        True, "trains small networks with and without the new images, and says what each class gains", basic=True
    )
    add: str = setting(
        "unless it loses",
        "what the verdict decides: images are added unless balanced accuracy falls with them, only where a gain is "
        "shown, or whatever it says",
        choices=("unless it loses", "if it gains", "always"),
        basic=True,
    )
    most_tries: float = setting(5.0, "images drawn for each that is wanted, at the most", low=1.0, high=1000.0)
    keep_rejected: bool = setting(False, "images that the filters refuse are kept, as samples without a label")
    probe_seeds: int = setting(3, "repetitions of the measurement", low=2, high=100)
    probe_steps: int = setting(
        800, "updates of each small network that measures; too few flatter synthetic images", low=1, high=1_000_000
    )
    seed: int = setting(0, "fixes initial weights, order, noise and splits", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class FilterSettings(Settings):
    prototype_share: float = setting(
        0.05,
        "part of real images that lie farther from the middle of their class than a generated one may; 0: not checked",
        low=0.0,
        high=0.9,
        basic=True,
    )
    probability_share: float = setting(
        0.05,
        "part of real images that the classifier thinks less of than it may of a generated one; 0: not checked",
        low=0.0,
        high=0.9,
    )
    graph_share: float = setting(
        0.05,
        "part of real images that the GCN thinks less of than it may of a generated one; 0: not checked",
        low=0.0,
        high=0.9,
    )
    lowest_probability: float = setting(
        0.1, "a class probability below it is always too low, however unsure real images are", low=0.0, high=1.0
    )
    highest_probability: float = setting(
        0.5, "a class probability above it is never too low, however sure real images are", low=0.0, high=1.0
    )
    copy_share: float = setting(
        0.01,
        "part of real images that would pass for copies of training images; more refuses more; 0: not checked",
        low=0.0,
        high=0.5,
        basic=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lowest_probability > self.highest_probability:
            low, high = self.lowest_probability, self.highest_probability
            raise ValueError(f"lowest_probability has to be at most highest_probability, {high:g}, not {low:g}")


@dataclass(frozen=True)
class ProbeSettings(Settings):
    steps: int = setting(
        1200, "updates of the weights, the same for all that is compared", low=1, high=1_000_000, basic=True
    )
    batch_size: int = setting(128, "images an update", unit="images", low=2, high=100_000)
    width: int = setting(16, "channels of the first layer; the last has eight times as many", low=4, high=512)
    learning_rate: float = setting(0.015, "largest step size; it warms up, and falls as a cosine", low=1e-7, high=10)
    weight_decay: float = setting(0.05, "pull of the weights to zero (AdamW)", low=0.0, high=1.0)
    ema_decay: float = setting(0.99, "how slowly the averaged weights follow", low=0.0, high=0.99999)
    sampler_power: float = setting(
        0.5, "an image of a class of n is drawn by n^-power: 0 as it comes, 1 all classes alike", low=0.0, high=1.0
    )
    logit_adjustment: float = setting(
        0.0, "how far class frequency is put into the logits (Menon 2021); 0: plain cross-entropy", low=0.0, high=5.0
    )
    adjusted_for: str = setting(
        "real", "the frequency that is put in: of the real images, or of what is drawn", choices=("real", "drawn")
    )
    augmentation: str = setting("light", "random changes of training images", choices=("none", "light", "strong"))
    flips: str = setting(
        "none",
        "mirror training images (a mirrored digit is no digit, so only where asked)",
        choices=("none", "horizontal", "vertical", "both"),
    )
    synthetic_share: float = setting(
        0.15, "part of each batch that is synthetic, where there is any", low=0.0, high=1.0
    )
    synthetic_draw: str = setting(
        "need",
        "which classes the synthetic part shows: all alike, or what evens out the real part",
        choices=("balanced", "need"),
    )
    synthetic_until: float = setting(
        1.0, "part of the training after which only real images are drawn", low=0.0, high=1.0
    )
    device: str = setting("auto", "where it runs", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = setting(
        "auto", "arithmetic; auto takes bf16 where the processor multiplies it", choices=("auto", "fp32", "bf16")
    )
    seed: int = setting(0, "fixes initial weights, order and augmentation", low=0, high=2**31 - 1)


BALANCE_SETTINGS: tuple[type[Settings], ...] = (  # of balance_classes
    BalanceSettings,
    ImageSettings,
    GeneratorSettings,
    SamplingSettings,
    FilterSettings,
    TrainGeneratorSettings,
)


def check(item: dataclasses.Field[Any], value: Any) -> Any:
    """Returns `value` in the type of the field `item`; a value out of range raises ValueError with the reason."""
    notes, value = item.metadata, plain(value)
    kind: Any = notes["kind"]
    if value is None and notes["empty"]:
        return None
    fits = type(value) is kind or (kind is float and type(value) is int)
    fits = fits or (kind is int and isinstance(value, float) and value.is_integer())
    if not fits or value != value:
        none = f" or None ({notes['empty']})" if notes["empty"] else ""
        raise ValueError(f"{item.name} has to be {WORDS[kind]}{none}, not {shown(value)}")
    low, high, choices = notes["low"], notes["high"], notes["choices"]
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low:.12g}" if high is None else f"from {low:.12g} to {high:.12g}"
        raise ValueError(f"{item.name} has to be {bounds}{notes['unit'] and ' ' + notes['unit']}, not {shown(value)}")
    if kind is str:
        check_text(item.name, value)
    if choices and value not in choices and not notes["open_choices"]:
        raise ValueError(f"{item.name} has to be one of {', '.join(choices)}, not {shown(value)}")
    return kind(value)


def check_text(name: str, value: str, longest: int = MAX_TEXT) -> None:
    """Raises ValueError for a text that cannot be stored, or is too long for a name or a path."""
    if len(value) > longest:
        raise ValueError(f"{name} has to be a text of at most {longest:,} characters, not {len(value):,}")
    if UNSTORABLE.search(value):
        raise ValueError(f"{name} has to be a text without NUL or half a surrogate pair, not {shown(value)}")


def plain(value: Any) -> Any:
    """A scalar of numpy as Python's own; everything else as it is."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value


def shown(value: Any) -> str:
    """A value as an error shows it: short, whatever it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxlong = short.maxother = 80
    if isinstance(value, (bool, int, float, str, bytes, list, tuple, dict, set, type(None))):
        try:
            return short.repr(value)
        except ValueError:  # Python writes no whole number of more than 4,300 digits
            pass
    return f"a value of type {type(value).__name__}"


@overload
def split(values: dict[str, Any], one: type[A], /) -> tuple[A]: ...
@overload
def split(values: dict[str, Any], one: type[A], two: type[B], /) -> tuple[A, B]: ...
@overload
def split(values: dict[str, Any], one: type[A], two: type[B], three: type[C], /) -> tuple[A, B, C]: ...
@overload
def split(values: dict[str, Any], /, *kinds: type[Any]) -> tuple[Any, ...]: ...
def split(values: dict[str, Any], *kinds: type[Any]) -> tuple[Any, ...]:
    """Deals keyword arguments out to settings classes; a name that two classes have goes to both.

    Raises:
        TypeError: a name that none of the classes has, with the nearest one that is
    """
    known = {item.name for kind in kinds for item in fields(kind)}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise TypeError(f"no setting is called {name!r}: {hint}")
    return tuple(
        kind(**{item.name: values[item.name] for item in fields(kind) if item.name in values}) for kind in kinds
    )
