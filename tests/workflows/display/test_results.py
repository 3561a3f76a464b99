"""Results of every function: rows, data frame, HTML and charts of the same numbers."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import evenset
import numpy as np
import pytest
from evenset.workflows.display import figures, svg, tables
from evenset.workflows.display.charts import Chart, Series
from evenset.workflows.display.results import MAX_HTML_ROWS, Results, RunResults

HOSTILE = '<script>alert("1")</script>'
NAMES = [HOSTILE, "b & c", "007"]


def rows(first, **columns):
    return [{first: name, **{key: values[i] for key, values in columns.items()}} for i, name in enumerate(NAMES)]


RECALL = rows("class", labels=[3, 2, 1], recall=[0.5, 1.0, None], test_recall=[1.0, 0.0, 0.25])
CURVES = [dict(epoch=i, loss=1 / i, accuracy=None if i == 1 else 0.5, seconds=i, recall=[0.5]) for i in (1, 2)]
GAINS = dict(gain=[0.1, -0.2, None], gain_low=[0.0, -0.3, None], gain_high=[0.2, -0.1, None])
VERDICT = rows("class", held_out=[60, 50, 0], recall=[0.5, 0.6, None], recall_with_synthetic=[0.6, 0.4, None], **GAINS)
ARMS = rows("training_set", balanced_accuracy=[0.5, 0.6, 0.7], lowest=[0.4, 0.5, 0.6], highest=[0.6, 0.7, 0.8])
BOUNDS = dict(precision=[0.9, 1.0, None], precision_low=[0.8, 0.7, None], precision_high=[0.95, 1.0, None])
SHARED = dict(notes=["a <b>note</b>"], skipped={}, synthetic=0, views={})
TRAINED = dict(names=NAMES, trained=5, validated=4, epochs=2, accuracy=0.5, test_accuracy=None, rows=RECALL)
TRAINED |= dict(confusion=[[2, 1, 0], [0, 1, 0], [0, 0, 0]], curves=CURVES, checkpoint="a", **SHARED)
OF_RUN = dict(run_key="evenset_x_1", output_field="x")
PROMISE = dict(target_precision=0.9, promise="estimate", precision=0.95, low=0.9, high=1.0, coverage=0.5)
MAKE = {
    "PreprocessResults": dict(**OF_RUN, folder="f", written=3, size_px=None, format="png", gray=False,
                              mean=[0.5, 0.25, 0.1], std=[0.1, 0.1, 0.1], skipped={}),
    "TrainResults": dict(**OF_RUN, **TRAINED, test_loss=None, picture=None, precision="fp32"),
    "GCNResults": dict(**OF_RUN, **TRAINED, heatmap_field=None, graph="a graph", samples=9, graph_recall=None,
                       abstained=0, seconds=1.5),
    "AutoLabelResults": dict(
        **OF_RUN, **SHARED, **PROMISE, names=NAMES, samples=90, labelled=6, accepted=40, review=44, unlike=1,
        held_out=5, alpha=0.1, per_class=False, curves=CURVES,
        rows=rows("class", labelled=[2, 2, 2], accepted=[20, 20, 0], review=[4, 0, 40], held_out=[3, 2, 0], **BOUNDS),
        members=rows("member", weight=[0.5, 0.3, 0.2], cross_fitted_accuracy=[0.5, None, 0.7], held_out=[5, 5, 5]),
        targets=[dict(target=0.9, accepted=40, coverage=0.5, at_least=0.9, labels_needed=None),
                 dict(target=0.95, accepted=0, coverage=0.0, at_least=None, labels_needed=120)],
        curve=[dict(coverage=c, score=1 - c, held_out=5, precision=1 - c / 2, low=0.5, high=1.0) for c in (0.1, 1.0)],
        reliability=[{"from": 0.5, "to": 1.0, "count": 5, "confidence": 0.8, "right": 0.8, "low": 0.4, "high": 1.0}],
    ),
    "TagResults": dict(
        **OF_RUN, **SHARED, **PROMISE, names=NAMES, samples=90, labelled=6, accepted=40, review=44, unlike=0,
        held_out=5, alpha=0.1, per_class=True, curves=[], members=[], targets=[], curve=[], reliability=[], removals=4,
        rows=rows("class", tagged=[2, 2, 2], accepted=[20, 20, 0], review=[4, 0, 40], to_remove=[1, 0, 3]),
    ),
    "TargetResults": dict(run_key="r", field="x", accepted=1, review=2, changed=1, decided=0, dry_run=True,
                          notes=[], **PROMISE),
    "SuggestionList": dict(field=HOSTILE, label_field="y", total=3, csv="f",
                           rows=rows("id", file=["/a/b.png"] * 3, current_label=[None, HOSTILE, "b"], suggestion=NAMES,
                                     confidence=[0.5, None, 0.7], status=["review"] * 3)),
    "ReviewResults": dict(run_key="r", field=HOSTILE, label_field="y", action="accept", changed=3, kept=1),
    "AuditResults": dict(run_key="r", field="x", drawn=10, checked=10, right=9, alpha=0.1, precision=0.9, low=0.7,
                         high=1.0, views={"audit": "x: audit"}),
    "MistakeResults": dict(**OF_RUN, **SHARED, label_field="y", names=NAMES, judged=6, issues=2, contradicted=0,
                           noise=0.1, folds=5, planted=rows("score", uniform=[0.9, 0.8, 0.7], mean=[0.9, 0.8, 0.7]),
                           rows=rows("class", labels=[2, 2, 2], issues=[1, 1, 0], most_suggested=["b", HOSTILE, None],
                                     times_suggested=[1, 1, 0])),
    "GeneratorResults": dict(run_key="r", names=NAMES, folder="f", size_px=8, trained=5, held_out=2, steps=30,
                             loss=0.5, seconds=3.0, pictures=[], curves=CURVES, **SHARED,
                             rows=rows("class", trained=[2, 2, 1], held_out=[1, 1, 0])),
    "BalanceResults": dict(run_key="r", names=NAMES, added=3, decision="add", refused={"copy": 1}, verdict=VERDICT,
                           arms=ARMS, gain=[0.1, 0.0, 0.2], best="real", generator=None, picture=None, **SHARED,
                           rows=rows("class", real=[9, 5, 1], synthetic=[0, 0, 0], wanted=[0, 4, 8], added=[0, 4, 3],
                                     after=[9, 9, 4], refused=[0, 0, 5])),
    "DryRun": dict(minutes=2.0, preview=np.zeros((2, 2, 3), dtype=np.uint8), notes=[],
                   rows=rows("class", real=[9, 5, 1], synthetic=[0, 0, 0], to_add=[0, 4, 8], after=[9, 9, 9])),
    "CompareResults": dict(
        **OF_RUN, **SHARED, names=NAMES, scores=[], trained=[5], held_out=[5], fields={}, evaluations={},
        rows=rows("method", **{key + end: [0.5, 0.6, None] for key in ("accuracy", "macro_f1", "coverage")
                               for end in ("", "_low", "_high")}, seconds=[1.0, 2.0, 3.0], fgsm_2_255=[0.1, 0, None]),
    ),
    "CheckResults": dict(**OF_RUN, label_field="y", splits=["a", "b"], samples=9, flagged=3, counts={"dark": 2},
                         rows=rows("problem", samples=[2, 1, 0], groups=[1, None, None], limit=["0.1", None, None],
                                   view=["x: dark", None, None], remedy=["look", "look", None]),
                         views={}, unreadable={}, synthetic=0),
    "SplitResults": dict(run_key="r", label_field="y", tags={"train": "train", "test": "exam"}, added=6, missing={},
                         counts={"train": 4, "test": 2}, groups=1, skipped={},
                         rows=rows("class", train=[2, 1, 1], test=[1, 1, 0])),
    "ExportResults": dict(run_key="r", folder="f", format="csv", label_field="y", images=6, origins={"labelled": 6},
                          rows=rows("class", train=[2, 1, 1], test=[1, 1, 0]), left_out={"no label": 2}, skipped={}),
    "GenerationResults": dict(run_key="r", names=NAMES, rows=ARMS, verdicts={"drawn images": VERDICT},
                              gains={"drawn images": [0.1, 0.0, 0.2]}, decisions={"drawn images": "add"}, best="real",
                              generator="g", **SHARED),
    "RunList": dict(rows=rows("key", method=["a"] * 3, state=["done"] * 3, fields=[["x"], [], []], samples=[1, 2, 3],
                              started=[datetime(2026, 1, 2)] * 3, seconds=[1.0, 2.5, 3.0], error=["", HOSTILE, ""])),
    "EmbeddingList": dict(rows=rows("encoder", images=[1, 2, 3], dimensions=[8, 8, 8], bytes=[9, 9, 9],
                                    last_use=["2026-01-02"] * 3)),
    "DeletedEmbeddings": dict(rows=rows("encoder", images=[1, 2, 3])),
    "DeletedRun": dict(run_key="r", fields=[HOSTILE], labels=2, left=["<i>stays</i>"]),
}  # fmt: skip
TEXTS = {"format", "class", "member", "score", "method", "training_set", "key", "state", "error", "encoder", "run_key"}
TEXTS |= {"field", "label_field", "action", "promise", "most_suggested", "started", "last_use", "dry_run"}
TEXTS |= {"problem", "limit", "view", "remedy"}
TEXTS |= {"id", "file", "current_label", "suggestion", "status"}
TEXTS |= {"mean", "std", "fields", "noun"}  # a list a row, or a word


@pytest.fixture(params=MAKE)
def results(request):
    return getattr(evenset, request.param)(**MAKE[request.param])


def test_every_class_of_results_is_here():
    classes = {name for name in evenset.CLASSES if not issubclass(getattr(evenset, name), Exception)} - {"RunResults"}
    assert classes == {*MAKE} and all(issubclass(getattr(evenset, name), Results) for name in classes)
    of_runs = {name for name in classes if issubclass(getattr(evenset, name), RunResults)}
    assert classes - of_runs == {
        "TargetResults",
        "DryRun",
        "RunList",
        "SuggestionList",
        "EmbeddingList",
        "DeletedEmbeddings",
        "DeletedRun",
    }


def test_iterating_yields_the_rows_with_plain_keys(results):
    assert list(results) == results.rows and len(results.rows) >= 1
    assert all(key.isidentifier() and key == key.lower() for row in results for key in row)


def test_a_data_frame_has_numbers_as_numbers(results):
    from pandas.api.types import is_numeric_dtype

    frame = results.to_pandas()
    assert len(frame) == len(results.rows) and list(frame) == list(dict.fromkeys(key for row in results for key in row))
    numeric = {name for name in frame if is_numeric_dtype(frame[name])}
    assert set(frame) - TEXTS <= numeric
    for name in numeric - TEXTS:
        assert frame[name].tolist() == pytest.approx(
            [np.nan if row[name] is None else row[name] for row in results], nan_ok=True
        )


class Reader(HTMLParser):
    """Open tags, and the text between them."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.cells, self.text = [], set(), [], ""

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_a_notebook_shows_tables_text_and_a_chart_and_runs_nothing(results):
    html = results._repr_html_()
    page = read(html)

    assert page.tags <= {"div", "pre", "table", "thead", "tbody", "tr", "th", "td", "p", "svg", "text", "rect", "line",
                         "circle", "polyline", "polygon"}  # fmt: skip
    assert "svg" in page.tags and "color:inherit" in html
    ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + len("</svg>")])
    for part in results.parts():
        for row in tables.readable(part) if isinstance(part, list) else []:
            assert {value for value in row.values() if isinstance(value, str) and value} <= set(page.cells)
    if HOSTILE in str(results):
        assert HOSTILE in page.text and HOSTILE not in html


