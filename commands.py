"""The command line: a subcommand for each function of the SDK, made from its signature, docstring and settings."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

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
BORROWED = {"compare_methods": ("balance_classes", ("generator", "target"))}  # of task="generation"
METAVARS = {"settings_of": "JSON", "rules": "FILE", "classes": "NAMES", "methods": "NAMES"}
HELPS = {  # of arguments that are typed otherwise than they are written in Python
    "classes": "names in order, with synonyms: 'cat = kitten = puss, dog'",
    "target": "majority (as many as the largest class), median, a number of images, or 'cat=100, dog=200'",
    "methods": "apart by commas: hog + svm, k-nn, rules, resnet, image gcn, gcn, laplace, ensemble; not given: all of "
    "them, rules where they are given",
    "settings_of": """rows with settings of their own: {"resnet18 sgd": {"method": "resnet", "optimizer": "sgd"}}""",
    "rules": "file of lines `label: expression of FiftyOne`, the first that matches wins; - reads stdin",
}
EPILOG = (
    "Exit codes: 0 done, 1 the run failed, 2 bad usage, 130 interrupted or stopped. "
    "`evenset COMMAND --help` lists every setting."
)


class Argument(NamedTuple):
    """An argument of a function of the SDK."""

    name: str
    kind: str  # its annotation
    default: Any
    required: bool
    help: str


class Function(NamedTuple):
    """What its source says of a function: nothing has to be imported for a page of help."""

    about: str  # the docstring before "Args:"
    arguments: list[Argument]


def read_function(name: str) -> Function:
    """The signature and the docstring of a function of the SDK."""
    module = importlib.import_module(__package__)._FUNCTIONS[name]
    tree = ast.parse((ROOT / (module.strip(".").replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    node = next(one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name)
    about, _, rest = (ast.get_docstring(node) or "").partition("\nArgs:\n")
    helps = read_helps(rest.partition("\n\n")[0])
    plain = [None] * (len(node.args.args) - len(node.args.defaults)) + list(node.args.defaults)
    pairs = [*zip(node.args.args, plain, strict=True), *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
    arguments = [
        Argument(
            item.arg,
            ast.unparse(item.annotation) if item.annotation else "",
            ast.literal_eval(default) if default else None,
            default is None,
            helps.get(item.arg, ""),
        )
        for item, default in pairs
    ]
    return Function(re.sub(r"\n\nRaises:.*", "", about, flags=re.S), arguments)


def read_helps(text: str) -> dict[str, str]:
    """The lines below "Args:": name, or names, and what is said of them."""
    helps = {}
    for part in re.split(r"^    (?=\w)", text, flags=re.M)[1:]:
        names, _, said = part.partition(": ")
        helps.update(dict.fromkeys(names.split(", "), " ".join(said.split())))
    return helps


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
    from .workflows.methods import METHODS

    return [kinds for _, kinds in METHODS.values()]


def flat(kinds: Any) -> Iterator[type]:
    if isinstance(kinds, type):
        yield kinds
    else:
        for one in kinds.values() if isinstance(kinds, dict) else kinds:
            yield from flat(one)


class Option(click.Option):
    """An option that stands below a heading; one that was not given is None, and its default is left to the SDK."""

    def __init__(self, section: str, name: str, **about: Any) -> None:
        dashed = name.replace("_", "-")
        switch = about.pop("switch", False)
        about = {**about, "type": click.BOOL} if switch else about
        if not about.get("required"):
            about["default"] = None  # of a switch, too
        super().__init__([f"--{dashed}/--no-{dashed}" if switch else f"--{dashed}", name], **about)
        self.section = section


def setting_option(name: str, places: list[tuple[str, dataclasses.Field[Any]]]) -> Option:
    """The option of a setting; where several classes have it, they may differ in default and range."""
    from .models.settings import check

    section, item = places[0]
    notes, kind = item.metadata, type(item.default)

    def read(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        refusals = []
        for _, one in places if value is not None else ():
            try:
                return check(one, value)
            except ValueError as error:
                refusals.append(str(error))
        if refusals:
            raise click.BadParameter(refusals[0], context, parameter)
        return None

    choices = dict.fromkeys(choice for _, one in places for choice in one.metadata["choices"])
    closed = choices and not any(one.metadata["open_choices"] for _, one in places)
    return Option(
        section,
        name,
        help=f"{notes['help']}  [{facts(places)}]",
        type=click.Choice(list(choices)) if closed else {int: click.INT, float: click.FLOAT}.get(kind, click.STRING),
        switch=kind is bool,
        callback=read,
    )


def facts(places: list[tuple[str, dataclasses.Field[Any]]]) -> str:
    """Usual values, range, unit and default of a setting, as its help shows them."""
    item = places[0][1]
    notes, texts = item.metadata, []
    low, high, unit = notes["low"], notes["high"], notes["unit"]
    if notes["open_choices"]:
        texts.append(f"{', '.join(notes['choices'])}, or another text")
    if low is not None:
        texts.append((f"at least {low:.12g}" if high is None else f"{low:.12g} to {high:.12g}") + (unit and f" {unit}"))
    elif unit:
        texts.append(unit)
    defaults: dict[str, list[str]] = {}
    for kind, one in places:
        defaults.setdefault(shown(one.default), []).append(kind)
    several = [f"{value} in {', '.join(kinds)}" for value, kinds in list(defaults.items())[1:]]
    return "; ".join([*texts, "default " + ", ".join([shown(item.default), *several])])


def shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:.12g}" if isinstance(default, (int, float)) else str(default)


def argument_option(item: Argument) -> Option:
    """The option of an argument that a workflow has beside its settings."""
    from .workflows import typed

    readers: dict[str, Callable[[str], Any]] = {
        "classes": typed.read_classes,
        "target": typed.read_target,
        "methods": lambda text: [name.strip() for name in text.split(",")],
        "settings_of": json.loads,
        "rules": lambda file: file.read(),
    }
    with_synonyms = "dict" in item.kind
    said = HELPS.get(item.name, item.help) if item.name != "classes" or with_synonyms else item.help

    def read(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is None or item.name not in readers:
            return value
        try:
            found = readers[item.name](value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None
        if isinstance(found, dict) and item.name == "classes" and not with_synonyms:
            raise click.BadParameter("synonyms have no meaning here: it reads cat, dog", context, parameter)
        return found

    default = "" if item.default in (None, (), "") else f"  [default {shown(item.default)}]"
    return Option(
        "Arguments",
        item.name,
        help=said.replace("`", "").replace("None: ", "not given: ") + default,
        type=click.File(encoding="utf-8") if item.name == "rules" else click.STRING,
        metavar=METAVARS.get(item.name),
        switch=item.kind == "bool",
        required=item.required,
        callback=read,
    )


class Command(click.Command):
    """A function of the SDK."""

    def __init__(self, function: str) -> None:
        self.function = function
        about = read_function(function).about.replace("`", "")
        first = re.split(r"[;:.\n]", about, maxsplit=1)[0]
        super().__init__(function.replace("_", "-"), callback=self.start, help=about, short_help=first)

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        if not self.params:  # late: the list of all commands does without
            self.params = self.make_params()
        return super().get_params(context)

    def make_params(self) -> list[click.Parameter]:
        """DATASET, the function's own arguments, its settings, and what is asked of the command line itself."""
        found = read_function(self.function).arguments
        names = [item.name for item in found]
        lender, borrowed = BORROWED.get(self.function, ("", ()))
        found += [item for item in read_function(lender).arguments if item.name in borrowed] if lender else []
        parameters: list[click.Parameter] = [click.Argument(["dataset"])]
        if "run_key" in names:
            parameters.append(click.Argument(["run_key"]))
        parameters += [argument_option(item) for item in found if item.name not in NO_OPTION]
        parameters += [setting_option(name, places) for name, places in settings_of(self.function).items()]
        if "samples" in names:
            parameters.append(Option("Command", "view", help="saved view to work on, in place of the whole dataset"))
        if "progress" in names:
            parameters.append(Option("Command", "quiet", is_flag=True, help="no progress bar"))
        return [*parameters, Option("Command", "json", is_flag=True, help="print the results as JSON, nothing else")]

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record:
                sections.setdefault(getattr(parameter, "section", "Command"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def start(self, **given: Any) -> None:
        from .terminal import call

        sys.exit(call(self.function, {name: value for name, value in given.items() if value is not None}))


class Commands(click.Group):
    """A command for each function of the SDK, and the worker of the App's jobs."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [name.replace("_", "-") for name in importlib.import_module(__package__)._FUNCTIONS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name == "worker":
            arguments = [click.Argument(["dataset"]), click.Argument(["job"])]
            return click.Command("worker", params=[*arguments], callback=work, hidden=True)
        return Command(name.replace("-", "_")) if name in self.list_commands(context) else None


def work(dataset: str, job: str) -> None:
    """Does a job that the App has handed out; nobody needs to type this."""
    from .workflows.jobs import run_job

    run_job(dataset, job)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that `arguments` (default: those of the process) name."""
    package = importlib.import_module(__package__)
    about = (package.__doc__ or "").partition("\n")[0].removeprefix("Evenset: ")
    wide = dict(max_content_width=120, help_option_names=["-h", "--help"])
    group = Commands("evenset", help=about[:1].upper() + about[1:], epilog=EPILOG, context_settings=wide)
    click.version_option(package.__version__, prog_name="evenset", message="%(prog)s %(version)s")(group)
    group.main(arguments, prog_name="evenset")
