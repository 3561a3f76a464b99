"""Graph convolutional network inside each image: its nodes have scores of their own, which add up to the image's.

Convolution: Kipf & Welling, 2017. Attention over the nodes: Ilse et al., 2018.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints import load_tensors, save_tensors
from ..devices import accelerator
from ..losses import class_loss, log_prior, sample_loss
from ..settings import ImageGraphSettings
from ..training_loops import TrainingReport
from .image_nodes import Nodes

with warnings.catch_warnings():  # as it is imported, it calls what torch has replaced
    warnings.filterwarnings("ignore", ".*torch.jit.script.*", FutureWarning)
    from torch_geometric.nn import DenseGCNConv

PREDICT_BATCH = 64
STANDARD_IMAGES = 2000  # from which the mean and the spread of the nodes' features are taken, at most

Fetch = Callable[[np.ndarray], Nodes]  # indices of images [B] -> their nodes


class ImageGraph(nn.Module):
    """Scores every node from its neighbourhood, and the image by what its nodes contribute.

    Shapes:
        input: Nodes of B images
        output: logits [B, K], contributions [B, M, K], whose sum over M they are, and scores of the nodes [B, M, K]
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

    def forward(self, nodes: Nodes) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.enter((nodes.features - self.mean) / self.std).relu()
        for convolution in self.convolutions:
            hidden = F.dropout(hidden, self.settings.node_dropout, self.training)
            hidden = hidden + convolution(hidden, nodes.adjacency).relu()
        scores = self.leave(hidden)
        scores = scores - scores.mean(-1, keepdim=True)  # so that above 0 speaks for a class, and below against it
        contributions = scores * self._shares(hidden, scores, nodes.real)
        return contributions.sum(1), contributions, scores

    def _shares(self, hidden: Tensor, scores: Tensor, real: Tensor) -> Tensor:
        """Part of each node's score that goes into the image's, 1 in all and 0 for filling [B, M, 1 or K]."""
        filling = ~real[:, :, None]
        if self.settings.aggregation == "mean":
            return (~filling).to(scores.dtype) / real.sum(1)[:, None, None]
        if self.settings.aggregation == "attention":
            return torch.softmax(self.attend(hidden).masked_fill(filling, -torch.inf), dim=1)
        best = scores.masked_fill(filling, -torch.inf).argmax(1)  # the first of equals [B, K]
        return F.one_hot(best, scores.shape[1]).transpose(1, 2).to(scores.dtype)


def build(features: int, classes: int, settings: ImageGraphSettings) -> ImageGraph:
    """A network of `features` numbers a node, with first weights that the seed fixes."""
    torch.manual_seed(settings.seed)
    return ImageGraph(features, classes, settings)


