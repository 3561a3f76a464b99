"""What the App sees of a workflow: the panel watches it, or a bar and the answer are shown; errors are sentences."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import fiftyone.operators.types as types

from ..workflows.data.internals import root_dataset
from ..workflows.display.progress_bar import Progress
from ..workflows.display.tables import counted
from ..workflows.load_results import load_results
from ..workflows.runs import records, worker
from ..workflows.runs.jobs import Job
from ..workflows.ui import live
from .tabs import drawing
from .words import capital, in_words

LOOK_SECONDS = 0.4  # between two looks at a worker
MOST_ROWS = 100  # of a table in the App
PANEL = "evenset_panel"
TABS = {"find_mistakes": "mistakes", "balance_classes": "balance", "train_generator": "balance"}  # where they are seen
NARROW = {"minWidth": 0, "& th, & td": {"paddingX": 1, "fontSize": "0.875rem"}}  # a form's 632 px, not FiftyOne's 650
OPENING_SECONDS = 60  # within which a panel that is opened has loaded

Prepared = tuple[Any, dict[str, Any]]  # the samples (or the dataset) that a workflow takes, and its other arguments
Answer = Callable[[Any, dict[str, Any]], "Page"]


def run(ctx: Any, workflow: str, prepare: Callable[[], Prepared], answer: Answer | None = None) -> Any:
    """What `execute` returns: in the App a generator that starts a worker, elsewhere the results.

    The App is free again at once, and the panel shows how far the worker is; a form that asks to wait gets the bar,
    and the `answer`.
    """

    def work(progress: Progress) -> Any:
        samples, arguments = prepare()
        return worker.call(workflow, samples, arguments, progress)

    if not in_app(ctx):
        return _without_app(ctx, work)
    waits = ctx.params.get("wait")
    return guarded(
        ctx, _with_worker(ctx, workflow, prepare, answer or page_of) if waits else _let_go(ctx, workflow, prepare)
    )


def run_here(ctx: Any, work: Callable[[Progress], Any], answer: Answer, clear_view: bool = False) -> Any:
    """The same for work that is done sooner than a worker would have started: it runs in the App's server."""
    return guarded(ctx, _in_thread(ctx, work, answer, clear_view)) if in_app(ctx) else _without_app(ctx, work)


def in_app(ctx: Any) -> bool:
    """Whether a browser waits for the answer: not in a delegated run, nor where Python executes the operator."""
    return "operator_uri" in ctx.request_params and not ctx.delegated


def guarded(ctx: Any, messages: Iterator[Any]) -> Iterator[Any]:
    """Passes messages on; an error, which FiftyOne would lose, is shown as a sentence in the place of the bar."""
    try:
        yield from messages
    except Exception as error:
        reason = worker.sentence(error, (ctx.operator_uri or "").rpartition("/")[2])
        yield from Page("Not done").alert("error", reason).show(ctx)
        yield ctx.ops.notify(capital(in_words(reason)), variant="error")


class Page:
    """What the App shows at the end."""

    def __init__(self, title: str, text: str = "") -> None:
        self.outputs, self.results = types.Object(), {}
        self.outputs.view("title", types.Header(label=title, description=text, divider=False))

    def lines(self, text: str) -> Page:
        """Lines of `name   value`, or of plain text."""
        parts = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in text.splitlines() if line.strip()]
        rows = [f"**{capital(part[0])}**: {part[1]}" if part[1:] else part[0] for part in parts]
        name = f"lines {len(self.results)}"
        self.outputs.str(name, view=types.MarkdownView())
        self.results[name] = "  \n".join(rows)
        return self

    def alert(self, severity: str, text: str) -> Page:
        name = f"alert {len(self.outputs.properties)}"
        self.outputs.view(name, types.AlertView(severity=severity, label=capital(in_words(text))))
        return self

    def notes(self, results: dict[str, Any]) -> Page:
        """What a run left out, and what else is to be known of it."""
        if results.get("skipped"):
            self.alert("warning", f"{counted(len(results['skipped']), 'image')} could not be read")
        if results.get("synthetic"):
            self.alert("info", f"{counted(results['synthetic'], 'synthetic sample', 'was', 'were')} left out")
        for note in results.get("notes") or []:
            self.alert("info", note)
        return self

    def button(self, label: str, icon: str, operator: str, params: dict[str, Any], prompt: bool = False) -> Page:
        row = self.outputs.properties.get("buttons")
        buttons = row.type if row else self.outputs.h_stack("buttons", gap=2)
        buttons.btn(label, label=label, icon=icon, variant="outlined", on_click=operator, params=params, prompt=prompt)
        return self

    def table(self, rows: list[dict[str, Any]], name: str = "rows") -> Page:
        if rows:
            view = types.TableView(componentsProps=dict(table=dict(sx=NARROW)))
            for number, key in enumerate(rows[0]):
                view.add_column(str(number), label=capital(key))
            self.outputs.list(name, types.Object(), view=view)
            shown = [
                ["–" if value is None else f"{value:,}" if type(value) is int else str(value) for value in row.values()]
                for row in rows
            ]
            self.results[name] = [{str(k): text for k, text in enumerate(row)} for row in shown[:MOST_ROWS]]
        if len(rows) > MOST_ROWS:
            self.lines(f"{counted(len(rows) - MOST_ROWS, 'row')} more: evenset.load_results has them all")
        return self

    def picture(self, path: str) -> Page:
        self.outputs.str("picture", view=types.ImageView(width="100%"))
        self.results["picture"] = drawing.source(path)
        return self

    def show(self, ctx: Any) -> Iterator[Any]:
        self.button("Open the panel", "dashboard", "open_panel", dict(name=PANEL, layout="horizontal", isActive=True))
        yield ctx.ops.show_output(types.Property(self.outputs).to_json(), self.results)


