"""What the workflows' tests share: data sets of vectors, which are fast to label, and a look at what runs change."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from evenset.tests.workflows.kinds import KINDS, Kind, make_kind, suggest_boxes


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


@pytest.fixture(params=KINDS)
def noun(request: pytest.FixtureRequest) -> str:
    """A test that asks for it, or for what is made by it, runs on samples and on boxes."""
    return str(request.param)


@pytest.fixture
def make_items(noun: str, clusters: Callable[..., Any], boxed_digits: Callable[..., Any]) -> Callable[..., Kind]:
    """make_items(n=240, labelled=120, spread=1.0): samples as of `clusters`, or as many boxes, eight in an image."""

    def make(n: int = 240, labelled: int = 120, spread: float = 1.0) -> Kind:
        return make_kind(noun, clusters, boxed_digits, n, labelled, spread)

    return make


@pytest.fixture
def label_items(finished: Callable[..., Any]) -> Callable[..., Kind]:
    """240 items, half of them labelled, of whose suggestions some are accepted and some in review."""
    from evenset import auto_label

    def copy(noun: str, make_items: Callable[..., Kind]) -> Kind:
        def make() -> Any:
            kind = make_items(240, 120, 2.2)
            options = dict(random_labels=True, target_precision=0.8, progress=False)
            results = auto_label(kind.dataset, "ground_truth", embeddings=kind.vectors, **options)
            assert results.accepted > 10 and results.review > 5
            return kind.dataset

        return Kind(finished(f"labelled: {noun}", make), noun, 2.2)

    return copy


@pytest.fixture
def labelled_items(label_items: Callable[..., Kind], noun: str, make_items: Callable[..., Kind]) -> Kind:
    """Of samples and of boxes."""
    return label_items(noun, make_items)


@pytest.fixture
def labelled_samples(label_items: Callable[..., Kind], clusters: Callable[..., Any]) -> Any:
    """A data set of samples."""
    noun = KINDS[0]
    return label_items(noun, lambda *how: make_kind(noun, clusters, clusters, *how)).dataset


@pytest.fixture
def suggest_items(noun: str, suggestions: Callable[..., Any], make_dataset: Callable[..., Any]) -> Callable[..., Kind]:
    """As `suggestions`, for samples and for boxes."""

    def make(suggested: Sequence[str], labels: Sequence[str | None] | None = None, flagged: bool = False) -> Kind:
        if noun == KINDS[0]:
            return Kind(suggestions(suggested, labels, flagged), noun)
        return suggest_boxes(make_dataset, suggested, labels or [None] * len(suggested), flagged)

    return make


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


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder of timm with drawn weights, as timm saves it."""
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


@pytest.fixture
def backwards(monkeypatch):
    """Workers of this process, which do the last shard first; returns what they did, and refuses some."""
    from evenset.models.errors import RunError
    from evenset.workflows.runs import shards

    done, refused = [], []

    def results(given, function, executor, check=lambda: None, *common):
        for place in reversed(range(len(given))):
            check()
            if len(done) in refused:
                raise RunError("1 shard of 2 failed 3 times: the machine caught fire")
            done.append((executor, function.__name__))
            yield place, function(given[place], *common)

    monkeypatch.setattr(shards, "results", results)
    return done, refused
