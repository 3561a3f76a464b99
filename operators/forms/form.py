"""Settings to form, and form to settings: fields, defaults, ranges and help texts come from models/settings.py."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types
from fiftyone.operators.constants import ViewTarget

from ..models.settings import Settings, check, split
from ..workflows import estimates, history, overview, typed, views
from ..workflows.jobs import sentence
from ..workflows.results import counted
from ..workflows.samples import SYNTHETIC, check_images, check_output_field
from .tabs.drawing import drawable
from .words import capital, in_words, label_of

OURS = "written by evenset_"  # so begins the description of every field that a run wrote


def build(ctx: Any, title: str, button: str, fill: Callable[[Form], None], works: str = "") -> types.Property:
    """What `resolve_input` returns: the form that `fill` makes, or the reason why there is none.

    Args:
        works: the workflow that a worker is started for: how long it takes is said, and one may wait
    """
    form = Form(ctx, button)
    try:
        if ctx.dataset is None:
            form.refuse("open a dataset first")
        else:
            fill(form)
            if works:
                form.estimate(works)
                form.waits()
            elif form.value("more") and (said := how_to_schedule()):
                form.say(said)  # it takes seconds: not among what stands there at first
    except Exception as error:
        form.refuse(sentence(error, title))
    view = types.PromptView(label=title, submit_button_label=form.button)
    return types.Property(form.inputs, view=view)


def how_to_schedule() -> str:
    """What a server lacks that does not allow it; empty for one that does."""
    allowed = fo.config.allow_legacy_orchestrators
    return "" if allowed else "To schedule it, start the App's server with FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS=true"


class Form:
    """A form that is made line by line."""

    def __init__(self, ctx: Any, button: str) -> None:
        self.ctx, self.button = ctx, button
        self.inputs = types.Object()
        self.samples: Any = None  # that were chosen
        self.labels: str | None = None  # the label field that was chosen
        self.arguments: dict[str, Any] = {}  # of the workflow, that no line holds as they are

    def value(self, name: str, default: Any = None) -> Any:
        """What the user has put in, or what stands there at first."""
        given = self.ctx.params.get(name)
        return default if given in (None, "") else given

    def target(self, verb: str) -> Any:
        """Which samples: the dataset, the view or the selection; returns them. Without a choice nothing is shown.

        Raises:
            ValueError: the form was opened on a view that is gone
        """
        run, name = self.value("run_view"), self.value("saved_view")
        if run or (name and not takes_selection(self.ctx)):
            said = f"On the view that {run} worked on" if run else f"On the view {name}"
            self.inputs.bool("same_view", default=True, label=said, view=types.CheckboxView())
        if not on_given_view(self.ctx):
            self.inputs.view_target(self.ctx, action_description=verb)
        self.samples = samples_of(self.ctx)
        try:
            check_images(self.samples)
        except ValueError as error:
            self.refuse(str(error))
        self._compare_with_run()
        return self.samples

    def _compare_with_run(self) -> None:
        """Says what is not as in the run that the form is filled in from (refilling.py)."""
        lost, count, now = self.value("not_held"), self.value("run_samples"), self.samples.count("id")
        if lost:
            self.say(f"Not filled in, since no form holds it: {lost}")
        if count not in (None, now):
            self.say(f"That run worked on {counted(count, 'sample')}, and these are {now:,}")

    def refuse(self, reason: str) -> None:
        """Says why the form cannot be sent, and keeps it from being sent."""
        reason = in_words(reason)
        line = self.inputs.view(f"refused {reason}", types.AlertView(severity="warning", label=capital(reason)))
        line.invalid, line.error_message = True, reason

    def mark(self, name: str, reason: str) -> None:
        """Says on its line why a value cannot be taken."""
        line = self.inputs.properties[name]
        line.invalid, line.error_message = True, capital(in_words(reason))

    def say(self, text: str) -> None:
        text = in_words(text)
        self.inputs.view(f"said {text}", types.Notice(label=text))

    def picture(self, address: str) -> None:
        """A picture as wide as the form; the App keeps what it once showed under a name, so that each has its own."""
        name = f"picture_{zlib.crc32(address.encode()):08x}"
        self.inputs.str(name, default=address, view=types.ImageView(width="100%"))

    def heading(self, text: str) -> None:
        self.inputs.view(f"heading {text}", types.Header(label=text))

    def label_field(self, hint: str, required: bool = True) -> str | None:
        """A choice among the fields of fo.Classification; returns what is chosen."""
        found = label_fields(self.ctx.dataset)
        if not found and required:
            self.refuse(f"{self.ctx.dataset.name!r} has no field of fo.Classification: label a few samples first")
        usual = found[0] if len(found) == 1 else "ground_truth" if "ground_truth" in found else None
        required = required and usual is None  # with a default, the App would say for a moment that it is missing
        self.labels = self.choose("label_field", found, usual, label="Label field", description=hint, required=required)
        return self.labels

    def suggestions(self, *methods: str) -> str | None:
        """A choice among the fields that these workflows wrote."""
        found = suggestion_fields(self.ctx.dataset, *methods)
        if not found:
            self.refuse("nothing is suggested yet: run Auto-label first")
            return None
        hint = f"A field of {' or '.join(methods)}"
        return self.choose("field", found, found[0], label="Suggestions", description=hint)

    def run_key(self, *states: str) -> str | None:
        """A choice among the runs, or those in one of the states, the newest first."""
        rows = [row for row in history.list_runs(self.ctx.dataset).rows if not states or row["state"] in states]
        names = {row["run"]: " · ".join(filter(None, (row["run"], row["state"], row["fields"]))) for row in rows[::-1]}
        given = self.value("run_key")
        if given:
            names.setdefault(given, given)  # its state has changed since it was offered: the answer will say so
        if not names:
            self.refuse(f"no run of Evenset is {' or '.join(states)}" if states else "there is no run of Evenset")
            return None
        return self.choose("run_key", names, next(iter(names)), label="Run")

    def labelled(self, samples: Any, label_field: str | None) -> None:
        """How many labels there are; a form without any cannot be sent."""
        if label_field:
            found, total = overview.count(samples, label_field, None), samples.count("id")
            count = found.total("labelled") + found.total("synthetic")
            for note in overview.label_notes(found, label_field):
                self.say(note)
            if count:
                self.say(f"{count:,} of {counted(total, 'sample')} {'is' if count == 1 else 'are'} labelled")
            elif total:
                self.refuse(f"no sample has a label in {label_field!r}: label a few of each class first")

    def new_field(self, default: str, hint: str) -> None:
        """A name for a field that is not there yet."""
        schema = self.ctx.dataset.get_field_schema()
        number, free = 1, default
        while free in schema:
            number += 1
            free = f"{default}_{number}"
        self.inputs.str("output_field", default=free, label="New field", description=hint)
        chosen = self.value("output_field", free)
        if chosen in schema:
            self.mark("output_field", f"the field {chosen!r} exists: choose another name")
        else:
            try:
                check_output_field(self.ctx.dataset, chosen, name="the field")
            except ValueError as error:
                self.mark("output_field", str(error))

    def bars(self, name: str, names: list[str], heights: dict[str, list[int]], colours: dict[str, str]) -> None:
        """Stacked bars, one of each name."""
        shown = [drawable(one) for one in names]
        data = [
            dict(type="bar", name=key, x=shown, y=values, marker=dict(color=colours[key]))
            for key, values in heights.items()
        ]
        layout = dict(
            barmode="stack",
            height=280,
            margin=dict(l=40, r=10, t=30, b=60),
            xaxis=dict(type="category"),
            showlegend=True,
            legend=dict(orientation="h", y=1, yanchor="bottom", x=0, traceorder="normal"),
        )
        self.inputs.plot(name, data=data, layout=layout, config=dict(displayModeBar=False))

    def choose(
        self, name: str, values: Sequence[str] | dict[str, str], default: str | None = None, **kwargs: Any
    ) -> str | None:
        """A dropdown of values, or of {value: label}; returns what is chosen. `placeholder` is the choice of none."""
        placeholder = kwargs.pop("placeholder", None)
        view = types.DropdownView(placeholder=placeholder)
        if placeholder:
            view.add_choice("", label=placeholder)
        for value in values:
            view.add_choice(value, label=values[value] if isinstance(values, dict) else value)
        self.inputs.enum(name, view.values(), default=default, view=view, **kwargs)
        chosen = self.value(name, default)
        return chosen if chosen in values else default

    def suggest(self, name: str, values: Sequence[str], **kwargs: Any) -> str | None:
        """A text with suggestions; returns what is put in."""
        view = types.AutocompleteView(allow_user_input=True)
        for value in values:
            view.add_choice(value, label=value)
        self.inputs.str(name, view=view, **kwargs)
        return self.value(name, kwargs.get("default"))

    def classes(self) -> None:
        hint = "Names in order, with synonyms: cat = kitten = puss, dog. Empty: the names that there are"
        self.inputs.str("classes", label="Classes", description=hint)
        try:
            read_classes(self.ctx)
        except ValueError as error:
            self.mark("classes", str(error))

    def group_field(self) -> None:
        simple = (fo.StringField, fo.IntField, fo.ObjectIdField)
        names = [name for name in self.ctx.dataset.get_field_schema(ftype=simple) if name not in ("id", "filepath")]
        hint = "Samples with the same value (patient, video, product) stay on one side of a split"
        self.choose("group_field", names, label="Group field", description=hint, placeholder="none")

    def include_synthetic(self) -> None:
        """A switch, where there is something that it takes in."""
        if SYNTHETIC in self.ctx.dataset.get_field_schema():
            hint = "Train on the samples that Balance classes added, too; they never score"
            self.inputs.bool("include_synthetic", default=False, label="Include synthetic", description=hint)

    def tag(self, name: str, label: str, hint: str) -> None:
        self.suggest(name, sorted(self.ctx.dataset.count_sample_tags()), label=label, description=hint)

    def estimate(self, workflow: str) -> None:
        """About how long it takes, once nothing is missing or out of range."""
        if self.samples is None or any(line.invalid for line in self.inputs.properties.values()):
            return
        given = {name: value for name, value in self.ctx.params.items() if value not in (None, "")} | self.arguments
        if said := estimates.sentence(self.samples, workflow, self.labels, given):
            self.say(said)

    def waits(self) -> None:
        """A switch for those who want the answer here, and how work is scheduled where the server does not allow it."""
        hint = "A bar covers the App until it is done; otherwise the panel shows how far it is"
        hint = ". ".join(filter(None, (hint, how_to_schedule())))
        self.inputs.bool("wait", default=False, label="Wait for the answer", description=hint)

    def more(self) -> bool:
        """A switch; returns whether what stands behind it is shown."""
        self.inputs.bool("more", default=False, label="More settings", view=types.SwitchView())
        return bool(self.value("more", False))

    def settings(
        self,
        *kinds: type[Settings],
        basic: bool = False,
        defaults: dict[str, Any] | None = None,
        without: Sequence[str] = (),
    ) -> None:
        """The fields of settings classes that the form does not have yet; `basic`: only those shown at once."""
        for kind in kinds:
            for item in fields(kind):
                there = item.name in self.inputs.properties or item.name in without
                if not there and (item.metadata["basic"] or not basic):
                    self._setting(item, (defaults or {}).get(item.name, item.default))

    def _setting(self, item: Field[Any], default: Any) -> None:
        notes, kind = item.metadata, type(item.default)
        about: dict[str, Any] = dict(default=default, label=label_of(item), description=capital(notes["help"]))
        if notes["choices"] and notes["open_choices"]:
            self.suggest(item.name, notes["choices"], **about)
        elif notes["choices"]:
            self.choose(item.name, notes["choices"], **about)
        elif kind is bool:
            self.inputs.bool(item.name, view=types.CheckboxView(), **about)
        elif kind is str:
            self.inputs.str(item.name, **about)
        else:
            define = self.inputs.int if kind is int else self.inputs.float
            define(item.name, **about)
        try:
            check(item, self.value(item.name, default))
        except ValueError as error:
            self.mark(item.name, str(error))


def read(ctx: Any, *kinds: type[Settings]) -> dict[str, Any]:
    """The settings of a form that was sent, by name; what it does not hold has its default.

    Raises:
        ValueError: a value is out of range
    """
    names = {item.name for kind in kinds for item in fields(kind)}
    given = {name: value for name, value in ctx.params.items() if name in names and value not in (None, "")}
    split(given, *kinds)
    return given


def chosen(ctx: Any, name: str) -> Any:
    """An argument that a workflow cannot do without."""
    if ctx.params.get(name) in (None, ""):
        raise ValueError(f"nothing is chosen for {name}: choose one in the form")
    return ctx.params[name]


def read_inputs(ctx: Any, *names: str) -> dict[str, Any]:
    """A workflow's own arguments, those that were put in."""
    given = {name: ctx.params[name] for name in names if ctx.params.get(name) not in (None, "")}
    if "classes" in given:
        given["classes"] = read_classes(ctx)
    return given