def numbers(values):
    return [None if value is None else pytest.approx(value) for value in values]


def test_every_chart_is_a_plotly_figure_of_its_numbers(results):
    from plotly.graph_objects import Figure

    charts = results.charts()
    assert charts and results.plot().to_json() == results.plot(next(iter(charts))).to_json()
    for name, chart in charts.items():
        figure = results.plot(name)
        assert isinstance(figure, Figure) and figure.layout.title.text == chart.title
        drawn = figure.data[0].z if chart.kind == "heat map" else [trace for trace in figure.data if trace.name]
        lines = [trace for trace in drawn if not str(getattr(trace, "name", "")).endswith(": interval")]
        for series, trace in zip(chart.series, lines, strict=True):
            shown = trace if chart.kind == "heat map" else trace.y if chart.kind == "lines" else trace.x
            assert list(shown) == numbers(series.values)
        assert HOSTILE not in figure.to_json()
    with pytest.raises(ValueError, match="there is no chart 'else': these results have"):
        results.plot("else")


@pytest.mark.parametrize(
    ("name", "chart", "series", "column"),
    [
        ("AutoLabelResults", "precision", 0, lambda results: [row["precision"] for row in results.curve]),
        ("AutoLabelResults", "targets", 1, lambda results: [row["at_least"] for row in results.targets]),
        ("TrainResults", "training", 0, lambda results: [row["loss"] for row in results.curves]),
        ("TrainResults", "confusion", 0, lambda results: results.confusion[0]),
        ("MistakeResults", "planted", 0, lambda results: [row["uniform"] for row in results.planted]),
        ("BalanceResults", "verdict", 0, lambda results: [row["gain"] for row in results.verdict]),
        ("BalanceResults", "plan", 2, lambda results: [row["added"] for row in results]),
        ("CompareResults", "accuracy", 0, lambda results: [row["accuracy"] for row in results]),
        ("AuditResults", "precision", 0, lambda results: [results.precision]),
    ],
)
def test_charts_show_the_columns_of_the_results(name, chart, series, column):
    results = getattr(evenset, name)(**MAKE[name])
    assert results.charts()[chart].series[series].values == column(results)


