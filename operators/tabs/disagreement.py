"""Labels: a heat map of the samples that ResNet and GCN assign to different classes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ...workflows.data import items
from ...workflows.data.internals import aggregate
from ...workflows.data.label_text import or_none, unlabelled
from ...workflows.data.labels import SYNTHETIC
from ...workflows.runs import lookup
from ..display import charts

MAX_CLASSES = 30  # of the heat map
LETTER_PX = 8  # width of a letter of their names
DARK, LIGHT = "#5a3317", "#ffb27a"  # of the smallest and the largest counts, on light and on dark


def count_disagreements(dataset: Any, label_field: str, field: str) -> dict[str, Any]:
    """Items without a label on which ResNet and GCN disagree: the classes, and a count of each pair."""
    columns = [f"{field}.{name}_label" for name in ("resnet", "gcn")]
    if not all(dataset.has_field(items.leaf(dataset, path)) for path in columns):
        return dict(names=[], counts=[], total=0, more=False)
    pairs = _count_pairs(dataset, label_field, field, columns)
    totals: Counter[str] = Counter()
    for (resnet, gcn), count in pairs.items():
        totals.update({resnet: count, gcn: count})
    names = sorted(sorted(totals, key=lambda name: (-totals[name], name))[:MAX_CLASSES])
    counts = [[pairs.get((row, column)) for column in names] for row in names]
    return dict(names=names, counts=counts, total=sum(pairs.values()), more=len(totals) > MAX_CLASSES)


def _count_pairs(dataset: Any, label_field: str, field: str, columns: list[str]) -> dict[tuple[str, str], int]:
    """Number of unlabelled items by the classes that these two attributes hold, where they differ."""
    if items.has_boxes(dataset, label_field):
        unlabelled_name = lookup.unlabelled_name(dataset, field)
        rows = zip(*items.values(dataset, [f"{label_field}.label", *columns]), strict=True)
        return Counter(
            (resnet, gcn)
            for label, resnet, gcn in rows
            if None not in (resnet, gcn) and resnet != gcn and (label == unlabelled_name or or_none(label) is None)
        )
    resnet, gcn = columns
    pipeline = [
        {"$match": {**unlabelled(label_field), "tags": {"$ne": SYNTHETIC}, resnet: {"$ne": None}, gcn: {"$ne": None}}},
        {"$group": {"_id": {"resnet": f"${resnet}", "gcn": f"${gcn}"}, "count": {"$sum": 1}}},
    ]
    rows = aggregate(dataset, pipeline)
    pairs = {(row["_id"]["resnet"], row["_id"]["gcn"]): row["count"] for row in rows}
    return {pair: count for pair, count in pairs.items() if pair[0] != pair[1]}


def heat_map(pairs: dict[str, Any]) -> list[dict[str, Any]]:
    """Counts for plotly; a cell without items stays empty."""
    places = list(range(len(pairs["names"])))
    names = [charts.escape(name) for name in pairs["names"]]
    hover = [[f"ResNet says {row}, GCN says {column}" for column in names] for row in names]
    return [
        dict(type="heatmap", x=places, y=places, z=pairs["counts"], text=hover, texttemplate="%{z}", xgap=1, ygap=1,
             colorscale=[[0, DARK], [1, LIGHT]], showscale=False, zmin=0, hoverongaps=False,
             hovertemplate="%{z:,}: %{text}<extra></extra>")
    ]  # fmt: skip


def heat_map_layout(names: list[str]) -> dict[str, Any]:
    axis = charts.name_axis(names)
    longest = max(map(len, axis["ticktext"]))
    span = [-0.5, len(names) - 0.5]
    return dict(
        height=max(charts.MIN_CHART_PX, 60 + LETTER_PX * longest + charts.BAR_PX * len(names)),
        margin=dict(l=10, r=20, t=10, b=20),
        xaxis=dict(axis, range=span, tickangle=-90 if longest > 2 else 0),
        yaxis=dict(axis, range=span[::-1]),
    )