def read_classes(ctx: Any) -> list[str] | dict[str, list[str]] | None:
    """The names and synonyms of a form that was sent, None where there are none."""
    return typed.read_classes(ctx.params.get("classes") or "")


def samples_of(ctx: Any) -> Any:
    """The samples that the form's target names: the dataset, the view, the selection, or the view it was opened on.

    Raises:
        ValueError: that view is gone, or empty
    """
    if on_given_view(ctx):
        run, name = ctx.params.get("run_view"), ctx.params.get("saved_view")
        view = history.view_of(ctx.dataset, run) if run else views.load(ctx.dataset, name)
        if view is None:
            said = f"that {run} worked on" if run else repr(name)
            raise ValueError(f"the view {said} is gone, or has no samples left: untick it, and choose others")
        return view
    if takes_selection(ctx):
        return ctx.view.select(ctx.selected)  # where nobody chose, target_view() would pass the selection over
    return ctx.target_view()


def on_given_view(ctx: Any) -> bool:
    """Whether the form works on the view that it was opened on: that of a run (refilling.py), or a saved one."""
    given = ctx.params.get("run_view") or (ctx.params.get("saved_view") and not takes_selection(ctx))
    return bool(given) and bool(ctx.params.get("same_view", True))


def takes_selection(ctx: Any) -> bool:
    return bool(ctx.selected) and ctx.request_params.get("view_target") in (None, ViewTarget.SELECTED_SAMPLES)


def label_fields(dataset: Any) -> list[str]:
    """Fields of fo.Classification that a person may have filled: those that a run wrote are left out."""
    schema = dataset.get_field_schema(embedded_doc_type=fo.Classification)
    return [name for name, field in schema.items() if not (field.description or "").startswith(OURS)]


def suggestion_fields(dataset: Any, *methods: str) -> list[str]:
    """Fields that these workflows wrote, the newest first."""
    schema = dataset.get_field_schema(embedded_doc_type=fo.Classification)
    begin = tuple(f"{OURS}{method}_" for method in methods)
    return [name for name, field in reversed(schema.items()) if (field.description or "").startswith(begin)]


def vector_fields(dataset: Any) -> list[str]:
    return list(dataset.get_field_schema(ftype=(fo.VectorField, fo.ArrayField)))
