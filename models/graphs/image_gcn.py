"""Graph convolutional network inside each image (Kipf & Welling, 2017): scores of nodes, aggregated to the image's.

Attention over the nodes: Ilse et al., 2018.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints import load_tensors, save_tensors
from ..devices import accelerator
from ..losses import class_loss, log_prior, sample_loss
from ..processes import check_together, ending_together, own_share, share_of_mean, share_of_sum, shared
from ..settings import ImageGraphSettings
from ..training_loops import TrainingReport
from .image_nodes import Nodes

with warnings.catch_warnings():  # the import calls a deprecated function of torch
    warnings.filterwarnings("ignore", ".*torch.jit.script.*", FutureWarning)
    from torch_geometric.nn import DenseGCNConv

PREDICT_BATCH = 64
STANDARDISE_IMAGES = 2000  # that give mean and standard deviation of the features

Fetch = Callable[[np.ndarray], Nodes]  # indices of images [B] -> their nodes


class ImageGraph(nn.Module):
    """Scores every node from its neighbourhood, and the image by a weighted sum of its nodes.

    Shapes:
        input: Nodes of B images, and in training a seed of each image's dropout
        output: logits [B, K], contributions of the nodes [B, M, K], which add up to them, and node scores [B, M, K]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: int, classes: int, settings: ImageGraphSettings) -> None:
        super().__init__()
        width = settings.node_channels
        self.features, self.classes, self.settings = features, classes, settings
        self.enter = nn.Linear(features, width)
        self.convolutions = nn.ModuleList(DenseGCNConv(width, width) for _ in range(settings.num_layers))
        self.leave = nn.Linear(width, classes)
        self.attend = nn.Linear(width, 1)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def forward(self, nodes: Nodes, seeds: Sequence[int] = ()) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.enter((nodes.features - self.mean) / self.std).relu()
        for layer, convolution in enumerate(self.convolutions):
            hidden = _dropout(hidden, self.settings.node_dropout, seeds, layer)
            hidden = hidden + convolution(hidden, nodes.adjacency).relu()
        scores = self.leave(hidden)
        scores = scores - scores.mean(-1, keepdim=True)  # positive is evidence for a class, negative against it
        contributions = scores * self._weights(hidden, scores, nodes.real)
        return contributions.sum(1), contributions, scores

    def _weights(self, hidden: Tensor, scores: Tensor, real: Tensor) -> Tensor:
        """Aggregation weights of the nodes, of sum 1, 0 for padding [B, M, 1 or K]."""
        padding = ~real[:, :, None]
        if self.settings.aggregation == "mean":
            return (~padding).to(scores.dtype) / real.sum(1)[:, None, None]
        if self.settings.aggregation == "attention":
            return torch.softmax(self.attend(hidden).masked_fill(padding, -torch.inf), dim=1)
        best = scores.masked_fill(padding, -torch.inf).argmax(1)  # the first of equals [B, K]
        return F.one_hot(best, scores.shape[1]).transpose(1, 2).to(scores.dtype)


def _dropout(hidden: Tensor, probability: float, seeds: Sequence[int], layer: int) -> Tensor:
    """Dropout by the image's seed alone, whatever shares a batch with it [B, M, C]; without seeds, none."""
    if not seeds or not probability:
        return hidden
    generators = [torch.Generator().manual_seed((seed * 64 + layer) % 2**63) for seed in seeds]
    kept = [torch.rand(hidden.shape[1:], generator=generator) >= probability for generator in generators]
    return hidden * torch.stack(kept).to(hidden) / (1 - probability)


def build(features: int, classes: int, settings: ImageGraphSettings) -> ImageGraph:
    """A network of `features` inputs a node, with initial weights by the seed."""
    torch.manual_seed(settings.seed)
    return ImageGraph(features, classes, settings)


