"""Images of samples keep their proportions."""

from __future__ import annotations

import fiftyone.operators.types as types
import pytest
from evenset.operators.display import widgets
from PIL import Image

TURNED = Image.Exif()
TURNED[0x0112] = 6  # lies on its side


@pytest.mark.parametrize(
    ("size", "exif", "expected"),
    [
        ((400, 533), Image.Exif(), ("72px", "96px")),
        ((640, 480), Image.Exif(), ("96px", "72px")),
        ((640, 480), TURNED, ("72px", "96px")),
        (None, None, ("96px", "96px")),
    ],
    ids=["portrait", "landscape", "turned", "no image"],
)
def test_a_thumbnail_has_the_proportions_of_its_image(tmp_path, size, exif, expected):
    path, page = tmp_path / "one.jpg", types.Object()
    if size:
        Image.new("RGB", size).save(path, exif=exif)
    widgets.thumbnail(page, "one", str(path))
    look = page.properties["one"].view.to_json()
    assert (look["width"], look["height"]) == expected and "one.jpg" in page.properties["one"].default
