"""Train on all GPUs: offered where there are several, and given to the worker."""

from __future__ import annotations

from types import SimpleNamespace

import fiftyone.operators as foo
import pytest
from evenset.operators import execution
from evenset.operators.forms import form
from evenset.operators.split_dataset import SplitDataset
from evenset.operators.train_resnet import TrainResNet


@pytest.fixture
def context(clusters):
    dataset = clusters(12, 12, classes=2)

    def make(**params):
        return foo.ExecutionContext(dict(dataset_name=dataset.name, params=params))

    return make


@pytest.mark.parametrize(("count", "is_offered"), [(0, False), (1, False), (4, True)])
def test_several_gpus_are_offered_where_a_network_trains(context, monkeypatch, count, is_offered):
    monkeypatch.setattr(form, "gpu_count", lambda: count)
    lines = TrainResNet().resolve_input(context()).type.properties
    assert ("all_gpus" in lines) == is_offered
    assert "all_gpus" not in SplitDataset().resolve_input(context()).type.properties


@pytest.mark.parametrize(("params", "processes"), [({}, 1), ({"all_gpus": False}, 1), ({"all_gpus": True}, 4)])
def test_the_worker_gets_a_process_for_each(monkeypatch, params, processes):
    monkeypatch.setattr(execution, "gpu_count", lambda: 4)
    assert execution._processes(SimpleNamespace(params=params)) == processes


def test_a_form_that_was_sent_on_another_machine_has_one_process_at_least(monkeypatch):
    monkeypatch.setattr(execution, "gpu_count", lambda: 0)
    assert execution._processes(SimpleNamespace(params={"all_gpus": True})) == 1
