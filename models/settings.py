"""Every default, once: the forms, the command line and the docs are made from these dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import re
import reprlib
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, overload

from .errors import InvalidInput, InvalidType

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
    kind: type[bool] | type[int] | type[float] | type[str] | None = None,
    empty: str = "",
    label: str = "",
) -> Any:
    """Declares one field: its default, a help text, its unit and its range.

    Args:
        choices: the values that a text may take
        open_choices: other texts are allowed too (a file's path, say)
        basic: shown at once in a form; the others stand in sections that fold
        kind: type of the value where the default is None
        empty: meaning of None, which is refused without it
        label: in a form, where its name could be mistaken for another setting's
    """
    notes = dict(help=help, unit=unit, low=low, high=high, choices=choices, kind=kind or type(default), empty=empty)
    return field(default=default, metadata={**notes, "open_choices": open_choices, "basic": basic, "label": label})


@dataclass(frozen=True)
class Settings:
    """Base of all settings: values are checked when they are set, and errors name the field."""

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, check(item, getattr(self, item.name)))


def _seed(help: str = "fixes initial weights, order, augmentation and splits") -> Any:
    return setting(0, help, low=0, high=2**31 - 1)


def _device() -> Any:
    return setting("auto", "where it runs", choices=("auto", "cpu", "cuda", "mps"))


def _precision() -> Any:
    return setting(
        "auto",
        "arithmetic; auto times both where the hardware has bf16, and takes the faster",
        choices=("auto", "fp32", "bf16"),
        label="numeric precision",
    )


def _flips() -> Any:
    return setting(
        "auto",
        "mirrors images at random; auto: horizontal for photos (colour, over 64 px), none for small or gray images; "
        "none suits digits, letters and other images with a left and a right",
        choices=("auto", "none", "horizontal", "vertical", "both"),
    )


def _mix() -> Any:
    return setting(
        "none",
        "blends training images and their labels: mixup (Zhang, 2018), cutmix (Yun, 2019), which pastes a rectangle, "
        "or for each batch one of both",
        choices=("none", "mixup", "cutmix", "both"),
    )


def _mix_alpha() -> Any:
    return setting(
        None,
        "alpha of the Beta distribution of blends: larger is closer to halves",
        low=0.01,
        high=100.0,
        kind=float,
        empty="auto: 0.2 for mixup, 1 for cutmix",
    )


def _weight_decay(default: float = 0.0005) -> Any:
    return setting(default, "weight decay (L2 penalty)", low=0.0, high=1.0)


def _logit_adjustment(default: float = 1.0) -> Any:
    return setting(
        default,
        "strength of logit adjustment for class frequency (Menon, 2021); 0 is plain cross-entropy",
        low=0.0,
        high=5.0,
    )


def _ce_weight() -> Any:
    return setting(1.0, "weight of the logit-adjusted cross-entropy", low=0.0, high=100.0)


def _gce_weight() -> Any:
    return setting(0.5, "weight of the generalized cross-entropy, robust to wrong labels", low=0.0, high=100.0)


def _gce_q() -> Any:
    return setting(
        0.7, "q of the generalized cross-entropy: near 0 cross-entropy, at 1 mean absolute error", low=0.01, high=1.0
    )


def _validation_fraction(help: str) -> Any:
    return setting(0.15, help, low=0.02, high=0.6)


def _batch_size(default: int = 32) -> Any:
    return setting(default, "images an update (the last batch may be smaller)", unit="images", low=2, high=100_000)


def _class_balance_power() -> Any:
    return setting(
        0.5, "samples a class of n images in proportion to n^(1 - power): 0 as they come, 1 evenly", low=0.0, high=1.0
    )


def _max_megabytes() -> Any:
    return setting(200.0, "larger files are skipped and listed", unit="MB", low=0.01, high=10_000.0)


def _max_megapixels() -> Any:
    return setting(
        120.0,
        "larger images are skipped and listed; pixels of more than four bytes count for more",
        unit="MP",
        low=0.01,
        high=2000.0,
    )


def _threads() -> Any:
    return setting(None, "decoding threads", low=1, high=256, kind=int, empty="one for each core")


@dataclass(frozen=True)
class ImageSettings(Settings):
    size_px: int | None = setting(
        None,
        "side of the square image",
        unit="px",
        low=1,
        high=2048,
        basic=True,
        kind=int,
        empty="auto: copies keep their size, models take the median side, at most 224",
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
    max_megabytes: float = _max_megabytes()
    max_megapixels: float = _max_megapixels()
    threads: int | None = _threads()


@dataclass(frozen=True)
class BoxSettings(Settings):
    box_margin: float = setting(
        0.1, "image around a box that its crop keeps, as a fraction of the box's side", low=0.0, high=2.0
    )
    box_shape: str = setting(
        "square",
        "shape of a crop: square, its shorter side widened, or that of the box",
        choices=("square", "box"),
    )
    min_box_px: int = setting(8, "boxes with a shorter side go to review, and are listed", unit="px", low=1, high=1024)


@dataclass(frozen=True)
class TagSettings(Settings):
    complete: bool = setting(
        False,
        "a class that a tagged sample lacks is absent; otherwise it is unknown (positive-unlabelled learning)",
        basic=True,
    )


MAX_WORKERS = 9999
WORKERS = re.compile(r"[1-9]\d{0,3}|ray|ray://[^\s/:]+:\d+")


@dataclass(frozen=True)
class WorkerSettings(Settings):
    workers: str | None = setting(
        None,
        "who computes embeddings, trains models of folds and repetitions, and draws and copies images: a number of "
        "processes on this machine, ray for the cluster that it belongs to, or the address of one, as "
        "ray://head:10001; needs evenset[cluster]",
        kind=str,
        empty="this process",
    )
    ship_images: bool = setting(False, "sends the images to the workers, which cannot read the files themselves")

    def __post_init__(self) -> None:
        workers: Any = plain(self.workers)
        if type(workers) is int and 0 < workers <= MAX_WORKERS:
            object.__setattr__(self, "workers", str(workers))
        super().__post_init__()
        if self.workers is not None and not WORKERS.fullmatch(self.workers):
            raise InvalidInput(
                "workers has to be a number of processes, ray, or an address such as ray://head:10001, not "
                f"{shown(self.workers)}"
            )


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
        "initial weights: imagenet (downloaded by torchvision), none, or a local .safetensors or .pth file; "
        "auto takes imagenet for images over 64 px",
        choices=("auto", "imagenet", "none"),
        open_choices=True,
        basic=True,
    )
    epochs: int = setting(40, "maximum passes over the training part", low=1, high=10_000, basic=True)
    min_updates: int = setting(
        250, "minimum updates of the weights: few images get more epochs", low=1, high=10_000_000
    )
    patience: int = setting(25, "epochs without a better validation score before training stops", low=1, high=10_000)
    batch_size: int = _batch_size()
    optimizer: str = setting("adam", "torch optimizer", choices=("adam", "adamw", "sgd"))
    learning_rate: float = setting(0.001, "peak learning rate of a cosine schedule with warm-up", low=1e-7, high=10)
    weight_decay: float = _weight_decay()
    augmentation: str = setting(
        "light", "random changes of training images", choices=("none", "light", "strong"), basic=True
    )
    flips: str = _flips()
    mix: str = _mix()
    mix_alpha: float | None = _mix_alpha()
    ce_weight: float = _ce_weight()
    logit_adjustment: float = _logit_adjustment()
    gce_weight: float = _gce_weight()
    gce_q: float = _gce_q()
    adversarial: bool = setting(False, "adversarial training, for robustness to small changes of pixels")
    adversarial_epsilon: float = setting(
        4.0, "maximum change of a pixel in adversarial training", unit="1/255", low=0.1, high=64.0
    )
    adversarial_steps: int = setting(
        1, "attack steps in training: 1 is fast FGSM (Wong, 2020), more is PGD (Madry, 2018)", low=1, high=100
    )
    validation_fraction: float = _validation_fraction("fraction of the labels that chooses the epoch")
    device: str = _device()
    precision: str = _precision()
    seed: int = _seed()


@dataclass(frozen=True)
class GraphSettings(Settings):
    neighbours: int = setting(10, "edges from each sample to its nearest others", low=1, high=200)
    metric: str = setting("cosine", "distance between embeddings", choices=("cosine", "euclidean"))
    pca_dim: int | None = setting(
        128, "dimensions of the embeddings after PCA", low=1, high=4096, kind=int, empty="no PCA"
    )
    seed: int = _seed()


@dataclass(frozen=True)
class GCNSettings(Settings):
    projection_dim: int | None = setting(
        512,
        "wider embeddings are projected to this many dimensions",
        low=1,
        high=65_536,
        kind=int,
        empty="no projection",
    )
    hidden_channels: int = setting(256, "width of the hidden layer", low=8, high=8192)
    dropout: float = setting(0.5, "dropout of the inputs and of the hidden layer", low=0.0, high=0.95)
    epochs: int = setting(60, "passes over the graph", low=1, high=10_000)
    max_batch_nodes: int = setting(
        50_000,
        "maximum nodes an update reads; a larger graph is sampled in batches",
        unit="nodes",
        low=100,
        high=1_000_000_000,
    )
    learning_rate: float = setting(0.005, "Adam's learning rate", low=1e-6, high=1.0)
    weight_decay: float = _weight_decay()
    ce_weight: float = _ce_weight()
    logit_adjustment: float = setting(
        1.0, "strength of logit adjustment for class frequency; 0 is plain cross-entropy", low=0.0, high=3.0
    )
    gce_weight: float = _gce_weight()
    gce_q: float = _gce_q()
    seed: int = _seed()


@dataclass(frozen=True)
class TrainGCNSettings(Settings):
    validation_fraction: float = _validation_fraction("fraction of the labels that is scored and does not train")
    seed: int = _seed()


@dataclass(frozen=True)
class ImageGraphSettings(Settings):
    nodes: str = setting(
        "patches",
        "nodes of the graph: patches of the ResNet's feature maps, or superpixels, which need no ResNet",
        choices=("patches", "superpixels"),
        basic=True,
    )
    aggregation: str = setting(
        "mean",
        "pooling of the nodes' scores into the image's: mean, maximum of each class, or learned attention",
        choices=("mean", "max", "attention"),
        basic=True,
    )
    train_backbone: bool = setting(True, "trains the ResNet on the labels first; off keeps its initial weights")
    grid: int = setting(
        4, "minimum patches along a side: the deepest layer of the ResNet that has as many is used", low=1, high=64
    )
    superpixels: int = setting(60, "superpixels of an image, about", low=2, high=1000)
    compactness: float = setting(
        10.0, "compactness of superpixels (SLIC): low follows colours, high makes squares", low=0.01, high=1000.0
    )
    num_layers: int = setting(2, "graph convolutions: how many edges away a node sees", low=0, high=16)
    node_channels: int = setting(128, "width of the hidden layers", low=4, high=4096)
    node_dropout: float = setting(0.2, "dropout of the hidden layers", low=0.0, high=0.95)
    graph_epochs: int = setting(40, "passes over the training images", low=1, high=10_000)
    graph_learning_rate: float = setting(0.005, "Adam's learning rate", low=1e-7, high=1.0)
    image_ce_weight: float = setting(1.0, "weight of the class loss, on the image", low=0.0, high=100.0)
    node_gce_weight: float = setting(0.5, "weight of the generalized cross-entropy, on each node", low=0.0, high=100.0)
    node_gce_q: float = _gce_q()
    batch_size: int = _batch_size()
    weight_decay: float = _weight_decay()
    logit_adjustment: float = _logit_adjustment()
    device: str = _device()
    seed: int = _seed()


GCN_SETTINGS: dict[str, tuple[type[Settings], ...]] = {  # of train_gcn, by its graph
    "samples": (ImageSettings, BoxSettings, GraphSettings, GCNSettings, TrainGCNSettings),
    "image": (ImageSettings, BoxSettings, ImageGraphSettings, ResNetSettings),
}


@dataclass(frozen=True)
class LabelSpreadingSettings(Settings):
    feature_dim: int = setting(200, "principal directions of the vectors that are kept", low=2, high=4096)
    folds: int = setting(5, "folds of the labels by which the members are weighted", low=2, high=10)
    seed: int = _seed("fixes directions and folds")


@dataclass(frozen=True)
class AutoLabelSettings(Settings):
    target_precision: float = setting(
        0.95, "fraction of the accepted labels that has to be correct", low=0.5, high=0.999, basic=True
    )
    alpha: float = setting(0.1, "probability that the guarantee fails", low=0.001, high=0.5)
    random_labels: bool = setting(
        False,
        "the labels are a random draw from all samples: then the precision is a guarantee, otherwise an estimate",
        basic=True,
    )
    members: str = setting(
        "graph and resnet",
        "models of the ensemble: label spreading over the graph of nearest samples (quick), a ResNet on the images, "
        "or both, weighted by their accuracy",
        choices=("graph and resnet", "graph", "resnet"),
        basic=True,
    )
    text_encoder: str | None = setting(
        None,
        "SigLIP or CLIP model of the Hugging Face hub, or its folder: a member that knows the classes by their names",
        choices=("google/siglip2-base-patch16-224", "openai/clip-vit-large-patch14"),
        open_choices=True,
        kind=str,
        empty="off",
    )
    prompts: str = setting(
        "a photo of a {class}", "texts that text_encoder compares images with, separated by a semicolon"
    )
    self_training_rounds: int = setting(
        0, "maximum rounds in which the ResNet is retrained with confident labels, while it gains", low=0, high=20
    )
    calibration_fraction: float | None = setting(
        None,
        "fraction of the labels held out for calibration; at 0 nothing is guaranteed",
        low=0.0,
        high=0.9,
        kind=float,
        empty="as many as the target needs",
    )
    class_prior: str = setting(
        "labels",
        "class frequencies of the unlabelled samples: those of the labels, or estimated from the predictions (pool), "
        "which helps where correct labels were picked class by class; ignored for a random draw",
        choices=("labels", "pool"),
    )
    per_class: bool = setting(
        False, "a threshold for each predicted class: each class keeps the target by itself, or accepts nothing"
    )
    review_out_of_distribution: bool = setting(True, "sends images unlike every labelled class to review")
    seed: int = _seed()


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
        "suggestions to act on: accepted (or flagged) ones, those in review (or not flagged), or all",
        choices=("accepted", "review", "all"),
        basic=True,
    )
    seen: bool = setting(False, "a person looked at each of these samples", basic=True)
    new_class: bool = setting(False, "allows a label of a class that the field does not have")
    force: bool = setting(
        False, "allows a change of more than half of a class's labels, and accepting unseen what is up for review"
    )


@dataclass(frozen=True)
class SuggestionSettings(Settings):
    status: str = setting(
        "auto",
        "suggestions to list: in review, accepted, flagged, or all; auto: in review, and of find_mistakes flagged",
        choices=("auto", "review", "accepted", "flagged", "all"),
    )
    first: int | None = setting(
        None, "only so many, the most urgent", unit="suggestions", low=1, high=10_000_000, kind=int, empty="all"
    )


@dataclass(frozen=True)
class AuditSettings(Settings):
    size: int = setting(60, "accepted samples to check", unit="samples", low=1, high=100_000, basic=True)
    alpha: float = setting(0.1, "probability that the true precision lies below the bound", low=0.001, high=0.5)
    seed: int = _seed("fixes the draw")


@dataclass(frozen=True)
class TraditionalSettings(Settings):
    svm_c: float | None = setting(
        None, "C of the linear SVM", low=1e-6, high=1e6, kind=float, empty="auto: by cross-validation"
    )
    knn_neighbours: int | None = setting(
        None, "neighbours of k-NN", low=1, high=1000, kind=int, empty="auto: by cross-validation"
    )
    seed: int = _seed("fixes the folds of the cross-validation")


@dataclass(frozen=True)
class AttackSettings(Settings):
    attack_epsilons: str = setting("2, 8", "maximum changes of a pixel to test, separated by commas", unit="1/255")
    attack_steps: int = setting(10, "steps of PGD", low=1, high=1000)
    max_attacked_images: int = setting(
        200, "maximum held-out images to attack, drawn at random", unit="images", low=1, high=10_000_000
    )
    seed: int = _seed("fixes the draw")


@dataclass(frozen=True)
class CompareSettings(Settings):
    test_fraction: float = setting(
        0.3, "fraction of the labels for the score, where no test part is given", low=0.02, high=0.9, basic=True
    )
    seeds: int = setting(
        3, "repetitions, each with its own held-out part and initial weights", low=1, high=100, basic=True
    )
    robustness: bool = setting(False, "adds accuracy under adversarial attacks (FGSM and PGD)", basic=True)
    seed: int = _seed("seed of the first repetition; the others count on from it")


@dataclass(frozen=True)
class MistakeSettings(Settings):
    folds: int = setting(
        5, "folds of the labels, each scored by a model trained on the others", low=2, high=20, basic=True
    )
    method: str = setting(
        "auto",
        "score of a label: the one that finds most planted errors (auto, with embeddings), Evenset's by the likeliest "
        "noise models (noise_mixture) or by anchor points (evenset), or one of cleanlab's",
        choices=(
            "auto",
            "noise_mixture",
            "evenset",
            "self_confidence",
            "normalized_margin",
            "confidence_weighted_entropy",
        ),
    )
    seed: int = _seed()


@dataclass(frozen=True)
class GeometrySettings(Settings):
    geometry: bool = setting(
        True, "also flags boxes that are doubled, outside the image, or of an unusual shape or place for their class"
    )
    duplicate_iou: float = setting(
        0.9, "overlap, intersection over union, from which two boxes of an image are the same", low=0.5, high=1.0
    )
    min_match_iou: float = setting(
        0.2, "overlap from which a prediction and a label may be of one object", low=0.01, high=0.5
    )
    moved_below_iou: float = setting(
        0.8, "overlap with its prediction below which a box may be badly placed", low=0.1, high=1.0
    )


@dataclass(frozen=True)
class CheckSettings(Settings):
    tags: bool = setting(False, "also tags the samples with each problem", basic=True)
    min_similarity: float = setting(
        0.97,
        "match of two thumbnails from which images are near duplicates; more where all are alike",
        low=0.5,
        high=1.0,
    )
    dark_below: float = setting(0.2, "mean brightness of a very dark image", low=0.0, high=1.0)
    bright_above: float = setting(0.8, "mean brightness of a very bright image", low=0.0, high=1.0)
    contrast_below: float = setting(0.1, "standard deviation of brightness with low contrast", low=0.0, high=0.5)
    sharpness_below: float = setting(
        0.03, "variance of the Laplacian of a blurred image, over that of its brightness", low=0.0, high=20.0
    )
    short_side_below_px: int = setting(32, "shorter side of a tiny image", unit="px", low=1, high=10_000)
    aspect_ratio_above: float = setting(3.0, "longer side over the shorter of an odd shape", low=1.0, high=1000.0)
    fence_iqr: float = setting(
        1.5, "an image also has to be unusual here: by so many interquartile ranges (Tukey)", low=0.0, high=100.0
    )
    max_megabytes: float = _max_megabytes()
    max_megapixels: float = _max_megapixels()
    threads: int | None = _threads()


@dataclass(frozen=True)
class GeneratorSettings(Settings):
    minutes: float | None = setting(
        5.0,
        "maximum training time; without a limit the same seed gives the same generator",
        unit="minutes",
        low=0.001,
        high=10_000,
        basic=True,
        kind=float,
        empty="no limit",
    )
    max_updates: int | None = setting(
        None, "maximum updates of the weights", low=1, high=100_000_000, kind=int, empty="as many as the time allows"
    )
    width: int | None = setting(
        None,
        "channels of the first level, a multiple of 8",
        low=8,
        high=1024,
        kind=int,
        empty="auto: by time, size and device",
    )
    layers: int | None = setting(
        None, "residual blocks of each level", low=1, high=8, kind=int, empty="auto: by time, size and device"
    )
    patch_px: int | None = setting(
        None,
        "side of the squares of pixels folded into channels",
        unit="px",
        low=1,
        high=8,
        kind=int,
        empty="auto: by size",
    )
    batch_size: int | None = setting(
        None,
        "images an update; split where memory is too small",
        unit="images",
        low=1,
        high=100_000,
        kind=int,
        empty="auto: 32 on a processor, 128 on a GPU",
    )
    learning_rate: float | None = setting(
        None,
        "peak learning rate of a cosine schedule with warm-up",
        low=1e-7,
        high=1.0,
        kind=float,
        empty="auto: by width",
    )
    warmup_updates: int = setting(100, "updates of the warm-up", low=0, high=10_000_000)
    class_dropout_prob: float = setting(
        0.1, "probability that a label is dropped in training, for classifier-free guidance", low=0.0, high=0.9
    )
    class_balance_power: float = _class_balance_power()
    ema_decay: float = setting(0.999, "decay of the averaged weights, which generate", low=0.0, high=0.99999)
    flips: str = _flips()
    preview_every: int = setting(300, "updates between two previews", low=1, high=100_000_000)
    device: str = _device()
    precision: str = _precision()
    seed: int = _seed("fixes initial weights, order, noise and splits")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_updates is None and self.minutes is None:
            raise InvalidInput("training without a limit never ends: set minutes or max_updates")


@dataclass(frozen=True)
class TuningSettings(Settings):
    base: str = setting(
        "scratch",
        "model to start from: none (scratch), an earlier run of train_generator, or a text-to-image model to be tuned "
        "(an id of the Hugging Face hub, or the folder of a diffusers pipeline), whose licence is yours to check",
        choices=("scratch",),
        open_choices=True,
        basic=True,
    )
    base_revision: str | None = setting(
        None, "branch, tag or commit of a base on the hub", kind=str, empty="its main branch"
    )
    prompt: str = setting(
        "a photo of a {class}", "text by which a pretrained base learns and draws a class, or its description"
    )
    descriptions: str | None = setting(
        None,
        "texts in place of class names in the prompt, as 'NAME: TEXT; NAME: TEXT'",
        kind=str,
        empty="the class names",
    )
    base_size_px: int | None = setting(
        None,
        "side of a square of the area at which a pretrained base learns and draws",
        unit="px",
        low=8,
        high=4096,
        kind=int,
        empty="the base's own side, at most that of the images",
    )
    lora_rank: int = setting(16, "rank of the adapter of a pretrained base", low=1, high=256)
    tune_text_encoder: bool = setting(False, "tunes the text encoder of a pretrained base too")
    min_snr_gamma: float | None = setting(
        5.0,
        "limit of the signal-to-noise ratio that weights the loss of a pretrained base with DDPM noise",
        low=0.1,
        high=100.0,
        kind=float,
        empty="equal weights",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "{class}" not in self.prompt:
            raise InvalidInput(f"prompt has to contain {{class}}, where the class's name is put, not {self.prompt!r}")

    @property
    def is_scratch(self) -> bool:
        return self.base == "scratch"


@dataclass(frozen=True)
class DrawingSettings(Settings):
    start: str = setting(
        "auto",
        "where a tuned pretrained model starts: from noise, or from training images of the class; auto takes images "
        "where the model can",
        choices=("auto", "noise", "images"),
        basic=True,
    )
    min_strength: float = setting(
        0.5, "minimum noise on a training image to start from; 1 is all noise", low=0.05, high=1.0
    )
    max_strength: float = setting(0.8, "maximum noise on a training image to start from", low=0.05, high=1.0)
    min_guidance: float = setting(
        2.0, "minimum classifier-free guidance scale of a pretrained model", low=1.0, high=20.0
    )
    max_guidance: float = setting(
        4.0, "maximum classifier-free guidance scale of a pretrained model", low=1.0, high=20.0
    )
    pretrained_steps: int = setting(30, "steps of a pretrained model's solver from noise to image", low=1, high=1000)
    across_classes: bool = setting(
        False, "starts from training images of other classes too, and draws them as the wanted class"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("strength", "guidance"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low > high:
                raise InvalidInput(f"min_{name} has to be at most max_{name}, which is {high:g}, not {low:g}")


@dataclass(frozen=True)
class SamplingSettings(Settings):
    sampling_steps: int = setting(9, "steps of the solver from noise to image", low=1, high=1000)
    guidance: float = setting(2.0, "classifier-free guidance scale; 1 is off", low=1.0, high=20.0)
    guidance_from: float = setting(0.2, "start of guidance, as a fraction of the way from noise", low=0.0, high=1.0)
    guidance_to: float = setting(0.6, "end of guidance, as a fraction of the way from noise", low=0.0, high=1.0)
    sampling_batch_size: int = setting(
        256, "images drawn at once; halved where memory is too small", unit="images", low=1, high=100_000
    )
    sampling_seed: int = _seed("image i of a seed is the same in any batch")
    precision: str = _precision()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.guidance_from > self.guidance_to:
            begin, end = self.guidance_from, self.guidance_to
            raise InvalidInput(f"guidance_from has to be at most guidance_to, which is {end:g}, not {begin:g}")


@dataclass(frozen=True)
class TrainGeneratorSettings(Settings):
    held_out_fraction: float = setting(
        0.25, "fraction of the images that the generator never sees, for the verdict", low=0.0, high=0.9
    )
    seed: int = _seed("fixes initial weights, order, noise and splits")


@dataclass(frozen=True)
class BalanceSettings(Settings):
    max_ratio: float | None = setting(
        3.0,
        "maximum synthetic images for each real one of the class",
        low=0.001,
        high=10_000,
        basic=True,
        kind=float,
        empty="no cap",
    )
    source: str = setting(
        "generate",
        "source of new images: drawn by a generator, or augmented real ones of the class; for boxes, objects cut out "
        "and pasted into other images",
        choices=("generate", "augment", "paste"),
        basic=True,
    )
    measure_benefit: bool | None = setting(
        None,
        "trains small networks with and without the new images, and reports each class's gain",
        basic=True,
        kind=bool,
        empty="auto: for a generator, or to add only what gains, where 50 images of a class can be held out",
    )
    filter_augmented: bool = setting(
        False, "filters augmented images too, by a small CNN and a GCN that are trained first", basic=True
    )
    generate_from_few: bool = setting(
        False, "draws also for classes of fewer than 10 real images, which a generator copies or confuses"
    )
    add: str = setting(
        "unless it loses",
        "when images are added: unless balanced accuracy falls with them, only if a gain is shown, or always",
        choices=("unless it loses", "if it gains", "always"),
        basic=True,
    )
    judge: str | None = setting(
        None,
        "model that measures the gain: small CNNs trained from random weights, a regression on the vectors of a "
        "pretrained encoder, both, where the encoder decides, or ResNet-18s tuned from ImageNet's weights",
        choices=("small cnn", "encoder", "both", "resnet"),
        kind=str,
        empty="auto: the small CNN, and for photos over 64 px both, if an encoder's weights are on this machine",
    )
    max_draws_per_image: float = setting(5.0, "maximum images drawn for each one needed", low=1.0, high=1000.0)
    keep_rejected: bool = setting(False, "keeps images that the filters reject, as samples without a label")
    verdict_seeds: int = setting(3, "repetitions of the measurement", low=2, high=100)
    verdict_updates: int = setting(
        800, "updates of each small network; too few flatter synthetic images", low=1, high=1_000_000
    )
    seed: int = _seed("fixes initial weights, order, noise and splits")

    def __post_init__(self) -> None:
        if isinstance(self.source, str) and self.source == "mix":
            raise InvalidInput(
                "source='mix' has no images to add: MixUp and CutMix blend images while a network trains; give "
                "train_resnet mix='both', whose gain the verdict's row 'mix' tells"
            )
        super().__post_init__()


@dataclass(frozen=True)
class AugmentSettings(Settings):
    flips: str = _flips()
    rotation_degrees: float = setting(10.0, "maximum rotation to either side", unit="degrees", low=0.0, high=180.0)
    shear_degrees: float = setting(5.0, "maximum shear to either side", unit="degrees", low=0.0, high=45.0)
    shift: float = setting(0.05, "maximum shift, as a fraction of the side", low=0.0, high=0.5)
    min_crop: float = setting(
        0.8, "minimum area of the crop that is resized to the image's size; 1 is off", low=0.05, high=1.0
    )
    brightness: float = setting(0.2, "maximum change of brightness, as a fraction", low=0.0, high=1.0)
    contrast: float = setting(0.2, "maximum change of contrast, as a fraction", low=0.0, high=1.0)
    saturation: float = setting(0.2, "maximum change of saturation, as a fraction", low=0.0, high=1.0)
    hue: float = setting(0.0, "maximum change of hue, as a fraction of the colour circle", low=0.0, high=0.5)
    blur: float = setting(
        0.5, "maximum sigma of a Gaussian blur, of every second image; 0 is off", unit="px", low=0.0, high=5.0
    )


@dataclass(frozen=True)
class PasteSettings(Settings):
    objects_per_image: int = setting(
        4, "maximum objects pasted into one copy of an image", unit="objects", low=1, high=100, basic=True
    )
    min_paste_px: int = setting(
        12, "boxes with a shorter side are not cut out", unit="px", low=2, high=10_000, basic=True
    )
    feather: float = setting(
        0.08, "width of the soft edge of an object, as a fraction of its box's shorter side", low=0.0, high=0.5
    )
    max_resize: float = setting(
        1.5, "maximum factor by which an object is enlarged or reduced; 1 keeps its size in pixels", low=1.0, high=10.0
    )
    match_colours: bool = setting(True, "shifts an object's colours by the difference of its old and new surroundings")


@dataclass(frozen=True)
class FilterSettings(Settings):
    prototype_reject_quantile: float = setting(
        0.05,
        "rejects images farther from their class's mean than this quantile of real images; 0 is off",
        low=0.0,
        high=0.9,
        basic=True,
    )
    probability_reject_quantile: float = setting(
        0.05,
        "rejects images that the classifier finds less probable than this quantile of real images; 0 is off",
        low=0.0,
        high=0.9,
    )
    gcn_reject_quantile: float = setting(
        0.05,
        "rejects images that the GCN finds less probable than this quantile of real images; 0 is off",
        low=0.0,
        high=0.9,
    )
    filter_text_encoder: str | None = setting(
        None,
        "SigLIP or CLIP model of the Hugging Face hub, or its folder: compares images with the prompt of their class",
        choices=("google/siglip2-base-patch16-224", "openai/clip-vit-large-patch14"),
        open_choices=True,
        kind=str,
        empty="off",
    )
    text_reject_quantile: float = setting(
        0.1,
        "rejects images less similar to their class's prompt than this quantile of real images; 0 is off",
        low=0.0,
        high=0.9,
    )
    min_probability_threshold: float = setting(
        0.1, "images with a class probability below it are always rejected", low=0.0, high=1.0
    )
    max_probability_threshold: float = setting(
        0.5, "images with a class probability above it are never rejected for it", low=0.0, high=1.0
    )
    copy_reject_quantile: float = setting(
        0.01,
        "rejects images closer to a training image than this quantile of real images; 0 is off",
        low=0.0,
        high=0.5,
        basic=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_probability_threshold > self.max_probability_threshold:
            low, high = self.min_probability_threshold, self.max_probability_threshold
            raise InvalidInput(
                f"min_probability_threshold has to be at most max_probability_threshold, {high:g}, not {low:g}"
            )


@dataclass(frozen=True)
class SmallCNNSettings(Settings):
    updates: int = setting(
        1200, "updates of the weights, the same for everything compared", low=1, high=1_000_000, basic=True
    )
    batch_size: int = setting(128, "images an update", unit="images", low=2, high=100_000)
    width: int = setting(16, "channels of the first layer; the last has eight times as many", low=4, high=512)
    learning_rate: float = setting(0.015, "peak learning rate of a cosine schedule with warm-up", low=1e-7, high=10)
    weight_decay: float = _weight_decay(0.05)
    ema_decay: float = setting(0.99, "decay of the averaged weights", low=0.0, high=0.99999)
    class_balance_power: float = _class_balance_power()
    logit_adjustment: float = _logit_adjustment(0.0)
    logit_prior: str = setting(
        "real",
        "class frequencies for logit adjustment: of the real images, shifted as synthetic ones shift the batches, or "
        "of the batches",
        choices=("real", "drawn"),
    )
    augmentation: str = setting("light", "random changes of training images", choices=("none", "light", "strong"))
    flips: str = _flips()
    mix: str = _mix()
    mix_alpha: float | None = _mix_alpha()
    synthetic_fraction: float = setting(
        0.15, "fraction of each batch that is synthetic, where there is any", low=0.0, high=1.0
    )
    synthetic_sampling: str = setting(
        "need",
        "classes of the synthetic part: balanced, or complementing the real part (need)",
        choices=("balanced", "need"),
    )
    synthetic_until: float = setting(
        1.0, "fraction of the training after which only real images are drawn", low=0.0, high=1.0
    )
    device: str = _device()
    precision: str = setting(
        "auto",
        "arithmetic; auto takes bf16 where the processor multiplies it",
        choices=("auto", "fp32", "bf16"),
        label="numeric precision",
    )
    seed: int = _seed("fixes initial weights, order and augmentation")


@dataclass(frozen=True)
class SplitSettings(Settings):
    train: float = setting(0.8, "fraction of the samples for training", low=0.01, high=1.0, basic=True)
    val: float = setting(0.1, "fraction for validation; 0 is none", low=0.0, high=0.98, basic=True)
    test: float = setting(0.1, "fraction for the test; 0 is none", low=0.0, high=0.98, basic=True)
    keep: bool = setting(
        False, "extends a split: samples with one of its tags stay, the others are added to them", basic=True
    )
    unlabelled: str = setting(
        "leave", "samples without a label get no tag, or are split at random", choices=("leave", "split"), basic=True
    )
    near_duplicates: bool = setting(
        True, "keeps images that look the same, mirrored too, on one side; reads every image unless there are vectors"
    )
    min_similarity: float = setting(
        0.98, "cosine similarity from which two samples are near-duplicates by their vectors", low=0.5, high=1.0
    )
    train_tag: str = setting("train", "tag of the samples for training")
    val_tag: str = setting("val", "tag of the samples for validation")
    test_tag: str = setting("test", "tag of the samples for the test")
    seed: int = _seed("fixes the split")

    def __post_init__(self) -> None:
        super().__post_init__()
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise InvalidInput(f"train, val and test have to sum to 1, not {total:.6g}: change one of them")
        if self.val == self.test == 0:
            raise InvalidInput(
                "train is 1, and val and test are 0: give one of the two a fraction, to hold samples out"
            )
        tags = (self.train_tag, self.val_tag, self.test_tag)
        if len({tag.casefold() for tag in tags}) < len(tags):
            raise InvalidInput(f"train_tag, val_tag and test_tag have to differ, not be {', '.join(map(repr, tags))}")


@dataclass(frozen=True)
class ExportSettings(Settings):
    format: str = setting(
        "auto",
        "files of labels; auto: a folder of images a class, coco for boxes, or json for tags; coco, yolo and voc are "
        "for boxes, folders for one label a sample, and fiftyone has all fields",
        choices=("auto", "folders", "fiftyone", "csv", "json", "coco", "yolo", "voc"),
        basic=True,
    )
    decode_images: bool = setting(True, "decodes each image first, and leaves out those that cannot be read")
    escape_formulas: bool = setting(
        True, "writes ' before cells of labels.csv that a spreadsheet would execute (those that begin with = + - @)"
    )


BALANCE_SETTINGS: tuple[type[Settings], ...] = (  # of balance_classes
    BalanceSettings,
    ImageSettings,
    GeneratorSettings,
    TuningSettings,
    SamplingSettings,
    DrawingSettings,
    AugmentSettings,
    PasteSettings,
    FilterSettings,
    TrainGeneratorSettings,
    WorkerSettings,
)


def check(item: dataclasses.Field[Any], value: Any) -> Any:
    """Returns `value` in the type of the field `item`; a value out of range raises ValueError with the reason."""
    notes, value = item.metadata, plain(value)
    kind: Any = notes["kind"]
    if value is None and notes["empty"]:
        return None
    fits = type(value) is kind or (kind is float and type(value) is int)
    fits = fits or (kind is int and isinstance(value, float) and value.is_integer())
    none = f" or None ({notes['empty']})" if notes["empty"] else ""
    if not fits or value != value:
        raise InvalidInput(f"{item.name} has to be {WORDS[kind]}{none}, not {shown(value)}")
    low, high, choices = notes["low"], notes["high"], notes["choices"]
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low:.12g}" if high is None else f"from {low:.12g} to {high:.12g}"
        unit = f" {notes['unit']}" if notes["unit"] else ""
        raise InvalidInput(f"{item.name} has to be {bounds}{unit}{none}, not {shown(value)}")
    if kind is str:
        check_text(item.name, value)
        if not value.strip():
            raise InvalidInput(f"{item.name} has to be a text{none}, not {shown(value)}")
    if choices and value not in choices and not notes["open_choices"]:
        raise InvalidInput(f"{item.name} has to be one of {', '.join(choices)}, not {shown(value)}")
    return kind(value)


def check_text(name: str, value: str, longest: int = MAX_TEXT) -> None:
    """Raises ValueError for a text that cannot be stored, or is too long for a name or a path."""
    if len(value) > longest:
        raise InvalidInput(f"{name} has to be a text of at most {longest:,} characters, not {len(value):,}")
    if UNSTORABLE.search(value):
        raise InvalidInput(f"{name} has to be a text without NUL or half a surrogate pair, not {shown(value)}")


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
def split(values: dict[str, Any], first: type[A], /) -> tuple[A]: ...
@overload
def split(values: dict[str, Any], first: type[A], second: type[B], /) -> tuple[A, B]: ...
@overload
def split(values: dict[str, Any], first: type[A], second: type[B], third: type[C], /) -> tuple[A, B, C]: ...
@overload
def split(values: dict[str, Any], /, *kinds: type[Any]) -> tuple[Any, ...]: ...
def split(values: dict[str, Any], *kinds: type[Any]) -> tuple[Any, ...]:
    """Deals keyword arguments out to settings classes; a name that two classes have goes to both.

    Raises:
        TypeError: a name that none of the classes has, with the nearest one that is
    """
    names = {item.name for kind in kinds for item in fields(kind)}
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(names))}"
            raise InvalidType(f"no setting is called {name!r}: {hint}")
    return tuple(
        kind(**{item.name: values[item.name] for item in fields(kind) if item.name in values}) for kind in kinds
    )
