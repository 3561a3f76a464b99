"""Photos for a day with Evenset: scenes cut from six sample photographs, some of them labelled, and some labels wrong.

python examples/photos.py make FOLDER           photos, a damaged file and two copies; labels.csv, and truth.csv
python examples/photos.py load FOLDER NAME      a FiftyOne dataset of the photos and the labels
python examples/photos.py decide FOLDER NAME VIEW FIELD > decisions.csv    what a person decides on a saved view
python examples/photos.py check NAME EXPRESSION    fails where the expression on `dataset` is not true
python examples/photos.py state NAME            a digest of all that a run may change
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIDE_PX = 96
COUNTS = {"astronaut": 44, "cat": 10, "coffee": 44, "flower": 44, "rocket": 44, "temple": 44}  # scenes of each
LABELLED = 24  # labels of each class, or all of it where it has fewer
WRONG = 6  # of the labels
LABEL_FIELD = "ground_truth"


def make(folder: str | Path) -> Path:
    """Writes `photos/`, `labels.csv` (file, label) and `truth.csv`, the same for every file; returns the folder."""
    import numpy as np
    from PIL import Image

    folder, rng = Path(folder), np.random.default_rng(0)
    (folder / "photos").mkdir(parents=True)
    photographs = read_photographs()
    names = rng.permutation([name for name, count in COUNTS.items() for _ in range(count)]).tolist()
    truth = {f"{number:03d}.jpg": name for number, name in enumerate(names)}
    for file, name in truth.items():
        height, width = photographs[name].shape[:2]
        side = int(rng.integers(SIDE_PX, 2 * SIDE_PX))
        top, left = (int(rng.integers(0, size - side + 1)) for size in (height, width))
        scene = Image.fromarray(photographs[name][top : top + side, left : left + side])
        scene.resize((SIDE_PX, SIDE_PX)).save(folder / "photos" / file, quality=92)
    truth |= spoil(folder / "photos", truth)
    write_rows(folder / "truth.csv", truth)
    write_rows(folder / "labels.csv", some_labels(truth))
    return folder


def read_photographs() -> dict[str, Any]:
    """Photographs that scikit-image and scikit-learn ship, [H, W, 3]."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    return {
        "astronaut": data.astronaut(),
        "cat": data.chelsea(),
        "coffee": data.coffee(),
        "flower": load_sample_image("flower.jpg"),
        "rocket": data.rocket(),
        "temple": load_sample_image("china.jpg"),
    }


def spoil(photos: Path, truth: dict[str, str]) -> dict[str, str]:
    """Adds a file that was cut off, a copy and a mirrored copy; returns what they show."""
    from PIL import Image, ImageOps

    cut, copied, mirrored = list(truth)[-3:]
    (photos / "cut off.jpg").write_bytes((photos / cut).read_bytes()[:600])
    shutil.copy(photos / copied, photos / "copy.jpg")
    ImageOps.mirror(Image.open(photos / mirrored)).save(photos / "mirrored.jpg", quality=92)
    return {"cut off.jpg": truth[cut], "copy.jpg": truth[copied], "mirrored.jpg": truth[mirrored]}


def some_labels(truth: dict[str, str]) -> dict[str, str]:
    """The first labels of each class; the first of all have the label of another class."""
    names, labels = sorted(COUNTS), {}
    for name in names:
        files = [file for file, other in truth.items() if other == name]
        labels |= dict.fromkeys(files[:LABELLED], name)
    for file in [file for file in sorted(labels) if labels[file] != "cat"][:WRONG]:
        labels[file] = names[names.index(labels[file]) - 1]
    return labels


def load(folder: str | Path, name: str) -> Any:
    """A dataset of the photos, with the labels in `ground_truth`, and counts of colours in `vector`.

    An encoder would see more; colours tell these photographs apart without a download.
    """
    import fiftyone as fo

    dataset = fo.Dataset.from_images_dir(str(Path(folder) / "photos"), name=name, persistent=True, progress=False)
    dataset.add_sample_field(LABEL_FIELD, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    labels = read_rows(Path(folder) / "labels.csv")
    given = [labels.get(Path(path).name) for path in dataset.values("filepath")]
    dataset.set_values(LABEL_FIELD, [label and fo.Classification(label=label) for label in given], progress=False)
    dataset.set_values("vector", [count_colours(path) for path in dataset.values("filepath")], progress=False)
    return dataset


def count_colours(path: str) -> Any:
    """Square roots of the fractions of pixels in 4 x 4 x 4 parts of the colour cube [64]; even for a damaged file."""
    import numpy as np
    from PIL import Image

    try:
        colours = np.asarray(Image.open(path)).reshape(-1, 3)
    except OSError:
        return np.full(64, 1 / 8)
    counts, _ = np.histogramdd(colours, bins=(4, 4, 4), range=[(0, 256)] * 3)
    return np.sqrt(counts.ravel() / len(colours))


def decide(folder: str | Path, samples: Any, field: str) -> dict[str, str]:
    """The correct label of each sample with a suggestion in `field`, by id: in place of a person who looks."""
    truth = read_rows(Path(folder) / "truth.csv")
    columns = samples.exists(field).values(["id", "filepath"])
    return {i: truth[Path(path).name] for i, path in zip(*columns, strict=True)}


def state(dataset: Any) -> str:
    """A digest of samples, schema, saved views and runs, which is the same once all runs are undone."""
    dataset.reload()
    samples = [{**sample.to_dict(), "last_modified_at": None} for sample in dataset]
    schema = {name: str(field) for name, field in dataset.get_field_schema(flat=True).items()}
    everything = [samples, schema, dataset.list_saved_views(), dataset.list_runs()]
    return hashlib.sha256(json.dumps(everything, default=str, sort_keys=True).encode()).hexdigest()


def read_rows(path: Path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row["label"] for row in csv.DictReader(file)}


def write_rows(path: Path, labels: dict[str, str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label"), *sorted(labels.items())])


def main(command: str, *arguments: str) -> Iterator[Any]:
    """Lines to print."""
    if command == "make":
        yield make(*arguments)
        return
    import fiftyone as fo

    if command == "load":
        yield f"{len(load(*arguments))} photos"
    elif command == "decide":
        folder, name, view, field = arguments
        decisions = decide(folder, fo.load_dataset(name).load_saved_view(view), field)
        yield from ["id,label", *(f"{i},{label}" for i, label in decisions.items())]
    elif command == "check":
        name, expression = arguments
        if not eval(expression, {"dataset": fo.load_dataset(name)}):
            sys.exit(f"not true of {name}: {expression}")
    elif command == "state":
        yield state(fo.load_dataset(*arguments))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # FiftyOne's advice must not be among the lines
        lines = [*main(*sys.argv[1:] or ["help"])]
    print("\n".join(map(str, lines)), end="\n" * bool(lines))
