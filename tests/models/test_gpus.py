"""The number of GPUs, by folders of the system and by the environment."""

from __future__ import annotations

import pytest
from evenset.models import gpus


@pytest.mark.parametrize(
    ("chosen", "count"), [(None, 3), ("0,2", 2), ("1", 1), ("", 0), ("-1", 0), ("GPU-8932f937,GPU-1", 2)]
)
def test_gpus_are_counted_without_torch(monkeypatch, tmp_path, chosen, count):
    for number in range(3):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
    monkeypatch.setattr(gpus, "FOLDERS", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert gpus.gpu_count() == count


def test_a_machine_without_them_has_none(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "FOLDERS", tmp_path / "none")
    assert gpus.gpu_count() == 0
