"""What benchmarks share: a database of their own, a clock, and goals."""

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
    """Sets FiftyOne's environment, and yields an empty folder; at the end both are gone. The user's are not touched.

    FiftyOne reads its environment once, so nothing may have imported it before. The server is FiftyOne's usual one
    (all processes of a user share it); the database in it has a name that nobody else has.
    """
    assert "fiftyone" not in sys.modules, "own_database() comes before the first import of fiftyone"
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
