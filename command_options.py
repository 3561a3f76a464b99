"""The options of a command: one for each argument of an SDK function, and for each of its settings."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter, Token

NO_OPTION = ("samples", "dataset", "run_key", "progress", "resume")  # arguments that are not options
HELPS = {  # of arguments with another syntax than in Python
    "classes": "names in order, with synonyms: 'cat = kitten = puss, dog'",
    "generator": "key of a train_generator run, or its folder; not given: one is trained first",
    "target": "majority (as many as the largest class), median, a number of images, or 'cat=100, dog=200'",
    "methods": "separated by commas: hog + svm, k-nn, rules, resnet, image gcn, gcn, laplace, ensemble; not given: all "
    "of them, and rules if there are any",
    "settings_of": """rows with their own settings: {"resnet18 sgd": {"method": "resnet", "optimizer": "sgd"}}""",
    "embeddings": "a field of vectors, a Brain key, a model of FiftyOne's zoo or of timm, torchvision/resnet18, or "
    "several as 'a + b'; auto: the best of these that is there; none: the images themselves",
    "splits": "tags, separated by commas (train, val, test), or a field whose values are the splits",
    "rules": "file with lines `label: FiftyOne expression`, of which the first match wins; - reads stdin",
}

DECISIONS_HELP = "CSV file of decisions with the columns id, label and decision (accept, reject or empty)"

Setting = dataclasses.Field[Any]
Places = list[tuple[str, Setting]]  # the classes that have a setting of one name, with the field of each


def options(arguments: dict[str, inspect.Parameter], settings: dict[str, Places]) -> Iterator[inspect.Parameter]:
    """DATASET, the function's own arguments, its settings, and the options of the command line itself."""
    for name in ("dataset", *(["run_key"] if "run_key" in arguments else [])):
        yield inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=str)
    if "field" in arguments:  # `evenset review-labels products auto_label`
        annotation = Annotated[str, Parameter(group="Arguments")]
        yield inspect.Parameter("field", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
    others = [item for name, item in arguments.items() if name not in (*NO_OPTION, "field")]
    yield from map(argument_option, others)
    groups: dict[str, Group] = {}
    for name, places in settings.items():
        kind = places[0][0]
        yield setting_option(name, places, groups.setdefault(kind, Group.create_ordered(kind)))
    from .command_samples import NARROWING

    command = Group.create_ordered("Command")
    if "samples" in arguments:
        yield from (option(name, kind, command, help=text) for name, (kind, text) in NARROWING.items())
    if "progress" in arguments:
        yield option("quiet", bool, command, negative="", help="no progress bar")
    yield option("json", bool, command, negative="", help="print the results as JSON, and nothing else")


def option(name: str, kind: Any, group: Group | str, default: Any = None, /, **details: Any) -> inspect.Parameter:
    """A named option; its default is only shown, since the SDK applies it."""
    annotation = Annotated[(kind | None if default is None else kind), Parameter(group=group, **details)]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def setting_option(name: str, places: Places, group: Group) -> inspect.Parameter:
    """The option of a setting; the classes that have it may differ in default and range."""
    item = places[0][1]
    kind, is_optional = item.metadata["kind"], any(place.metadata["empty"] for _, place in places)
    choices = dict.fromkeys(choice for _, place in places for choice in place.metadata["choices"])
    reads_text = kind in (int, float) or (kind is str and is_optional)
    is_closed = choices and not any(place.metadata["open_choices"] for _, place in places)
    return option(
        name,
        Literal[tuple(choices)] if is_closed else kind | None if is_optional else kind,
        group,
        item.default,
        help=item.metadata["help"] + limits([place for _, place in places]),
        show_default=lambda _: defaults(places),
        converter=functools.partial(read_value, kind, is_optional) if reads_text else None,
        validator=lambda _, value: check_any(places, value),
    )


def check_any(places: Places, value: Any) -> Any:
    """The value as a setting of the first class that takes it; the first refusal where none does."""
    from .models.settings import check

    refusals = []
    for _, item in places:
        try:
            return check(item, value)
        except ValueError as error:
            refusals.append(error)
    raise refusals[0]


def read_value(kind: type, is_optional: bool, _: Any, tokens: Sequence[Token]) -> float | str | None:
    """A number or a text as typed, or None for "none"; the library itself would round to whole numbers."""
    text = tokens[0].value
    if is_optional and text.lower() == "none":
        return None
    if kind is str:
        return text
    or_none = ", or none" if is_optional else ""
    if kind is int:
        if not re.fullmatch("[+-]?[0-9]+", text):
            raise ValueError(f"{text!r} is not a whole number{or_none}")
        return int(text)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number{or_none}") from None


def read_rows(text: str) -> dict[str, dict[str, Any]]:
    from .workflows.comparison.table_rows import read_own

    return read_own(json.loads(text))


def limits(items: list[Setting]) -> str:
    """Common values, range and unit of a setting in its first class, and the meaning of none."""
    item = items[0]
    low, high, unit = (item.metadata[name] for name in ("low", "high", "unit"))
    bounds = "" if low is None else f"at least {low:.12g}" if high is None else f"{low:.12g} to {high:.12g}"
    values = f"{', '.join(item.metadata['choices'])}, or another text" if item.metadata["open_choices"] else ""
    text = values or f"{bounds} {unit}".strip()
    empty = next(filter(None, (place.metadata["empty"] for place in items)), "")
    text = ", or ".join(filter(None, (text, empty and f"none: {empty}")))
    return text and f" [{text}]"


def defaults(places: Places) -> str:
    """The default of the first class that has the setting, and different ones of others."""
    kinds: dict[str, list[str]] = {}
    for kind, item in places:
        kinds.setdefault(shown(item.default), []).append(kind)
    first, *others = kinds
    return ", ".join([first, *(f"{value} in {', '.join(kinds[value])}" for value in others)])


def shown(default: Any) -> str:
    """A default as it is typed."""
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:.12g}" if isinstance(default, (int, float)) else str(default)


def argument_option(item: inspect.Parameter) -> inspect.Parameter:
    """The option of an argument that is not a setting."""
    from .workflows.ui import user_input

    readers: dict[str, Callable[[str], Any]] = {
        "classes": user_input.read_classes if item.annotation == "Classes" else user_input.read_names,
        "target": user_input.read_target,
        "methods": lambda text: [name.strip() for name in text.split(",")],
        "settings_of": read_rows,
        "rules": user_input.read_file,
        "embeddings": user_input.read_embeddings,
        "splits": user_input.read_splits,
    }
    details: dict[str, Any] = {"show_default": item.default not in (None, ()) and (lambda _: shown(item.default))}
    if item.name in readers:
        details["converter"] = lambda _, tokens: readers[item.name](tokens[0].value)
    if item.name in HELPS and readers.get(item.name) != user_input.read_names:
        details["help"] = HELPS[item.name]
    if item.annotation == "Decisions":
        details |= dict(name="--from", help=DECISIONS_HELP)
    kind = bool if item.annotation == "bool" else Any if item.name in readers else str
    return option(item.name, kind, "Arguments", item.default, allow_leading_hyphen=item.name == "rules", **details)
