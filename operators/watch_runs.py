"""Watch runs: tells open panels that a run or its labels changed; panel.js listens to it."""

from __future__ import annotations

import fiftyone.operators as foo

from ..workflows.runs import records


class WatchRuns(foo.SseOperator):
    """FiftyOne watches the store for all listeners: an open panel asks nothing until something changes."""

    @property
    def subscription_config(self) -> foo.SseOperatorConfig:
        return foo.SseOperatorConfig(name="watch_runs", label="Watch runs", store_name=records.CHANGES)
