"""The command line: one command per SDK function, made from its signature, docstring and settings."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, UnusedCliTokensError
from cyclopts.help import DefaultFormatter, PanelSpec
from rich.box import SIMPLE

ROOT = Path(__file__).resolve().parent
SETTINGS = {  # settings classes of each workflow, its own first; a test compares them with the workflow's
    "check_dataset": ("CheckSettings",),
    "preprocess_images": ("CopySettings", "ImageSettings", "WorkerSettings"),
    "train_resnet": ("ResNetSettings", "ImageSettings", "BoxSettings", "WorkerSettings"),
    "train_gcn": ("GCN_SETTINGS",),
    "auto_label": (
        "AutoLabelSettings",
        "GraphSettings",
        "ResNetSettings",
        "ImageSettings",
        "BoxSettings",
        "TagSettings",
        "WorkerSettings",
    ),
    "list_suggestions": ("SuggestionSettings",),
    "review_labels": ("ReviewSettings",),
    "audit_labels": ("AuditSettings",),
    "find_mistakes": (
        "MistakeSettings",
        "GraphSettings",
        "ResNetSettings",
        "ImageSettings",
        "BoxSettings",
        "GeometrySettings",
        "WorkerSettings",
    ),
    "train_generator": ("GeneratorSettings", "TuningSettings", "TrainGeneratorSettings", "ImageSettings"),
    "balance_classes": ("BALANCE_SETTINGS",),
    "compare_methods": (
        "CompareSettings",
        "AttackSettings",
        "WorkerSettings",
        "ImageSettings",
        "BoxSettings",
        "METHODS",
        "BALANCE_SETTINGS",
    ),
    "split_dataset": ("SplitSettings",),
    "export_dataset": ("ExportSettings",),
}
BORROWED = {"compare_methods": ("balance_classes", ("generator", "target", "classes"))}  # for task="generation"
EPILOG = "Exit codes: 0 done, 1 the run failed or was refused, 2 bad usage, 130 interrupted or stopped."


@functools.cache
def outline(name: str) -> Callable[..., Any]:
    """An SDK function without its body: importing its module would delay a page of help."""
    path = ROOT / (importlib.import_module(__package__).FUNCTIONS[name][1:].replace(".", "/") + ".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (node,) = [
        statement for statement in tree.body if isinstance(statement, ast.FunctionDef) and statement.name == name
    ]
    node.body, node.decorator_list = node.body[:1], []  # the docstring alone
    namespace: dict[str, Any] = {}
    exec(compile(ast.Module([node], []), str(path), "exec", annotations.compiler_flag), namespace)
    function: Callable[..., Any] = namespace[name]
    return function


def help_of(name: str) -> str:
    return (outline(name).__doc__ or "").replace("None: ", "not given: ")


def arguments_of(name: str) -> dict[str, inspect.Parameter]:
    """The arguments of an SDK function, and those that it passes on; its settings are not among them."""
    lender, borrowed = BORROWED.get(name, (name, ()))
    lent = inspect.signature(outline(lender)).parameters
    parameters = {**inspect.signature(outline(name)).parameters, **{argument: lent[argument] for argument in borrowed}}
    return {name: item for name, item in parameters.items() if item.kind != item.VAR_KEYWORD}


def settings_of(name: str) -> dict[str, list[tuple[str, dataclasses.Field[Any]]]]:
    """The settings of a workflow by name, with the classes that have one of that name, and the field of each."""
    from .models import settings

    places: dict[str, list[tuple[str, dataclasses.Field[Any]]]] = {}
    for kind in dict.fromkeys(flat([classes_called(settings, group) for group in SETTINGS.get(name, ())])):
        for item in dataclasses.fields(kind):
            places.setdefault(item.name, []).append((kind.__name__, item))
    return places


def classes_called(settings: Any, name: str) -> Any:
    """A settings class, or nested containers of them, by the name in SETTINGS."""
    if name != "METHODS":
        return getattr(settings, name)
    from .workflows.comparison.methods import METHODS

    return [kinds for _, kinds in METHODS.values()]


def flat(kinds: Any) -> Iterator[Any]:
    """The classes in nested lists and dicts."""
    if isinstance(kinds, type):
        yield kinds
    else:
        for inner in kinds.values() if isinstance(kinds, dict) else kinds:
            yield from flat(inner)


def __getattr__(function: str) -> Callable[..., int]:
    """The command of an SDK function; the app asks for it by name once it was typed."""
    from .command_options import options

    if function not in importlib.import_module(__package__).FUNCTIONS:
        raise AttributeError(function)

    def command(*names: str, **typed: Any) -> int:
        from .terminal import call

        positional = ("dataset", "field" if "field" in arguments_of(function) else "run_key")
        arguments = {**dict(zip(positional, names, strict=False)), **typed}
        return call(function, arguments, takes_progress="progress" in arguments_of(function))

    command.__doc__ = help_of(function)
    parameters = list(options(arguments_of(function), settings_of(function)))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def delete_run(
    dataset: str,
    run_key: str | None = None,
    /,
    *,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Undoes a run, or all of them: removes what it wrote, and restores labels that it changed.

    Args:
        run_key: of the run; none with --all
        everything: every run, the newest first; lists them, and asks before they go
        dry_run: only list what would be undone
        yes: do not ask
        json: print the results as JSON, and nothing else
    """
    from .terminal import delete_runs

    if everything == (run_key is not None):
        raise CycloptsError("give either a RUN_KEY or --all: see `evenset delete-run --help`")
    return delete_runs(dataset, run_key or "all", yes, dry_run, json)


