"""Balance: how even the classes are, what would be added, what a generator draws, and what the images are worth."""

from __future__ import annotations

from typing import Any

import fiftyone.operators.types as types

from ...models.settings import BalanceSettings
from ...workflows.display.tables import counted
from ...workflows.ui import balance
from .. import balancing, refilling
from . import drawing
from .overview import NO_FIELD, choose_field, newest

MOST_POINTS = 105  # of an axis of gains
TARGETS = {name: balancing.TARGETS[name] for name in ("majority", "median")}


class BalanceTab:
    """State `balance`: the plan, and what the newest finished run came to."""

    def load_balance(self, ctx: Any) -> None:
        fields, field, record = newest(ctx, "balance_classes")
        target = ctx.panel.state.balance_target
        ctx.panel.state.balance_target = target = target if target in TARGETS else "majority"
        ratio = BalanceSettings().max_ratio
        plan = balance.of_samples(ctx.dataset, field, target, ratio) if field else None
        found: dict[str, Any] = dict(fields=fields, field=field, names=[], done=None)
        if plan:
            shown, more = balancing.drawn(plan)
            names = [row["class"] for row in shown]
            found.update(names=names, more=more, add=int(plan.add.sum()), notes=plan.notes)
            heights = {state: [row[state] for row in shown] for state in drawing.PLAN}
            found["bars"] = drawing.bars(found["names"], heights, drawing.PLAN)
            done = balance.outcome(ctx.dataset, record.key) if record else None
            found["done"] = dict(vars(done)) if done else None
            if record and done:
                found["done"]["keeps"] = record.settings.get("keep_rejected")
                found["done"]["gains_lines"] = gains(done.gains[: balancing.MOST_BARS])
        ctx.panel.state.balance = found

    def show_balance(self, ctx: Any, page: Any) -> None:
        found = ctx.panel.state.balance or {}
        if not found.get("names"):
            sentence = "No sample has a label yet: give a few of each class one, and come back."
            drawing.note(page, "info", sentence if found.get("field") else NO_FIELD)
            return
        choose_field(page, found["fields"], self.on_label_field)
        self._show_live(ctx, page)
        self._show_plan(page, found)
        if found["done"]:
            self._show_done(page, found["done"])
            for sentence in found["done"]["notes"]:
                if sentence not in found["notes"]:
                    drawing.note(page, "info", sentence)

    def _show_live(self, ctx: Any, page: Any) -> None:
        """What the generator draws at this moment."""
        for row in ctx.panel.state.live or []:
            if row["run_key"] and row["workflow"] in balance.DRAWS:
                path = balance.newest_picture(ctx.dataset, row["run_key"])
                if path:
                    drawing.heading(page, "What the generator draws by now, a row a class")
                    drawing.picture(page, str(path))

    def _show_plan(self, page: Any, found: dict[str, Any]) -> None:
        view = types.DropdownView()
        for name, label in TARGETS.items():
            view.add_choice(name, label=label)
        page.enum("balance_target", view.values(), label="Images of a class", view=view,
                  on_change=self.on_balance_target)  # fmt: skip
        drawing.heading(page, f"{counted(found['add'], 'synthetic image')} would be added")
        layout = drawing.bar_layout(found["names"], "images")
        page.plot("balance_plan", data=found["bars"], layout=layout, config=drawing.CONFIG)
        if found["more"]:
            drawing.text(page, f"{balancing.hidden(found['more'])} not drawn.")
        for sentence in found["notes"]:
            drawing.note(page, "info", sentence)
        line = drawing.buttons(page, "balance_buttons")
        for name, label, icon in (
            ("balance_classes", "Balance ...", "balance"),
            ("train_generator", "Train generator ...", "brush"),
        ):
            line.btn(name, label=label, icon=icon, variant="contained" if found["add"] else "outlined",
                     on_click=self.on_balance_form, params=dict(operator=name))  # fmt: skip

    def _show_done(self, page: Any, done: dict[str, Any]) -> None:
        drawing.heading(page, f"What {done['run_key']} came to")
        drawing.note(page, balancing.SEVERITY.get(done["decision"], "info"), done["sentence"])
        line = drawing.buttons(page, "balance_done")
        for name, view in done["views"].items():
            line.btn(f"open_{name}", label=f"Open the {name}", icon="visibility", variant="outlined",
                     on_click=self.on_open_view, params=dict(view=view))  # fmt: skip
        if done["can_add"]:
            line.btn("add", label="Add ...", icon="add", variant="outlined", on_click=self.on_balance_add,
                     params=dict(run_key=done["run_key"], generator=done["generator"]))  # fmt: skip
        line.btn("remove", label="Remove ...", icon="undo", variant="outlined", on_click=self.on_balance_remove,
                 params=dict(run_key=done["run_key"]))  # fmt: skip
        if done["gains"]:
            drawing.heading(page, "Gain of each class, points of recall on held-out real images", interval(done))
            layout = gains_layout(done["gains"][: balancing.MOST_BARS])
            page.plot("balance_gains", data=done["gains_lines"], layout=layout, config=drawing.CONFIG)
        if done["refused"]:
            total = sum(done["refused"].values())
            hint = "" if done["keeps"] else "They were not kept: 'Keep rejected' in the form keeps them as samples"
            drawing.heading(page, f"{counted(total, 'image', 'was', 'were')} refused by the filters", hint)
            drawing.table(page, "\n".join(f"{count:>9,}  {reason}" for reason, count in done["refused"].items()))
        if done["refused_picture"]:
            drawing.picture(page, done["refused_picture"])
        if done["picture"]:
            drawing.heading(page, "Some of the images, a row a class")
            drawing.picture(page, done["picture"])

    def on_balance_target(self, ctx: Any) -> None:
        ctx.panel.state.balance_target = ctx.params["value"]
        self.load_balance(ctx)

    def on_balance_form(self, ctx: Any) -> None:
        params = dict(label_field=ctx.panel.state.balance["field"], view_target="DATASET")
        if ctx.params["operator"] == "balance_classes":
            params["target"] = ctx.panel.state.balance_target
        ctx.prompt(f"@evenset/evenset/{ctx.params['operator']}", params=params)

    def on_balance_remove(self, ctx: Any) -> None:
        params = dict(run_key=ctx.params["run_key"])
        ctx.prompt("@evenset/evenset/delete_run", params=params, on_success=self.on_again)

    def on_balance_add(self, ctx: Any) -> None:
        """The form as that run had it, with its generator, but that the verdict does not decide."""
        refilling.reopen(ctx, ctx.params["run_key"], generator=ctx.params["generator"], add="always")