def test_an_interval_is_drawn_around_its_value():
    figure = evenset.BalanceResults(**MAKE["BalanceResults"]).plot("verdict")
    (trace,) = figure.data
    assert list(trace.error_x.array) == numbers([0.1, 0.1, None])
    assert list(trace.error_x.arrayminus) == numbers([0.1, 0.1, None])
    assert list(figure.layout.yaxis.ticktext) == [figures.escape(name) for name in NAMES]


def test_a_table_of_many_rows_is_cut_and_says_so():
    results = evenset.DeletedEmbeddings([dict(encoder=f"e{i}", images=i) for i in range(MAX_HTML_ROWS + 1200)])
    results.parts = lambda: [results.rows]
    html = results._repr_html_()
    assert html.count("<tr>") == 1 + MAX_HTML_ROWS and "1,200 more" in html


def test_printed_results_are_a_title_and_tables_with_spaces_in_the_heads(results):
    text, first = str(results), results.parts()[0]
    assert text == repr(results) and text.startswith(first if isinstance(first, str) else tables.table(first))
    heads = [line for line in text.splitlines() if line.startswith("class ")]
    assert all("_" not in head for head in heads)


def test_drawings_stay_inside_their_frame_whatever_the_numbers():
    charts = [
        Chart("lines", "one point", [3], [Series("a", [0.5])]),
        Chart("lines", "nothing", [], [Series("a", [])]),
        Chart("bars", "below zero", ["a", "b"], [Series("a", [-5, None]), Series("b", [3, 2])]),
        Chart("intervals", "wide", ["a" * 400], [Series("a", [0.5], [-1.0], [None])], is_fraction=True),
        Chart("stacked", "many", [str(i) for i in range(900)], [Series("a", [1e9] * 900), Series("b", [0] * 900)]),
    ]
    for chart in charts:
        figures.figure(chart)
        root = ElementTree.fromstring(svg.draw(chart))
        height = float(root.get("viewBox").split()[3])
        assert height < 700 and "nan" not in svg.draw(chart)
        for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
            left, top = float(rect.get("x")), float(rect.get("y"))
            assert 0 <= left <= left + float(rect.get("width")) <= svg.WIDTH and 0 <= top < height


@pytest.mark.slow
def test_plotly_and_pandas_wait_for_their_first_use():
    code = "import sys, evenset; evenset.AutoLabelResults; print([n for n in ('plotly', 'torch') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    before = subprocess.run([sys.executable, "-c", "import sys, fiftyone; print('plotly' in sys.modules)"],
                            capture_output=True, text=True)  # fmt: skip
    assert done.stdout.strip() in ("[]", "['plotly']" if "True" in before.stdout else "[]"), done.stderr
