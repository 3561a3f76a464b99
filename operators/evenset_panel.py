"""The panel: one place from which labels are made, looked at, checked, evened out and undone."""

from __future__ import annotations

import contextlib
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows.data.internals import dataset_id, requests_to_app
from ..workflows.runs import records, worker
from . import running, turns
from .tabs import drawing
from .tabs.balance import BalanceTab
from .tabs.labels import LabelsTab
from .tabs.live import LiveStrip, is_stale
from .tabs.mistakes import MistakesTab
from .tabs.overview import OverviewTab
from .tabs.review import ReviewTab
from .tabs.runs import RunsTab
from .words import capital

MARGINS = types.View(  # FiftyOne leaves one on the left alone
    component="ObjectView", componentsProps=dict(gridContainer=dict(sx=dict(paddingX=1)))
)
BY_ITSELF = ("on_news", "on_view", "on_live_tick")  # events that no user asks for; the page asks again
CHOICES = (  # of which the last one holds
    "on_tab", "on_label_field", "on_runs_choose", "on_balance_target", "on_labels_target", "on_overview_page",
    "on_mistakes_page",
)  # fmt: skip
TABS = ("overview", "labels", "review", "mistakes", "balance", "runs")


class EvensetPanel(OverviewTab, LabelsTab, ReviewTab, MistakesTab, BalanceTab, RunsTab, LiveStrip, foo.Panel):
    """A tab NAME has `load_NAME` (asks the database, when it is shown) and `show_NAME` (draws what was loaded)."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(
            name="evenset_panel",
            label="Evenset",
            icon="auto_awesome",
            help_markdown="Label the rest, review, find mistakes, even out the classes, and undo",
        )

    def execute(self, ctx: Any) -> Any:
        """Every event comes here; the answer of one that a later one overtakes is not sent."""
        method = ctx.params.get("__method__")
        if method in BY_ITSELF:
            is_overtaken = turns.of_panel(ctx.panel_id)
            result = None if is_overtaken() else self._answer(ctx)
        else:
            with turns.of_user(ctx.panel_id, method) as is_repeated:
                result = self._answer(ctx)
            is_overtaken = is_repeated if method in CHOICES else lambda: False
        requests = requests_to_app(ctx)
        if is_overtaken():
            requests.clear()
            return dict(overtaken=True)
        requests[:] = merged(requests)
        return result

    def _answer(self, ctx: Any) -> Any:
        """What an event does; an error is shown as a sentence."""
        try:
            if ctx.params.get("__method__") == "on_news" and not is_stale(ctx):
                return None  # this page has drawn it already
            self._recall(ctx)
            return super().execute(ctx)
        except Exception as error:
            self._show_error(ctx, capital(worker.sentence(error, "the panel")))

    def _show_error(self, ctx: Any, reason: str) -> None:
        ctx.ops.notify(reason, variant="error")
        page = types.Object()
        with contextlib.suppress(Exception):  # the dataset is gone, or the database
            if ctx.dataset is not None:
                self._show_tabs(ctx, page)  # the others may have no trouble
                self.show_news(ctx, page)
                if ctx.panel.state.live and ctx.params.get("__method__") in BY_ITSELF:
                    self.show_timer(page)  # the next look may have none
        drawing.note(page, "error", reason)
        page.btn("again", label="Look again", icon="refresh", on_click=self.on_again)
        ctx.ops.show_panel_output(types.Property(page, view=MARGINS))

    def _recall(self, ctx: Any) -> None:
        """Asks again for what an event is about: pages of one server share the state, and one that opens empties it."""
        tab = (ctx.params.get("__method__") or "").removeprefix("on_").partition("_")[0]
        if tab in TABS and ctx.dataset is not None and ctx.panel.state.get(tab) is None:
            getattr(self, f"load_{tab}")(ctx)

    def knows(self, ctx: Any, tab: str, name: str) -> bool:
        """Whether a tab's state has what an event is about; where another page took it away, it is said and shown."""
        if (ctx.panel.state.get(tab) or {}).get(name) is not None:
            return True
        ctx.ops.notify("What this was about was deleted meanwhile: nothing was written", variant="warning")
        self.refresh(ctx)
        return False

    def on_load(self, ctx: Any) -> None:
        about = str(dataset_id(ctx.dataset)) if ctx.dataset is not None else None
        if ctx.panel.state.about not in (None, about):  # chosen on another dataset, in another page of this server
            ctx.panel.state.clear()
        ctx.panel.state.about = about
        opening = running.take_opening(ctx.dataset) if about else {}
        ctx.panel.state.label_field = ctx.panel.state.label_field or opening.get("label_field")
        tab = ctx.panel.state.tab or opening.get("tab")
        ctx.panel.state.tab = tab if tab in TABS else TABS[0]
        self.on_again(ctx)

    def on_again(self, ctx: Any) -> None:
        if ctx.dataset is not None:
            self.refresh(ctx)
            self.load_live(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        self.on_load(ctx)

    def on_view(self, ctx: Any) -> None:
        """The App's view changed; Overview marks it in its bars."""
        if ctx.panel.state.tab == "overview":
            self.load_overview(ctx)

    def on_label_field(self, ctx: Any) -> None:
        """All tabs are about the labels of one field."""
        ctx.panel.state.label_field = ctx.params["value"]
        ctx.panel.state.mistakes_first = 0
        self.refresh(ctx)

    def on_open_view(self, ctx: Any) -> None:
        if not ctx.dataset.has_saved_view(ctx.params["view"]):
            raise ValueError(f"the saved view {ctx.params['view']!r} was deleted")
        ctx.ops.set_view(name=ctx.params["view"])

    def on_tab(self, ctx: Any) -> None:
        self.go_to(ctx, ctx.params["value"])

    def go_to(self, ctx: Any, tab: str) -> None:
        ctx.panel.state.tab = tab
        self.read_news(ctx)
        self.refresh(ctx)

    def refresh(self, ctx: Any) -> None:
        """Asks the database again for what the open tab shows."""
        ctx.panel.state.shown = ctx.panel.state.tab  # whatever comes of it: a tab that fails is not asked for for ever
        ctx.panel.state.changed = records.last_change(ctx.dataset)  # before it is read: what comes meanwhile is news
        ctx.dataset.reload()
        getattr(self, f"load_{ctx.panel.state.tab or TABS[0]}")(ctx)

    def render(self, ctx: Any) -> types.Property:
        page = types.Object()
        if ctx.dataset is None or ctx.dataset.media_type not in ("image", None) or not ctx.dataset.limit(1).count():
            reason = "Open a dataset of images: Evenset works on those."
            drawing.note(page, "info", reason if ctx.dataset is None or len(ctx.dataset) else "The dataset is empty.")
        else:
            if ctx.panel.state.get(ctx.panel.state.tab or TABS[0]) is None:
                self.refresh(ctx)  # another event came before the one that loads the tab
            self._show_tabs(ctx, page)  # on top, where they stay whatever comes and goes
            self.show_live(ctx, page)
            getattr(self, f"show_{ctx.panel.state.tab or TABS[0]}")(ctx, page)
            self.show_news(ctx, page)
        return types.Property(page, view=MARGINS)

    def _show_tabs(self, ctx: Any, page: types.Object) -> None:
        shown = ctx.panel.state.shown or TABS[0]
        view = types.View(component="EvensetTabs", composite_view=True, names=TABS, shown=shown, on_tab=self.on_tab)
        page.view("tabs", view)


def merged(requests: list[Any]) -> list[Any]:
    """The same requests to the App, patches that follow one another in one: it draws all of itself after each."""
    kept: list[Any] = []
    for request in requests:
        last = kept[-1] if kept else None
        if last is not None and last.operator_uri == request.operator_uri == "patch_panel_state":
            last.params["state"] = {**last.params["state"], **request.params["state"]}
        else:
            kept.append(request)
    return kept
