"""The garbage collector pauses for a read, and is as before afterwards."""

from __future__ import annotations

import gc

import pytest
from evenset.workflows.data.collector import paused


@pytest.fixture(params=[True, False])
def enabled(request):
    usual = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if usual else gc.disable)()


def test_it_pauses_and_is_as_before_also_after_an_error(enabled):
    with paused(), paused():
        assert not gc.isenabled()
    assert gc.isenabled() == enabled
    with pytest.raises(KeyError), paused():
        raise KeyError
    assert gc.isenabled() == enabled