def interval(done: dict[str, Any]) -> str:
    """What the lines are, and of how many classes nothing can be said."""
    few = sum(row["word"] == "undecided" for row in done["gains"])
    more = len(done["gains"]) - balancing.MOST_BARS
    parts = ["Lines are 95 % intervals"]
    parts += [f"{counted(few, 'class', 'has', 'have')} too few held-out images to decide"] if few else []
    parts += [f"{counted(more, 'more class', 'is', 'are')} not drawn"] if more > 0 else []
    return "; ".join(parts)


def gains(rows: list[dict[str, Any]]) -> list[Any]:
    """A point a class with its interval, for plotly."""
    ends = [(row["gain"], row["low"], row["high"]) for row in rows]
    error = dict(
        type="data", symmetric=False, thickness=1.5, color=drawing.PLAN["real"],
        array=[0 if high is None else high - gain for gain, low, high in ends],
        arrayminus=[0 if low is None else gain - low for gain, low, high in ends],
    )  # fmt: skip
    colours = [drawing.WORDS.get(row["word"], drawing.PLAN["real"]) for row in rows]
    return [
        dict(type="scatter", mode="markers", x=[row["gain"] for row in rows], y=list(range(len(rows))), error_x=error,
             marker=dict(color=colours, size=9), text=[row["word"] for row in rows],
             hovertemplate="%{x:+.1f} points, %{text}<extra></extra>")
    ]  # fmt: skip


def gains_layout(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """As wide as the widest interval, but no wider than what recall can gain: few repetitions leave it open."""
    layout = {**drawing.bar_layout([row["name"] for row in rows], "points"), "showlegend": False}
    widest = max(abs(row[end] or 0) for row in rows for end in ("gain", "low", "high"))
    edge = min(max(1.05 * widest, 1.0), MOST_POINTS)
    layout["xaxis"].update(zeroline=True, zerolinewidth=2, range=[-edge, edge])
    return layout
