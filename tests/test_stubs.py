"""__init__.pyi shows an editor every function with its settings, every result and every error."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import evenset

ROOT = Path(__file__).parents[1]


def test_the_stub_is_what_the_functions_and_settings_make_it():
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "scripts" / "stubs.py")
    assert spec and spec.loader
    stubs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stubs)
    text = (ROOT / "__init__.pyi").read_text(encoding="utf-8")
    assert text == stubs.build(), "python scripts/stubs.py writes it again"
    assert "    target_precision: float = 0.95,\n" in text and "    size_px: int | None = None,\n" in text


def test_every_error_is_one_of_evensets_and_the_built_in_that_fits():
    assert issubclass(evenset.InvalidInput, ValueError) and issubclass(evenset.DatabaseUnavailable, ConnectionError)
    names = ("InvalidInput", "RunError", "RunStopped", "DatabaseUnavailable", "ImageError")
    assert all(issubclass(getattr(evenset, name), evenset.EvensetError) for name in names)
