"""SDK sentences as the App shows them: names of settings and arguments become the labels of the forms."""

from __future__ import annotations

import ast
import contextlib
import re
from dataclasses import Field, fields
from typing import Any

from ...models import settings
from ...workflows.ui.user_input import write_classes

SETTINGS_CLASSES = [
    value for value in vars(settings).values() if isinstance(value, type) and issubclass(value, settings.Settings)
]
FUNCTION_LABELS = dict(
    check_dataset="Check dataset",
    resume_run="Resume",
    delete_run="Delete",
    audit_labels="Audit labels",
    auto_label="Auto-label",
)


def setting_label(item: Field[Any]) -> str:
    """`size_px` as "Size (px)", and `max_megabytes`, whose name holds its unit, as "Max megabytes"."""
    unit, name = item.metadata["unit"], item.metadata["label"] or item.name
    if unit in ("", "MB", "MP", name):
        return capitalize(name.replace("_", " "))
    return capitalize(name.removesuffix(f"_{unit}").replace("_", " ")) + f" ({unit})"


def setting_help(item: Field[Any]) -> str:
    """The help text of a setting, with the meaning of an empty box where it may be empty."""
    empty = item.metadata["empty"]
    return capitalize(item.metadata["help"]) + (f"; empty: {empty}" if empty else "")


def empty_text(item: Field[Any], default: Any) -> str:
    """The text that an empty box shows: what it stands for."""
    empty = str(item.metadata["empty"]).partition(":")[0]  # the help text has the rest
    return empty or f"{default} (default)"


def label_of(name: str) -> str:
    """A setting or argument by its label in the form."""
    return LABELS.get(name, capitalize(name.replace("_", " ")))


def capitalize(text: str) -> str:
    """Starts a sentence with a capital, except where it starts with a name from the code."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def describe_progress(phase: str, done: int, total: int, note: str, fraction: float | None = None) -> tuple[str, float]:
    """The label and the position (0..1) of a progress bar.

    Args:
        fraction: of the whole run; None: the bar shows the phase
    """
    count = f" {done:,} of {total:,}" if total > 1 else ""
    note = f" · {note.replace('_', ' ')}" if note else ""
    position = done / max(total, 1) if fraction is None else fraction
    return capitalize(phase) + count + note, round(position, 3)


LABELS = dict(
    embeddings_field="Field for embeddings",
    group_field="Group field",
    heatmap_field="Field for heat maps",
    label_field="Label field",
    output_field="New field",
)
LABELS |= {item.name: setting_label(item) for kind in SETTINGS_CLASSES for item in fields(kind) if "_" in item.name}
PLAIN_WORD_LABELS = dict(  # names that are ordinary words too: replaced only where `=` follows
    after="Next round after",
    classes="Classes",
    embeddings="Embeddings",
    folder="Folder",
    generator="Generator",
    graph="Graph",
    label="Correct label",
    labels="Labels",
    rules="Rules",
    run="Run",
    splits="Splits",
    suggestions="Suggestions",
    target="Target",
    task="Comparison",
    test="Test tag",
    validation="Validation tag",
)
PLAIN_WORD_LABELS = {
    item.name: setting_label(item) for kind in SETTINGS_CLASSES for item in fields(kind) if "_" not in item.name
} | PLAIN_WORD_LABELS

_VALUE = r"\w+|'[^']*'"
_SETTING = re.compile(
    rf"(?<![\w.])(?:({'|'.join(LABELS)})\b(?:=({_VALUE}))?|({'|'.join(PLAIN_WORD_LABELS)})=({_VALUE})?)"
)
_CLASSES = re.compile(r"\bclasses=(\{[^{}]*\})")
_FUNCTION = re.compile(rf"\bevenset\.({'|'.join(FUNCTION_LABELS)})\b(?:\([^)]*\))?")


def use_labels(sentence: str) -> str:
    """An SDK sentence with form labels for names: "raise max_ratio" as "raise 'Max ratio'"."""
    sentence = _CLASSES.sub(lambda match: f"'Classes' {_form_classes(match[1])}", sentence)
    sentence = _SETTING.sub(_label_match, sentence)
    return _FUNCTION.sub(lambda match: f"'{FUNCTION_LABELS[match[1]]}'", sentence)


def _label_match(match: re.Match[str]) -> str:
    """The label of a matched name, with the value that follows it."""
    label = f"'{LABELS[match[1]] if match[1] else PLAIN_WORD_LABELS[match[3]]}'"
    value = match[2] or match[4]
    return {None: label, "True": label, "False": f"no {label}"}.get(value, f"{label} {value}")


def _form_classes(mapping: str) -> str:
    """`{'cat': ['Cat'], 'dog': []}` in the form's syntax, "cat = Cat, dog"; a final `...` stays."""
    complete = mapping.replace(", ...}", "}")
    with contextlib.suppress(ValueError, SyntaxError, TypeError, AttributeError):
        return write_classes(ast.literal_eval(complete)) + (", ..." if complete != mapping else "")
    return mapping
