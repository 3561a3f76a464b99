from __future__ import annotations

import pytest
from evenset.tests.models.images.sample_files import photo, save


@pytest.fixture
def folder_of(tmp_path):
    """Writes photos, and returns their paths."""

    def make(count, size_px=24):
        return [save(photo(size_px, size_px, seed=i), tmp_path / f"{i:03d}.jpg", quality=90) for i in range(count)]

    return make
