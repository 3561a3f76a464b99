"""What the setting `flips="auto"` means for some samples, in words."""

from __future__ import annotations

from typing import Any

from ...models.flips import AUTO, MIN_PHOTO_PX, resolve_flips


def describe(samples: Any) -> str:
    """A sentence on the first images of a dataset or view."""
    from ...models.images.first_images import FIRST, photo_kind  # late: it imports OpenCV

    side_px, channels = photo_kind(samples.limit(FIRST).values("filepath"))
    if not side_px:
        return "Flips: auto; none of the first images can be read"
    kind = f"{'gray' if channels == 1 else 'in colour'}, about {side_px:,} px"
    if resolve_flips(AUTO, side_px, channels) == "none":
        photos = f"photos are in colour and over {MIN_PHOTO_PX - 1} px"
        return f"Flips: auto is none here, since the first images are {kind}: {photos}"
    return f"Flips: auto is horizontal here, since the first images are photos ({kind})"
