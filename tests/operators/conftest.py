"""Operators as the App calls them: requests to the real server, whose answers are read as the App reads them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple

import pytest

PATIENCE_SECONDS = 300
START_SECONDS = 60  # within which the server has to answer


class Answer(NamedTuple):
    """What an operator showed: its last page, what it notified of, and all that it sent."""

    page: dict[str, Any]
    values: dict[str, Any]
    notices: list[tuple[str, str]]  # variant and message
    sent: list[dict[str, Any]]

    @property
    def alerts(self) -> list[tuple[str, str]]:
        """Severity and text of each alert on the page."""
        views = [line["view"] for line in self.page.values()]
        return [(view["severity"], view["label"]) for view in views if view["name"] == "AlertView"]

    @property
    def labels(self) -> list[str]:
        """What the page's headings and buttons say, in their order."""
        lines = [*self.page.values()]
        for line in self.page.values():
            lines += line["type"].get("properties", {}).values()
        return [line["view"]["label"] for line in lines if line["view"].get("label")]


class App:
    """The requests that a page of the App makes of an operator."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, route: str, dataset: Any, operator: str, params: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        uri = f"@evenset/evenset/{operator}"
        samples = more.pop("samples", dataset)
        view = [] if samples is dataset else samples._serialize()
        body = dict(operator_uri=uri, dataset_name=dataset.name, params=params, view=view, **more)
        body.setdefault("view_target", "CURRENT_VIEW" if view else "DATASET")
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/operators/{route}", json.dumps(body).encode(), headers)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                    return [json.loads(line) for line in response.read().decode().splitlines()]
            except urllib.error.HTTPError as error:
                raise AssertionError(error.read().decode()) from error
            except urllib.error.URLError:
                assert time.monotonic() < deadline, f"{self.address} does not answer"
                time.sleep(0.5)

    def form(self, dataset: Any, operator: str, params: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The lines of the operator's form, by name."""
        return self.ask("resolve-type", dataset, operator, params or {}, **more)[0]["type"]["properties"]

    def execute(self, dataset: Any, operator: str, params: dict[str, Any], **more: Any) -> Answer:
        """All that the operator sends until it ends; one that starts a worker is waited for."""
        params = {"wait": True, **params}
        sent = [line["body"] for line in self.ask("execute/generator", dataset, operator, params, **more)]
        told = [body["params"] for body in sent if body["operator_uri"] == "notify"]
        shown = [body["params"] for body in sent if body["operator_uri"] == "show_output"]
        page, values = (shown[-1]["outputs"]["type"]["properties"], shown[-1]["results"]) if shown else ({}, {})
        return Answer(page, values, [(notice["variant"], notice["message"]) for notice in told], sent)


@pytest.fixture
def app(address: str) -> App:
    return App(address)
