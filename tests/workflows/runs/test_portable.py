"""Errors that go from one process of a launch to the others."""

from __future__ import annotations

import pytest
from evenset.models.errors import DatabaseUnavailable, InvalidInput
from evenset.workflows.reviewing.policy import Refused
from evenset.workflows.runs.launch import _portable
from evenset.workflows.runs.run import RunStopped


class Own(Exception):
    """Of a library that another process may not have."""


@pytest.mark.parametrize(
    "error",
    [InvalidInput("a"), RunStopped("b"), Refused("c"), DatabaseUnavailable("d"), ValueError("e"), KeyboardInterrupt()],
)
def test_errors_of_evenset_and_python_keep_their_type_and_sentence(error):
    told = _portable(error)
    assert type(told) is type(error) and str(told) == str(error)


def test_other_errors_keep_their_sentence():
    assert repr(_portable(Own("x"))) == "RuntimeError('Own: x')"
    text = _portable(UnicodeDecodeError("utf-8", b"a", 0, 1, "bad"))
    assert type(text) is RuntimeError and "UnicodeDecodeError" in str(text)
