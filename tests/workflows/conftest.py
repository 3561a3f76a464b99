"""What the workflows' tests share: data sets of vectors, which are fast to label, and a look at what runs change."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def everything() -> Callable[[Any], dict[str, Any]]:
    """Returns all that a run can change: schema, samples, saved views, App settings, runs and files on disk."""

    def stages(view: Any) -> Any:
        return view._serialize(include_uuids=False)

    def look(dataset: Any) -> dict[str, Any]:
        import fiftyone as fo

        dataset.reload()
        folder = Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id)
        schema = dataset.get_field_schema(flat=True)
        return {
            "schema": {name: (str(field), field.description, field.info) for name, field in schema.items()},
            "samples": [{**sample.to_dict(), "last_modified_at": None} for sample in dataset],
            "views": {name: stages(dataset.load_saved_view(name)) for name in dataset.list_saved_views()},
            "app": dataset.app_config.to_dict(),
            "runs": dataset.list_runs(),
            "files": sorted(str(path) for path in folder.rglob("*")),
            "folder": folder.exists(),
        }

    return look


@pytest.fixture
def refused(everything: Callable[..., Any]) -> Callable[..., Any]:
    """`with refused(dataset, "words", "of the sentence"): call()`: it is refused, and nothing whatever has changed."""

    @contextlib.contextmanager
    def check(dataset: Any, *words: str, kind: type[Exception] = ValueError) -> Iterator[None]:
        before = everything(dataset)
        with pytest.raises(kind) as caught:
            yield
        for word in words:
            assert word in str(caught.value)
        assert everything(dataset) == before

    return check


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., Any]:
    """Starts Python code in another process, on the same database: elsewhere(code) -> Popen."""
    started = []

    def start(code: str) -> Any:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