def train(
    model: ImageGraph,
    fetch: Fetch,
    labels: np.ndarray,
    rows: np.ndarray,
    validation: np.ndarray,
    settings: ImageGraphSettings,
) -> Iterator[TrainingReport]:
    """Fits `model` in place, yielding one TrainingReport an epoch; ends with the weights of the best epoch.

    Args:
        fetch: returns the nodes of some images
        labels: class of each image [N]
        rows, validation: indices of the images that train, and of those that choose the epoch; without any, the
            last epoch stays
    """
    process = accelerator(settings.device)
    device = process.device
    _standardise(model, fetch, rows)
    model.to(device)
    prior = settings.logit_adjustment * log_prior(torch.as_tensor(labels[rows]), model.classes).to(device)
    optimizer = torch.optim.Adam(model.parameters(), settings.graph_learning_rate, weight_decay=settings.weight_decay)
    batches = -(-len(rows) // settings.batch_size)
    best, kept = (-1.0, 0.0), {}

    for epoch in range(1, settings.graph_epochs + 1):
        total = 0.0
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        model.train()
        for batch in np.array_split(np.random.default_rng([settings.seed, epoch]).permutation(rows), batches):
            loss = _loss(model, _on(device, fetch(batch)), torch.as_tensor(labels[batch], device=device), prior)

            optimizer.zero_grad()
            process.backward(loss)
            optimizer.step()
            total += loss.item()

        metrics, recall = _validate(model, fetch, labels, validation) if len(validation) else ({}, ())
        score = (metrics["accuracy"], -metrics["validation_loss"]) if metrics else (0.0, float(epoch))
        if score > best:
            best, kept = score, {name: value.detach().clone() for name, value in model.state_dict().items()}
        yield TrainingReport(epoch, settings.graph_epochs, total / batches, metrics, recall)

    model.load_state_dict(kept)


def _loss(model: ImageGraph, nodes: Nodes, given: Tensor, prior: Tensor) -> Tensor:
    """The class loss on the images, and the sample loss on their nodes.

    Each node is given the image's label. That is wrong for many of them, and wrong labels pull this loss less.

    Args:
        given: class of each image [B]
        prior: of `class_loss` [K]
    """
    settings = model.settings
    logits, _, scores = model(nodes)
    of_nodes = given[:, None].expand(nodes.real.shape)[nodes.real]
    on_nodes = sample_loss(scores[nodes.real] + prior, of_nodes, settings.node_gce_q)
    return settings.image_ce_weight * class_loss(logits, given, prior) + settings.node_gce_weight * on_nodes


def _standardise(model: ImageGraph, fetch: Fetch, rows: np.ndarray) -> None:
    """Takes the mean and the spread of the features from images that are spread over `rows`."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), STANDARD_IMAGES)).astype(int))]
    count, total, square = 0, torch.zeros(model.features), torch.zeros(model.features)
    for batch in _chunks(chosen):
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
    logits = np.concatenate([found for _, found, _ in predict(model, fetch, rows)])
    given, hits = labels[rows], logits.argmax(1) == labels[rows]
    counts = np.bincount(given, minlength=model.classes)
    right = np.bincount(given[hits], minlength=model.classes)
    recall = tuple(float(r / n) if n else np.nan for r, n in zip(right, counts, strict=True))
    loss = F.cross_entropy(torch.from_numpy(logits), torch.as_tensor(given)).item()
    return {"accuracy": float(hits.mean()), "validation_loss": loss}, recall


def predict(model: ImageGraph, fetch: Fetch, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Streams (indices [B], logits [B, K], contributions [B, M, K]) of the images `rows`.

    Logits are for evenly frequent classes; what the nodes of an image contribute adds up to its logits.
    """
    model.eval()
    for batch in _chunks(rows):
        with torch.inference_mode():
            logits, contributions, _ = model(_on(model.mean.device, fetch(batch)))
        yield batch, logits.cpu().numpy(), contributions.cpu().numpy()


def paint(contributions: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A heat map of what the nodes of one image contribute to one class -> float32 [S, S], -1 against to 1 for it.

    The strongest node has 1 or -1: colours compare the places of an image, not images.

    Args:
        contributions: [M]
        places: which node each pixel belongs to [S, S]
    """
    strongest = np.abs(contributions[: int(places.max()) + 1]).max()
    return np.asarray(contributions[places] / max(float(strongest), 1e-12), np.float32)


def onto_image(heat: np.ndarray, width: int, height: int, fit: str) -> np.ndarray:
    """Takes a heat map of the square that the network saw [S, S] back to the image's own shape [h, w].

    What was padded goes; what was cropped away had no say, and has 0. A stretched image's map is stretched by the App.

    Args:
        width, height: of the upright image
        fit: how it became the square
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
    """Writes the weights and their shape, with `notes` of the caller (class names, settings)."""
    save_tensors(path, model.state_dict(), {**notes, "features": model.features, "classes": model.classes})


def load(path: Path, settings: ImageGraphSettings) -> tuple[ImageGraph, dict[str, Any]]:
    """Reads what `save` wrote: the model, of the settings that it was trained with, and the notes."""
    tensors, notes = load_tensors(path)
    model = ImageGraph(notes["features"], notes["classes"], settings)
    model.load_state_dict(tensors)
    return model, notes


def _on(device: torch.device, nodes: Nodes) -> Nodes:
    return Nodes(*(part.to(device) for part in nodes))


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(rows), PREDICT_BATCH):
        yield rows[first : first + PREDICT_BATCH]
