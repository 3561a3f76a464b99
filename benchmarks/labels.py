"""Benchmarks of the labels, one a part: each method beside its peers, mean and spread over seeds.

    python benchmarks/labels.py digits
    python benchmarks/labels.py fashion-mnist
    python benchmarks/labels.py embeddings --data FOLDER
    python benchmarks/labels.py promise
    python benchmarks/labels.py mistakes --cifar FOLDER
    python benchmarks/labels.py graph
    python benchmarks/labels.py methods
    python benchmarks/labels.py rounds
    python benchmarks/labels.py uneven --data cifar --folder FOLDER
    python benchmarks/labels.py uneven-promises --data cifar --folder FOLDER

Arguments after the part go to its script; -h there lists them.
"""

from __future__ import annotations

import importlib
import sys

PARTS = {  # part -> its script and first arguments
    "digits": ("few_labels", ["--data", "digits"]),
    "fashion-mnist": ("few_labels", ["--data", "fashion-mnist"]),
    "embeddings": ("embeddings", []),
    "promise": ("promise", []),
    "mistakes": ("mistakes", []),
    "graph": ("graph", []),
    "methods": ("methods", []),
    "rounds": ("rounds", []),
    "uneven": ("uneven", []),
    "uneven-promises": ("uneven_promises", []),
}


def main() -> None:
    part, *rest = sys.argv[1:] or [""]
    if part not in PARTS:
        print(__doc__)
        sys.exit(0 if part in ("-h", "--help") else 2)
    script, arguments = PARTS[part]
    importlib.import_module(script).main([*arguments, *rest])


if __name__ == "__main__":
    main()
