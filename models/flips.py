"""The setting `flips`: what "auto" means for some images."""

from __future__ import annotations

AUTO = "auto"
MIN_PHOTO_PX = 65  # of the longer side; smaller images are digits, icons and crops more often than scenes


def resolve_flips(flips: str, side_px: int, channels: int) -> str:
    """The axes to mirror: "auto" is "horizontal" for photos, "none" for small or gray images.

    Args:
        side_px: of the files, not of the training images
        channels: 1 (gray) or 3
    """
    if flips != AUTO:
        return flips
    return "horizontal" if channels == 3 and side_px >= MIN_PHOTO_PX else "none"
