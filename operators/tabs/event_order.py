"""Overlapping events of a panel: an answer that a later one has overtaken is not sent, and users go first."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

DRAWING_SECONDS = 0.5  # an answered page may take this long to apply the new state


@dataclass
class UserEvents:
    """The events of a panel that its user caused."""

    started: int = 0
    by_name: Counter[str] = field(default_factory=Counter)  # how often each
    pending: int = 0  # without an answer
    answered: float = -DRAWING_SECONDS  # when the last answer was sent


_user_events: dict[str, UserEvents] = defaultdict(UserEvents)  # by panel
_lock = threading.Lock()


@contextlib.contextmanager
def user_event(panel_id: str, event: str) -> Iterator[Callable[[], bool]]:
    """Counts a user's event while it is handled; yields a function: whether the same event came again meanwhile."""
    with _lock:
        events = _user_events[panel_id]
        events.started += 1
        events.pending += 1
        events.by_name[event] += 1
        number = events.by_name[event]
    try:
        yield lambda: events.by_name[event] > number
    finally:
        with _lock:
            events.pending -= 1
            events.answered = time.monotonic()


def automatic_event(panel_id: str) -> Callable[[], bool]:
    """A function for an event without a user: whether a user's event overlaps with it.

    Its state may then lack the user's choice, which its answer would undo.
    """
    with _lock:
        events = _user_events[panel_id]
        started = events.started
        overlaps = events.pending > 0 or time.monotonic() - events.answered < DRAWING_SECONDS
    return lambda: overlaps or events.started != started
