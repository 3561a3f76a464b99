"""The panel: tabs from which labels are made, reviewed, checked, balanced and undone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows import stop_run
from ..workflows.data.internals import dataset_id, reload_dataset, requests_to_app
from ..workflows.runs import records, worker
from ..workflows.ui import sittings
from .display import widgets
from .display.accessible import name_inputs
from .display.pages import PANEL
from .display.wording import capitalize
from .execution import take_opening
from .tabs import event_order
from .tabs.balance import BalanceTab
from .tabs.decisions import session_name
from .tabs.labels import LabelsTab
from .tabs.live import LiveStrip, is_outdated
from .tabs.mistakes import MistakesTab
from .tabs.overview import OverviewTab
from .tabs.review import ReviewTab
from .tabs.runs import RunsTab
from .tabs.tab import Tab

MARGINS = types.View(  # FiftyOne leaves a margin on the left only
    component="ObjectView", componentsProps=dict(gridContainer=dict(sx=dict(paddingX=1)))
)
AUTOMATIC_EVENTS = ("on_live_changes", "on_view", "on_live_tick")  # without a user; the page sends them again
REPLACEABLE_EVENTS = (  # of several alike, only the last one needs an answer
    "on_tab", "on_label_field", "on_runs_choose", "on_balance_target", "on_labels_target", "on_overview_page",
    "on_mistakes_page",
)  # fmt: skip
TABS = (OverviewTab, LabelsTab, ReviewTab, MistakesTab, BalanceTab, RunsTab)  # in their order


class EvensetPanel(foo.Panel):
    """Holds the tabs, hands them their events, and draws the open one.

    State `tab`: the open tab. State `shown`: the tab that is drawn. State `dataset_id`: what the state is about. State
    `has_set_view`: whether the App's view may be one that the panel opened.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tabs: dict[str, Tab] = {kind.name: kind(self) for kind in TABS}
        self.live = LiveStrip(self)

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name=PANEL,
            label="Evenset",
            icon="auto_awesome",  # FiftyOne draws no file of a plugin here
            help_markdown="Label the rest, review, find mistakes, balance the classes, and undo",
        )

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Answers an event, unless a later one overtakes it meanwhile."""
        event = ctx.params.get("__method__")
        if event in AUTOMATIC_EVENTS:
            is_overtaken = event_order.automatic_event(ctx.panel_id)
            result = None if is_overtaken() else self._answer(ctx, event)
        else:
            with event_order.user_event(ctx.panel_id, event) as is_repeated:
                result = self._answer(ctx, event)
            is_overtaken = is_repeated if event in REPLACEABLE_EVENTS else lambda: False
        requests = requests_to_app(ctx)
        if is_overtaken():
            requests.clear()
            return dict(overtaken=True)
        requests[:] = merge_patches(requests)
        return result

    def _answer(self, ctx: foo.ExecutionContext, event: str | None) -> Any:
        """Handles an event and draws the panel; an error is shown as a sentence."""
        if event in (None, "on_startup"):
            return self.on_startup(ctx)
        try:
            if event == "on_live_changes" and not is_outdated(ctx):
                return None  # this page has drawn the changes already
            self._restore_state(ctx, event)
            handler = self._handler(event)
            result = handler(ctx) if handler else None
            ctx.ops.show_panel_output(self.render(ctx))
            return result
        except Exception as error:
            self._show_error(ctx, event, capitalize(worker.sentence(error, "the panel")))

    def _handler(self, event: str) -> Callable[[foo.ExecutionContext], Any] | None:
        """The method that answers an event: the tab's for `on_TAB_...`, the live strip's, or the panel's own."""
        owners = {**self.tabs, self.live.name: self.live}
        return getattr(owners.get(tab_of(event), self), event, None) if event.startswith("on_") else None

    def _restore_state(self, ctx: foo.ExecutionContext, event: str) -> None:
        """Loads the state of the event's tab where it is gone: another page that opens empties it for all."""
        tab = tab_of(event)
        if tab in self.tabs and ctx.dataset is not None and ctx.panel.state.get(tab) is None:
            self.tabs[tab].load(ctx)

    def _show_error(self, ctx: foo.ExecutionContext, event: str, reason: str) -> None:
        ctx.ops.notify(reason, variant="error")
        page = types.Object()
        with contextlib.suppress(Exception):  # the dataset is gone, or the database
            if ctx.dataset is not None:
                self._show_tab_bar(ctx, page)  # the other tabs may work
                self.live.show_listener(ctx, page, self.on_view)
                if ctx.panel.state.live and event in AUTOMATIC_EVENTS:
                    self.live.show_timer(page)  # the next look may work
        widgets.note(page, "error", reason)
        page.btn("again", label="Try again", icon="refresh", on_click=self.on_again)
        ctx.ops.show_panel_output(name_inputs(types.Property(page, view=MARGINS)))

    def render(self, ctx: foo.ExecutionContext) -> types.Property:
        page = types.Object()
        if ctx.dataset is None or ctx.dataset.media_type not in ("image", None):
            widgets.note(page, "info", "Open a dataset of images: Evenset works on those.")
        elif not ctx.dataset.limit(1).count():
            widgets.note(page, "info", "The dataset is empty.")
        else:
            tab = self._open_tab(ctx)
            if ctx.panel.state.get(tab.name) is None:
                self.refresh(ctx)  # another event came before the one that loads the tab
            self._show_tab_bar(ctx, page)
            self.live.show(ctx, page)
            if ctx.panel.state.has_set_view and ctx.has_custom_view:
                line = widgets.button_row(page, "view_set")
                line.btn("all_samples", label="Show all samples", icon="grid_view", variant="outlined",
                         on_click=self.on_all_samples)  # fmt: skip
            tab.show(ctx, page)
            self.live.show_listener(ctx, page, self.on_view)
        return name_inputs(types.Property(page, view=MARGINS))

    def _show_tab_bar(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        names = tuple(self.tabs)
        view = types.View(
            component="EvensetTabs", composite_view=True, names=names, shown=ctx.panel.state.shown or names[0],
            on_tab=self.on_tab,
        )  # fmt: skip
        page.view("tabs", view)

    def _open_tab(self, ctx: foo.ExecutionContext) -> Tab:
        return self.tabs[ctx.panel.state.tab or OverviewTab.name]

    def refresh(self, ctx: foo.ExecutionContext, *, reload: bool = True) -> None:
        """Loads the open tab again, and the dataset."""
        ctx.panel.state.shown = ctx.panel.state.tab  # first: panel.js asks until the open tab is the one that is drawn
        ctx.panel.state.changed = records.last_change(ctx.dataset)  # first: a change meanwhile is drawn afterwards
        if reload:
            reload_dataset(ctx.dataset)
        self._open_tab(ctx).load(ctx)

    def open_tab(self, ctx: foo.ExecutionContext, tab: str) -> None:
        ctx.panel.state.tab = tab
        self.dismiss_outcomes(ctx)
        self.refresh(ctx)

    def has_state(self, ctx: foo.ExecutionContext, tab: str, name: str) -> bool:
        """Whether a tab's state holds what an event is about; else says so, and loads the tab again."""
        if (ctx.panel.state.get(tab) or {}).get(name) is not None:
            return True
        ctx.ops.notify("Nothing was written: the run shown here was deleted meanwhile", variant="warning")
        self.refresh(ctx)
        return False

    def load_live(self, ctx: foo.ExecutionContext) -> None:
        self.live.load(ctx)

    def dismiss_outcomes(self, ctx: foo.ExecutionContext) -> None:
        self.live.dismiss_outcomes(ctx)

    def stop_run(self, ctx: foo.ExecutionContext, run_key: str) -> None:
        """Asks a run to stop; one that has ended already is shown as it is."""
        try:
            stop_run.stop_run(ctx.dataset, run_key)
            ctx.ops.notify(f"{run_key} stops within a batch, and can be resumed", variant="info")
        except ValueError as error:
            ctx.ops.notify(capitalize(str(error)), variant="warning")
            self.live.on_live_changes(ctx)

    def on_load(self, ctx: foo.ExecutionContext) -> None:
        """Opens the tab and the label field that an operator asked for, or those that were open."""
        subject = str(dataset_id(ctx.dataset)) if ctx.dataset is not None else None
        if ctx.panel.state.dataset_id not in (None, subject):  # the state is about another page's dataset
            ctx.panel.state.clear()
        ctx.panel.state.dataset_id = subject
        opening = take_opening(ctx.dataset) if subject else {}
        if subject:
            sittings.end_idle(ctx.dataset, session_name())
        ctx.panel.state.label_field = ctx.panel.state.label_field or opening.get("label_field")
        tab = ctx.panel.state.tab or opening.get("tab")
        ctx.panel.state.tab = tab if tab in self.tabs else OverviewTab.name
        self.on_again(ctx)

    def on_again(self, ctx: foo.ExecutionContext) -> None:
        if ctx.dataset is not None:
            self.refresh(ctx)
            self.live.load(ctx)

    def on_change_dataset(self, ctx: foo.ExecutionContext) -> None:
        self.on_load(ctx)

    def on_view(self, ctx: foo.ExecutionContext) -> None:
        """The App's view changed, which Overview marks in its bars, and which the user may have left."""
        if not ctx.has_custom_view:
            ctx.panel.state.has_set_view = False
        if ctx.panel.state.tab == OverviewTab.name:
            self._open_tab(ctx).load(ctx)

    def on_label_field(self, ctx: foo.ExecutionContext) -> None:
        """Makes all tabs about the labels of another field."""
        ctx.panel.state.label_field = ctx.params["value"]
        ctx.panel.state.mistakes_first = 0
        self.refresh(ctx)

    def on_open_view(self, ctx: foo.ExecutionContext) -> None:
        if not ctx.dataset.has_saved_view(ctx.params["view"]):
            raise ValueError(f"the saved view {ctx.params['view']!r} was deleted")
        self.set_view(ctx, name=ctx.params["view"])

    def set_view(self, ctx: foo.ExecutionContext, **view: Any) -> None:
        ctx.panel.state.has_set_view = True
        ctx.ops.set_view(**view)

    def on_all_samples(self, ctx: foo.ExecutionContext) -> None:
        """Leaves a view that the panel opened; the selection stays."""
        ctx.panel.state.has_set_view = False
        ctx.ops.clear_view()
        ctx.ops.clear_sidebar_filters()

    def on_tab(self, ctx: foo.ExecutionContext) -> None:
        self.open_tab(ctx, ctx.params["value"])


def tab_of(event: str) -> str:
    """`on_review_act` as "review"."""
    return event.removeprefix("on_").partition("_")[0]


def merge_patches(requests: list[Any]) -> list[Any]:
    """The requests to the App with successive patches of the state in one: the App redraws everything after each."""
    merged: list[Any] = []
    for request in requests:
        last = merged[-1] if merged else None
        if last is not None and last.operator_uri == request.operator_uri == "patch_panel_state":
            last.params["state"] = {**last.params["state"], **request.params["state"]}
        else:
            merged.append(request)
    return merged
