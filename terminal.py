"""An SDK function called from a terminal: samples by name, a bar, results as a table or JSON, an exit code."""

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
STARTING = "Starting FiftyOne and its database: seconds, or minutes on a busy machine"
PARTS = ("validation", "test")  # arguments that name a part of the samples


def call(function: str, arguments: dict[str, Any], *, takes_progress: bool) -> int:
    """Runs an SDK function, prints its results, and returns the exit code.

    Args:
        arguments: its arguments and settings by name, and the options of the command line itself
        takes_progress: whether it has an argument of that name
    """
    if int(os.environ.get("RANK", "0")) and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return follow(function)
    from .command_samples import NARROWING, find_samples

    name, narrowing = arguments.pop("dataset"), {option: arguments.pop(option, None) for option in NARROWING}
    quiet, as_json = arguments.pop("quiet", False), arguments.pop("json", False)
    watch = Watch(quiet)
    if takes_progress:
        arguments["progress"] = watch
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the run stays resumable
    try:
        with only_results() as out:
            samples = find_samples(name, narrowing)
            parts = {
                part: find_part(samples, arguments[part]) for part in PARTS if isinstance(arguments.get(part), str)
            }
            with contextlib.closing(watch):  # the bar must leave the line before anything is printed
                results = run(function, samples, {**arguments, **parts})
            worded = method_of(str(arguments.get("run_key") or "")) or function
            return show(results, as_json, out, name, worded, watch.run_key)
    except CycloptsError:
        raise
    except BaseException as error:
        return explain(error, function, name, watch.run_key)


def follow(function: str) -> int:
    """In another process of a launch than the first: trains along, and returns the first one's exit code."""
    from .workflows.runs import launch
    from .workflows.runs.run import RunStopped

    try:
        with only_results():
            launch.follow()
        return DONE
    except BaseException as error:
        if launch.OF_FIRST in getattr(error, "__notes__", ()):  # which explains it
            return INTERRUPTED if isinstance(error, (KeyboardInterrupt, RunStopped)) else FAILED
        return explain(error, function, "", "")


def method_of(run_key: str) -> str:
    """The function that made a run, whose arguments its sentences name: `auto_label` of evenset_auto_label_2."""
    return run_key.removeprefix("evenset_").rpartition("_")[0]


def clean_folders(yes: bool, unknown: bool, as_json: bool) -> int:
    """`evenset clean`: prints the remains of deleted datasets; returns the exit code."""
    from .workflows.runs.orphaned_folders import clean

    try:
        with only_results() as out:
            return show(clean(yes, unknown), as_json, out, "", "clean")
    except BaseException as error:
        return explain(error, "clean", "", "")


def delete_runs(name: str, key: str, yes: bool, dry_run: bool, as_json: bool) -> int:
    """`evenset delete-run`: asks before all runs go; returns the exit code, which is 1 where a run stays."""
    from .command_samples import find_dataset
    from .workflows.delete_run import ALL, delete_run

    try:
        with only_results() as out:
            dataset = find_dataset(name)
            plan = delete_run(dataset, key, dry_run=True) if dry_run or (key == ALL and not yes) else None
            if plan and not dry_run and plan.rows:
                print(plan, file=sys.stderr)
                if not confirm(f"Delete {len(plan.rows)} runs of {name}?"):
                    print("Nothing was deleted: answer y, or pass --yes", file=sys.stderr)
                    return FAILED
            results = plan if plan and dry_run else delete_run(dataset, key)
            code = show(results, as_json, out, name, "delete_run")
            return FAILED if results.kept else code
    except CycloptsError:
        raise
    except BaseException as error:
        return explain(error, "delete_run", name, "")


def check_installation(as_json: bool) -> int:
    """`evenset doctor`: prints the checks; returns the exit code, which is 1 where there is a trouble."""
    from .doctor import examine

    print(STARTING, file=sys.stderr, flush=True)
    try:
        with only_results() as out:
            checkup = examine()
            code = show(checkup, as_json, out, "", "doctor")
            return FAILED if checkup.troubles else code
    except BaseException as error:
        return explain(error, "doctor", "", "")


def change_link(action: str, **options: bool) -> int:
    """`evenset link` and `unlink`: prints a sentence for each link; returns the exit code."""
    from . import plugin_link

    print(STARTING, file=sys.stderr, flush=True)
    try:
        with only_results() as out:
            return show("\n".join(getattr(plugin_link, action)(**options)), False, out, "", action)
    except BaseException as error:
        return explain(error, action, "", "")


