"""A page of the App with the panel, without a browser."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from evenset.operators.evenset_panel import EvensetPanel
from fiftyone.operators.executor import ExecutionContext, Executor

BROKEN = re.compile(r"\b(Traceback|undefined|NaN)\b")  # what no user should read


class Sent(NamedTuple):
    """What an event sent to the App."""

    notices: list[tuple[str, str]]  # variant and message
    page: str
    forms: list[dict[str, Any]]  # what they are filled in with


class Panel:
    """A page of the App: it keeps the panel's state, and sends it with each event."""

    def __init__(self, dataset: Any, panel_id: str = "one") -> None:
        self.dataset, self.panel_id, self.state = dataset, panel_id, {}

    def execute(self, event: str, app_view: Any = None, **params: Any) -> tuple[Any, list[Any]]:
        """The answer, and what the App is asked to do."""
        panel = EvensetPanel()
        panel.plugin_name = "@evenset/evenset"
        params.update(panel_id=self.panel_id, panel_state=self.state, __method__=event)
        executor = Executor()
        request = dict(dataset_name=self.dataset.name, params=params, view=app_view)
        context = ExecutionContext(request, executor=executor)
        result = panel.execute(context)
        for request in executor._requests:  # a state that was cleared is another one, which the App has to build
            if request.operator_uri == "clear_panel_state":
                self.state = {}
            if request.operator_uri == "patch_panel_state":
                self.state.update(request.params["state"])
        return result, executor._requests

    def send(self, event: str, **params: Any) -> Sent:
        _, requests = self.execute(event, **params)
        told, drawn, asked = (
            [request.params for request in requests if request.operator_uri == name]
            for name in ("notify", "show_panel_output", "prompt_user_for_operation")
        )
        assert len(drawn) == 1
        notices = [(one["variant"], one["message"]) for one in told]
        return Sent(notices, str(drawn[0]), [one["params"] for one in asked])

    def act(self, action: str) -> Sent:
        """Presses a button of Review, as it is drawn."""
        return self.send("on_review_act", action=action, turn=self.state["review"]["turn"])

    def again(self, tab: str) -> dict[str, Any]:
        """The state of a tab that is asked of the database again, in the same sitting."""
        self.send("on_tab", value=tab)
        return self.state[tab]

    def open(self, tab: str) -> Panel:
        self.send("on_load")
        assert self.send("on_tab", value=tab).notices == []
        return self
