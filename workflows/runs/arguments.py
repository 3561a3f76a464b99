"""Checks the arguments of SDK functions against their annotations, before anything is read or written."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeVar, get_args, get_origin

from ...models.errors import InvalidInput, InvalidType
from ...models.processes import is_follower
from ...models.settings import MAX_TEXT, WORDS, check_text, shown
from ..data.group_slices import active
from ..data.internals import dataset_id, reload_dataset, root_dataset
from ..display import progress_bar
from . import launch, records

P = ParamSpec("P")
R = TypeVar("R")
INT64_LIMIT = 2**63  # integers of the database have 64 bits
MAX_DEPTH = 4  # of nested lists and dicts in an argument


class Kind(NamedTuple):
    """Checks and words beyond a type."""

    words: str  # expected values, for a message
    fits: Callable[[Any], bool] | None = None  # replaces the check of the type
    max_characters: int = MAX_TEXT  # of each text
    is_plain: bool = True  # False: arrays stay as they are


def is_samples(value: Any) -> bool:
    from fiftyone.core.collections import SampleCollection

    return isinstance(value, SampleCollection)


def _is_part(value: Any) -> bool:
    return value is None or isinstance(value, str) or is_samples(value)


def _is_embeddings(value: Any) -> bool:
    is_source = isinstance(value, (str, Mapping)) or hasattr(value, "__array__") or hasattr(value, "has_embeddings")
    is_list = isinstance(value, (list, tuple)) and not any(isinstance(item, (list, tuple)) for item in value)
    return value is None or is_source or (is_list and bool(value) and all(map(_is_embeddings, value)))


def _takes_progress(value: Any) -> bool:
    """Whether `value` is a valid progress argument."""
    if not callable(value):
        return value is None or isinstance(value, bool)
    try:
        inspect.signature(value).bind("phase", 0, 1, "note")
    except TypeError:
        return False
    except ValueError:  # built-in functions have no signature
        pass
    return True


Samples = Annotated[Any, Kind("a dataset or a view of FiftyOne", is_samples)]
Part = Annotated[Any, Kind("a tag, a view or None", _is_part)]
Classes = Annotated[
    Sequence[str] | dict[str, Sequence[str]] | None, Kind("a list of names, {name: [synonyms]} or None")
]
Embeddings = Annotated[
    Any,
    Kind(
        "a field, a Brain key, a model, an array, a dict of vectors by sample id, a list of these, or None",
        _is_embeddings,
        is_plain=False,
    ),
]
Splits = Annotated[Sequence[str] | str | None, Kind("a list of tags, a field or None")]
Decisions = Annotated[
    Mapping[str, str | None] | str | Path | None,
    Kind("a dict of labels by sample id, the path of a CSV file, or None"),
]
Progress = Annotated[
    progress_bar.Progress | bool | None,
    Kind("True, False, None or a function of (phase, done, total, note)", _takes_progress),
]


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Makes a function of the SDK check its arguments, and work on one slice of a grouped dataset.

    Among several processes of a launch the first one calls it; the others train along, and get its result.

    Raises:
        TypeError: `samples` is not a dataset or view, or an argument is missing or unknown
        ValueError: another bad argument, `resume` is not a stopped run of this workflow, or a slice is not there
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_follower():
            return launch.follow()  # type: ignore[no-any-return]
        with launch.own() as outcome:
            result = owned(*args, **kwargs)
            outcome.append(result)
        return result

    def owned(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidType(f"{function.__name__}: {error}") from None
        bound.arguments.update(check(function, bound.arguments))
        if "samples" not in bound.arguments:
            return function(*bound.args, **bound.kwargs)
        with active(bound.arguments["samples"], bound.arguments.get("group_slice")) as bound.arguments["samples"]:
            if bound.arguments.get("resume") is not None:
                _check_resumable(bound.arguments["samples"], bound.arguments["resume"], function.__name__)
            return function(*bound.args, **bound.kwargs)

    return checked


def check(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Checked arguments of a function, with numpy's values as Python's own; settings are left out.

    Raises:
        TypeError, ValueError: as `public`
    """
    hints = types_of(function)
    return {name: _checked(name, value, hints[name]) for name, value in arguments.items() if name in hints}


@functools.cache
def types_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of a function's arguments by name, without its settings."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return {item.name: hints[item.name] for item in parameters if item.kind is not item.VAR_KEYWORD}


def _checked(name: str, value: Any, hint: Any) -> Any:
    is_dataset, kind = hint == Samples, hint.__metadata__[0] if get_origin(hint) is Annotated else Kind("")
    value = _plain(value) if kind.is_plain else value
    if not _fits(value, hint) or (isinstance(value, str) and not value):
        load = f": fo.load_dataset({shown(value)})" if is_dataset and isinstance(value, str) else ""
        raise (InvalidType if is_dataset else InvalidInput)(
            f"{name} has to be {_words(hint)}, not {shown(value)}{load}"
        )
    for text in _texts(value):
        check_text(name, text, kind.max_characters)
    if is_samples(value):
        _check_exists(name, value)
    return value


def _plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A value without numpy types, which a record cannot hold."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if depth and type(value) in (list, tuple):
        return type(value)(_plain(item, depth - 1) for item in value)
    if depth and type(value) is dict:
        return {_plain(key, 0): _plain(item, depth - 1) for key, item in value.items()}
    return value


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value fits an annotation."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return bool(args[1].fits(value)) if args[1].fits else _fits(value, args[0])
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is Sequence:
        is_list = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        return is_list and all(_fits(item, args[0]) for item in value)
    if origin in (Mapping, dict):
        return isinstance(value, Mapping) and all(
            _fits(pair[0], args[0]) and _fits(pair[1], args[1]) for pair in value.items()
        )
    if hint is int:
        return type(value) is int and -INT64_LIMIT <= value < INT64_LIMIT
    return hint is Any or isinstance(value, hint)


def _words(hint: Any) -> str:
    """An annotation in words."""
    args = get_args(hint)
    if get_origin(hint) is Annotated:
        return str(args[1].words)
    if get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_words(arg) for arg in args)
    names = {**WORDS, types.NoneType: "None", Path: "a path", Sequence: "a list", Mapping: "a dict"}
    return names.get(get_origin(hint) or hint) or f"a {hint.__name__}"


def _texts(value: Any, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Texts in an argument, also in nested lists and dicts."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, (list, tuple, Mapping)):
        for item in [*value, *value.values()] if isinstance(value, Mapping) else value:
            yield from _texts(item, depth - 1)


def _check_exists(name: str, samples: Any) -> None:
    """Raises ValueError where the dataset was deleted, by this process or another."""
    import fiftyone.core.odm as foo

    try:
        dataset = root_dataset(samples)
        key, title = dataset_id(dataset), dataset.name
    except ValueError as error:  # FiftyOne's, of a dataset that this process deleted
        raise InvalidInput(f"{name}: {error}: load or make another") from None
    if foo.get_db_conn().datasets.count_documents({"_id": key}, limit=1) == 0:
        raise InvalidInput(f"{name}: the dataset {title!r} was deleted meanwhile: load or make another")


def _check_resumable(samples: Any, key: str, method: str) -> None:
    """Raises ValueError where `key` is not a stopped run of the workflow."""
    dataset = root_dataset(samples)
    reload_dataset(dataset)
    record = records.read_record(dataset, key)
    if record.method != method:
        raise InvalidInput(f"resume has to be a run of {method}, and {key} is one of {record.method}")
    if record.state not in ("stopped", "failed"):
        raise InvalidInput(f"resume: {key} is {record.state}: only a stopped or failed run can be resumed")
