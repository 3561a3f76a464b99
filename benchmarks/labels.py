"""What the labels are worth, part by part, each beside its peers: mean and spread over seeds.

    python benchmarks/labels.py digits
    python benchmarks/labels.py fashion-mnist
    python benchmarks/labels.py embeddings --data FOLDER
    python benchmarks/labels.py promise
    python benchmarks/labels.py mistakes --cifar FOLDER
    python benchmarks/labels.py graph
    python benchmarks/labels.py methods
    python benchmarks/labels.py rounds

What follows the part's name goes to it; -h there lists what it takes.
"""

from __future__ import annotations

import importlib
import sys

PARTS = {  # part -> the script that has it, and what it is told
    "digits": ("few_labels", ["--data", "digits"]),
    "fashion-mnist": ("few_labels", ["--data", "fashion-mnist"]),
    "embeddings": ("embeddings", []),
    "promise": ("promise", []),
    "mistakes": ("mistakes", []),
    "graph": ("graph", []),
    "methods": ("methods", []),
    "rounds": ("rounds", []),
}


def main() -> None:
    part, *rest = sys.argv[1:] or [""]
    if part not in PARTS:
        print(__doc__)
        sys.exit(0 if part in ("-h", "--help") else 2)
    script, told = PARTS[part]
    importlib.import_module(script).main([*told, *rest])


if __name__ == "__main__":
    main()
