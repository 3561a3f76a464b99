"""Review: one suggestion at a time, what teaches most first; each decision is written at once."""

from __future__ import annotations

import os
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fiftyone.operators.types as types

from ...workflows.reviewing import policy
from ...workflows.ui import next_round, overview, review_order, review_queue
from ..words import capital, in_words
from . import drawing
from .overview import NO_FIELD, choose_field, newest

LARGE_PX, SMALL_PX = 280, 40
NUMBERS = tuple("1234567890")  # keys that stand for a class, as they lie


class ReviewTab:
    """State `review`: the sample that is shown, and counts. State `skipped`: ids that this user passed over."""

    def load_review(self, ctx: Any) -> None:
        fields, target, run = newest(ctx, "auto_label")
        found: dict[str, Any] = dict(fields=fields, target=target, key=None, id=None)
        if run is not None:
            field = run.inputs["output_field"]
            if not ctx.dataset.has_sample_field(field):
                raise ValueError(f"the field {field!r} of {run['key']} was removed: there is nothing to review")
            skipped = ctx.panel.state.skipped or []
            shown, waiting = review_queue.first(ctx.dataset, field, target, skipped)
            done = review_queue.decided(ctx.dataset, field, target, sitting())
            found.update(key=run.key, field=field, waiting=waiting, done=len(done), id=shown)
            found["turn"] = f"{field} {target} {shown} {len(done)} {len(skipped)}"  # another one after each decision
            if shown:
                found.update(about(ctx.dataset, field, target, shown))
        ctx.panel.state.review = found

    def show_review(self, ctx: Any, page: Any) -> None:
        found = ctx.panel.state.review or {}
        if not found.get("key"):
            sentence = "Nothing is suggested yet, so nothing waits for a look: Auto-label comes first."
            drawing.note(page, "info", sentence if found.get("target") else NO_FIELD)
            return
        choose_field(page, found["fields"], self.on_label_field)
        line = page.h_stack("review_counts", gap=2, align_y="center")
        drawing.heading(line, f"{found['done']:,} reviewed, {found['waiting']:,} to go")
        if found["done"]:
            line.btn("review_undo", label="Undo", icon="undo", variant="outlined", on_click=self.on_review_act,
                     params=dict(action="undo", turn=found["turn"]))  # fmt: skip
            line.btn("review_learn", label="Learn from these", icon="school", variant="outlined",
                     on_click=self.on_review_learn)  # fmt: skip
        if found["id"]:
            self._show_sample(page, found)
        elif found["waiting"]:
            drawing.note(page, "info", "Only samples that you skipped are left.")
            page.btn("review_again", label="Show them again", variant="contained", on_click=self.on_review_again)
            self._show_keys(page, found)
        else:
            drawing.note(page, "success", "Nothing waits for a look.")
            self._show_keys(page, found)

    def _show_sample(self, page: Any, found: dict[str, Any]) -> None:
        shown = found["id"]
        row = page.h_stack(f"review_row_{shown}", gap=2, align_y="start")
        drawing.thumbnail(row, f"review_{shown}", found["path"], LARGE_PX)
        if found["near"]:
            self._show_near(row, shown, found["near"])
        sure = f", {100 * found['confidence']:.0f} % sure" if found["confidence"] is not None else ""
        drawing.text(page, f"Suggested: **{drawing.plain(found['label'])}**{sure}")
        buttons = page.h_stack("review_buttons", gap=1, align_y="center")
        for name, label, icon, variant in (
            ("accept", "Accept", "check", "contained"),
            ("skip", "Skip", "skip_next", "outlined"),
            ("reject", "Reject", "close", "outlined"),
        ):
            buttons.btn(f"review_{name}", label=label, icon=icon, variant=variant, on_click=self.on_review_act,
                        params=dict(action=name, turn=found["turn"]))  # fmt: skip
        self._show_keys(page, found)
        view = types.DropdownView()
        for name in found["classes"]:
            view.add_choice(name, label=name)
        page.enum(f"correct_{shown}", view.values(), label="Correct to", view=view, on_change=self.on_review_correct)

    def _show_keys(self, page: Any, found: dict[str, Any]) -> None:
        """The keys, and what listens to them while they are shown (panel.js)."""
        actions = ["accept", "skip", "reject", "correct"] if found["id"] else []
        actions += ["undo"] if found["done"] else []
        view = types.View(
            component="EvensetKeys", composite_view=True, on_key=self.on_review_act, turn=found["turn"],
            shown=found["id"], actions=actions, numbered=found.get("numbered", []),
        )  # fmt: skip
        page.view("review_keys", view)

    def _show_near(self, row: Any, shown: str, near: list[dict[str, str]]) -> None:
        """The nearest samples with a label, beside the one that is asked about."""
        column = row.v_stack(f"near_{shown}", gap=1)
        column.md("The nearest labelled:", name="near_title")
        for place, one in enumerate(near):
            line = column.h_stack(f"near_{shown}_{place}", gap=1, align_y="center")
            drawing.thumbnail(line, f"near_{shown}_{one['id']}", one["path"], SMALL_PX)
            line.md(drawing.plain(one["label"]), name=f"near_label_{place}")

    def on_review_act(self, ctx: Any) -> None:
        """A button or a key; one that comes late, for a sample that is no longer asked about, decides nothing."""
        if not self.knows(ctx, "review", "turn"):  # type: ignore[attr-defined]
            return
        found, action = ctx.panel.state.review, ctx.params["action"]
        if ctx.params["turn"] != found["turn"]:
            self.refresh(ctx)  # type: ignore[attr-defined]
        elif action == "undo":
            try:
                review_queue.undo(ctx.dataset, found["field"], found["target"], sitting(), found["done"])
            except ValueError as error:  # it was edited since: the one before comes next
                ctx.ops.notify(capital(str(error)), variant="warning")
            self._next(ctx)
        elif action == "skip":
            ctx.panel.state.skipped = [*(ctx.panel.state.skipped or []), found["id"]]
            self.load_review(ctx)
        else:
            label = ctx.params.get("label")
            same = action == "correct" and label == found["label"]  # to what is suggested: that accepts it
            self._decide(ctx, found["id"], "accept" if same else action, None if same else label)

    def on_review_correct(self, ctx: Any) -> None:
        """A class was chosen in a sample's list; the App tells it later, when another sample may be asked about."""
        sample_id, label = ctx.params["path"].removeprefix("correct_"), ctx.params.get("value")
        if not label or not self.knows(ctx, "review", "field"):  # type: ignore[attr-defined]
            return
        ctx.panel.state.set(ctx.params["path"], None)  # the list is silent on a choice that it holds
        if sample_id == ctx.panel.state.review["id"]:
            self._decide(ctx, sample_id, "correct", label)
        else:
            ctx.ops.notify(f"Another sample is asked about by now: {label} was not written", variant="warning")
            self.refresh(ctx)  # type: ignore[attr-defined]

    def _decide(self, ctx: Any, sample_id: str, action: str, label: str | None = None) -> None:
        if not self.knows(ctx, "review", "field"):  # type: ignore[attr-defined]
            return
        found = ctx.panel.state.review
        queue = (ctx.dataset, found["field"], found["target"])
        try:
            decision = review_queue.Decision(sample_id, action, label, shown=found["label"])
            key = review_queue.decide(*queue, decision, sitting())
        except policy.Refused as error:  # the sample stays, for another decision
            ctx.ops.notify(capital(in_words(str(error))), variant="warning")
            return
        mine = review_queue.decided(*queue, sitting())
        if key is None and sample_id not in mine:  # a list may tell the same choice twice
            ctx.ops.notify("Somebody else decided this one meanwhile: it stays as they left it", variant="warning")
        self._next(ctx)

    def on_review_again(self, ctx: Any) -> None:
        ctx.panel.state.skipped = []
        self.load_review(ctx)

    def _next(self, ctx: Any) -> None:
        ctx.ops.reload_samples()
        self.refresh(ctx)  # type: ignore[attr-defined]

    def on_review_learn(self, ctx: Any) -> None:
        if not self.knows(ctx, "review", "key"):  # type: ignore[attr-defined]
            return
        try:
            field = next_round.start_next_round(ctx.dataset, ctx.panel.state.review["key"])
            ctx.ops.notify(f"Learning from all labels that there are now, into {field}", variant="info")
        except ValueError as error:  # a second click, or somebody else's
            ctx.ops.notify(capital(str(error)), variant="warning")
        self.load_live(ctx)  # type: ignore[attr-defined]


