"""What the SDK says, as a person reads it in the App: names of code become the labels that forms and buttons have."""

from __future__ import annotations

import re
from dataclasses import Field, fields
from typing import Any

from ..models import settings

ARGUMENTS = dict(output_field="New field", label_field="Label field", group_field="Group field")
FUNCTIONS = dict(resume_run="Resume", delete_run="Delete", audit_labels="Audit labels", auto_label="Auto-label")


def label_of(item: Field[Any]) -> str:
    """`size_px` as "Size (px)", and `max_megabytes`, which says its unit, as "Max megabytes"."""
    unit, name = item.metadata["unit"], item.name
    if unit in ("", "MB", "MP", name):
        return capital(name.replace("_", " "))
    return capital(name.removesuffix(f"_{unit}").replace("_", " ")) + f" ({unit})"


def capital(text: str) -> str:
    """A capital at the beginning, but where a sentence begins with a name of the code."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def name_of(setting: str) -> str:
    """A setting, or another argument, as its form labels it."""
    return LABELS.get(setting, capital(setting.replace("_", " ")))


KINDS = [one for one in vars(settings).values() if isinstance(one, type) and issubclass(one, settings.Settings)]
LABELS = {item.name: label_of(item) for kind in KINDS for item in fields(kind) if "_" in item.name} | ARGUMENTS
_SETTING = re.compile(rf"\b({'|'.join(LABELS)})\b(?:=(\w+|'[^']*'))?")
_FUNCTION = re.compile(rf"\bevenset\.({'|'.join(FUNCTIONS)})\b(?:\([^)]*\))?")


def in_words(sentence: str) -> str:
    """A sentence of the SDK with labels for names: "raise max_ratio" as "raise 'Max ratio'"."""

    def setting(found: re.Match[str]) -> str:
        label, value = f"'{LABELS[found[1]]}'", found[2]
        return {None: label, "True": label, "False": f"no {label}"}.get(value, f"{label} {value}")

    return _FUNCTION.sub(lambda found: f"'{FUNCTIONS[found[1]]}'", _SETTING.sub(setting, sentence))
