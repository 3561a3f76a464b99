"""A function of the SDK, called from a terminal: samples by name, a bar, results as a table or JSON, an exit code."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclopts import CycloptsError

DONE, FAILED, INTERRUPTED = 0, 1, 130  # exit codes; bad usage is 2
PARTS = ("validation", "test")  # arguments that name a part of the samples


def call(function: str, given: dict[str, Any]) -> int:
    """Runs a function of the SDK, prints what it returns, and gives the exit code.

    Args:
        given: its arguments and settings by name, and "dataset", "view", "quiet" and "json" of the command line
    """
    name, view = given.pop("dataset"), given.pop("view", None)
    quiet, as_json = given.pop("quiet", False), given.pop("json", False)
    watch = Watch(quiet)
    if "progress" in takes(function):
        given["progress"] = watch
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, the run is left resumable
    try:
        with only_results() as out:
            samples = find_samples(name, view)
            named = {part: find_part(samples, given[part]) for part in PARTS if part in given}
            with contextlib.closing(watch):  # the bar has to be off the line before anything else is said
                results = run(function, samples, {**given, **named})
            return show(results, as_json, out, name, watch.run_key or function)
    except CycloptsError:
        raise
    except BaseException as error:
        return explain(error, function, name, watch.run_key)


def clean_folders(yes: bool, unknown: bool, as_json: bool) -> int:
    """`evenset clean`: prints what is left of deleted datasets; gives the exit code."""
    from .workflows.clean import clean

    try:
        with only_results() as out:
            return show(clean(yes, unknown), as_json, out, "", "clean")
    except BaseException as error:
        return explain(error, "clean", "", "")


def takes(function: str) -> list[str]:
    from .commands import arguments_of

    return list(arguments_of(function))


def run(function: str, samples: Any, arguments: dict[str, Any]) -> Any:
    results = getattr(importlib.import_module(__package__), function)(samples, **arguments)
    return f"{arguments['run_key']} is asked to stop" if function == "stop_run" else results


class Watch:
    """The progress of a call: a bar, unless it is to be quiet, and the key of the run, for whoever resumes it."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.run_key = quiet, ""
        self.bar: Any = None

    def started(self, run_key: str) -> None:
        self.run_key = run_key

    def __call__(self, phase: str, done: int, total: int, note: str) -> None:
        if self.quiet:
            return
        if self.bar is None:
            from .workflows.progress import TerminalBar

            self.bar = TerminalBar()
        self.bar(phase, done, total, note)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


@contextlib.contextmanager
def only_results() -> Iterator[Any]:
    """Where results are printed: whatever else is printed meanwhile, by whomever, goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)  # libraries keep streams of their own, and some write from C; FiftyOne's warnings go to stdout
    with open(kept, "w", encoding="utf-8") as out:
        yield out


def find_samples(name: str, view: str | None) -> Any:
    """A dataset by its name, or one of its saved views."""
    import fiftyone as fo

    if not fo.dataset_exists(name):
        names = ", ".join(map(repr, fo.list_datasets()))
        raise CycloptsError(f"there is no dataset {name!r}: " + (f"there are {names}" if names else "there is none"))
    dataset = fo.load_dataset(name)
    if view is None:
        return dataset
    if not dataset.has_saved_view(view):
        names = ", ".join(map(repr, dataset.list_saved_views())) or "none"
        raise CycloptsError(f"{name!r} has no saved view {view!r}: it has {names}")
    return dataset.load_saved_view(view)


def find_part(samples: Any, text: str) -> Any:
    """What --validation and --test name: a saved view, where it is no tag."""
    dataset = samples._root_dataset
    is_tag = text in dataset.distinct("tags")
    return dataset.load_saved_view(text) if not is_tag and dataset.has_saved_view(text) else text


def as_text(results: Any, as_json: bool) -> str:
    if as_json:
        return json.dumps(plain(results), ensure_ascii=False)
    text = results["text"] if isinstance(results, dict) else str(results)
    key = getattr(results, "run_key", "")  # whoever wants to undo it has to know it
    return text if key in text else f"{text}\n({key})"


def plain(value: Any) -> Any:
    """Results in JSON's types: NaN is null, and so are pictures."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "tolist"):  # of numpy
        return plain(value.tolist()) if value.ndim < 3 else None
    return str(value)


def show(results: Any, as_json: bool, out: Any, dataset: str, done: str) -> int:
    """Prints what a call returned; gives the exit code: 0 also where nobody reads on (`evenset ... | head -1`).

    Args:
        done: key of the run, or name of the function: it is done, whatever becomes of the printing
    """
    try:
        print(as_text(results, as_json), file=out, flush=True)
        return DONE
    except (Exception, KeyboardInterrupt) as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # for what is still to be flushed when it is closed
        if isinstance(error, BrokenPipeError):
            return DONE
        again = f": {invoked()} load-results {shlex.quote(dataset)} {done}" if done.startswith("evenset_") else ""
        print(f"{done} is done; its results could not be printed{again}", file=sys.stderr, flush=True)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED


def explain(error: BaseException, function: str, dataset: str, run_key: str) -> int:
    """Says on stderr how the call ended, and how to go on with its run; gives the exit code."""
    from .workflows.jobs import sentence
    from .workflows.runs import RunStopped

    again = f"go on with: {invoked()} resume-run {shlex.quote(dataset)} {run_key}"
    if function == "audit_labels":
        again = f"draw anew, and delete it: {invoked()} delete-run {shlex.quote(dataset)} {run_key}"
    if isinstance(error, (KeyboardInterrupt, RunStopped)):
        told = f"{run_key} was stopped; {again}" if run_key else f"{function} was interrupted"
        code = INTERRUPTED
    elif isinstance(error, Exception):
        told, code = f"Error: {sentence(error, function)}", FAILED
        told += f"\nThe run is kept; once the cause is gone, {again}" if run_key else ""
    else:
        raise error
    print(told, file=sys.stderr, flush=True)
    return code


def invoked() -> str:
    """How the command line was called: by its script, or as Python's argument."""
    script = Path(sys.argv[0])
    if script.stem == "evenset" and not script.is_dir():  # the plugin's folder may have that name too
        return "evenset"
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).resolve().parent))}"