def train(
    model: ImageGraph,
    fetch: Fetch,
    labels: np.ndarray,
    training: np.ndarray,
    validation: np.ndarray,
    settings: ImageGraphSettings,
    check: Callable[[], None] = lambda: None,
) -> Generator[TrainingReport, None, None]:
    """Trains `model` in place, yielding one TrainingReport an epoch; ends with the weights of the best epoch.

    Several processes of a launch share each batch, and learn what one would.

    Args:
        fetch: returns the nodes of images
        labels: class of each image [N]
        training, validation: indices of images; without validation images, the last epoch is the best
        check: is called before each batch; what it raises ends the training
    """
    process = accelerator(settings.device)
    device = process.device
    if process.is_main_process:
        _standardise(model, fetch, training)
    model.load_state_dict(shared(process, model.state_dict() if process.is_main_process else {}))
    model.to(device)
    prior = settings.logit_adjustment * log_prior(torch.as_tensor(labels[training]), model.classes).to(device)
    optimizer = torch.optim.Adam(model.parameters(), settings.graph_learning_rate, weight_decay=settings.weight_decay)
    batches = -(-len(training) // settings.batch_size)
    best_score, best_weights = (-1.0, 0.0), {}

    for epoch in range(1, settings.graph_epochs + 1):
        total = 0.0
        model.train()
        for batch in np.array_split(np.random.default_rng([settings.seed, epoch]).permutation(training), batches):
            check_together(process, check)
            rows = own_share(process, batch)
            seeds = [(settings.seed * 1_000_003 + epoch) * 1_000_003 + row for row in rows.tolist()]
            nodes, targets = _to(device, fetch(rows)), torch.as_tensor(labels[rows], device=device)
            of_images, of_nodes = _losses(model, nodes, seeds, targets, prior)
            loss = share_of_mean(process, batch, rows) * of_images + _share_of_nodes(process, nodes) * of_nodes

            optimizer.zero_grad()
            process.backward(loss)
            _average_gradients(model, process)
            optimizer.step()
            total += loss.item()

        total = float(process.reduce(torch.tensor(total, dtype=torch.float64, device=device), "mean"))
        validates = process.is_main_process and len(validation)
        metrics, recall = _validate(model, fetch, labels, validation) if validates else ({}, ())
        score = (metrics["accuracy"], -metrics["validation_loss"]) if metrics else (0.0, float(epoch))
        if score > best_score:
            best_score = score
            best_weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        with ending_together(process):
            yield TrainingReport(epoch, settings.graph_epochs, total / batches, metrics, recall)

    check_together(process, check)
    model.load_state_dict(best_weights)


def _losses(
    model: ImageGraph, nodes: Nodes, seeds: Sequence[int], labels: Tensor, prior: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy on images, and generalized cross-entropy on nodes, which is robust to wrong labels.

    Each node has its image's label, which is wrong for many of them.

    Args:
        seeds: of each image's dropout
        labels: class of each image [B]
        prior: of `class_loss` [K]
    """
    settings = model.settings
    logits, _, scores = model(nodes, seeds)
    node_labels = labels[:, None].expand(nodes.real.shape)[nodes.real]
    of_nodes = sample_loss(scores[nodes.real] + prior, node_labels, settings.node_gce_q)
    return settings.image_ce_weight * class_loss(logits, labels, prior), settings.node_gce_weight * of_nodes


def _share_of_nodes(process: Any, nodes: Nodes) -> float:
    """Factor of the mean over own nodes, so that the processes' average is the mean over all."""
    own = nodes.real.sum().double()
    return share_of_sum(process, float(own), float(process.reduce(own, "sum")))


def _average_gradients(model: ImageGraph, process: Any) -> None:
    if process.num_processes > 1:
        for parameter in model.parameters():
            if parameter.grad is not None:  # without attention, its weights have none
                parameter.grad = process.reduce(parameter.grad, "mean")


def _standardise(model: ImageGraph, fetch: Fetch, rows: np.ndarray) -> None:
    """Sets mean and standard deviation of the features, from images evenly spaced in `rows`."""
    sample = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), STANDARDISE_IMAGES)).astype(int))]
    count, total, square = 0, torch.zeros(model.features), torch.zeros(model.features)
    for batch in _batches(sample):
        nodes = fetch(batch)
        features = nodes.features[nodes.real].double()
        count, total, square = count + len(features), total + features.sum(0), square + (features**2).sum(0)
    mean = total / count
    model.mean.copy_(mean)
    model.std.copy_((square / count - mean**2).clamp_min(0).sqrt().clamp_min(1e-3))


