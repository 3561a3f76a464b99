"""What the workflows' tests share: data sets of vectors, which are fast to label, and a look at what runs change."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def clusters(make_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """A data set of vectors around a centre for each class; its files need not exist.

    clusters(n=240, labelled=120, classes=3, spread=1.0, seed=0)
        labelled: the first samples (they are in random order) have a `ground_truth`; all have the text `truth`
        spread: standard deviation around centres that are 4 apart from the origin; 1 is easy, 3 is hard
    """

    def make(n: int = 240, labelled: int = 120, classes: int = 3, spread: float = 1.0, seed: int = 0) -> Any:
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, classes, n)
        truth[: 2 * classes] = np.tile(np.arange(classes), 2)
        vectors = rng.normal(4 * np.eye(8)[truth], spread).astype(np.float32)
        names = [f"class {i}" for i in truth]
        labels = [name if i < labelled else None for i, name in enumerate(names)]
        dataset = make_dataset([f"/nowhere/{seed}/{i:05d}.png" for i in range(n)], labels, truth=names)
        dataset.set_values("vector", list(vectors))
        return dataset

    return make


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
