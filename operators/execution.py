"""How operators execute: in a worker that the panel watches, in the App's server, or without an App."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.gpus import gpu_count
from ..workflows.data.internals import reload_dataset, root_dataset
from ..workflows.display.progress_bar import Progress
from ..workflows.runs import lookup, records, worker
from ..workflows.runs.jobs import Job
from ..workflows.ui import live
from .display.pages import PANEL, Page, default_page
from .display.wording import capitalize, describe_progress, use_labels

POLL_SECONDS = 0.4  # between two looks at a worker
OPENING_SECONDS = 60  # a panel that is opened loads within this time
TABS = {"find_mistakes": "mistakes", "balance_classes": "balance", "train_generator": "balance"}  # that show a workflow

Arguments = tuple[Any, dict[str, Any]]  # the samples (or the dataset) that a workflow takes, and its other arguments
PageOf = Callable[[foo.ExecutionContext, dict[str, Any]], Page]  # of results


def run_in_worker(
    ctx: foo.ExecutionContext,
    workflow: str,
    read_arguments: Callable[[], Arguments],
    result_page: PageOf = default_page,
) -> Any:
    """Runs a workflow for `execute`: in the App in a worker, elsewhere in this process.

    The App is free at once, and the panel shows the worker's progress; a form that asked to wait gets a progress bar,
    then the results.
    """

    def work(progress: Progress) -> Any:
        samples, arguments = read_arguments()
        return worker.call(workflow, samples, arguments, progress)

    if not _is_in_app(ctx):
        return _run_without_app(ctx, work)
    if ctx.params.get("wait"):
        return show_errors(ctx, _wait_for_worker(ctx, workflow, read_arguments, result_page))
    return show_errors(ctx, _leave_to_panel(ctx, workflow, read_arguments))


def _processes(ctx: foo.ExecutionContext) -> int:
    """Processes of the worker: one a GPU, where the form asks for all."""
    return max(1, gpu_count()) if ctx.params.get("all_gpus") else 1


def run_in_server(
    ctx: foo.ExecutionContext, work: Callable[[Progress], Any], result_page: PageOf, clear_view: bool = False
) -> Any:
    """Runs work that takes less time than the start of a worker: in the App's server, or without an App."""
    if not _is_in_app(ctx):
        return _run_without_app(ctx, work)
    return show_errors(ctx, _run_in_thread(ctx, work, result_page, clear_view))


def _is_in_app(ctx: foo.ExecutionContext) -> bool:
    """Whether a browser waits: not in a delegated run, nor where Python executes the operator."""
    return "operator_uri" in ctx.request_params and not ctx.delegated


def show_errors(ctx: foo.ExecutionContext, messages: Iterator[Any]) -> Iterator[Any]:
    """Passes messages on; shows an error, which FiftyOne would lose, as a sentence in place of the progress bar."""
    try:
        yield from messages
    except Exception as error:
        operator = (ctx.operator_uri or "").rpartition("/")[2]
        reason = worker.sentence(error, operator)
        page = Page("Not done").add_alert("error", reason)
        yield from page.add_remedies(reason, operator, ctx.params).show(ctx)
        yield ctx.ops.notify(capitalize(use_labels(reason)), variant="error")


def _leave_to_panel(ctx: foo.ExecutionContext, workflow: str, read_arguments: Callable[[], Arguments]) -> Iterator[Any]:
    """Starts a worker, and opens the panel, which watches it."""
    samples, arguments = read_arguments()
    yield ctx.ops.close_panel(name=PANEL)  # an open one would not load again
    dataset = root_dataset(samples)
    earlier = [row for row in live.outcomes(dataset) if row["workflow"] == workflow]
    live.forget_outcomes(dataset, earlier)  # the end of an earlier attempt no longer matters
    worker.start_worker(samples, workflow, arguments, awaited=False, processes=_processes(ctx))
    set_opening(dataset, tab=TABS.get(workflow), label_field=arguments.get("label_field"))
    time.sleep(POLL_SECONDS)  # the App drops a panel that is opened at the moment in which it closes
    yield ctx.ops.open_panel(PANEL, layout="horizontal", is_active=True)
    message = f"{capitalize(workflow.replace('_', ' '))} has started: it continues if you close this page"
    yield ctx.ops.notify(message, variant="info")


def set_opening(dataset: Any, tab: str | None = None, label_field: str | None = None) -> None:
    """Leaves tab and label field for the panel that is opened next."""
    records.store(dataset).set("opening", dict(tab=tab, label_field=label_field), ttl=OPENING_SECONDS)


