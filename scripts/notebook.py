"""Executes examples/tour.ipynb, and stores its outputs without the paths of this machine.

python scripts/notebook.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "examples" / "tour.ipynb"
MACHINE = re.compile(r"(?<![\w.*<])/(?:tmp|home|root|work|opt|usr|var|private|Users)/[^\s'\"<,]*/(?=[^\s'\"</,]*)")


def execute(path: Path = NOTEBOOK, timeout_s: int = 600) -> Any:
    """The notebook with new outputs, by this interpreter.

    Raises:
        CellExecutionError: a cell failed
    """
    notebook = nbformat.read(path, as_version=4)
    os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")  # its advice on the database is of this machine
    options = dict(timeout=timeout_s, coalesce_streams=True, resources={"metadata": {"path": str(path.parent)}})
    NotebookClient(notebook, **options).execute()
    return strip(notebook)


def strip(notebook: Any) -> Any:
    """Without times, folders of this machine, and what libraries print on stderr."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            kept = [output for output in cell.outputs if output.get("name") != "stderr"]
            cell.outputs = [nbformat.from_dict(without_folders(output)) for output in kept]
    return notebook


def without_folders(value: Any) -> Any:
    """The same with "…/" for the folder of each path, in all texts inside."""
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    return MACHINE.sub("…/", value) if isinstance(value, str) else value


if __name__ == "__main__":
    nbformat.write(execute(), NOTEBOOK)
