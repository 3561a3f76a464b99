"""What the SDK says, as a person reads it in the App: names of code become the labels that forms and buttons have."""

from __future__ import annotations

import ast
import contextlib
import re
from dataclasses import Field, fields
from typing import Any

from ..models import settings
from ..workflows.typed import write_classes

ARGUMENTS = dict(
    embeddings_field="Field for embeddings",
    group_field="Group field",
    heatmap_field="Field for heat maps",
    label_field="Label field",
    output_field="New field",
)
WORDS = dict(  # arguments and settings that are plain words, too: they are meant only where `=` follows
    after="Next round after",
    classes="Classes",
    embeddings="Embeddings",
    generator="Generator",
    graph="Graph",
    label="Right label",
    rules="Rules",
    run="Run",
    target="Target",
    task="What to compare",
    test="Test tag",
    validation="Validation tag",
)
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
WORDS |= {item.name: label_of(item) for kind in KINDS for item in fields(kind) if "_" not in item.name}
_VALUE = r"\w+|'[^']*'"
_SETTING = re.compile(rf"(?<![\w.])(?:({'|'.join(LABELS)})\b(?:=({_VALUE}))?|({'|'.join(WORDS)})=({_VALUE})?)")
_CLASSES = re.compile(r"\bclasses=(\{[^{}]*\})")
_FUNCTION = re.compile(rf"\bevenset\.({'|'.join(FUNCTIONS)})\b(?:\([^)]*\))?")


def in_words(sentence: str) -> str:
    """A sentence of the SDK with labels for names: "raise max_ratio" as "raise 'Max ratio'"."""

    def setting(match: re.Match[str]) -> str:
        label, value = LABELS[match[1]] if match[1] else WORDS[match[3]], match[2] or match[4]
        label = f"'{label}'"
        return {None: label, "True": label, "False": f"no {label}"}.get(value, f"{label} {value}")

    sentence = _CLASSES.sub(lambda match: f"'Classes' {_as_typed(match[1])}", sentence)
    return _FUNCTION.sub(lambda match: f"'{FUNCTIONS[match[1]]}'", _SETTING.sub(setting, sentence))


def _as_typed(mapping: str) -> str:
    """`{'cat': ['Cat'], 'dog': []}` as the form takes it, "cat = Cat, dog"; `...` for other classes stays."""
    whole = mapping.replace(", ...}", "}")
    with contextlib.suppress(ValueError, SyntaxError, TypeError, AttributeError):
        return write_classes(ast.literal_eval(whole)) + (", ..." if whole != mapping else "")
    return mapping
