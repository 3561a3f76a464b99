"""Names of classes as people write them: blank text is not a label, and several spellings of one name are listed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ..display.tables import counted
from . import items

# A character that can be seen: neither white space nor of zero width, for Python and for MongoDB alike.
VISIBLE = "[^\\s\x1c-\x1f\x85\xa0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]"
MAX_SPELLINGS = 5  # names in one note
MAX_CLASSES = 12  # of a mapping that a note writes out


def or_none(label: str | None) -> str | None:
    """The label; None where it is blank text, which counts as unlabelled."""
    return label if label is not None and re.search(VISIBLE, label) else None


def has_label(label_field: str) -> Any:
    """Expression of FiftyOne: the sample has a label that is not blank."""
    from fiftyone import ViewField as F

    return is_known(F(f"{label_field}.label"))


def labelled(label_field: str) -> dict[str, Any]:
    """Filter of MongoDB: the sample has a label that is not blank; half the time of the expression."""
    return {f"{label_field}.label": {"$regex": VISIBLE}}


def unlabelled(label_field: str) -> dict[str, Any]:
    """Filter of MongoDB: the sample has no label, or a blank one."""
    return {f"{label_field}.label": {"$not": {"$regex": VISIBLE}}}


def is_known(name: Any, unlabelled: str | None = None) -> Any:
    """Expression of FiftyOne: a name is not blank, nor the one that counts as no label."""
    from fiftyone import ViewExpression

    is_visible = name.re_match(VISIBLE)
    return is_visible if unlabelled is None else is_visible & (name != ViewExpression.literal(unlabelled))


def count_labels(samples: Any, label_field: str) -> int:
    """Items with a label that is not blank."""
    from fiftyone import ViewField as F

    if not items.has_boxes(samples, label_field):
        return int(samples.match(labelled(label_field)).count())
    return int(samples.filter_labels(label_field, is_known(F("label"))).count(items.root_of(samples, label_field)))


def blank_note(count: int, label_field: str) -> list[str]:
    """A sentence on blank labels, if there are any."""
    verb = "is blank text, and counts" if count == 1 else "are blank text, and count"
    return [f"{counted(count, 'label')} of {label_field!r} {verb} as unlabelled."] if count else []


def spellings(counts: Mapping[str, int]) -> dict[str, list[str]]:
    """Names that differ only in case, white space or Unicode form: the most frequent one, and its others.

    Args:
        counts: labels of each name
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        groups.setdefault(" ".join(re.findall(f"{VISIBLE}+", folded)), []).append(name)
    return {names[0]: names[1:] for names in groups.values() if names[1:]}


def joined(counts: Mapping[str, int]) -> dict[str, list[str]]:
    """`classes` that joins all spellings, with every other class beside them."""
    several = spellings(counts)
    others = {name for names in several.values() for name in names}
    return {name: several.get(name, []) for name in sorted(counts) if name not in others}


def spelling_note(counts: Mapping[str, int], label_field: str) -> list[str]:
    """A sentence on the spellings of one name, and on how to join them."""
    several, classes = spellings(counts), joined(counts)
    if not several:
        return []
    sets = [_listed([name, *others], counts) for name, others in several.items()]
    more = f", and {len(sets) - 3} more sets" if sets[3:] else ""
    if len(classes) <= MAX_CLASSES:
        mapping = repr(classes)
    else:
        mapping = "{" + ", ".join(f"{name!r}: {others!r}" for name, others in list(several.items())[:3]) + ", ...}"
    return [
        f"{'; '.join(sets[:3])}{more}: these names of {label_field!r} differ only in case, white space or Unicode "
        f"form, and are separate classes. One spelling in the field joins them, or classes={mapping}."
    ]


def _listed(names: Sequence[str], counts: Mapping[str, int]) -> str:
    more = f" and {len(names) - MAX_SPELLINGS} more" if names[MAX_SPELLINGS:] else ""
    return ", ".join(f"{_shown(name, names)} ({counts[name]:,})" for name in names[:MAX_SPELLINGS]) + more


def _shown(name: str, names: Sequence[str]) -> str:
    """The name in quotes, with escapes where another one looks the same."""
    same = [other for other in names if unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", name)]
    return ascii(name) if same[1:] else repr(name)