def doctor(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Checks this installation: versions, database, device, weights, plugin and disk, with a remedy for each trouble.

    Args:
        json: print the checks as JSON, and nothing else
    """
    from .terminal import check_installation

    return check_installation(json)


def link(
    *,
    copy: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Gives both the plugin and the package: links this folder where FiftyOne and Python look.

    Args:
        copy: copy the plugin, where links are not allowed
        force: replace a link or copy that another installation made
    """
    from .terminal import change_link

    return change_link("link", copy=copy, force=force)


def unlink() -> int:
    """Takes back what `evenset link` made, and nothing else."""
    from .terminal import change_link

    return change_link("unlink")


def clean(
    *,
    yes: Annotated[bool, Parameter(negative="")] = False,
    unknown: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Lists the run folders of deleted datasets with their sizes, and deletes them with --yes.

    Folders of another database that may share the files, and folders in use, always stay.

    Args:
        yes: delete them
        unknown: with --yes, also delete those that do not name their database
        json: print the list as JSON, and nothing else
    """
    from .terminal import clean_folders

    return clean_folders(yes, unknown, json)


def work(dataset: str, job: str, /) -> None:
    """Carries out a job from the App; never typed by hand."""
    from .workflows.runs.worker import run_job

    run_job(dataset, job)


def make_app() -> App:
    package = importlib.import_module(__package__)
    summary = (package.__doc__ or "").partition("\n")[0].removeprefix("Evenset: ")
    app = App(
        "evenset",
        help=f"{summary[:1].upper()}{summary[1:]} `evenset COMMAND --help` lists every setting.",
        help_epilogue=EPILOG,
        help_format="markdown",
        help_formatter=DefaultFormatter(panel_spec=PanelSpec(box=SIMPLE, padding=(0, 0, 0, 3))),
        version=f"evenset {package.__version__}",
    )
    for place, name in enumerate(package.FUNCTIONS):
        help_text = (delete_run.__doc__ or "") if name == "delete_run" else help_of(name)
        app.command(f"{__name__}:{name}", name=name.replace("_", "-"), help=help_text, sort_key=place)
    more: tuple[Callable[..., int], ...] = (clean, doctor, link, unlink)
    for place, command in enumerate(more, len(package.FUNCTIONS)):
        app.command(command, name=command.__name__, sort_key=place)
    app.command(work, name="worker", show=False)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command in `arguments` (default: the process's own)."""
    typed = sys.argv[1:] if arguments is None else arguments
    try:
        if not typed:
            raise CycloptsError("a COMMAND is missing: `evenset --help` lists them")
        make_app()(typed, exit_on_error=False, print_error=False)
    except MissingArgumentError as error:
        argument = error.argument.name if error.argument else ""
        problem = f"{error.keyword} needs a value" if error.keyword else f"{argument} is missing"
        refuse(f"{problem}: see `evenset {typed[0]} --help`")
    except UnusedCliTokensError as error:
        (token, *_) = error.unused_tokens or [""]
        refuse(f"{token!r} is not understood: see `evenset {typed[0]} --help`")
    except CycloptsError as error:
        refuse(str(error))


def refuse(sentence: str) -> NoReturn:
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(2)
