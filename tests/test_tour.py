"""examples/tour.ipynb: it runs, and its stored outputs are those of its code, without folders of a machine."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "tour.ipynb"


@pytest.fixture(scope="module")
def runner() -> Any:
    """scripts/notebook.py"""
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "scripts" / "notebook.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def kinds(notebook: Any) -> list[set[str]]:
    """The kinds of each cell's outputs."""
    return [
        {kind for output in cell["outputs"] for kind in output.get("data", ["text"])} for cell in code_cells(notebook)
    ]


def test_the_stored_notebook_was_executed_in_order_and_names_no_folder_of_a_machine():
    text = NOTEBOOK.read_text(encoding="utf-8")
    notebook = json.loads(text)

    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = json.dumps([cell["outputs"] for cell in cells])
    assert not re.search(r"(?<![\w.*<])/(tmp|home|root|work|opt|usr|var|Users)/", outputs)
    found = set().union(*kinds(notebook))
    assert {"text", "text/html", "image/png", "application/vnd.plotly.v1+json"} <= found
    assert "<svg" in outputs and "color:inherit" in outputs
    assert "labels are flagged" in outputs and "is gone" in outputs and "Error" not in outputs
    assert len(text) < 400_000


def test_folders_of_a_machine_leave_the_outputs(runner):
    home, drive = "/ho" + "me/ada/photos/a b.png", "see /t" + "mp/x/y: gone"
    found = runner.without_folders({"text": [home, drive, "a/b </p> 1/2 [[/class]]"], "number": 3})
    assert found == {"text": ["…/a b.png", "see …/y: gone", "a/b </p> 1/2 [[/class]]"], "number": 3}


@pytest.mark.slow
@pytest.mark.usefixtures("database")
def test_the_notebook_runs_and_shows_what_is_stored(runner):
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert kinds(runner.execute()) == kinds(stored)
