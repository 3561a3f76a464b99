"""The command line and the worker, from a package or from a bare plugin folder."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that `arguments` (default: those of the process) name."""
    package = load_package()
    parser = argparse.ArgumentParser(prog="evenset", description=(package.__doc__ or "").partition("\n")[0])
    parser.add_argument("--version", action="version", version=f"evenset {package.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    worker = commands.add_parser("worker", help="does a job that the App has handed out; nobody needs to type this")
    worker.add_argument("dataset", help="name of the dataset")
    worker.add_argument("job", help="id of the job in FiftyOne's execution store")

    given = parser.parse_args(arguments)
    jobs = importlib.import_module(".workflows.jobs", package.__name__)
    jobs.run_job(given.dataset, given.job)


def load_package() -> ModuleType:
    """The package that this file belongs to; a folder of any name, installed or not, is loaded as `evenset`."""
    root = Path(__file__).resolve().parent
    # `python FOLDER` puts the folder on the path, where its `models` and `operators` could hide somebody else's.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != root]
    if __package__:
        return sys.modules[__package__]
    spec = importlib.util.spec_from_file_location(
        "evenset", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec and spec.loader
    package = sys.modules["evenset"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return package


if __name__ == "__main__":
    main()
