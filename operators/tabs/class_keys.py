"""The number keys of a decision, and the classes that they stand for."""

from __future__ import annotations

NUMBERS = tuple("1234567890")  # as they lie on the keyboard


def likeliest(classes: list[str], likely: list[str | None], suggested: str) -> list[str]:
    """The classes that get a number key: those named like one, then the likely ones.

    The suggested class needs none, since A accepts it.
    """
    digits = [name for name in classes if name in NUMBERS]
    candidates = set(classes) - ({suggested} - set(digits))
    return [name for name in dict.fromkeys([*digits, *likely, *classes]) if name in candidates][: len(NUMBERS)]


def number_keys(classes: list[str], likely: list[str | None], suggested: str) -> list[tuple[str, str]]:
    """Pairs of a number key and its class; the likeliest classes have keys where there are more classes than keys."""
    return by_key(classes if len(classes) <= len(NUMBERS) else likeliest(classes, likely, suggested))


def by_key(classes: list[str]) -> list[tuple[str, str]]:
    """Pairs of a number key and its class, in the order of the keys; a class named like a key gets that key."""
    free = iter([key for key in NUMBERS if key not in classes])
    pairs = [(name if name in NUMBERS else next(free), name) for name in classes]
    return sorted(pairs, key=lambda pair: pair[0] if "0" in classes else NUMBERS.index(pair[0]))
