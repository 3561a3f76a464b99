"""The boxes that open labeling/, mistakes/ and balancing/ name functions that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("labeling", "mistakes", "balancing")


def names_in(folder: str) -> list[str]:
    """The functions of a folder's box, at the ends of its lines."""
    box = ast.get_docstring(ast.parse((ROOT / "workflows" / folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return re.findall(r"\s{2,}([a-z_]+(?:\.\w+)+)$", box, re.M)


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder in FOLDERS for name in names_in(folder)])
def test_a_function_that_a_box_names_exists(folder, name):
    *parts, function = name.split(".")
    path = Path(*parts).with_suffix(".py")
    places = [ROOT / "workflows" / folder / path, ROOT / "workflows" / path, ROOT / path]
    (file,) = [place for place in places if place.exists()]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


@pytest.mark.parametrize("folder", FOLDERS[:2])
def test_the_steps_of_a_box_are_numbered(folder):
    box = (ROOT / "workflows" / folder / "__init__.py").read_text(encoding="utf-8")
    steps = [int(number) for number in re.findall(r"^ +(\d+)  [a-z]", box, re.M)]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) >= 8 and len(names_in(folder)) >= len(steps)
