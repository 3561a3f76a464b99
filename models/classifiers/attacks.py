"""Small changes of pixels that mislead a classifier, to test it by, and to train it against: FGSM (Goodfellow, 2015),
PGD (Madry, 2018)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import InvalidInput
from ..settings import AttackSettings, ResNetSettings

MAX_STRENGTHS = 20  # each takes as long as an evaluation
WHITE = 255.0  # images are bytes, so that a strength of 1 is 1/255 of the range
PGD_STEP = 2.5  # steps of this part of strength / steps reach the border from everywhere, and can walk along it


class Scores(nn.Module):
    """A classifier of images that returns class scores alone."""

    def __init__(self, model: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        found = self.model(images)
        return found[0] if isinstance(found, tuple) else found  # type: ignore[no-any-return]


def read_strengths(text: str) -> list[float]:
    """ "2, 8" -> [2.0, 8.0], in 1/255.

    Raises:
        ValueError: no numbers, or not between 0 and 255
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not 0 < len(found) <= MAX_STRENGTHS or not all(0 < strength < WHITE for strength in found):
        raise InvalidInput(
            f"attack_epsilons has to be numbers between 0 and 255, apart by commas ('2, 8'), at most {MAX_STRENGTHS}, "
            f"not {text!r:.100}"
        )
    return found


def check_library() -> None:
    """Refuses where the library of attacks is missing.

    Raises:
        ValueError: it has to be installed
    """
    try:
        import art  # noqa: F401
    except ImportError as error:
        raise InvalidInput(
            "robustness needs a library of attacks that is not installed: pip install adversarial-robustness-toolbox"
        ) from error


def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray, settings: AttackSettings) -> dict[str, float]:
    """Accuracy on images that are attacked with knowledge of the model, by the Adversarial Robustness Toolbox:
    {"FGSM 2/255": .., "PGD 2/255": .., ...}.

    Args:
        model: gives class scores [B, K], or a tuple that begins with them, of images with values 0..255
        images: [N, C, S, S]
        labels: class of each image [N]

    Raises:
        ValueError: the library is not installed, or strengths cannot be read
    """
    check_library()
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        classes = Scores(model)(torch.as_tensor(images[:1], dtype=torch.float32, device=device)).shape[1]
    target = PyTorchClassifier(
        Scores(model),
        nn.CrossEntropyLoss(),
        images.shape[1:],
        classes,
        clip_values=(0.0, WHITE),
        device_type="cpu" if device.type == "cpu" else "gpu",
    )
    clean, given, found = images.astype(np.float32), np.eye(classes)[labels], {}
    for strength in read_strengths(settings.attack_epsilons):
        step = PGD_STEP * strength / settings.attack_steps
        fgsm = FastGradientMethod(target, eps=strength, batch_size=64)
        pgd = ProjectedGradientDescent(
            target, eps=strength, eps_step=step, max_iter=settings.attack_steps, batch_size=64, verbose=False
        )
        for name, attack in (("FGSM", fgsm), ("PGD", pgd)):
            changed = attack.generate(clean, y=given)
            found[f"{name} {strength:g}/255"] = float((target.predict(changed).argmax(1) == labels).mean())
    return found


def perturb(model: nn.Module, images: Tensor, labels: Tensor, prior: Tensor, settings: ResNetSettings) -> Tensor:
    """Images that `model` finds hardest within the strength, for adversarial training -> float [B, C, S, S], 0..255.

    One step from a random start is fast FGSM (Wong, 2020), several are PGD (Madry, 2018).

    Args:
        images: uint8 or float, 0..255 [B, C, S, S]
        labels: class of each image [B]
        prior: added to the scores, as in the loss [K]
    """
    limit, steps = settings.adversarial_epsilon, settings.adversarial_steps
    step = 1.25 * limit if steps == 1 else PGD_STEP * limit / steps
    clean = images.float()
    change = torch.empty_like(clean).uniform_(-limit, limit)
    for _ in range(steps):
        change.requires_grad_(True)
        loss = F.cross_entropy(Scores(model)(clean + change).float() + prior, labels)
        (gradient,) = torch.autograd.grad(loss, change)
        change = (change.detach() + step * gradient.sign()).clamp(-limit, limit)
        change = (clean + change).clamp(0, WHITE) - clean
    return (clean + change).detach()
