"""Labels: how many suggestions a target precision accepts, and where ResNet and GCN disagree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fiftyone.operators.types as types

from ...models.settings import AutoLabelSettings
from ...workflows.data.checks import require_fields
from ...workflows.data.internals import aggregate
from ...workflows.data.label_text import has_label
from ...workflows.data.labels import SYNTHETIC
from ...workflows.display.tables import counted
from ...workflows.runs import lookup
from ...workflows.ui.retarget import preview, retarget
from ..words import capital
from . import drawing
from .overview import NO_FIELD, choose_field, newest

MOST = 30  # classes of the heat map
LETTER_PX = 8  # width of a letter of their names
DARK = "#5a3317"  # of its smallest counts, on light and on dark
HELD_OUT = "held-out labels"  # a curve
TARGET = AutoLabelSettings.__dataclass_fields__["target_precision"].metadata
STATES = ("accepted", "review")


class LabelsTab:
    """State `labels`: the newest finished run of auto_label. State `target`: where the slider stands."""

    def load_labels(self, ctx: Any) -> None:
        fields, field, run = newest(ctx, "auto_label")
        if run is None:
            ctx.panel.state.labels = dict(fields=fields, field=field, key=None)
            return
        results = lookup.read_results(ctx.dataset, run.key)
        target, before = results["target_precision"], ctx.panel.state.labels or {}
        if (before.get("key"), before.get("applied")) != (run.key, target) or not ctx.panel.state.target:
            ctx.panel.state.target = target
        output_field, now = results["output_field"], {name: results[name] for name in STATES}
        found = dict(fields=fields, field=field, key=run.key, applied=target, output_field=output_field, now=now)
        with ThreadPoolExecutor() as threads:  # the database counts two things at once
            clash = threads.submit(disagreements, ctx.dataset, field, output_field)
            ctx.panel.state.labels = found
            self._preview(ctx, results["curve"])
        ctx.panel.state.labels = {**ctx.panel.state.labels, "clash": clash.result()}

    def _preview(self, ctx: Any, curve: list[dict[str, float]]) -> None:
        """What the target of the slider comes to; a sentence where the run cannot tell."""
        found, target = ctx.panel.state.labels, ctx.panel.state.target
        try:
            would, error = vars(preview(ctx.dataset, found["key"], target)), ""
        except ValueError as reason:
            would, error = None, capital(str(reason))
        lines = chart(curve, target, would) if curve else []
        ctx.panel.state.labels = {**found, "drawn": target, "would": would, "error": error, "lines": lines}

    def show_labels(self, ctx: Any, page: Any) -> None:
        found = ctx.panel.state.labels or {}
        if not found.get("key"):
            sentence = "Nothing is suggested yet: Auto-label suggests a label for every sample that has none."
            drawing.note(page, "info", sentence if found.get("field") else NO_FIELD)
            if found.get("field"):
                page.btn("auto_label", label="Auto-label", variant="contained", on_click=self.on_labels_auto)
            return
        choose_field(page, found["fields"], self.on_label_field)
        if found["error"]:
            drawing.note(page, "warning", found["error"])
        elif found["would"]:
            self._show_target(page, found)
        if found["lines"]:
            page.plot("labels_curve", data=found["lines"], layout=curve_layout(found["lines"]), config=drawing.CONFIG)
        self._show_clash(page, found)

    def _show_target(self, page: Any, found: dict[str, Any]) -> None:
        view = types.SliderView(label="Target", value_precision=3, view_multiple_of=0.001, value_label_display="on")
        page.float("target", min=TARGET["low"], max=TARGET["high"], view=view, on_change=self.on_labels_target)
        would = found["would"]
        line = page.h_stack("labels_line", gap=2, align_y="center")
        drawing.heading(line, outcome(would))
        if would["changed"]:
            line.btn("labels_apply", label="Apply", icon="check", variant="contained", on_click=self.on_labels_apply,
                     params=dict(run_key=found["key"], target=found["drawn"]))  # fmt: skip
        now = f"{found['now']['accepted']:,} accepted and {found['now']['review']:,} in review at {found['applied']:g}"
        parts = [f"Now {now}", f"{would['changed']:,} change" if would["changed"] else "as it is"]
        if would["decided"]:
            parts.append(f"{would['decided']:,} are decided and stay")
        drawing.text(page, " · ".join(parts))
        for sentence in would["notes"]:
            drawing.note(page, "info", sentence)

    def _show_clash(self, page: Any, found: dict[str, Any]) -> None:
        clash = found["clash"]
        if not clash["total"]:
            return
        more = f", the {MOST} classes that differ most" if clash["more"] else ""
        hint = f"{counted(clash['total'], 'sample')} without a label{more}. A row is ResNet's class, a column the GCN's"
        drawing.heading(page, "Where ResNet and GCN disagree", hint)
        layout = clash_layout(clash["names"])
        page.plot("labels_clash", data=heat_map(clash), layout=layout, config=drawing.CONFIG,
                  on_click=self.on_labels_clash)  # fmt: skip

    def on_labels_auto(self, ctx: Any) -> None:
        params = dict(label_field=ctx.panel.state.labels["field"], view_target="DATASET")
        ctx.prompt("@evenset/evenset/auto_label", params=params)

    def on_labels_target(self, ctx: Any) -> None:
        if not self.knows(ctx, "labels", "key"):  # type: ignore[attr-defined]
            return
        ctx.panel.state.target = round(float(ctx.params["value"]), 3)
        ctx.dataset.reload()
        self._preview(ctx, lookup.read_results(ctx.dataset, ctx.panel.state.labels["key"])["curve"])

    def on_labels_apply(self, ctx: Any) -> None:
        done = retarget(ctx.dataset, ctx.params["run_key"], ctx.params["target"])
        sentence = f"{counted(done.accepted, 'suggestion', 'is', 'are')} accepted, {done.review:,} left to review"
        ctx.ops.notify(sentence, variant="success")
        ctx.ops.reload_samples()
        self.refresh(ctx)  # type: ignore[attr-defined]

    def on_labels_clash(self, ctx: Any) -> None:
        """A click on a cell shows the samples of it."""
        from fiftyone import ViewExpression
        from fiftyone import ViewField as F

        if not self.knows(ctx, "labels", "clash"):  # type: ignore[attr-defined]
            return
        found = ctx.panel.state.labels
        names = found["clash"]["names"]
        row, column = drawing.clicked(ctx, len(names)), ctx.params.get("x")
        if row is None or not isinstance(column, (int, float)) or not 0 <= column < len(names):
            return
        field = found["output_field"]
        require_fields(ctx.dataset, field, found["field"])
        said = [ViewExpression.literal(names[place]) for place in (row, int(column))]
        fits = (F(f"{field}.resnet_label") == said[0]) & (F(f"{field}.gcn_label") == said[1])
        open_ = ~has_label(found["field"]) & ~F("tags").contains(SYNTHETIC)
        ctx.ops.set_view(view=ctx.dataset.match(fits & open_))


def outcome(would: dict[str, Any]) -> str:
    """What a target comes to, in a sentence."""
    total = would["accepted"] + would["review"]
    if would["precision"] is None:
        return f"Accepts none of {total:,}"
    word = "right at the least" if would["promise"] == "promise" else "right by estimate"
    return f"Accepts {would['accepted']:,} of {total:,}, {100 * would['low']:.1f} % {word}"


def chart(curve: list[dict[str, float]], target: float, would: dict[str, Any] | None) -> list[Any]:
    """Precision over coverage with its band, the target, and where the target leads, for plotly."""
    names = ("coverage", "low", "high", "precision")
    x, low, high, precision = ([round(100 * row[name], 2) for row in curve] for name in names)
    blue, green, yellow = drawing.COLOURS["labelled"], drawing.COLOURS["accepted"], drawing.COLOURS["view"]
    quiet = dict(hoverinfo="skip", mode="lines", type="scatter")
    lines = [
        dict(quiet, x=x, y=high, line=dict(width=0), name="", showlegend=False),
        dict(quiet, x=x, y=low, line=dict(width=0), fill="tonexty", fillcolor="rgba(76,141,255,0.25)", name="bounds"),
        dict(type="scatter", mode="lines", name=HELD_OUT, x=x, y=precision, line=dict(color=blue, width=2),
             hovertemplate="%{y:.1f} % right at %{x:.0f} % accepted<extra></extra>"),
        dict(quiet, x=[0, 100], y=[100 * target] * 2, name="target", line=dict(color=yellow, width=2, dash="dash")),
    ]  # fmt: skip
    if would and would["precision"] is not None:
        place = dict(x=[100 * would["coverage"]], y=[100 * would["precision"]])
        dot = dict(type="scatter", mode="markers", name="accepted", marker=dict(color=green, size=11), **place)
        lines.append(dict(dot, hovertemplate="%{x:.1f} % accepted, %{y:.1f} % of held-out ones right<extra></extra>"))
    return lines


LOWEST = 45  # per cent right that a chart begins with, where its curve goes no lower
FIRST = 5  # per cent accepted, before which a single error makes the curve fall
CURVE_LAYOUT: dict[str, Any] = dict(
    height=300,
    margin=dict(l=10, r=20, t=30, b=30),
    xaxis=dict(title=dict(text="accepted of the unlabelled, %"), range=[0, 101], automargin=True, fixedrange=True),
    yaxis=dict(title=dict(text="right, %"), automargin=True, fixedrange=True),
    showlegend=True,
    legend=dict(orientation="h", y=1, yanchor="bottom", x=0),
)


def curve_layout(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The layout of `chart`, whose curve may lie low."""
    curve = next(line for line in lines if line["name"] == HELD_OUT)
    low = min((y for x, y in zip(curve["x"], curve["y"], strict=True) if x >= FIRST), default=LOWEST)
    return {**CURVE_LAYOUT, "yaxis": dict(CURVE_LAYOUT["yaxis"], range=[max(min(LOWEST, low - 5), -1), 101])}


