"""Every method of compare_methods on the same held-out labels, with every variant of the image GCN."""

from __future__ import annotations

import argparse

import pictures
from measure import own_database

METHODS = ("hog + svm", "k-nn", "resnet", "gcn", "laplace", "ensemble")
IMAGE_GCNS = {  # by nodes of the image's graph and aggregation of their scores
    f"image gcn, {nodes}, {aggregation}": {"method": "image gcn", "nodes": nodes, "aggregation": aggregation}
    for nodes in ("patches", "superpixels")
    for aggregation in ("mean", "max", "attention")
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion-mnist", help=f"{pictures.HELP}; digits are too small")
    parser.add_argument("--images", type=int, default=2000, help="all labelled; some are held out")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the held-out labels")
    parser.add_argument("--epochs", type=int, help="of ResNet and image GCN; default: their settings'")
    options = parser.parse_args(arguments)
    shortened = {"epochs": options.epochs, "min_updates": 1} if options.epochs else {}
    rows = {"resnet": shortened, **{name: {**settings, **shortened} for name, settings in IMAGE_GCNS.items()}}
    with own_database() as folder:
        import evenset
        import fiftyone as fo

        drawn = pictures.read(options.data, options.images, 0, folder)
        dataset = fo.Dataset()
        labelled = zip(drawn.paths, drawn.labels, strict=True)
        dataset.add_samples(
            [fo.Sample(filepath=path, truth=fo.Classification(label=name)) for path, name in labelled], progress=False
        )
        print(evenset.compare_methods(dataset, "truth", methods=METHODS, settings_of=rows, seeds=options.seeds))


if __name__ == "__main__":
    main()
