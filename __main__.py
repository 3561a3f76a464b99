"""The command line and the worker, from a package or from a bare plugin folder."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command in `arguments` (default: the process's own)."""
    try:
        package = load_package()
        importlib.import_module(".commands", package.__name__).main(arguments)
    except KeyboardInterrupt:  # before a command, which reports its own end
        sys.exit(130)


def load_package() -> ModuleType:
    """The package of this file; a folder of any name, installed or not, is loaded as `evenset`."""
    root = Path(__file__).resolve().parent
    # `python FOLDER` puts the folder on the path, where its `models` and `operators` could hide those of others.
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
