"""The command line: a command for each function of the SDK, made from its signature, docstring and settings."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import App, CycloptsError, Group, MissingArgumentError, Parameter, Token, UnusedCliTokensError
from cyclopts.help import DefaultFormatter, PanelSpec
from rich.box import SIMPLE

ROOT = Path(__file__).resolve().parent
NO_OPTION = ("samples", "dataset", "run_key", "progress", "resume")  # arguments that the command line fills otherwise
SETTINGS = {  # what a workflow takes, its own first; a test compares this with what the workflow reads
    "preprocess_images": ("CopySettings", "ImageSettings"),
    "train_resnet": ("ResNetSettings", "ImageSettings"),
    "train_gcn": ("GCN_SETTINGS",),
    "auto_label": ("AutoLabelSettings", "GraphSettings", "ResNetSettings", "ImageSettings"),
    "review_labels": ("ReviewSettings",),
    "audit_labels": ("AuditSettings",),
    "find_mistakes": ("MistakeSettings", "GraphSettings", "ResNetSettings", "ImageSettings"),
    "train_generator": ("GeneratorSettings", "TrainGeneratorSettings", "ImageSettings"),
    "balance_classes": ("BALANCE_SETTINGS",),
    "compare_methods": ("CompareSettings", "AttackSettings", "ImageSettings", "METHODS", "BALANCE_SETTINGS"),
}
BORROWED = {"compare_methods": ("balance_classes", ("generator", "target", "classes"))}  # of task="generation"
HELPS = {  # of arguments that are typed otherwise than they are written in Python
    "classes": "names in order, with synonyms: 'cat = kitten = puss, dog'",
    "generator": "key of a train_generator run, or its folder; not given: one is trained now",
    "target": "majority (as many as the largest class), median, a number of images, or 'cat=100, dog=200'",
    "methods": "apart by commas: hog + svm, k-nn, rules, resnet, image gcn, gcn, laplace, ensemble; not given: all of "
    "them, rules where they are given",
    "settings_of": """rows with settings of their own: {"resnet18 sgd": {"method": "resnet", "optimizer": "sgd"}}""",
    "rules": "file of lines `label: expression of FiftyOne`, the first that matches wins; - reads stdin",
}
EPILOG = "Exit codes: 0 done, 1 the run failed or was refused, 2 bad usage, 130 interrupted or stopped."


@functools.cache
def outline(name: str) -> Callable[..., Any]:
    """A function of the SDK without its body: what its module imports would make a page of help wait."""
    path = ROOT / (importlib.import_module(__package__).FUNCTIONS[name][1:].replace(".", "/") + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (node,) = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name]
    node.body, node.decorator_list = node.body[:1], []  # the docstring alone
    found: dict[str, Any] = {}
    exec(compile(ast.Module([node], []), str(path), "exec", annotations.compiler_flag), found)
    return found[name]


def help_of(name: str) -> str:
    return (outline(name).__doc__ or "").replace("None: ", "not given: ")


def arguments_of(name: str) -> dict[str, inspect.Parameter]:
    """The arguments of a function of the SDK and those that it hands on; its settings are not among them."""
    lender, borrowed = BORROWED.get(name, (name, ()))
    lent = inspect.signature(outline(lender)).parameters
    found = {**inspect.signature(outline(name)).parameters, **{one: lent[one] for one in borrowed}}
    return {name: item for name, item in found.items() if item.kind != item.VAR_KEYWORD}


def settings_of(name: str) -> dict[str, list[tuple[str, dataclasses.Field[Any]]]]:
    """The settings of a workflow: name -> the classes that have it, with the field of each."""
    from .models import settings

    found: dict[str, list[tuple[str, dataclasses.Field[Any]]]] = {}
    for kind in dict.fromkeys(flat([kinds_of(settings, one) for one in SETTINGS.get(name, ())])):
        for item in dataclasses.fields(kind):
            found.setdefault(item.name, []).append((kind.__name__, item))
    return found


def kinds_of(settings: Any, name: str) -> Any:
    if name != "METHODS":
        return getattr(settings, name)
    from .workflows.comparison.methods import METHODS

    return [kinds for _, kinds in METHODS.values()]


def flat(kinds: Any) -> Iterator[type]:
    if isinstance(kinds, type):
        yield kinds
    else:
        for one in kinds.values() if isinstance(kinds, dict) else kinds:
            yield from flat(one)


def option(name: str, kind: Any, group: Group | str, default: Any = None, **about: Any) -> inspect.Parameter:
    """A named option; its default is only shown, and left to the SDK."""
    annotation = Annotated[kind | None if default is None else kind, Parameter(group=group, **about)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def setting_option(name: str, places: list[tuple[str, dataclasses.Field[Any]]], group: Group) -> inspect.Parameter:
    """The option of a setting; where several classes have it, they may differ in default and range."""
    from .models.settings import check

    def validate(_: Any, value: Any) -> Any:
        refusals = []
        for _, one in places:
            try:
                return check(one, value)
            except ValueError as error:
                refusals.append(error)
        raise refusals[0]

    item = places[0][1]
    choices = dict.fromkeys(choice for _, one in places for choice in one.metadata["choices"])
    closed = choices and not any(one.metadata["open_choices"] for _, one in places)
    return option(
        name,
        Literal[tuple(choices)] if closed else type(item.default),
        group,
        item.default,
        help=item.metadata["help"] + limits(item),
        show_default=lambda _: defaults(places),
        converter=read_whole if type(item.default) is int else None,
        validator=validate,
    )


def read_whole(_: Any, tokens: Sequence[Token]) -> int:
    """A whole number, where the library would round one that is not."""
    if not re.fullmatch("[+-]?[0-9]+", tokens[0].value):
        raise ValueError(f"{tokens[0].value!r} is no whole number")
    return int(tokens[0].value)


def read_rows(text: str) -> dict[str, dict[str, Any]]:
    from .workflows.comparison.table_rows import read_own

    return read_own(json.loads(text))


def limits(item: dataclasses.Field[Any]) -> str:
    """Usual values, range and unit of a setting."""
    low, high, unit = (item.metadata[name] for name in ("low", "high", "unit"))
    bounds = "" if low is None else f"at least {low:.12g}" if high is None else f"{low:.12g} to {high:.12g}"
    usual = f"{', '.join(item.metadata['choices'])}, or another text" if item.metadata["open_choices"] else ""
    text = usual or f"{bounds} {unit}".strip()
    return text and f" [{text}]"


def defaults(places: list[tuple[str, dataclasses.Field[Any]]]) -> str:
    """Of the first class that has the setting, and of those that differ."""
    kinds: dict[str, list[str]] = {}
    for kind, item in places:
        kinds.setdefault(shown(item.default), []).append(kind)
    first, *others = kinds
    return ", ".join([first, *(f"{value} in {', '.join(kinds[value])}" for value in others)])


def shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:.12g}" if isinstance(default, (int, float)) else str(default)


def argument_option(item: inspect.Parameter) -> inspect.Parameter:
    """The option of an argument that a workflow has beside its settings."""
    from .workflows.ui import user_input

    readers: dict[str, Callable[[str], Any]] = {
        "classes": user_input.read_classes if item.annotation == "Classes" else user_input.read_names,
        "target": user_input.read_target,
        "methods": lambda text: [name.strip() for name in text.split(",")],
        "settings_of": read_rows,
        "rules": user_input.read_file,
    }
    about: dict[str, Any] = {"show_default": item.default not in (None, ()) and (lambda _: shown(item.default))}
    if item.name in readers:
        about["converter"] = lambda _, tokens: readers[item.name](tokens[0].value)
    if item.name in HELPS and readers.get(item.name) != user_input.read_names:
        about["help"] = HELPS[item.name]
    kind = bool if item.annotation == "bool" else Any if item.name in readers else str
    return option(item.name, kind, "Arguments", item.default, allow_leading_hyphen=item.name == "rules", **about)


def options(function: str) -> Iterator[inspect.Parameter]:
    """DATASET, the function's own arguments, its settings, and what is asked of the command line itself."""
    found = arguments_of(function)
    for name in ("dataset", *(["run_key"] if "run_key" in found else [])):
        yield inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=str)
    yield from (argument_option(item) for name, item in found.items() if name not in NO_OPTION)
    groups: dict[str, Group] = {}
    for name, places in settings_of(function).items():
        kind = places[0][0]
        yield setting_option(name, places, groups.setdefault(kind, Group.create_ordered(kind)))
    asked = Group.create_ordered("Command")
    if "samples" in found:
        yield option("view", str, asked, help="saved view to work on, in place of the whole dataset")
    if "progress" in found:
        yield option("quiet", bool, asked, negative="", help="no progress bar")
    yield option("json", bool, asked, negative="", help="print the results as JSON, nothing else")


