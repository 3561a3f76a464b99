"""Adversarial attacks, for tests and for adversarial training: FGSM (Goodfellow, 2015), PGD (Madry, 2018)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InvalidInput
from ..settings import AttackSettings, ResNetSettings

MAX_EPSILONS = 20  # each takes as long as an evaluation
WHITE = 255.0  # images are bytes; an epsilon of 1 is 1/255 of the range
PGD_STEP = 2.5  # step size in units of epsilon / steps (Madry, 2018): reaches the border from any start


class Logits(nn.Module):
    """A classifier without its embeddings: images to logits."""

    def __init__(self, model: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        output = self.model(images)
        return output[0] if isinstance(output, tuple) else output  # type: ignore[no-any-return]


def read_epsilons(text: str) -> list[float]:
    """ "2, 8" -> [2.0, 8.0], in 1/255.

    Raises:
        ValueError: not numbers, or not between 0 and 255
    """
    try:
        epsilons = [float(part) for part in text.split(",")]
    except ValueError:
        epsilons = []
    if not 0 < len(epsilons) <= MAX_EPSILONS or not all(0 < epsilon < WHITE for epsilon in epsilons):
        raise InvalidInput(
            f"attack_epsilons has to be numbers between 0 and 255, separated by commas ('2, 8'), at most "
            f"{MAX_EPSILONS}, not {text!r:.100}"
        )
    return epsilons


def check_library() -> None:
    """Refuses where the library of attacks is missing.

    Raises:
        ValueError: it is not installed
    """
    try:
        import art  # noqa: F401
    except ImportError as error:
        raise InvalidInput(
            "robustness needs a library of attacks that is not installed: pip install adversarial-robustness-toolbox"
        ) from error


def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray, settings: AttackSettings) -> dict[str, float]:
    """Accuracy under white-box attacks of the Adversarial Robustness Toolbox: {"fgsm_2_255": .., "pgd_2_255": .., ...}.

    Args:
        model: images with values 0..255 to logits [B, K], or to a tuple that begins with them
        images: [N, C, S, S]
        labels: class of each image [N]

    Raises:
        ValueError: the library is not installed, or epsilons cannot be read
    """
    check_library()
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        classes = Logits(model)(torch.as_tensor(images[:1], dtype=torch.float32, device=device)).shape[1]
    target = PyTorchClassifier(
        Logits(model),
        nn.CrossEntropyLoss(),
        images.shape[1:],
        classes,
        clip_values=(0.0, WHITE),
        device_type="cpu" if device.type == "cpu" else "gpu",
    )
    clean, one_hot = images.astype(np.float32), np.eye(classes)[labels]
    accuracies = {}
    for epsilon in read_epsilons(settings.attack_epsilons):
        step = PGD_STEP * epsilon / settings.attack_steps
        fgsm = FastGradientMethod(target, eps=epsilon, batch_size=64)
        pgd = ProjectedGradientDescent(
            target, eps=epsilon, eps_step=step, max_iter=settings.attack_steps, batch_size=64, verbose=False
        )
        for name, attack in (("fgsm", fgsm), ("pgd", pgd)):
            attacked = attack.generate(clean, y=one_hot)
            correct = target.predict(attacked).argmax(1) == labels
            accuracies[f"{name}_{epsilon:g}_255".replace(".", "_")] = float(correct.mean())
    return accuracies


def perturb(model: nn.Module, images: Tensor, labels: Tensor, prior: Tensor, settings: ResNetSettings) -> Tensor:
    """Worst-case images within epsilon, for adversarial training -> float [B, C, S, S], 0..255.

    One step from a random start is fast FGSM (Wong, 2020), several are PGD (Madry, 2018).

    Args:
        images: uint8 or float, 0..255 [B, C, S, S]
        labels: class of each image [B]
        prior: added to the logits, as in the loss [K]
    """
    epsilon, steps = settings.adversarial_epsilon, settings.adversarial_steps
    step = 1.25 * epsilon if steps == 1 else PGD_STEP * epsilon / steps
    clean = images.float()
    change = torch.empty_like(clean).uniform_(-epsilon, epsilon)
    for _ in range(steps):
        change.requires_grad_(True)
        loss = F.cross_entropy(Logits(model)(clean + change).float() + prior, labels)
        (gradient,) = torch.autograd.grad(loss, change)
        change = (change.detach() + step * gradient.sign()).clamp(-epsilon, epsilon)
        change = (clean + change).clamp(0, WHITE) - clean
    return (clean + change).detach()
