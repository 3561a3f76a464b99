"""The precision follows the hardware, and the settings of each run."""

import time

import pytest
from evenset.models import devices


def test_the_faster_precision_is_chosen_only_where_it_pays(monkeypatch):
    def run(seconds: dict[str, float]):
        return lambda precision: time.sleep(seconds[precision])

    monkeypatch.setattr(devices, "multiplies_bf16", lambda device: device == "new")
    assert devices.faster_precision(run({"fp32": 0.03, "bf16": 0.01}), "new") == "bf16"
    assert devices.faster_precision(run({"fp32": 0.03, "bf16": 0.03}), "new") == "fp32"
    assert devices.faster_precision(lambda _: pytest.fail("timed"), "old") == "fp32"


def test_the_precision_can_change_from_one_run_to_the_next_in_a_process():
    assert devices.accelerator("cpu", "bf16").mixed_precision == "bf16"
    assert devices.accelerator("cpu", "fp32").mixed_precision == "no"
