"""A form under construction: text, dropdowns and switches, and the reasons why it cannot be submitted yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...models.gpus import gpu_count
from ...workflows.runs.worker import sentence
from ...workflows.training import duration
from ..display import charts, widgets
from ..display.accessible import name_inputs
from ..display.wording import capitalize, use_labels

TRAINS = ("train_resnet", "train_generator", "auto_label", "find_mistakes", "compare_methods", "balance_classes")


def build_form(
    ctx: foo.ExecutionContext, title: str, button: str, add_lines: Callable[[Form], None], workflow: str = ""
) -> types.Property:
    """Returns the form that `add_lines` builds, or the reason why it cannot be built.

    Args:
        workflow: started in a worker: the form estimates its duration, and offers to wait for the results
    """
    form = Form(ctx, button)
    try:
        if ctx.dataset is None:
            form.refuse("open a dataset first")
        else:
            add_lines(form)
            if workflow:
                form.estimate_duration(workflow)
                form.ask_for_gpus(workflow)
                form.ask_to_wait()
            elif form.is_unfolded and (hint := scheduling_hint()):
                form.note(hint)  # the work takes seconds, so that few need it
    except Exception as error:
        form.refuse(sentence(error, title))
    view = types.PromptView(label=title, submit_button_label=form.button)
    return name_inputs(types.Property(form.lines, view=view))


def scheduling_hint() -> str:
    """How to let the App's server schedule work; empty where it does already."""
    allowed = fo.config.allow_legacy_orchestrators
    return "" if allowed else "To schedule it, start the App's server with FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS=true"


