"""Writing labels: Evenset beside one call of FiftyOne's set_values. throughput.py runs this."""

from __future__ import annotations

from statistics import median

import numpy as np
from evenset.workflows.runs import lifecycle
from measure import goal, seconds
from network import NAMES
from tabulate import tabulate


def compare(n: int, rounds: int) -> None:
    """Writes the same labels, with all attributes of auto_label, into two fields in turn."""
    import fiftyone as fo
    from evenset.workflows.data.fields import declare_classification, write_classifications
    from evenset.workflows.labeling.output_field import ATTRIBUTES

    dataset, rng = fo.Dataset(), np.random.default_rng(0)
    dataset.add_samples([fo.Sample(filepath=f"/nowhere/{number}.jpg") for number in range(n)], progress=False)
    ids, names = np.array(dataset.values("id")), np.array(NAMES, dtype=object)
    columns = {"label": names[rng.integers(0, 10, n)], "confidence": rng.random(n)}
    for name, kind in ATTRIBUTES.items():
        columns[name] = names[rng.integers(0, 10, n)] if kind == "StringField" else rng.random(n)
    plain = {name: values.tolist() for name, values in columns.items()}

    def labels() -> list[fo.Classification]:
        return [fo.Classification(**dict(zip(plain, row, strict=True))) for row in zip(*plain.values(), strict=True)]

    times: dict[str, list[float]] = {"set_values": [], "labels built, set_values": [], "Evenset": []}
    with lifecycle.start(
        dataset, lifecycle.RunRequest("auto_label", settings=(), inputs={}, fields=("ours", "theirs")), progress=False
    ) as run:
        for field in ("ours", "theirs"):
            declare_classification(run, field, {name: getattr(fo, kind) for name, kind in ATTRIBUTES.items()})
        for number in range(rounds):
            built: list[fo.Classification] = []
            build_seconds = seconds(lambda built=built: built.extend(labels()))
            turns = {
                "set_values": lambda built=built: dataset.set_values("theirs", built),
                "Evenset": lambda: write_classifications(run, "ours", ids, columns),
            }
            for name in sorted(turns, reverse=number % 2 == 0):
                times[name].append(seconds(turns[name]))
            times["labels built, set_values"].append(build_seconds + times["set_values"][-1])
    base = times["set_values"]
    ratio = {name: median(a / b for a, b in zip(own, base, strict=True)) for name, own in times.items()}
    rows = [[name, median(t), f"{min(t):.2f} to {max(t):.2f}", ratio[name]] for name, t in times.items()]
    print(f"\nWriting {n:,} labels with {len(columns)} values each")
    print(tabulate(rows, ["", "seconds", "rounds", "of one call"], floatfmt=".2f"))
    goal("Evenset takes at most 1.2 x one set_values call", ratio["Evenset"] <= 1.2, f"{ratio['Evenset']:.2f}")
    dataset.delete()