def disagreements(dataset: Any, label_field: str, field: str) -> dict[str, Any]:
    """Samples without a label whose ResNet and GCN say different classes: the classes, and a count of each pair."""
    said = [f"{field}.{name}_label" for name in ("resnet", "gcn")]
    if not all(map(dataset.has_field, said)):
        return dict(names=[], counts=[], total=0, more=False)
    open_ = {"$expr": (~has_label(label_field)).to_mongo(), "tags": {"$ne": SYNTHETIC}}
    pairs = {"resnet": f"${said[0]}", "gcn": f"${said[1]}"}
    pipeline = [
        {"$match": {**open_, said[0]: {"$ne": None}, said[1]: {"$ne": None}}},
        {"$group": {"_id": pairs, "count": {"$sum": 1}}},
    ]
    found = [
        (row["_id"]["resnet"], row["_id"]["gcn"], row["count"])
        for row in aggregate(dataset, pipeline)
        if row["_id"]["resnet"] != row["_id"]["gcn"]
    ]
    totals: dict[str, int] = {}
    for first, second, count in found:
        for name in (first, second):
            totals[name] = totals.get(name, 0) + count
    names = sorted(sorted(totals, key=lambda name: (-totals[name], name))[:MOST])
    place = {name: i for i, name in enumerate(names)}
    counts: list[list[int | None]] = [[None] * len(names) for _ in names]
    for first, second, count in found:
        if first in place and second in place:
            counts[place[first]][place[second]] = count
    total = sum(count for *_, count in found)
    return dict(names=names, counts=counts, total=total, more=len(totals) > MOST)


def heat_map(clash: dict[str, Any]) -> list[Any]:
    """Counts for plotly; a cell without samples stays empty."""
    places = list(range(len(clash["names"])))
    shown = [drawing.drawable(name) for name in clash["names"]]
    hover = [[f"ResNet says {row}, GCN says {column}" for column in shown] for row in shown]
    return [
        dict(type="heatmap", x=places, y=places, z=clash["counts"], text=hover, texttemplate="%{z}", xgap=1, ygap=1,
             colorscale=[[0, DARK], [1, drawing.COLOURS["review"]]], showscale=False, zmin=0, hoverongaps=False,
             hovertemplate="%{z:,}: %{text}<extra></extra>")
    ]  # fmt: skip


def clash_layout(names: list[str]) -> dict[str, Any]:
    axis = drawing.name_axis(names)
    longest = max(map(len, axis["ticktext"]))
    span = [-0.5, len(names) - 0.5]
    return dict(
        height=max(drawing.LEAST_PX, 60 + LETTER_PX * longest + drawing.BAR_PX * len(names)),
        margin=dict(l=10, r=20, t=10, b=20),
        xaxis=dict(axis, range=span, tickangle=-90 if longest > 2 else 0),
        yaxis=dict(axis, range=span[::-1]),
    )
