"""Random transforms change images, and flip them only where asked."""

from __future__ import annotations

import torch
from evenset.models.classifiers.transforms import random_transforms

MEAN = torch.tensor([0.5])


def test_light_and_strong_augmentation_change_images_and_flips_come_only_where_asked():
    image = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    image[..., :4] = 255  # bright on the left
    torch.manual_seed(0)

    mirrored = random_transforms(MEAN, "none", "horizontal")(image.repeat(20, 1, 1, 1), range(20 * len(image)))
    plain = random_transforms(MEAN, "none", "none")(image, range(len(image)))
    strong = random_transforms(MEAN, "strong", "none")(image, range(len(image)))

    left = (mirrored[..., 0] == 255).all(-1).squeeze(1)
    assert 0 < left.sum() < 120
    assert torch.equal(plain, image)
    assert strong.dtype == torch.uint8 and not torch.equal(strong, image)
