"""Graph convolutional network over samples (Kipf & Welling, 2017): each is a node, scored from its neighbours.

The first hop acts on features that never change: it is done once, before training, as in SGC (Wu et al., 2019) and SIGN
(Frasca et al., 2020). What remains is one hop, so that an update needs the labelled nodes and their neighbours alone,
and its gradient is exact: with all labelled nodes at once while they fit, else in mini batches of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.random_projection import GaussianRandomProjection
from torch import Tensor, nn
from torch.nn import functional as F

from ..devices import multiplies_bf16
from ..losses import class_loss, log_prior, sample_loss
from ..settings import GCNSettings
from ..training_loops import TrainingReport
from .nearest_neighbours import Graph

with warnings.catch_warnings():  # as it is imported, it calls what torch has replaced
    warnings.filterwarnings("ignore", ".*torch.jit.script.*", FutureWarning)
    from torch_geometric.nn import GCNConv

CHUNK = 50_000  # nodes at once where all are scored
LARGE = 4_000_000  # numbers from which training reads features as bfloat16, where the processor multiplies those


class GCN(nn.Module):
    """Two convolutions, of which the first hop is done already."""

    def __init__(self, features: int, classes: int, settings: GCNSettings) -> None:
        super().__init__()
        self.enter = nn.Linear(features, settings.hidden_channels)
        self.leave = GCNConv(settings.hidden_channels, classes, normalize=False)  # its CSR is normalised already
        self.dropout = settings.dropout

    def forward(self, propagated: Tensor, adjacency: Tensor) -> Tensor:
        """Class scores of n nodes [n, K] from the m nodes that they are joined to.

        Args:
            propagated: features after the first hop, float32 or bfloat16 [m, D]
            adjacency: normalised, sparse CSR [n, m]
        """
        dropped = self.dropout if self.training else 0.0
        kept = _dropout(propagated, dropped)
        hidden = F.linear(kept, self.enter.weight.to(kept.dtype), self.enter.bias.to(kept.dtype)).relu()
        hidden = _dropout(hidden, dropped).float()
        return self.leave(hidden, adjacency)  # type: ignore[no-any-return]


def build(features: int, classes: int, settings: GCNSettings) -> GCN:
    """A network of `features` inputs with first weights that the seed fixes."""
    torch.manual_seed(settings.seed)
    return GCN(features, classes, settings)


def prepare(graph: Graph, features: np.ndarray, settings: GCNSettings) -> tuple[Tensor, sp.csr_array]:
    """The features after the first hop [N, D], and the adjacency, CSR [N, N]. What is not finite counts as zero.

    Args:
        features: [N, d]; above `projection_dim` they are projected at random to it, which keeps distances, offsets and,
            unlike PCA, the even length of all inputs that dropout needs (Johnson & Lindenstrauss, 1984)
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
    """Fits `model` in place, yielding one TrainingReport an epoch.

    Args:
        propagated, adjacency: of `prepare`
        labels: class of each node, -1 where unknown [N]
        weights: how much the label of each node counts [N]; None: all the same
    """
    known = np.flatnonzero(labels >= 0)
    given = torch.as_tensor(labels)
    share = None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    prior = settings.logit_adjustment * log_prior(given[known], model.leave.out_channels)
    optimizer = torch.optim.Adam(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    whole = [_block(propagated, adjacency, known)] if _reach(adjacency, known) <= settings.max_batch_nodes else None
    rng = np.random.default_rng(settings.seed)

    for epoch in range(1, settings.epochs + 1):
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        model.train()
        total = 0.0
        for nodes, features, joined in whole or _batches(propagated, adjacency, rng.permutation(known), settings):
            logits, wanted = model(features, joined), given[nodes]
            counts = None if share is None else share[nodes]
            loss = settings.ce_weight * class_loss(logits, wanted, prior, counts)
            robust = sample_loss(logits + prior, wanted, settings.gce_q, counts)
            loss = loss + settings.gce_weight * robust

            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(nodes) / len(known)
        yield TrainingReport(epoch, settings.epochs, total)


@torch.inference_mode()
def predict(model: GCN, propagated: Tensor, adjacency: sp.csr_array) -> np.ndarray:
    """Probability of each class for every node [N, K]."""
    model.eval()
    hidden = [model.leave.lin(model.enter(part).relu()).numpy() for part in torch.split(propagated, CHUNK)]
    scores = adjacency @ np.concatenate(hidden)  # what model(propagated, adjacency) does, without [N, hidden] at once
    return np.asarray((torch.from_numpy(scores) + model.leave.bias).softmax(1).numpy())


def _dropout(values: Tensor, part: float) -> Tensor:
    """Leaves out `part` of the values, in steps of 1/256, by a random byte each.

    With torch's own dropout an epoch takes 1.4 to 1.7 times as long (20,000 nodes, 512 features, 50 to 5,000 labels).
    """
    least = round(256 * part)
    if least == 0:
        return values
    draws = torch.empty(-(-values.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    lost = draws.view(torch.uint8)[: values.numel()].view(values.shape) < least
    return values.masked_fill(lost, 0.0).mul_(256 / (256 - least))


Block = tuple[np.ndarray, Tensor, Tensor]  # nodes with labels [n], features of what they read [m, D], rows [n, m]


def _batches(propagated: Tensor, adjacency: sp.csr_array, nodes: np.ndarray, settings: GCNSettings) -> Iterator[Block]:
    """Cuts `nodes` where their edges would lead to more than `max_batch_nodes`."""
    edges = np.diff(adjacency.indptr)[nodes].cumsum()
    cuts = np.flatnonzero(np.diff(edges // settings.max_batch_nodes)) + 1
    for part in np.split(nodes, cuts):
        yield _block(propagated, adjacency, part)


def _block(propagated: Tensor, adjacency: sp.csr_array, nodes: np.ndarray) -> Block:
    rows = adjacency[nodes]
    read, columns = np.unique(rows.indices, return_inverse=True)
    starts, ends = torch.from_numpy(rows.indptr.astype(np.int64)), torch.from_numpy(columns)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # what is used of it is tested
        joined = torch.sparse_csr_tensor(
            starts, ends, torch.from_numpy(rows.data), size=(len(nodes), len(read)), check_invariants=False
        )
    features = propagated[read]
    if features.numel() >= LARGE and multiplies_bf16("cpu"):
        features = features.bfloat16()
    return nodes, features, joined


def _reach(adjacency: sp.csr_array, nodes: np.ndarray) -> int:
    """How many nodes those of `nodes` read."""
    return len(np.unique(adjacency[nodes].indices))
