"""Every method of compare_methods on the same held-out labels, and the GCN inside an image in each of its forms."""

from __future__ import annotations

import argparse

import pictures
from measure import own_database

METHODS = ("hog + svm", "k-nn", "resnet", "gcn", "laplace", "ensemble")
INSIDE = {  # the image itself as a graph: what its nodes are, and how their scores make the image's
    f"image gcn, {nodes}, {aggregation}": {"method": "image gcn", "nodes": nodes, "aggregation": aggregation}
    for nodes in ("patches", "superpixels")
    for aggregation in ("mean", "max", "attention")
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion-mnist", help=f"{pictures.HELP}, but for digits, which are too small")
    parser.add_argument("--images", type=int, default=2000, help="all with a label, of which a part is held out")
    parser.add_argument("--seeds", type=int, default=3, help="parts that are held out, one after the other")
    parser.add_argument("--epochs", type=int, help="of each ResNet; as its settings have it")
    options = parser.parse_args(arguments)
    shorter = {"epochs": options.epochs, "min_updates": 1} if options.epochs else {}
    rows = {"resnet": shorter, **{name: {**own, **shorter} for name, own in INSIDE.items()}}
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
