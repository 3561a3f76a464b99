"""Events of a panel overlap, and it shows the last answer: what its user asks goes before what it asks by itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

DRAWN_SECONDS = 0.5  # after an answer, within which its page may not have taken it in


@dataclass
class Asked:
    """What users asked of a panel: how often, how much of it is not answered, and when the last answer left."""

    begun: int = 0
    methods: Counter[str] = field(default_factory=Counter)  # how often each
    waiting: int = 0
    answered: float = -DRAWN_SECONDS


_asked: dict[str, Asked] = defaultdict(Asked)
_lock = threading.Lock()


@contextlib.contextmanager
def of_user(panel_id: str, method: str) -> Iterator[Callable[[], bool]]:
    """While a user's event is worked on; gives a function that says whether the same was asked again meanwhile."""
    with _lock:
        asked = _asked[panel_id]
        asked.begun += 1
        asked.waiting += 1
        asked.methods[method] += 1
        mine = asked.methods[method]
    try:
        yield lambda: asked.methods[method] > mine
    finally:
        with _lock:
            asked.waiting -= 1
            asked.answered = time.monotonic()


def of_panel(panel_id: str) -> Callable[[], bool]:
    """For an event that comes by itself: a function that says whether a user's overlaps with it.

    Its state may then lack what the user chose, and its answer would put the panel back.
    """
    with _lock:
        asked = _asked[panel_id]
        begun = asked.begun
        late = asked.waiting > 0 or time.monotonic() - asked.answered < DRAWN_SECONDS
    return lambda: late or asked.begun != begun
