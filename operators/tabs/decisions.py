"""One decision at a time, by button, key or list: what Review and Mistakes share."""

from __future__ import annotations

import os
import socket
from abc import abstractmethod
from typing import Any, ClassVar

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows.data import items
from ...workflows.data.internals import reload_dataset
from ...workflows.reviewing import policy
from ...workflows.ui import sittings
from ...workflows.ui.sittings import Sitting
from ..display import widgets
from ..display.wording import capitalize, use_labels
from .tab import Tab

LARGE_PX, SMALL_PX = 280, 40
BOX_COLUMNS = f"minmax(0, {LARGE_PX}px) minmax(0, {LARGE_PX}px)"  # of a crop and its image: a narrow panel shrinks both
ELSEWHERE = "Somebody else has decided on this {noun}: their decision stays"
BUTTONS = (("accept", "check", "contained"), ("skip", "skip_next", "outlined"), ("reject", "close", "outlined"))


class DecisionTab(Tab):
    """A tab that shows one suggestion and writes what a person decides on it.

    Its state has: field, label_field, noun, id and path of the item (id None: none is left), label (the suggestion),
    classes, numbered (key and class), near (items to compare with), done (decisions of this sitting), and turn, another
    text after each decision. Its events `on_NAME_act`, `on_NAME_correct` and `on_NAME_open` call `act`, `correct` and
    `open_image`.
    """

    words: ClassVar[dict[str, str]]  # of the actions accept, skip and reject

    @abstractmethod
    def write(self, ctx: foo.ExecutionContext, state: dict[str, Any], action: str, label: str | None) -> bool:
        """Writes a decision on the item that is shown; False where it was decided before."""

    def _event(self, name: str) -> Any:
        return getattr(self, f"on_{self.name}_{name}")

    def show_undo(self, line: types.Object, state: dict[str, Any]) -> None:
        if state["done"]:
            line.btn(f"{self.name}_undo", label="Undo", icon="undo", variant="outlined", on_click=self._event("act"),
                     params=dict(action="undo", turn=state["turn"]))  # fmt: skip

    def show_images(self, page: types.Object, state: dict[str, Any], title: str) -> None:
        """Draws the item and beside it those to compare with; a box beside its image, and those below."""
        name, near = f"{self.name}_{state['id']}", f"near_{state['id']}"
        if state["noun"] == items.BOX:
            row = widgets.grid_row(page, f"{self.name}_row_{state['id']}", BOX_COLUMNS)
            widgets.crop(row, name, state["path"], LARGE_PX, self._event("open"))
            widgets.place(row, f"{name}_place", state["path"], LARGE_PX, state.get("suggested_box"))
            if state["near"]:
                widgets.text(page, title)
                self._show_near(widgets.button_row(page, near), state)
            return
        row = page.h_stack(f"{self.name}_row_{state['id']}", gap=2, align_y="start")
        widgets.thumbnail(row, name, state["path"], LARGE_PX)
        if state["near"]:
            column = row.v_stack(near, gap=1)
            column.md(title, name="near_title")
            self._show_near(column, state)

    def _show_near(self, parent: types.Object, state: dict[str, Any]) -> None:
        for place, item in enumerate(state["near"]):
            line = parent.h_stack(f"near_{state['id']}_{place}", gap=1, align_y="center")
            widgets.thumbnail(line, f"near_{state['id']}_{item['id']}", item["path"], SMALL_PX)
            line.md(widgets.escape(item["label"]), name=f"near_label_{place}")

    def show_actions(self, page: types.Object, state: dict[str, Any]) -> None:
        """Draws the buttons, the keys and the list of classes; a tag is there or not, and has none."""
        buttons = page.h_stack(f"{self.name}_actions", gap=1, align_y="center")
        for action, icon, variant in BUTTONS:
            buttons.btn(f"{self.name}_{action}", label=capitalize(self.words[action]), icon=icon, variant=variant,
                        on_click=self._event("act"), params=dict(action=action, turn=state["turn"]))  # fmt: skip
        if state["noun"] == items.BOX:
            buttons.btn(f"{self.name}_open", label="Open the image", icon="open_in_full", variant="outlined",
                        on_click=self._event("open"))  # fmt: skip
        self.show_keys(page, state)
        if state["noun"] == items.TAG:
            return
        classes = {name: name for name in state["classes"]}
        widgets.dropdown(page, f"correct_{state['id']}", classes, "Correct to", self._event("correct"))

    def show_keys(self, page: types.Object, state: dict[str, Any]) -> None:
        """Draws the keys, with the component that listens to them (panel.js)."""
        actions = ["accept", "skip", "reject"] if state["id"] else []
        actions += ["correct"] if state["id"] and state["noun"] != items.TAG else []
        actions += ["undo"] if state["done"] else []
        view = types.View(
            component="EvensetKeys", composite_view=True, on_key=self._event("act"), turn=state["turn"],
            shown=state["id"], actions=actions, words=self.words, numbered=state.get("numbered", []),
        )  # fmt: skip
        page.view(f"{self.name}_keys", view)

    def act(self, ctx: foo.ExecutionContext) -> dict[str, bool]:
        """Carries out a button or a key; one that arrives when another item is shown has no effect.

        Returns whether it was carried out: if not, panel.js drops the keys that wait for it.
        """
        if not self.panel.has_state(ctx, self.name, "turn"):
            return dict(acted=False)
        state, action = ctx.panel.state.get(self.name), ctx.params["action"]
        acted = ctx.params["turn"] == state["turn"]
        if not acted:
            self.panel.refresh(ctx)
        elif action == "undo":
            acted = self._undo(ctx, state)
        elif action == "skip":
            sittings.skip(sitting_on(ctx, state), state["id"])
            self.load(ctx)
        else:
            acted = self._decide(ctx, state, action, ctx.params.get("label"))
        return dict(acted=acted)

    def correct(self, ctx: foo.ExecutionContext) -> None:
        """Writes the class chosen in an item's list; the App may report it when another item is shown."""
        item_id, label = ctx.params["path"].removeprefix("correct_"), ctx.params.get("value")
        if not label or not self.panel.has_state(ctx, self.name, "field"):
            return
        ctx.panel.state.set(ctx.params["path"], None)  # the list does not report a value that it holds
        state = ctx.panel.state.get(self.name)
        if item_id == state["id"]:
            self._decide(ctx, state, "correct", label)
        else:
            ctx.ops.notify(f"Another {state['noun']} is shown now: {label} was not written", variant="warning")
            self.panel.refresh(ctx)

    def open_image(self, ctx: foo.ExecutionContext) -> None:
        """Opens the whole image of the box that is shown, with the box selected; in a view, shows it in the grid.

        FiftyOne opens samples of the App's view only, and fails for others.
        """
        if not self.panel.has_state(ctx, self.name, "field"):
            return
        state = ctx.panel.state.get(self.name)
        for label in items.label_of(ctx.dataset, state["id"], state["label_field"], state["field"]):
            if ctx.has_custom_view:
                self.panel.set_view(ctx, view=ctx.dataset.select(label["sample_id"]))
            else:
                ctx.ops.open_sample(id=label["sample_id"])
            ctx.ops.set_selected_labels([label])

    def _decide(self, ctx: foo.ExecutionContext, state: dict[str, Any], action: str, label: str | None) -> bool:
        """Writes a decision, unless it is refused or somebody else decided before."""
        if action == "correct" and label == state["label"]:
            action, label = "accept", None
        try:
            written = self.write(ctx, state, action, label)
        except policy.Refused as error:  # the item stays, for another decision
            ctx.ops.notify(capitalize(use_labels(str(error))), variant="warning")
            return False
        if not written and not self._is_ours(ctx, state):
            ctx.ops.notify(ELSEWHERE.format(noun=state["noun"]), variant="warning")
        self.show_next(ctx)
        return written

    def _is_ours(self, ctx: foo.ExecutionContext, state: dict[str, Any]) -> bool:
        """Whether this sitting decided on the item: a list may report a choice twice, at the same moment."""
        reload_dataset(ctx.dataset)
        return state["id"] in sittings.decided(sitting_on(ctx, state))

    def _undo(self, ctx: foo.ExecutionContext, state: dict[str, Any]) -> bool:
        try:
            undone = sittings.undo(sitting_on(ctx, state), state["done"])
        except ValueError as error:  # it was edited since: the decision before it is next
            ctx.ops.notify(capitalize(str(error)), variant="warning")
            undone = None
        self.show_next(ctx)
        return undone is not None

    def show_next(self, ctx: foo.ExecutionContext) -> None:
        """Draws the grid and the tab again; the decision has just loaded the dataset."""
        ctx.ops.reload_samples()
        self.panel.refresh(ctx, reload=False)


def session_name() -> str:
    """The person who decides: this server, whose pages share one queue."""
    return f"{socket.gethostname()} {os.getpid()}"


def sitting_on(ctx: foo.ExecutionContext, state: dict[str, Any]) -> Sitting:
    """This person's sitting on the suggestions of a tab's state."""
    return Sitting(ctx.dataset, state["field"], state["label_field"], session_name())