def confirm(question: str) -> bool:
    """Asks on stderr; no answer is a no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def run(function: str, samples: Any, arguments: dict[str, Any]) -> Any:
    results = getattr(importlib.import_module(__package__), function)(samples, **arguments)
    return f"{arguments['run_key']} was asked to stop" if function == "stop_run" else results


class Watch:
    """The progress of a call: a bar, unless it is quiet, and the key of the run, to resume it."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.run_key = quiet, ""
        self.bar: Any = None

    def started(self, run_key: str) -> None:
        self.run_key = run_key

    def move(self, fraction: float) -> None:
        if not self.quiet:
            self._open_bar().move(fraction)

    def __call__(self, phase: str, done: int, total: int, note: str) -> None:
        if not self.quiet:
            self._open_bar()(phase, done, total, note)

    def _open_bar(self) -> Any:
        if self.bar is None:
            from .workflows.display.progress_bar import TerminalBar

            self.bar = TerminalBar()
        return self.bar

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


@contextlib.contextmanager
def only_results() -> Iterator[Any]:
    """Yields the stream for results; all other output meanwhile goes to stderr."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)  # libraries have their own streams, some write from C, and FiftyOne warns on stdout
    with open(stdout, "w", encoding="utf-8") as out:
        yield out


def find_part(samples: Any, text: str) -> Any:
    """The part named by --validation or --test: a tag, else a saved view."""
    from .workflows.data.internals import root_dataset

    dataset = root_dataset(samples)
    is_tag = text in dataset.distinct("tags")
    return dataset.load_saved_view(text) if not is_tag and dataset.has_saved_view(text) else text


def as_text(results: Any, as_json: bool, function: str) -> str:
    """Results as JSON, or as text whose sentences name options in place of the function's arguments."""
    if as_json:
        return json.dumps(plain(results), ensure_ascii=False)
    from .command_wording import use_options
    from .workflows.display.tables import table

    parts = results.parts() if hasattr(results, "parts") else [str(results)]
    text = "\n".join(use_options(part, function) if isinstance(part, str) else table(part) for part in parts)
    key = getattr(results, "run_key", "")  # needed to undo it
    return text if key in text else f"{text}\n({key})"


def plain(value: Any) -> Any:
    """Results in the types of JSON; NaN and images become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "tolist"):  # of numpy
        return plain(value.tolist()) if value.ndim < 3 else None
    return str(value)


def show(results: Any, as_json: bool, out: Any, dataset: str, function: str, run_key: str = "") -> int:
    """Prints results; returns the exit code, which is 0 also where the reader has gone (`evenset ... | head -1`).

    Args:
        function: of the SDK, or the command
        run_key: of the run, which is done even if printing fails
    """
    try:
        print(as_text(results, as_json, function), file=out, flush=True)
        return DONE
    except (Exception, KeyboardInterrupt) as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # takes what is flushed when it is closed
        if isinstance(error, BrokenPipeError):
            return DONE
        again = f": {invoked()} load-results {shlex.quote(dataset)} {run_key}" if run_key else ""
        print(f"{run_key or function} is done; its results could not be printed{again}", file=sys.stderr, flush=True)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED


def explain(error: BaseException, function: str, dataset: str, run_key: str) -> int:
    """Prints on stderr how the call ended, and how to continue its run; returns the exit code."""
    from .command_wording import use_options
    from .workflows.runs.run import RunStopped
    from .workflows.runs.worker import sentence

    again = f"continue it with: {invoked()} resume-run {shlex.quote(dataset)} {run_key}"
    if function == "audit_labels":
        again = f"delete it, and draw again: {invoked()} delete-run {shlex.quote(dataset)} {run_key}"
    if isinstance(error, (KeyboardInterrupt, RunStopped)):
        message = f"{run_key} was stopped; {again}" if run_key else f"{function} was interrupted"
        code = INTERRUPTED
    elif isinstance(error, Exception):
        message, code = f"Error: {use_options(sentence(error, function), function)}", FAILED
        message += f"\nThe run is kept; once the cause is fixed, {again}" if run_key else ""
    else:
        raise error
    print(message, file=sys.stderr, flush=True)
    return code


def invoked() -> str:
    """The command that started this process: the script, or Python with this folder."""
    script = Path(sys.argv[0])
    if script.stem == "evenset" and not script.is_dir():  # a plugin's folder may have that name
        return "evenset"
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).resolve().parent))}"
