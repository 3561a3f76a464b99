"""Made by scripts/stubs.py from the functions and their settings: do not edit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .models.errors import DatabaseUnavailable as DatabaseUnavailable
from .models.errors import EvensetError as EvensetError
from .models.errors import ImageError as ImageError
from .models.errors import InvalidInput as InvalidInput
from .models.errors import RunError as RunError
from .workflows.audit_labels import AuditResults as AuditResults
from .workflows.balancing.comparison import GenerationResults as GenerationResults
from .workflows.balancing.plan import Target
from .workflows.balancing.results import BalanceResults as BalanceResults
from .workflows.balancing.results import DryRun as DryRun
from .workflows.checking.results import CheckResults as CheckResults
from .workflows.comparison import rules as user_rules
from .workflows.comparison.results import CompareResults as CompareResults
from .workflows.comparison.table_rows import OwnSettings
from .workflows.delete_embeddings import DeletedEmbeddings as DeletedEmbeddings
from .workflows.display.results import RunResults as RunResults
from .workflows.exporting.results import ExportResults as ExportResults
from .workflows.gcn.results import GCNResults as GCNResults
from .workflows.labeling.results import AutoLabelResults as AutoLabelResults
from .workflows.labeling.retarget import TargetResults as TargetResults
from .workflows.list_embeddings import EmbeddingList as EmbeddingList
from .workflows.list_runs import RunList as RunList
from .workflows.mistakes.results import MistakeResults as MistakeResults
from .workflows.preprocess_images import PreprocessResults as PreprocessResults
from .workflows.reviewing.results import ReviewResults as ReviewResults
from .workflows.runs.arguments import Classes
from .workflows.runs.arguments import Decisions
from .workflows.runs.arguments import Embeddings
from .workflows.runs.arguments import Part
from .workflows.runs.arguments import Progress
from .workflows.runs.arguments import Samples
from .workflows.runs.arguments import Splits
from .workflows.runs.run import RunStopped as RunStopped
from .workflows.runs.undo import DeletedRun as DeletedRun
from .workflows.splitting.results import SplitResults as SplitResults
from .workflows.train_generator import GeneratorResults as GeneratorResults
from .workflows.train_resnet import TrainResults as TrainResults

__version__: str

def check_dataset(
    samples: Samples,
    *,
    label_field: str | None = None,
    splits: Splits = None,
    output_field: str = 'check',
    embeddings: Embeddings = 'auto',
    progress: Progress = None,
    resume: str | None = None,
    tags: bool = False,
    min_similarity: float = 0.97,
    dark_below: float = 0.2,
    bright_above: float = 0.8,
    contrast_below: float = 0.1,
    sharpness_below: float = 0.03,
    short_side_below_px: int = 32,
    aspect_ratio_above: float = 3.0,
    fence_iqr: float = 1.5,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
) -> CheckResults:
    """Finds damaged files, duplicates, leaks between splits, and images that stand out; undo with `delete_run`."""

def preprocess_images(
    samples: Samples,
    *,
    output_field: str = 'preprocessed_path',
    progress: Progress = None,
    resume: str | None = None,
    format: str = 'png',
    jpeg_quality: int = 92,
    show_in_grid: bool = True,
    size_px: int | None = None,
    fit: str = 'pad',
    grayscale: bool = False,
    denoise: str = 'none',
    denoise_strength: float = 1.0,
    autocontrast: bool = False,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
) -> PreprocessResults:
    """Writes a preprocessed copy of every image, and a field of their paths; undo with `delete_run`."""

def train_resnet(
    samples: Samples,
    label_field: str,
    *,
    output_field: str = 'resnet',
    embeddings_field: str | None = None,
    validation: Part = None,
    test: Part = None,
    group_field: str | None = None,
    include_synthetic: bool = False,
    classes: Classes = None,
    progress: Progress = None,
    resume: str | None = None,
    architecture: str = 'resnet18',
    weights: str = 'auto',
    epochs: int = 40,
    min_updates: int = 250,
    patience: int = 25,
    batch_size: int = 32,
    optimizer: str = 'adam',
    learning_rate: float = 0.001,
    weight_decay: float = 0.0005,
    augmentation: str = 'light',
    flips: str = 'none',
    ce_weight: float = 1.0,
    logit_adjustment: float = 1.0,
    gce_weight: float = 0.5,
    gce_q: float = 0.7,
    adversarial: bool = False,
    adversarial_epsilon: float = 4.0,
    adversarial_steps: int = 1,
    validation_fraction: float = 0.15,
    device: str = 'auto',
    precision: str = 'auto',
    seed: int = 0,
    size_px: int | None = None,
    fit: str = 'pad',
    grayscale: bool = False,
    denoise: str = 'none',
    denoise_strength: float = 1.0,
    autocontrast: bool = False,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
) -> TrainResults:
    """Trains a ResNet on the labelled samples, and writes a prediction for every sample; undo with `delete_run`."""

def train_gcn(
    samples: Samples,
    label_field: str,
    *,
    graph: str = 'samples',
    embeddings: Embeddings = None,
    output_field: str = 'gcn',
    heatmap_field: str | None = None,
    validation: Part = None,
    test: Part = None,
    group_field: str | None = None,
    include_synthetic: bool = False,
    classes: Classes = None,
    progress: Progress = None,
    resume: str | None = None,
    size_px: int | None = None,
    fit: str = 'pad',
    grayscale: bool = False,
    denoise: str = 'none',
    denoise_strength: float = 1.0,
    autocontrast: bool = False,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
    neighbours: int = 10,
    metric: str = 'cosine',
    pca_dim: int | None = 128,
    seed: int = 0,
    projection_dim: int | None = 512,
    hidden_channels: int = 256,
    dropout: float = 0.5,
    epochs: int = ...,
    max_batch_nodes: int = 50000,
    learning_rate: float = ...,
    weight_decay: float = 0.0005,
    ce_weight: float = 1.0,
    logit_adjustment: float = 1.0,
    gce_weight: float = 0.5,
    gce_q: float = 0.7,
    validation_fraction: float = 0.15,
    nodes: str = 'patches',
    aggregation: str = 'mean',
    train_backbone: bool = True,
    grid: int = 4,
    superpixels: int = 60,
    compactness: float = 10.0,
    num_layers: int = 2,
    node_channels: int = 128,
    node_dropout: float = 0.2,
    graph_epochs: int = 40,
    graph_learning_rate: float = 0.005,
    image_ce_weight: float = 1.0,
    node_gce_weight: float = 0.5,
    node_gce_q: float = 0.7,
    batch_size: int = 32,
    device: str = 'auto',
    architecture: str = 'resnet18',
    weights: str = 'auto',
    min_updates: int = 250,
    patience: int = 25,
    optimizer: str = 'adam',
    augmentation: str = 'light',
    flips: str = 'none',
    adversarial: bool = False,
    adversarial_epsilon: float = 4.0,
    adversarial_steps: int = 1,
    precision: str = 'auto',
) -> GCNResults:
    """Trains a GCN on the labelled samples, and writes a prediction for every sample; undo with `delete_run`."""

def auto_label(
    samples: Samples,
    label_field: str | None = None,
    *,
    output_field: str = 'auto_label',
    embeddings: Embeddings = 'auto',
    run: str | None = None,
    after: str | None = None,
    classes: Classes = None,
    validation: Part = None,
    group_field: str | None = None,
    include_synthetic: bool = False,
    progress: Progress = None,
    resume: str | None = None,
    target_precision: float = 0.95,
    alpha: float = 0.1,
    random_labels: bool = False,
    members: str = 'graph and resnet',
    text_encoder: str | None = None,
    prompts: str = 'a photo of a {class}',
    self_training_rounds: int = 0,
    calibration_fraction: float | None = None,
    class_prior: str = 'labels',
    per_class: bool = False,
    review_out_of_distribution: bool = True,
    seed: int = 0,
    neighbours: int = 10,
    metric: str = 'cosine',
    pca_dim: int | None = 128,
    architecture: str = 'resnet18',
    weights: str = 'auto',
    epochs: int = 40,
    min_updates: int = 250,
    patience: int = 25,
    batch_size: int = 32,
    optimizer: str = 'adam',
    learning_rate: float = 0.001,
    weight_decay: float = 0.0005,
    augmentation: str = 'light',
    flips: str = 'none',
    ce_weight: float = 1.0,
    logit_adjustment: float = 1.0,
    gce_weight: float = 0.5,
    gce_q: float = 0.7,
    adversarial: bool = False,
    adversarial_epsilon: float = 4.0,
    adversarial_steps: int = 1,
    validation_fraction: float = 0.15,
    device: str = 'auto',
    precision: str = 'auto',
    size_px: int | None = None,
    fit: str = 'pad',
    grayscale: bool = False,
    denoise: str = 'none',
    denoise_strength: float = 1.0,
    autocontrast: bool = False,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
) -> AutoLabelResults:
    """Labels every sample from the few that have a label; undo with `delete_run`."""

def review_labels(
    samples: Samples,
    field: str,
    *,
    labels: Decisions = None,
    label_field: str | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    progress: Progress = None,
    resume: str | None = None,
    into: str | None = None,
    action: str = 'accept',
    status: str = 'accepted',
    seen: bool = False,
    new_class: bool = False,
    force: bool = False,
) -> ReviewResults:
    """Accepts, corrects or rejects the suggestions of `samples`; undo with `delete_run`."""

def audit_labels(
    samples: Samples,
    field: str,
    *,
    label_field: str | None = None,
    progress: Progress = None,
    size: int = 60,
    alpha: float = 0.1,
    seed: int = 0,
) -> AuditResults:
    """Draws accepted samples to check, or bounds the precision by the checked draw."""

def find_mistakes(
    samples: Samples,
    label_field: str,
    *,
    output_field: str = 'mistake',
    embeddings: Embeddings = 'auto',
    group_field: str | None = None,
    progress: Progress = None,
    resume: str | None = None,
    folds: int = 5,
    method: str = 'auto',
    seed: int = 0,
    neighbours: int = 10,
    metric: str = 'cosine',
    pca_dim: int | None = 128,
    architecture: str = 'resnet18',
    weights: str = 'auto',
    epochs: int = 40,
    min_updates: int = 250,
    patience: int = 25,
    batch_size: int = 32,
    optimizer: str = 'adam',
    learning_rate: float = 0.001,
    weight_decay: float = 0.0005,
    augmentation: str = 'light',
    flips: str = 'none',
    ce_weight: float = 1.0,
    logit_adjustment: float = 1.0,
    gce_weight: float = 0.5,
    gce_q: float = 0.7,
    adversarial: bool = False,
    adversarial_epsilon: float = 4.0,
    adversarial_steps: int = 1,
    validation_fraction: float = 0.15,
    device: str = 'auto',
    precision: str = 'auto',
    size_px: int | None = None,
    fit: str = 'pad',
    grayscale: bool = False,
    denoise: str = 'none',
    denoise_strength: float = 1.0,
    autocontrast: bool = False,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
) -> MistakeResults:
    """Judges every label by models that have not seen it; undo with `delete_run`."""

def train_generator(
    samples: Samples,
    label_field: str,
    *,
    group_field: str | None = None,
    classes: Classes = None,
    progress: Progress = None,
    resume: str | None = None,
    minutes: float | None = 5.0,
    max_updates: int | None = None,
    width: int | None = None,
    layers: int | None = None,
    patch_px: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    warmup_updates: int = 100,
    class_dropout_prob: float = 0.1,
    class_balance_power: float = 0.5,
    ema_decay: float = 0.999,
    flips: str = 'none',
    preview_every: int = 300,
    device: str = 'auto',
    precision: str = 'auto',
    seed: int = 0,
    held_out_fraction: float = 0.25,
    size_px: int | None = None,
    fit: str = 'pad',
    grayscale: bool = False,
    denoise: str = 'none',
    denoise_strength: float = 1.0,
    autocontrast: bool = False,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
) -> GeneratorResults:
    """Trains a generator on the labelled images, for `balance_classes`; undo with `delete_run`."""

def balance_classes(
    samples: Samples,
    label_field: str,
    *,
    generator: str | Path | None = None,
    target: Target = 'majority',
    dry_run: bool = False,
    group_field: str | None = None,
    classes: Classes = None,
    progress: Progress = None,
    resume: str | None = None,
    max_ratio: float | None = 3.0,
    source: str = 'generate',
    measure_benefit: bool = True,
    add: str = 'unless it loses',
    max_draws_per_image: float = 5.0,
    keep_rejected: bool = False,
    verdict_seeds: int = 3,
    verdict_updates: int = 800,
    seed: int = 0,
    size_px: int | None = None,
    fit: str = 'pad',
    grayscale: bool = False,
    denoise: str = 'none',
    denoise_strength: float = 1.0,
    autocontrast: bool = False,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
    minutes: float | None = 5.0,
    max_updates: int | None = None,
    width: int | None = None,
    layers: int | None = None,
    patch_px: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    warmup_updates: int = 100,
    class_dropout_prob: float = 0.1,
    class_balance_power: float = 0.5,
    ema_decay: float = 0.999,
    flips: str = 'none',
    preview_every: int = 300,
    device: str = 'auto',
    precision: str = 'auto',
    sampling_steps: int = 9,
    guidance: float = 2.0,
    guidance_from: float = 0.2,
    guidance_to: float = 0.6,
    sampling_batch_size: int = 256,
    sampling_seed: int = 0,
    prototype_reject_quantile: float = 0.05,
    probability_reject_quantile: float = 0.05,
    gcn_reject_quantile: float = 0.05,
    min_probability_threshold: float = 0.1,
    max_probability_threshold: float = 0.5,
    copy_reject_quantile: float = 0.01,
    held_out_fraction: float = 0.25,
) -> BalanceResults | DryRun:
    """Adds synthetic samples to the classes that have too few; undo with `delete_run`."""

def compare_methods(
    samples: Samples,
    label_field: str,
    *,
    task: str = 'classification',
    methods: str | Sequence[str] | None = None,
    settings_of: OwnSettings = (),
    rules: user_rules.OptionalRules = None,
    test: Part = None,
    group_field: str | None = None,
    embeddings: Embeddings = None,
    output_field: str = 'compare',
    progress: Progress = None,
    resume: str | None = None,
    test_fraction: float = 0.3,
    seeds: int = 3,
    robustness: bool = False,
    seed: int = 0,
    attack_epsilons: str = '2, 8',
    attack_steps: int = 10,
    max_attacked_images: int = 200,
    size_px: int | None = None,
    fit: str = 'pad',
    grayscale: bool = False,
    denoise: str = 'none',
    denoise_strength: float = 1.0,
    autocontrast: bool = False,
    max_megabytes: float = 200.0,
    max_megapixels: float = 120.0,
    threads: int | None = None,
    svm_c: float | None = None,
    knn_neighbours: int | None = None,
    architecture: str = 'resnet18',
    weights: str = 'auto',
    epochs: int = ...,
    min_updates: int = 250,
    patience: int = 25,
    batch_size: int | int | None = ...,
    optimizer: str = 'adam',
    learning_rate: float | float | None = ...,
    weight_decay: float = 0.0005,
    augmentation: str = 'light',
    flips: str = 'none',
    ce_weight: float = 1.0,
    logit_adjustment: float = 1.0,
    gce_weight: float = 0.5,
    gce_q: float = 0.7,
    adversarial: bool = False,
    adversarial_epsilon: float = 4.0,
    adversarial_steps: int = 1,
    validation_fraction: float = 0.15,
    device: str = 'auto',
    precision: str = 'auto',
    nodes: str = 'patches',
    aggregation: str = 'mean',
    train_backbone: bool = True,
    grid: int = 4,
    superpixels: int = 60,
    compactness: float = 10.0,
    num_layers: int = 2,
    node_channels: int = 128,
    node_dropout: float = 0.2,
    graph_epochs: int = 40,
    graph_learning_rate: float = 0.005,
    image_ce_weight: float = 1.0,
    node_gce_weight: float = 0.5,
    node_gce_q: float = 0.7,
    neighbours: int = 10,
    metric: str = 'cosine',
    pca_dim: int | None = 128,
    projection_dim: int | None = 512,
    hidden_channels: int = 256,
    dropout: float = 0.5,
    max_batch_nodes: int = 50000,
    max_ratio: float | None = 3.0,
    source: str = 'generate',
    measure_benefit: bool = True,
    add: str = 'unless it loses',
    max_draws_per_image: float = 5.0,
    keep_rejected: bool = False,
    verdict_seeds: int = 3,
    verdict_updates: int = 800,
    minutes: float | None = 5.0,
    max_updates: int | None = None,
    width: int | None = None,
    layers: int | None = None,
    patch_px: int | None = None,
    warmup_updates: int = 100,
    class_dropout_prob: float = 0.1,
    class_balance_power: float = 0.5,
    ema_decay: float = 0.999,
    preview_every: int = 300,
    sampling_steps: int = 9,
    guidance: float = 2.0,
    guidance_from: float = 0.2,
    guidance_to: float = 0.6,
    sampling_batch_size: int = 256,
    sampling_seed: int = 0,
    prototype_reject_quantile: float = 0.05,
    probability_reject_quantile: float = 0.05,
    gcn_reject_quantile: float = 0.05,
    min_probability_threshold: float = 0.1,
    max_probability_threshold: float = 0.5,
    copy_reject_quantile: float = 0.01,
    held_out_fraction: float = 0.25,
) -> CompareResults | GenerationResults:
    """Compares methods on held-out labels; undo with `delete_run`."""

def split_dataset(
    samples: Samples,
    label_field: str,
    *,
    group_field: str | None = None,
    embeddings: Embeddings = None,
    progress: Progress = None,
    resume: str | None = None,
    train: float = 0.8,
    val: float = 0.1,
    test: float = 0.1,
    keep: bool = False,
    unlabelled: str = 'leave',
    near_duplicates: bool = True,
    min_similarity: float = 0.98,
    train_tag: str = 'train',
    val_tag: str = 'val',
    test_tag: str = 'test',
    seed: int = 0,
) -> SplitResults:
    """Tags samples as train, val or test, each class in the same fractions; undo with `delete_run`."""

def export_dataset(
    samples: Samples,
    folder: str | Path,
    label_field: str,
    *,
    labels: str | Sequence[str] = 'labelled, reviewed',
    suggestions: str | None = None,
    splits: str | Sequence[str] | None = None,
    include_synthetic: bool = False,
    progress: Progress = None,
    resume: str | None = None,
    format: str = 'folders',
    decode_images: bool = True,
    escape_formulas: bool = True,
) -> ExportResults:
    """Copies labelled images and their labels into a new folder, with labels.csv and a README.md of what was done."""

def delete_run(
    dataset: Samples,
    run_key: str,
    *,
    dry_run: bool = False,
) -> DeletedRun:
    """Undoes a run: removes its fields, samples, views, files and record, and restores labels that it changed."""

def set_target(
    dataset: Samples,
    run_key: str,
    target_precision: float,
    *,
    dry_run: bool = False,
) -> TargetResults:
    """Applies another target precision to a run of `auto_label`; the old target undoes it."""

def list_runs(
    dataset: Samples,
) -> RunList:
    """Every run of Evenset on `dataset`: key, method, state, fields, samples, start, duration."""

def resume_run(
    dataset: Samples,
    run_key: str,
    progress: Progress = None,
) -> Any:
    """Resumes a run that was stopped or killed, and returns its results."""

def stop_run(
    dataset: Samples,
    run_key: str,
) -> None:
    """Asks a run in any process to stop, within a batch; it can be resumed."""

def load_results(
    dataset: Samples,
    run_key: str,
) -> RunResults:
    """The saved results of a run, of the class that its call returned, with its log."""

def list_embeddings(
    dataset: Samples,
) -> EmbeddingList:
    """The stored vectors of `dataset` by encoder: preprocessing, images, dimensions, bytes and last use."""

def delete_embeddings(
    dataset: Samples,
    name: str | None = None,
) -> DeletedEmbeddings:
    """Deletes the stored vectors of an encoder; runs and fields stay, and a later run computes them again."""