def take_opening(dataset: Any) -> dict[str, str | None]:
    """Tab and label field for a panel that an operator just opened; empty for any other.

    The App passes no state to a panel that it opens.
    """
    store = records.store(dataset)
    opening: dict[str, str | None] = store.get("opening") or {}
    store.delete("opening")
    return opening


def _wait_for_worker(
    ctx: foo.ExecutionContext, workflow: str, read_arguments: Callable[[], Arguments], result_page: PageOf
) -> Iterator[Any]:
    """Starts a worker, shows its progress, then the results."""
    yield ctx.ops.set_progress(label="Starting", progress=0.0)
    samples, arguments = read_arguments()
    dataset = root_dataset(samples)
    job_id = worker.start_worker(samples, workflow, arguments, processes=_processes(ctx))
    last = None
    while (job := worker.watch(dataset, job_id)).is_unfinished:
        phase, done, total, note = (job.live[name] for name in ("phase", "done", "total", "note"))
        state = (job.run_key, *describe_progress(phase, done, total, note, live.position(job.live)[0]))
        if state != last:
            last = state
            yield _show_progress(ctx, *state)
        time.sleep(POLL_SECONDS)
    worker.forget(dataset, job_id)
    reload_dataset(dataset)
    yield ctx.ops.reload_dataset()
    if job.state != "done" or job.run_key is None:
        yield from _show_unfinished(ctx, job)
        return
    yield from result_page(ctx, lookup.read_results(dataset, job.run_key)).show(ctx)


def _show_unfinished(ctx: foo.ExecutionContext, job: Job) -> Iterator[Any]:
    """Shows why a job has no results, with buttons that resume or delete its run."""
    stopped = job.state == "stopped"
    page = Page("Stopped" if stopped else "Not done").add_alert("info" if stopped else "error", job.error)
    page.add_remedies(job.error, job.workflow, ctx.params)
    if job.run_key:
        params = dict(run_key=job.run_key)
        page.add_form_button("Resume ...", "restart_alt", "resume_run", params)
        page.add_form_button("Delete ...", "undo", "delete_run", params)
    yield from page.show(ctx)
    if not stopped:
        yield ctx.ops.notify(capitalize(use_labels(job.error)), variant="error")


def _run_in_thread(
    ctx: foo.ExecutionContext, work: Callable[[Progress], Any], result_page: PageOf, clear_view: bool
) -> Iterator[Any]:
    """Works in a thread, whose progress the App's own bar shows."""
    yield ctx.ops.set_progress(label="Starting", progress=0.0)
    if clear_view and ctx.has_custom_view:
        yield ctx.ops.clear_all_stages()  # the App would ask for fields that are about to be deleted
    reports: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run_work() -> None:
        try:
            reports.put(work(lambda *state: reports.put(describe_progress(*state))))
        except BaseException as error:
            reports.put(error)

    threading.Thread(target=run_work, daemon=True).start()
    while isinstance(report := reports.get(), tuple):
        yield ctx.ops.set_progress(label=report[0], progress=report[1])
    if isinstance(report, BaseException):
        raise report
    reload_dataset(ctx.dataset)
    yield ctx.ops.reload_dataset()
    yield from result_page(ctx, {**vars(report), "text": str(report)}).show(ctx)


def _run_without_app(ctx: foo.ExecutionContext, work: Callable[[Progress], Any]) -> dict[str, Any]:
    """Works in this process, and reports progress to a delegated run."""

    def report(*state: Any) -> None:
        label, progress = describe_progress(*state)
        ctx.set_progress(progress=progress, label=label)

    results = work(report)
    return dict(run_key=getattr(results, "run_key", None), text=str(results))  # a dry run has no key


def _show_progress(ctx: foo.ExecutionContext, run_key: str | None, label: str, progress: float) -> Any:
    """The message that shows a progress bar, with a button that stops the run."""
    outputs, view = types.Object(), types.ProgressView(label=label)
    outputs.float("progress", view=view)
    outputs.str("hint", view=types.MarkdownView())
    if run_key:
        params = dict(run_key=run_key, wait=True)
        outputs.btn("stop", label="Stop", icon="stop", on_click="@evenset/evenset/stop_run", params=params)
    hint = "The work continues if you close this page."
    return ctx.ops.show_output(types.Property(outputs).to_json(), dict(progress=progress, hint=hint))