def _validate(
    model: ImageGraph, fetch: Fetch, labels: np.ndarray, rows: np.ndarray
) -> tuple[dict[str, float], tuple[float, ...]]:
    """Accuracy and loss on the images `rows`, and the recall of each class."""
    logits = np.concatenate([batch for _, batch, _ in predict(model, fetch, rows)])
    targets, correct = labels[rows], logits.argmax(1) == labels[rows]
    counts = np.bincount(targets, minlength=model.classes)
    hits = np.bincount(targets[correct], minlength=model.classes)
    recall = tuple(float(hit / n) if n else np.nan for hit, n in zip(hits, counts, strict=True))
    loss = F.cross_entropy(torch.from_numpy(logits), torch.as_tensor(targets)).item()
    return {"accuracy": float(correct.mean()), "validation_loss": loss}, recall


def predict(model: ImageGraph, fetch: Fetch, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields (indices [B], logits [B, K], contributions [B, M, K]) of the images `rows`.

    Logits are those of equally frequent classes; the contributions of an image's nodes add up to them.
    """
    model.eval()
    for batch in _batches(rows):
        with torch.inference_mode():
            logits, contributions, _ = model(_to(model.mean.device, fetch(batch)))
        yield batch, logits.cpu().numpy(), contributions.cpu().numpy()


def paint(contributions: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Heat map of one image and class, float32 [S, S], -1 (against the class) .. 1 (for it).

    It is scaled to its strongest node, so that maps of different images do not compare.

    Args:
        contributions: of the nodes [M]
        places: node of each pixel [S, S]
    """
    strongest = np.abs(contributions[: int(places.max()) + 1]).max()
    return np.asarray(contributions[places] / max(float(strongest), 1e-12), np.float32)


def onto_image(heat: np.ndarray, width: int, height: int, fit: str) -> np.ndarray:
    """Heat map in the image's own aspect ratio [h, w], from that of the network's square input [S, S].

    Padding is removed, and cropped parts are 0. The map of a stretched image stays square: the App stretches it.

    Args:
        width, height: of the upright image
        fit: "pad", "crop" or "stretch", as the image became square
    """
    side = len(heat)
    if fit == "pad":
        scale = side / max(width, height)
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
        top, left = (side - high) // 2, (side - wide) // 2
        return heat[top : top + high, left : left + wide]
    if fit == "crop" and width != height:
        scale = side / min(width, height)
        wide, high = round(width * scale), round(height * scale)
        whole = np.zeros((high, wide), dtype=heat.dtype)
        top, left = (high - side) // 2, (wide - side) // 2
        whole[top : top + side, left : left + side] = heat
        return whole
    return heat


def save(model: ImageGraph, path: Path, notes: dict[str, Any]) -> None:
    """Writes the weights, their sizes, and `notes` of the caller (class names, settings)."""
    save_tensors(path, model.state_dict(), {**notes, "features": model.features, "classes": model.classes})


def load(path: Path, settings: ImageGraphSettings) -> tuple[ImageGraph, dict[str, Any]]:
    """Reads a model of `save`, and its notes; `settings` are those of its training."""
    tensors, notes = load_tensors(path)
    model = ImageGraph(notes["features"], notes["classes"], settings)
    model.load_state_dict(tensors)
    return model, notes


def _to(device: torch.device, nodes: Nodes) -> Nodes:
    return Nodes(*(part.to(device) for part in nodes))


def _batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(rows), PREDICT_BATCH):
        yield rows[first : first + PREDICT_BATCH]
