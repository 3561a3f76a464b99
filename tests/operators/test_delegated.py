"""Delegated execution: the App queues, FiftyOne's own service runs the same workflow with the same record."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from evenset import auto_label, delete_run, load_results

SETTINGS = dict(label_field="ground_truth", embeddings="vector", target_precision=0.9)


@pytest.fixture
def service():
    """FiftyOne's service for queued operators, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from fiftyone.core.cli import main; main()", "delegated", "launch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.terminate()
    process.communicate(timeout=30)


def ended(operation_id: str, seconds: float = 120):
    """The queued operation, once it is completed or failed."""
    from bson import ObjectId
    from fiftyone.operators.delegated import DelegatedOperationService

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        operation = DelegatedOperationService().get(ObjectId(operation_id))
        if operation.run_state in ("completed", "failed"):
            return operation
        time.sleep(0.5)
    pytest.fail(f"the operation is still {operation.run_state}")


def queue(app, dataset, operator: str, params: dict) -> str:
    answer = app.ask("execute", dataset, operator, params, request_delegation=True)[0]
    assert answer["delegated"]
    return answer["result"]["id"]["$oid"]


@pytest.mark.slow
def test_a_queued_operator_writes_what_the_sdk_writes(app, clusters, service):
    dataset, twin = clusters(), clusters()
    results = auto_label(twin, **SETTINGS, progress=False)

    operation = ended(queue(app, dataset, "auto_label", SETTINGS))

    assert operation.run_state == "completed"
    assert operation.result.result == dict(run_key=results.run_key, text=str(results))
    dataset.reload()
    columns = ["label", "confidence", "status", "margin"]
    for column in columns:
        assert dataset.values(f"auto_label.{column}") == twin.values(f"auto_label.{column}")
    assert load_results(dataset, results.run_key) == load_results(twin, results.run_key)
    delete_run(dataset, results.run_key)


@pytest.mark.slow
def test_a_queued_operator_that_fails_ends_with_the_sentence(app, clusters, service):
    dataset = clusters()
    operation = ended(queue(app, dataset, "auto_label", {**SETTINGS, "embeddings": "vectors"}))

    assert operation.run_state == "failed"
    assert "'vectors'" in operation.result.error.strip().splitlines()[-1]
    dataset.reload()
    assert "auto_label" not in dataset.get_field_schema()
