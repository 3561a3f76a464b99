"""Labels a dataset by workers of a Ray cluster or of this machine. A last run that ended early is resumed.

python examples/cluster/label.py products ground_truth
python examples/cluster/label.py products ground_truth --workers 8
"""

from __future__ import annotations

import argparse

import evenset
import fiftyone as fo

ENDED_EARLY = ("stopped", "failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("label_field", help="field with the labels of some samples")
    parser.add_argument("--workers", default="ray", help="ray, an address such as ray://head:10001, or a number")
    parser.add_argument("--embeddings", default="auto", help="encoder of timm, as timm/vit_base_patch14_reg4_dinov2")
    print(label(parser.parse_args()))


def label(options: argparse.Namespace) -> object:
    """Results of a new run, or of the last one where it ended early."""
    dataset = fo.load_dataset(options.dataset)
    runs = [run for run in evenset.list_runs(dataset).rows if run["method"] == "auto_label"]
    if runs and runs[-1]["state"] in ENDED_EARLY:
        return evenset.resume_run(dataset, runs[-1]["key"])
    return evenset.auto_label(dataset, options.label_field, workers=options.workers, embeddings=options.embeddings)


if __name__ == "__main__":
    main()
