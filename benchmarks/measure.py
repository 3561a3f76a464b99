"""Shared by the benchmarks: a database of their own, a clock, and goals."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def own_database() -> Iterator[Path]:
    """Yields an empty folder, with FiftyOne set to a database of its own; both are deleted at the end.

    FiftyOne reads its environment once, so nothing may import it earlier. The server is FiftyOne's usual one, shared
    by all processes of a user; the database has a unique name. The user's database and folders are not touched.
    """
    assert "fiftyone" not in sys.modules, "own_database() must precede the first import of fiftyone"
    folder = Path(tempfile.mkdtemp(prefix="evenset-benchmark-"))
    os.environ.update(
        FIFTYONE_DATABASE_NAME=f"evenset-benchmark-{uuid.uuid4().hex[:12]}",
        FIFTYONE_DEFAULT_DATASET_DIR=str(folder / "datasets"),
        FIFTYONE_PLUGINS_DIR=str(folder / "plugins"),
        FIFTYONE_DATABASE_VALIDATION="false",  # no notice about the server's version between the figures
        FIFTYONE_DO_NOT_TRACK="true",
    )
    try:
        yield folder
    finally:
        if "fiftyone" in sys.modules:
            import fiftyone.core.odm as foo

            foo.drop_database()
        shutil.rmtree(folder, ignore_errors=True)


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def goal(text: str, met: bool, figure: str) -> None:
    print(f"{'met' if met else 'MISSED'}: {text}: {figure}", flush=True)
