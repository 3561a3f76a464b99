import numpy as np
import pytest
import torch
from evenset.models.losses import class_loss, combined_loss, log_prior, sample_loss
from evenset.models.settings import ResNetSettings

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.3, -0.7], [1.5, 1.0, -2.0]])
LABELS = torch.tensor([0, 2, 1])


def test_class_loss_is_the_formula_of_the_paper():
    prior = torch.tensor([0.7, 0.2, 0.1]).log()
    z = LOGITS.numpy().astype(np.float64) + prior.numpy()
    picked = z[np.arange(3), LABELS.numpy()]
    expected = np.mean(np.log(np.exp(z - picked[:, None]).sum(1)))  # log(1 + sum of exp of the margins)

    assert np.isclose(class_loss(LOGITS, LABELS, prior).item(), expected, atol=1e-6)


def test_class_loss_without_a_prior_is_cross_entropy():
    expected = torch.nn.functional.cross_entropy(LOGITS, LABELS)

    assert torch.allclose(class_loss(LOGITS, LABELS, torch.zeros(3)), expected)


def test_adjusted_training_learns_balanced_scores_where_plain_training_learns_the_frequencies():
    labels = torch.tensor([0] * 90 + [1] * 10)  # nothing to see but the frequencies

    def learned(prior: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(2, requires_grad=True)
        optimizer = torch.optim.LBFGS([logits], max_iter=50)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = class_loss(logits.expand(100, 2), labels, prior)
            loss.backward()
            return loss

        optimizer.step(closure)
        return logits.detach().softmax(0)

    assert torch.allclose(learned(torch.zeros(2)), torch.tensor([0.9, 0.1]), atol=1e-3)
    assert torch.allclose(learned(log_prior(labels, 2)), torch.tensor([0.5, 0.5]), atol=1e-3)


def test_sample_loss_is_cross_entropy_near_zero_and_mean_absolute_error_at_one():
    probability = LOGITS.softmax(1).gather(1, LABELS[:, None]).squeeze(1)

    assert torch.allclose(sample_loss(LOGITS, LABELS, 1.0), (1 - probability).mean())
    assert torch.allclose(sample_loss(LOGITS, LABELS, 1e-3), -probability.log().mean(), atol=2e-3)


def test_a_wrong_label_pulls_less_than_with_cross_entropy():
    logits = torch.tensor([[8.0, 0.0]], requires_grad=True)  # sure of class 0, labelled 1
    wrong = torch.tensor([1])
    (robust,) = torch.autograd.grad(sample_loss(logits, wrong, 0.7), logits)
    (plain,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, wrong), logits)

    assert robust.abs().max() < 0.01 * plain.abs().max()


def test_a_class_without_samples_has_a_finite_prior():
    assert torch.isfinite(log_prior(torch.tensor([0, 0, 1]), 3)).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_a_blended_label_costs_what_its_two_labels_cost(weighted):
    """lam loss(a) + (1 - lam) loss(b), as in the paper of MixUp; weights weigh each of the two labels."""
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    prior, settings, lam = torch.tensor([0.5, -1.0, 0.0, 0.2]), ResNetSettings(), 0.3
    first, second = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 1, 3, 0, 2])
    weights = torch.tensor([1.0, 0.5, 2.0, 1.0, 0.1]) if weighted else torch.ones(5)
    others = weights.flip(0)
    hot = torch.nn.functional.one_hot
    targets = lam * weights[:, None] * hot(first, 4) + (1 - lam) * others[:, None] * hot(second, 4)

    loss = combined_loss(logits, targets, prior, settings)

    def each(labels, i):
        return combined_loss(logits[i : i + 1], labels[i : i + 1], prior, settings)

    costs = [lam * weights[i] * each(first, i) + (1 - lam) * others[i] * each(second, i) for i in range(5)]
    assert torch.allclose(loss, sum(costs) / (lam * weights + (1 - lam) * others).sum(), atol=1e-6)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0])])
def test_targets_of_one_class_cost_what_labels_cost(weights):
    logits, labels, prior = LOGITS[:2], LABELS[:2], torch.tensor([0.1, 0.7, -0.2])
    targets = torch.nn.functional.one_hot(labels, 3) * (torch.ones(2) if weights is None else weights)[:, None]

    expected = combined_loss(logits, labels, prior, ResNetSettings(), weights)

    assert torch.allclose(combined_loss(logits, targets, prior, ResNetSettings()), expected)