def page_of(ctx: Any, results: dict[str, Any]) -> Page:
    """The page that fits any results: what their text says, buttons to their views, and their table."""
    title, _, rest = results["text"].partition("\n\n")[0].partition("\n")
    page = Page(title)
    if rest:
        page.lines(rest)
    page.notes(results)
    for name, view in results.get("views", {}).items():
        page.button(capital(name), "visibility", "set_view", dict(name=view))
    return page.table(results.get("rows", []))


def _let_go(ctx: Any, workflow: str, prepare: Callable[[], Prepared]) -> Iterator[Any]:
    """Starts a worker, and leaves it to the panel."""
    samples, arguments = prepare()
    yield ctx.ops.close_panel(name=PANEL)  # one that is open would not look again
    dataset = root_dataset(samples)
    earlier = [row for row in live.outcomes(dataset) if row["workflow"] == workflow]
    live.forget_outcomes(dataset, earlier)  # how an earlier try ended is no news of this one
    worker.start_worker(samples, workflow, arguments, awaited=False)
    opening = dict(tab=TABS.get(workflow), label_field=arguments.get("label_field"))
    records.store(dataset).set("opening", opening, ttl=OPENING_SECONDS)
    time.sleep(LOOK_SECONDS)  # the App drops a panel that is opened in the instant in which it closes
    yield ctx.ops.open_panel(PANEL, layout="horizontal", is_active=True)
    said = f"{capital(workflow.replace('_', ' '))} has started: it goes on when you close this page"
    yield ctx.ops.notify(said, variant="info")


def take_opening(dataset: Any) -> dict[str, str | None]:
    """Tab and label field of a panel that `run` has just opened: the App hands it no state. Empty for others."""
    channel = records.store(dataset)
    opening: dict[str, str | None] = channel.get("opening") or {}
    channel.delete("opening")
    return opening


def _with_worker(ctx: Any, workflow: str, prepare: Callable[[], Prepared], answer: Answer) -> Iterator[Any]:
    yield ctx.ops.set_progress(label="Starting", progress=0.0)
    samples, arguments = prepare()
    dataset = root_dataset(samples)
    job_id = worker.start_worker(samples, workflow, arguments)
    shown = None
    while (job := worker.watch(dataset, job_id)).is_unfinished:
        state = (job.run_key, *describe(*(job.live[name] for name in ("phase", "done", "total", "note"))))
        if state != shown:
            shown = state
            yield _bar(ctx, *state)
        time.sleep(LOOK_SECONDS)
    worker.forget(dataset, job_id)
    dataset.reload()
    yield ctx.ops.reload_dataset()
    if job.state != "done":
        yield from _unfinished(ctx, job)
        return
    yield from answer(ctx, {"run_key": job.run_key, **load_results(dataset, job.run_key)}).show(ctx)


def _unfinished(ctx: Any, job: Job) -> Iterator[Any]:
    """Why a job has no results, and what can be done with its run."""
    stopped = job.state == "stopped"
    page = Page("Stopped" if stopped else "Not done").alert("info" if stopped else "error", job.error)
    if job.run_key:
        for label, icon, name in (("Resume ...", "restart_alt", "resume_run"), ("Delete ...", "undo", "delete_run")):
            page.button(label, icon, f"@evenset/evenset/{name}", dict(run_key=job.run_key), prompt=True)
    yield from page.show(ctx)
    if not stopped:
        yield ctx.ops.notify(capital(in_words(job.error)), variant="error")


def _in_thread(ctx: Any, work: Callable[[Progress], Any], answer: Answer, clear_view: bool) -> Iterator[Any]:
    yield ctx.ops.set_progress(label="Starting", progress=0.0)
    if clear_view and ctx.has_custom_view:
        yield ctx.ops.clear_all_stages()  # the App would ask for fields that are about to go
    news: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run_work() -> None:
        try:
            news.put(work(lambda *state: news.put(describe(*state))))
        except BaseException as error:
            news.put(error)

    threading.Thread(target=run_work, daemon=True).start()
    while isinstance(latest := news.get(), tuple):
        yield ctx.ops.set_progress(label=latest[0], progress=latest[1])
    if isinstance(latest, BaseException):
        raise latest
    ctx.dataset.reload()
    yield ctx.ops.reload_dataset()
    yield from answer(ctx, {**vars(latest), "text": str(latest)}).show(ctx)


def _without_app(ctx: Any, work: Callable[[Progress], Any]) -> dict[str, Any]:
    def tell(*state: Any) -> None:
        label, progress = describe(*state)
        ctx.set_progress(progress=progress, label=label)

    results = work(tell)
    return dict(run_key=results.run_key, text=str(results))


def _bar(ctx: Any, run_key: str | None, label: str, progress: float) -> Any:
    """The App's bar, with a button that stops the run."""
    outputs, view = types.Object(), types.ProgressView(label=label)
    outputs.float("progress", view=view)
    outputs.str("hint", view=types.MarkdownView())
    if run_key:
        params = dict(run_key=run_key, wait=True)
        outputs.btn("stop", label="Stop", icon="stop", on_click="@evenset/evenset/stop_run", params=params)
    hint = "The work goes on when you close this page."
    return ctx.ops.show_output(types.Property(outputs).to_json(), dict(progress=progress, hint=hint))


def describe(phase: str, done: int, total: int, note: str) -> tuple[str, float]:
    """What the bar says, and where it stands (0..1)."""
    count = f" {done:,} of {total:,}" if total > 1 else ""
    return capital(phase) + count + (f" · {note.replace('_', ' ')}" if note else ""), round(done / max(total, 1), 3)