def sitting() -> str:
    """Who works through the queue: this server, whose pages show the same, whatever panels are opened and closed."""
    return f"{socket.gethostname()} {os.getpid()}"


def about(dataset: Any, field: str, label_field: str, sample_id: str) -> dict[str, Any]:
    """What is shown of a sample: its image, what is suggested, the classes there are, and its nearest neighbours."""
    models = [name for name in ("resnet", "gcn") if dataset.has_field(f"{field}.{name}_label")]
    columns = ["filepath", f"{field}.label", f"{field}.confidence", *[f"{field}.{name}_label" for name in models]]
    (path,), (label,), (confidence,), *said = dataset.select(sample_id).values(columns)
    with ThreadPoolExecutor() as threads:
        counted = threads.submit(overview.count, dataset, label_field, field)
        near = review_order.neighbours(dataset, field, label_field, sample_id)
        found = counted.result().classes
    counts = Counter({name: states["labelled"] for name, states in found.items()})
    beside = Counter(one["label"] for one in near)
    likely = [name for (name,) in said] + [name for found in (beside, counts) for name, _ in found.most_common()]
    classes = sorted({*found, label})
    some = classes if len(classes) <= len(NUMBERS) else likeliest(classes, likely, label)
    return dict(path=path, label=label, confidence=confidence, classes=classes, near=near, numbered=by_key(some))


def likeliest(classes: list[str], likely: list[str | None], suggested: str) -> list[str]:
    """Classes for the number keys: those that are called like one, then the likely ones; A is for what is suggested."""
    own = [name for name in classes if name in NUMBERS]
    known = set(classes) - ({suggested} - set(own))
    return [name for name in dict.fromkeys([*own, *likely, *classes]) if name in known][: len(NUMBERS)]


def by_key(classes: list[str]) -> list[tuple[str, str]]:
    """Pairs of a number key and its class, in the order of the keys; a class that is called like a key has it."""
    free = iter([key for key in NUMBERS if key not in classes])
    pairs = [(name if name in NUMBERS else next(free), name) for name in classes]
    return sorted(pairs, key=lambda pair: pair[0] if "0" in classes else NUMBERS.index(pair[0]))
