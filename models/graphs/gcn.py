"""Graph convolutional network over samples (Kipf & Welling, 2017): two layers, each node a sample.

The first propagation is of fixed features, and done once before training, as in SGC (Wu et al., 2019) and SIGN (Frasca
et al., 2020). An update then needs the labelled nodes and their neighbours alone, and its gradient is exact: full batch
while they fit, mini batches of labelled nodes otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.random_projection import GaussianRandomProjection
from torch import Tensor, nn
from torch.nn import functional as F

from ..devices import multiplies_bf16
from ..losses import combined_loss, log_prior
from ..probabilities import blocks
from ..settings import GCNSettings
from ..training_loops import TrainingReport
from .nearest_neighbours import Graph

with warnings.catch_warnings():  # the import calls a deprecated function of torch
    warnings.filterwarnings("ignore", ".*torch.jit.script.*", FutureWarning)
    from torch_geometric.nn import GCNConv

MANY_CLASSES = 32  # beyond, nodes are propagated before the last layer multiplies them
PREDICT_BATCH = 50_000  # nodes
PREDICT_NUMBERS = 50_000_000  # nodes times classes that are predicted at once
MIN_BF16_FEATURES = 4_000_000  # numbers in a batch from which training uses bfloat16, where the processor supports it


class GCN(nn.Module):
    """Two graph convolutions; the input of the first is already propagated."""

    def __init__(self, features: int, classes: int, settings: GCNSettings) -> None:
        super().__init__()
        self.enter = nn.Linear(features, settings.hidden_channels)
        self.leave = GCNConv(settings.hidden_channels, classes, normalize=False)  # the CSR is normalised
        self.dropout = settings.dropout

    def forward(self, propagated: Tensor, adjacency: Tensor) -> Tensor:
        """Logits of n nodes [n, K] from their m neighbours, themselves among them.

        Args:
            propagated: features after the first propagation, float32 or bfloat16 [m, D]
            adjacency: normalised, sparse CSR [n, m]
        """
        dropout = self.dropout if self.training else 0.0
        inputs = _dropout(propagated, dropout)
        hidden = F.linear(inputs, self.enter.weight.to(inputs.dtype), self.enter.bias.to(inputs.dtype)).relu()
        hidden = _dropout(hidden, dropout).float()
        if self.leave.out_channels > MANY_CLASSES:  # the same in another order, for the n nodes and not for all m
            return self.leave.lin(adjacency @ hidden) + self.leave.bias  # type: ignore[no-any-return]
        return self.leave(hidden, adjacency)  # type: ignore[no-any-return]


def build(features: int, classes: int, settings: GCNSettings) -> GCN:
    """A network of `features` inputs, with initial weights by the seed."""
    torch.manual_seed(settings.seed)
    return GCN(features, classes, settings)


def prepare(graph: Graph, features: np.ndarray, settings: GCNSettings) -> tuple[Tensor, sp.csr_array]:
    """Features after the first propagation [N, D], and the normalised adjacency, CSR [N, N].

    Features that are not finite count as zero. Above `projection_dim` they are projected at random (Johnson &
    Lindenstrauss, 1984): distances and offsets stay and, unlike with PCA, all inputs have equal variance, as dropout
    needs.

    Args:
        features: [N, d]
    """
    matrix, inputs = graph.normalised(), np.nan_to_num(features, posinf=0.0, neginf=0.0).astype(np.float32)
    if settings.projection_dim is not None and settings.projection_dim < inputs.shape[1]:
        projection = GaussianRandomProjection(settings.projection_dim, random_state=settings.seed)
        inputs = projection.fit_transform(inputs).astype(np.float32)
    propagated = matrix @ inputs
    return torch.from_numpy(propagated), matrix


def train(
    model: GCN,
    propagated: Tensor,
    adjacency: sp.csr_array,
    labels: np.ndarray,
    settings: GCNSettings,
    weights: np.ndarray | None = None,
) -> Iterator[TrainingReport]:
    """Trains `model` in place, yielding one TrainingReport an epoch.

    Args:
        propagated, adjacency: of `prepare`
        labels: class of each node, -1 where unknown [N]
        weights: of each node's label in the loss [N]; None: all equal
    """
    labelled = np.flatnonzero(labels >= 0)
    targets = torch.as_tensor(labels)
    node_weights = None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    prior = settings.logit_adjustment * log_prior(targets[labelled], model.leave.out_channels)
    rates: Any = dict(lr=settings.learning_rate, weight_decay=settings.weight_decay)
    optimizer = torch.optim.Adam(model.parameters(), **rates, fused=True)
    fits = _count_neighbours(adjacency, labelled) <= settings.max_batch_nodes
    full_batch = [_batch(propagated, adjacency, labelled)] if fits else None
    rng = np.random.default_rng(settings.seed)

    for epoch in range(1, settings.epochs + 1):
        torch.default_generator.manual_seed(settings.seed * 1_000_003 + epoch)  # torch.manual_seed formats a traceback
        model.train()
        total = 0.0
        batches = full_batch or _batches(propagated, adjacency, rng.permutation(labelled), settings)
        for nodes, features, rows in batches:
            logits, classes = model(features, rows), targets[nodes]
            of_nodes = None if node_weights is None else node_weights[nodes]
            loss = combined_loss(logits, classes, prior, settings, of_nodes)

            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(nodes) / len(labelled)
        yield TrainingReport(epoch, settings.epochs, total)


@torch.inference_mode()
def predict(
    model: GCN, propagated: Tensor, adjacency: sp.csr_array, rows: Any = slice(None), out: np.ndarray | None = None
) -> np.ndarray:
    """Probability of each class for every node [N, K].

    Args:
        rows: nodes whose probabilities are wanted [n]
        out: array for them, in place of a new one [n, K]
    """
    model.eval()
    classes, wanted = model.leave.out_channels, adjacency[rows]
    probabilities = np.empty((wanted.shape[0], classes), np.float32) if out is None else out
    step = max(1, PREDICT_NUMBERS // len(propagated))
    for first in range(0, classes, step):  # as model(propagated, adjacency), without [N, hidden] in memory
        columns = slice(first, first + step)
        weights, bias = model.leave.lin.weight[columns], model.leave.bias[columns].numpy()
        parts = torch.split(propagated, PREDICT_BATCH)
        outputs = np.concatenate([F.linear(model.enter(part).relu(), weights).numpy() for part in parts])
        probabilities[:, columns] = wanted @ outputs + bias
    for block in blocks(*probabilities.shape):
        probabilities[block] = torch.from_numpy(np.asarray(probabilities[block])).softmax(1).numpy()
    return probabilities


def _dropout(values: Tensor, probability: float) -> Tensor:
    """Dropout with a probability in steps of 1/256, by one random byte a value.

    With torch's own dropout an epoch takes 1.4 to 1.7 times as long (20,000 nodes, 512 features, 50 to 5,000 labels).
    """
    limit = round(256 * probability)
    if limit == 0:
        return values
    random = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = random.view(torch.uint8)[: values.numel()].view(values.shape) >= limit
    return values * kept.to(values.dtype).mul_(256 / (256 - limit))  # masked_fill takes six times as long


Batch = tuple[np.ndarray, Tensor, Tensor]  # labelled nodes [n], features of their neighbours [m, D], CSR [n, m]


def _batches(propagated: Tensor, adjacency: sp.csr_array, nodes: np.ndarray, settings: GCNSettings) -> Iterator[Batch]:
    """Batches of about `max_batch_nodes` edges."""
    edges = np.diff(adjacency.indptr)[nodes].cumsum()
    borders = np.flatnonzero(np.diff(edges // settings.max_batch_nodes)) + 1
    for part in np.split(nodes, borders):
        yield _batch(propagated, adjacency, part)


def _batch(propagated: Tensor, adjacency: sp.csr_array, nodes: np.ndarray) -> Batch:
    rows = adjacency[nodes]
    neighbours, columns = np.unique(rows.indices, return_inverse=True)
    starts, ends = torch.from_numpy(rows.indptr.astype(np.int64)), torch.from_numpy(columns)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # its use here is tested
        csr = torch.sparse_csr_tensor(
            starts, ends, torch.from_numpy(rows.data), size=(len(nodes), len(neighbours)), check_invariants=False
        )
    features = propagated[neighbours]
    if features.numel() >= MIN_BF16_FEATURES and multiplies_bf16("cpu"):
        features = features.bfloat16()
    return nodes, features, csr


def _count_neighbours(adjacency: sp.csr_array, nodes: np.ndarray) -> int:
    """Number of distinct neighbours of `nodes`, themselves among them."""
    return len(np.unique(adjacency[nodes].indices))