def __getattr__(function: str) -> Callable[..., int]:
    """The command of a function of the SDK; the app asks for it by its name when it is typed."""
    if function not in importlib.import_module(__package__).FUNCTIONS:
        raise AttributeError(function)

    def command(*names: str, **given: Any) -> int:
        from .terminal import call

        return call(function, {**dict(zip(("dataset", "run_key"), names, strict=False)), **given})

    command.__doc__ = help_of(function)
    command.__signature__ = inspect.Signature(list(options(function)))  # type: ignore[attr-defined]
    return command


def clean(
    *,
    yes: Annotated[bool, Parameter(negative="")] = False,
    unknown: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Lists the run folders of datasets that were deleted, with their sizes, and deletes them where you say --yes.

    Folders of another database, which may share the files, and those that a process uses stay in any case.

    Args:
        yes: delete them
        unknown: with --yes, delete those too that do not say which database they belong to
        json: print the list as JSON, nothing else
    """
    from .terminal import clean_folders

    return clean_folders(yes, unknown, json)


def work(dataset: str, job: str, /) -> None:
    """Does a job that the App has handed out; nobody needs to type this."""
    from .workflows.runs.worker import run_job

    run_job(dataset, job)


def make_app() -> App:
    package = importlib.import_module(__package__)
    about = (package.__doc__ or "").partition("\n")[0].removeprefix("Evenset: ")
    app = App(
        "evenset",
        help=f"{about[:1].upper()}{about[1:]} `evenset COMMAND --help` lists every setting.",
        help_epilogue=EPILOG,
        help_format="markdown",
        help_formatter=DefaultFormatter(panel_spec=PanelSpec(box=SIMPLE, padding=(0, 0, 0, 3))),
        version=f"evenset {package.__version__}",
    )
    for place, name in enumerate(package.FUNCTIONS):
        app.command(f"{__name__}:{name}", name=name.replace("_", "-"), help=help_of(name), sort_key=place)
    app.command(clean, name="clean", sort_key=len(package.FUNCTIONS))
    app.command(work, name="worker", show=False)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that `arguments` (default: those of the process) name."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if not given:
            raise CycloptsError("a COMMAND is missing: `evenset --help` lists them")
        make_app()(given, exit_on_error=False, print_error=False)
    except MissingArgumentError as error:
        what = f"{error.keyword} needs a value" if error.keyword else f"{error.argument.name} is missing"
        refuse(f"{what}: `evenset {given[0]} --help` says what it is")
    except UnusedCliTokensError as error:
        refuse(f"{error.unused_tokens[0]!r} is not understood: `evenset {given[0]} --help` says what it takes")
    except CycloptsError as error:
        refuse(str(error))


def refuse(sentence: str) -> NoReturn:
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(2)
