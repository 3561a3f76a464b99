"""The demo: real images with a few labels. The rest is labelled, and the App opens on it. Meanwhile wrong labels are
found, and a class that was reduced to a tenth gets images from a generator, whose benefit is measured.

sh scripts/demo                         scenes cut from photographs, of which some have a label, and a few a wrong one
sh scripts/demo --data digits           scikit-learn's digits, 300 labels drawn at random
sh scripts/demo --data digits --labels 30    too few to promise anything: it says so
sh scripts/demo --data fashion-mnist    clothes: a local copy where there is one, else torchvision's download
sh scripts/demo --data DIR              your own tree of class folders (and a folder `unlabelled`, or --labels N)
sh scripts/demo --minutes 0             without the generator; more minutes: a better one
sh scripts/demo --no-app                the tables alone, one after the other
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from demo_data import BUILT_IN, build, build_photos

OF_PHOTOS = {"size_px": 32, "max_ratio": 3.0, "measure_benefit": True}  # a generator of such images learns in a minute
NEXT = """In the App, open the Evenset panel: the + beside "Samples", or the key ` and the word Evenset. Its tabs:
  Overview  what is best next, and why
  Review    suggestions that were not accepted, the most useful first
  Mistakes  labels that are likely wrong, beside the images that contradict them
  Balance   the classes, the images that were drawn, and whether they help
  Runs      everything that was done, and the button that undoes it
Ctrl+C ends the demo."""
POLL_SECONDS = 1.0  # between two looks at a step in the worker


def main() -> None:
    options = parse()
    if not options.no_app:
        offer_plugin()
    import evenset
    import fiftyone as fo

    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")  # torch-geometric's own call, on import
    name = f"evenset-demo-{Path(options.data).name}"
    folder = Path(fo.config.default_dataset_dir) / name
    is_photos = options.data == "photos"
    if is_photos:
        dataset = build_photos(name, folder, options.labels)
    else:
        dataset = build(name, folder, options.data, options.labels, options.samples)
    print(f"{len(dataset):,} images of {options.data}, {dataset.count('ground_truth'):,} with a label\n")

    given: dict[str, Any] = {"embeddings": "vectors", "group_field": "tile"} if is_photos else {}
    settings: dict[str, Any] = {"epochs": options.epochs, "min_updates": 1} if options.epochs and not is_photos else {}
    results = evenset.auto_label(
        dataset,
        "ground_truth",
        random_labels=options.labels is not None and not is_photos,
        target_precision=options.target_precision,
        weights="none" if options.data in BUILT_IN else "auto",
        **given,
        **settings,
    )
    print(f"\n{results}\n")
    check(dataset, results)
    steps = {"find_mistakes": {"label_field": "ground_truth", **given}}
    if options.minutes:
        steps["balance_classes"] = uneven(dataset, options) | {k: v for k, v in given.items() if k == "group_field"}
    if options.no_app:
        for workflow, arguments in steps.items():
            print(f"\n{getattr(evenset, workflow)(dataset, **arguments)}")
            report(dataset, workflow)
    else:
        show(dataset, results, steps)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="photos", help="photos, digits, fashion-mnist, or a tree of class folders")
    parser.add_argument("--labels", type=int, help="labels to keep, drawn at random; the others are hidden")
    parser.add_argument("--samples", type=int, help="maximum number of images, drawn at random")
    parser.add_argument("--target-precision", type=float, help="0.95; of the photos 0.9, as some labels are wrong")
    parser.add_argument("--epochs", type=int, help="passes over the labelled images")
    parser.add_argument("--minutes", type=float, default=1.0, help="that the generator trains; 0: no generator")
    parser.add_argument("--no-app", action="store_true", help="prints the tables alone")
    options = parser.parse_args()
    if options.labels is None and options.data in BUILT_IN:
        options.labels = 300
    if options.target_precision is None:
        options.target_precision = 0.9 if options.data == "photos" else 0.95
    if options.samples is None and options.data == "fashion-mnist":
        options.samples = 3000
    return options


def offer_plugin() -> None:
    """Lets the App of this process load this plugin, unless FIFTYONE_PLUGINS_DIR is set."""
    root = Path(__file__).resolve().parents[1]
    plugins = root / ".venv" / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    if not (plugins / "evenset").exists():
        (plugins / "evenset").symlink_to(root, target_is_directory=True)
    os.environ.setdefault("FIFTYONE_PLUGINS_DIR", str(plugins))


def check(dataset: Any, results: Any) -> None:
    """Compares the suggestions with the hidden labels and the promise."""
    columns = dataset.values(["auto_label.status", "auto_label.label", "truth.label"])
    hidden = [(status, label == truth) for status, label, truth in zip(*columns, strict=True) if truth and label]
    suggested = [correct for status, correct in hidden if status != "labelled"]
    accepted = [correct for status, correct in hidden if status == "accepted"]
    if not suggested:
        print("No label is hidden, so there is nothing to compare with: --labels N hides all but N.")
        return
    print("Compared with the hidden labels, which no step has seen")
    print(f"  accuracy of all {len(suggested):,} suggestions   {np.mean(suggested):7.1%}")
    if accepted:
        kept = "kept" if np.mean(accepted) >= results.target_precision else "broken"
        word = "promised" if results.promise == "promise" else "estimated"
        promise = f"({word}: at least {results.target_precision:.0%}, {kept})"
        print(f"  precision of the {len(accepted):,} accepted   {np.mean(accepted):7.1%}   {promise}")
    else:
        print("  nothing was accepted, and nothing promised")


def uneven(dataset: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Reduces one class to a tenth of its labels, in a field of its own; returns the arguments that even it out."""
    import fiftyone as fo

    labels = dict(zip(*dataset.exists("truth").values(["id", "truth.label"]), strict=True))
    rare = sorted(set(labels.values()))[-1]
    of_rare = [i for i, label in labels.items() if label == rare]
    dropped = set(of_rare[max(len(of_rare) // 10, 2) :])
    dataset.add_sample_field("uneven", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    kept = {i: fo.Classification(label=label) for i, label in labels.items() if i not in dropped}
    dataset.set_values("uneven", kept, key_field="id", progress=False)
    left = f"{len(of_rare) - len(dropped)} of {len(of_rare)}"
    print(f"\nThe labels of {rare!r} are taken down to {left}, in the field 'uneven'")
    arguments = dict(label_field="uneven", minutes=options.minutes, max_ratio=None, verdict_seeds=2)
    own = OF_PHOTOS if options.data == "photos" else {}
    return arguments | dict(verdict_updates=options.epochs or 200) | own


def report(dataset: Any, workflow: str) -> None:
    """Says how many of the wrong labels were found."""
    if workflow != "find_mistakes":
        return
    columns = dataset.exists("ground_truth").values(["ground_truth.label", "truth.label", "mistake.is_issue"])
    wrong = [bool(flagged) for label, truth, flagged in zip(*columns, strict=True) if truth and label != truth]
    if wrong:
        print(f"Of {len(wrong)} labels that are wrong, {sum(wrong)} are flagged.")


def show(dataset: Any, results: Any, steps: dict[str, dict[str, Any]]) -> None:
    """Opens the App on the accepted samples, or on those that wait for a review, and does the steps in a worker."""
    import evenset
    import fiftyone as fo
    from evenset.workflows.runs import worker

    view = dataset.load_saved_view(results.views["accepted" if results.accepted else "review"])
    session = fo.launch_app(view)
    print(f"\n{NEXT}")
    job = None
    with contextlib.suppress(KeyboardInterrupt):
        for workflow, arguments in steps.items():
            print(f"\n{workflow} runs in the worker; its progress stands in the Evenset panel", flush=True)
            job_id = worker.start_worker(dataset, workflow, arguments, awaited=False)
            while (job := worker.watch(dataset, job_id)).is_unfinished:
                time.sleep(POLL_SECONDS)
            dataset.reload()
            print(evenset.load_results(dataset, job.run_key) if job.state == "done" else job.error)
            report(dataset, workflow)
        print(f"\nAll is done. {NEXT}", flush=True)
        session.wait(-1)
    if job and job.is_unfinished and job.run_key:
        evenset.stop_run(dataset, job.run_key)


if __name__ == "__main__":
    main()
