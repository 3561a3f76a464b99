"""A tiny encoder of timm with drawn weights."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import timm
    import torch
    from timm.models import save_for_hf

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    save_for_hf(timm.create_model("test_vit", pretrained=False), str(folder), safe_serialization=True)
    return folder


@pytest.fixture
def tiny(tiny_folder: Path) -> str:
    """Its name, as embeddings= takes it."""
    return f"local-dir:{tiny_folder}"


def folder_of(name: str) -> Path:
    return Path(name.removeprefix("local-dir:"))