class Form:
    """The lines of a form, and the samples, labels and arguments chosen in it."""

    def __init__(self, ctx: foo.ExecutionContext, button: str) -> None:
        self.ctx, self.button = ctx, button
        self.lines = types.Object()
        self.samples: Any = None  # chosen dataset or view
        self.label_field: str | None = None  # chosen
        self.arguments: dict[str, Any] = {}  # of the workflow, derived from several lines
        self.is_unfolded = False  # whether a section is open
        self.head = 0  # number of lines on samples and labels, which forecasts follow

    def value(self, name: str, default: Any = None) -> Any:
        """The value entered by the user, or the default."""
        entered = self.ctx.params.get(name)
        return default if entered in (None, "") else entered

    def refuse(self, reason: str) -> None:
        """Shows why the form cannot be submitted, and blocks it."""
        reason = use_labels(reason)
        line = self.lines.view(f"refused {reason}", types.AlertView(severity="warning", label=capitalize(reason)))
        line.invalid, line.error_message = True, reason

    def mark(self, name: str, reason: str) -> None:
        """Shows below a line why its value is invalid."""
        line = self.lines.properties[name]
        line.invalid, line.error_message = True, capitalize(use_labels(reason))

    def note(self, text: str) -> None:
        """Adds a line of information."""
        text = use_labels(text)
        self.lines.view(f"note {text}", types.Notice(label=text))

    def end_head(self) -> None:
        """Lets forecasts stand after the lines so far: further down nobody sees them without scrolling."""
        self.head = len(self.lines.properties)

    def note_in_head(self, text: str, severity: str = "") -> None:
        """Adds a line of information, or a coloured one, after those on samples and labels."""
        lines = self.lines.properties
        if severity:
            widgets.note(self.lines, severity, text)
        else:
            self.note(text)
        added = lines.popitem()
        below = [lines.popitem() for _ in range(len(lines) - self.head)]
        lines.update([added, *reversed(below)])
        self.head += 1

    def heading(self, text: str) -> None:
        self.lines.view(f"heading {text}", types.Header(label=text))

    def section(self, title: str, sentence: str, must_open: bool = False) -> bool:
        """Adds a heading that folds (panel.js); returns whether the lines of the section are shown.

        Args:
            must_open: it holds a value that needs a correction
        """
        name = f"section_{title.lower().replace(' ', '_')}"
        opens = bool(self.value("more", False))  # a form that is filled in from a run shows all
        view = types.View(component="EvensetSection", label=title, description=sentence)
        self.lines.bool(name, default=opens, view=view)
        is_open = must_open or bool(self.value(name, opens))
        self.is_unfolded = self.is_unfolded or is_open
        return is_open

    def image(self, address: str) -> None:
        """Adds an image as wide as the form."""
        name = widgets.unique_name("picture", address)
        self.lines.str(name, default=address, view=types.ImageView(width="100%"))

    def bars(self, name: str, names: list[str], heights: Mapping[str, list[int]], colours: Mapping[str, str]) -> None:
        """Adds stacked bars, one for each name."""
        labels = [charts.escape(label) for label in names]
        data = [
            dict(type="bar", name=key.replace("_", " "), x=labels, y=values, marker=dict(color=colours[key]))
            for key, values in heights.items()
        ]
        layout = dict(
            barmode="stack",
            height=280,
            margin=dict(l=40, r=10, t=30, b=60),
            xaxis=dict(type="category"),
            showlegend=True,
            legend=charts.LEGEND,
        )
        self.lines.plot(name, data=data, layout=layout, config=dict(displayModeBar=False))

    def choose(
        self, name: str, values: Sequence[str] | dict[str, str], default: str | None = None, **kwargs: Any
    ) -> str | None:
        """Adds a dropdown of values, or of {value: label}; returns the chosen value.

        Args:
            kwargs: of the line, and `placeholder`: label of the empty choice
        """
        placeholder = kwargs.pop("placeholder", None)
        view = types.DropdownView(placeholder=placeholder)
        if placeholder:
            view.add_choice("", label=placeholder)
        for value in values:
            view.add_choice(value, label=values[value] if isinstance(values, dict) else value)
        self.lines.enum(name, view.values(), default=default, view=view, **kwargs)
        chosen = self.value(name, default)
        return chosen if chosen in values else default

    def suggest(
        self, name: str, values: Sequence[str] | dict[str, str], placeholder: str | None = None, **kwargs: Any
    ) -> str | None:
        """Adds a text box that lists values, or {value: description}, on a click; returns its text."""
        props = dict(autocomplete=dict(forcePopupIcon=True, openOnFocus=True))  # of MUI's Autocomplete
        view = types.AutocompleteView(allow_user_input=True, placeholder=placeholder, componentsProps=props)
        for value in values:
            view.add_choice(value, label=value, description=values[value] if isinstance(values, dict) else None)
        self.lines.str(name, view=view, **kwargs)
        text: str | None = self.value(name, kwargs.get("default"))
        return text

    def estimate_duration(self, workflow: str) -> None:
        """Adds an estimate of the duration, once no line is invalid."""
        if self.samples is None or any(line.invalid for line in self.lines.properties.values()):
            return
        entered = {name: value for name, value in self.ctx.params.items() if value not in (None, "")}
        if estimate := duration.sentence(self.samples, workflow, self.label_field, entered | self.arguments):
            self.note_in_head(estimate)

    def ask_for_gpus(self, workflow: str) -> None:
        """Adds a switch that trains on all GPUs of the machine, where there are several."""
        if workflow in TRAINS and (count := gpu_count()) > 1:
            hint = f"{count} processes train in step, with the batch shared; what is learned does not depend on it"
            self.lines.bool("all_gpus", default=False, label=f"Train on all {count} GPUs", description=hint)

    def ask_to_wait(self) -> None:
        """Adds a switch that keeps the form open until the results are there."""
        hint = "Shows a progress bar over the App, then the results; otherwise the panel shows the progress"
        hint = ". ".join(filter(None, (hint, scheduling_hint())))
        self.lines.bool("wait", default=False, label="Wait for the results", description=hint)


Lines = Callable[[Form], None]
