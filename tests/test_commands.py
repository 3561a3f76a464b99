"""The command line: options made from settings and signatures, sentences for what is wrong, runs end to end."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import typing
from pathlib import Path

import evenset
import pytest
from evenset import command_options, commands, list_runs, terminal
from evenset.models import settings as all_settings
from evenset.workflows.ui.user_input import read_classes, read_target

ROOT = Path(__file__).parents[1]
QUICK = ["--label-field", "ground_truth", "--members", "graph", "--size-px", "8", "--target-precision", "0.8"]


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command line in a process of its own, from the plugin's folder."""
    return subprocess.Popen(
        [sys.executable, str(ROOT), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # tests may run in the background
    )


def finish(*arguments: str) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode, out, err


@pytest.fixture
def invoke(capsys, monkeypatch):
    """The command line within this process, as far as it reads what was typed: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            commands.main(arguments)
        return end.value.code or 0, *capsys.readouterr()

    monkeypatch.setenv("COLUMNS", "2000")
    return run


def command_names() -> list[str]:
    return [*(name.replace("_", "-") for name in evenset.FUNCTIONS), "clean", "doctor", "link", "unlink"]


def test_help_lists_every_function_without_loading_anything_heavy():
    code = (
        "import runpy, sys; sys.argv = ['evenset', *sys.argv[1:]]\n"
        f"try: runpy.run_path({str(ROOT)!r}, run_name='__main__')\n"
        "except SystemExit: print('LOADED', sorted({'fiftyone', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)

    assert re.findall(r"^ +([a-z][a-z-]+)  +[A-Z]", done.stdout.partition("Commands")[2], re.M) == command_names()
    assert "LOADED []" in done.stdout, done.stdout + done.stderr
    auto_label = subprocess.run([sys.executable, "-c", code, "auto-label", "--help"], capture_output=True, text=True)
    assert "--target-precision" in auto_label.stdout
    assert "'fiftyone'" not in auto_label.stdout.partition("LOADED")[2]
    assert "'torch'" not in auto_label.stdout.partition("LOADED")[2]


@pytest.mark.parametrize("name", evenset.FUNCTIONS)
def test_the_help_of_a_command_has_every_argument_and_setting_with_its_default(name, invoke):
    code, text, _ = invoke(name.replace("_", "-"), "--help")

    assert code == 0
    for item in commands.arguments_of(name).values():
        if item.name not in command_options.NO_OPTION:
            option = "from" if item.annotation == "Decisions" else item.name.replace("_", "-")
            line = re.search(rf"^[ *]+(?:{option.upper()} )?--{option}(?= ).*  [^-\s[].*", text, re.M)
            assert line, f"{name} says nothing of {item.name}"
            assert item.default in (None, (), False, item.empty) or f"[default: {item.default}]" in line[0]
            assert item.default is not item.empty or "[required]" in line[0]
    for setting, places in commands.settings_of(name).items():
        line = re.search(rf"^ +--{setting.replace('_', '-')} .*", text, re.M)
        assert line, f"{name} has no option for {setting}"
        for _, item in places:
            assert re.search(rf"\[default: .*{re.escape(command_options.shown(item.default))}", line[0]), (
                setting,
                line[0],
            )
        notes = places[0][1].metadata
        assert notes["help"] in line[0] and notes["unit"] in line[0]
        assert all(choice in line[0] for choice in notes["choices"])
        assert notes["high"] is None or f"[{notes['low']:.12g} to {notes['high']:.12g}" in line[0]


@pytest.mark.parametrize("width", [80, 120])
def test_help_is_plain_text_that_fits(width, invoke, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))

    text = invoke("compare-methods", "--help")[1]

    assert text.isascii() and "\x1b" not in text
    assert width - 10 < max(map(len, text.splitlines())) <= width
    headings = re.findall(r"^   (\w+) *$", text, re.M)
    assert headings[:2] == ["Arguments", "CompareSettings"] and headings[-1] == "Command"


def test_a_workflow_reads_the_settings_that_its_command_offers():
    """`commands.SETTINGS` and the `split(...)` or `Config.read(...)` of each workflow name the same classes."""

    def kinds(node: ast.expr) -> set[type]:
        if isinstance(node, ast.Name):
            return set(commands.flat(getattr(all_settings, node.id)))
        assert ast.unparse(node) == "*of_methods", ast.unparse(node)  # of compare_methods: METHODS
        return set(commands.flat(commands.classes_called(all_settings, "METHODS")))

    def read_in(module: str) -> set[type]:
        loaded, read = importlib.import_module(module, "evenset"), set()
        for node in ast.walk(ast.parse(Path(loaded.__file__).read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in ("split", "split_settings"):
                read |= set().union(*map(kinds, node.args[1:]))
            elif called.endswith("Config.read"):
                read |= set(typing.get_type_hints(getattr(loaded, called.removesuffix(".read"))).values())
        return read

    for name, module in evenset.FUNCTIONS.items():
        read = read_in(module)
        read |= read_in(".workflows.balancing.comparison") if name == "compare_methods" else set()
        groups = [commands.classes_called(all_settings, group) for group in commands.SETTINGS.get(name, ())]
        assert set(commands.flat(groups)) == read, name
        assert {item.name for kind in read for item in dataclasses.fields(kind)} == set(commands.settings_of(name))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("auto-label d --label-field f --target-precision 3", "target_precision has to be from 0.5 to 0.999, not 3"),
        ("auto-label d --label-field f --target-precision 3", 'Invalid value "3.0" for --target-precision'),
        (
            "auto-label d --label-field f --members all",
            'for --members. Choose from: "graph and resnet", "graph", "resnet"',
        ),
        ("auto-label d --label-field f --epochs many", "Invalid value for --epochs: 'many' is not a whole number"),
        ("auto-label d --label-field f --epochs 2.7", "Invalid value for --epochs: '2.7' is not a whole number"),
        ("auto-label d --label-field f --target-precison .9", "Did you mean --target-precision?"),
        ("auto-label d --label-field f --classes a,,b", "a name is missing between two commas"),
        ("find-mistakes d", "Error: --label-field is missing: see `evenset find-mistakes --help`"),
        ("balance-classes d --label-field f --target most", "'majority', 'median', a number, or cat=100, dog=200"),
        ("compare-methods d --label-field f --rules /not/there", "--rules: /not/there cannot be read: No such file"),
        ("review-labels d --field f --classes a=b", "synonyms have no meaning here"),
        ("find-mistakes d --label-field", "Error: --label-field needs a value: see `evenset find-mistakes --help`"),
        ("find-mistakes d --label-field --seed 1", "Error: --label-field needs a value"),
        ("list-runs d extra more", "Error: 'extra' is not understood: see `evenset list-runs --help`"),
        ("compare-methods d --label-field f --settings-of [1]", "settings_of has to be rows with settings"),
        ("compare-methods d --label-field f --settings-of 3", '"optimizer": "sgd"}}, not 3'),
        ("delete-run d", "Error: give either a RUN_KEY or --all: see `evenset delete-run --help`"),
        ("delete-run d evenset_auto_label_1 --all", "Error: give either a RUN_KEY or --all"),
        ("list-runs d --limit 3", "--limit"),
        ("auto-label d --label-field f --limit few", "--limit"),
        ("resume-run d", "Error: RUN_KEY is missing: see `evenset resume-run --help`"),
        ("auto-lable d", 'Unknown command "auto-lable". Did you mean "auto-label"?'),
    ],
)
def test_bad_usage_is_refused_in_a_sentence(arguments, sentence, invoke):
    code, out, err = invoke(*arguments.split())

    assert (code, out) == (2, "")
    assert sentence in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "target"), [("majority", "majority"), ("12", 12), ("cat=100, a = b=20", {"cat": 100, "a = b": 20})]
)
def test_a_target_is_read_as_it_is_typed(text, target):
    assert read_target(text) == target


def test_classes_are_read_as_they_are_typed():
    assert read_classes("cat = kitten, dog") == {"cat": ["kitten"], "dog": []}
    assert read_classes(" cat, dog ") == ["cat", "dog"]
    assert read_classes(" ") is None


def test_options_arrive_as_the_arguments_of_the_function(invoke, monkeypatch):
    """Only what was typed: the rest is left to the defaults of the SDK."""
    calls = []
    monkeypatch.setattr(
        "evenset.terminal.call", lambda function, given, takes_progress: calls.append((function, given)) or 0
    )
    rules = "--rules -".split()

    assert invoke("train-gcn", "d", "--label-field", "f", "--no-train-backbone", "--epochs", "3")[0] == 0
    settings_of = '{"resnet18 sgd": {"method": "resnet"}}'
    options = ["--methods", "k-nn, rules", "--settings-of", settings_of, "--learning-rate", "0.001"]
    typed = 'dark: F("mean") < 3\n'
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    invoke("compare-methods", "d", "--label-field", "f", *options, *rules)

    common = {"dataset": "d", "label_field": "f"}
    assert [function for function, _ in calls] == ["train_gcn", "compare_methods"]
    assert calls[0][1] == {**common, "train_backbone": False, "epochs": 3}
    assert calls[1][1] == {
        **common,
        "methods": ["k-nn", "rules"],
        "settings_of": json.loads(settings_of),
        "learning_rate": 0.001,  # a default of the ResNet's, and not of the GCN's: it is given all the same
        "rules": typed,
    }


@dataclasses.dataclass(frozen=True)
class OptionalSettings:
    """Settings of which None is a value, written `none`."""

    pca_dim: int | None = all_settings.setting(None, "directions", kind=int, empty="no reduction", low=1, high=9)
    max_ratio: float | None = all_settings.setting(3.0, "synthetic for a real one", empty="no cap", low=0.0)


@pytest.fixture
def optional(invoke, monkeypatch):
    """`evenset audit-labels` with settings that may be none: what arrives, else stderr."""
    calls = []
    monkeypatch.setattr(all_settings, "OptionalSettings", OptionalSettings, raising=False)
    monkeypatch.setitem(commands.SETTINGS, "audit_labels", ("OptionalSettings",))
    monkeypatch.setattr("evenset.terminal.call", lambda function, given, takes_progress: calls.append(given) or 0)

    def run(*typed: str):
        code, out, err = invoke("audit-labels", "d", "--field", "f", *typed)
        return out or err if code or "--help" in typed else calls[-1]

    return run


def test_none_is_typed_where_a_setting_may_be_none(optional):
    common = dict(dataset="d", field="f")

    assert optional() == common
    assert optional("--pca-dim", "none", "--max-ratio", "None") == dict(common, pca_dim=None, max_ratio=None)
    assert optional("--pca-dim", "4", "--max-ratio", "2") == dict(common, pca_dim=4, max_ratio=2.0)
    assert "'many' is not a whole number, or none" in optional("--pca-dim", "many")
    assert "'many' is not a number, or none" in optional("--max-ratio", "many")
    assert "pca_dim has to be from 1 to 9 or None (no reduction), not 0" in optional("--pca-dim", "0")
    text = optional("--help")
    assert "[1 to 9, or none: no reduction] [default: none]" in text
    assert "[at least 0, or none: no cap] [default: 3]" in text


def test_class_names_and_a_text_encoder_arrive_as_they_are_typed(invoke, monkeypatch):
    calls = []
    monkeypatch.setattr("evenset.terminal.call", lambda function, given, takes_progress: calls.append(given) or 0)
    typed = ("auto-label", "d", "--label-field", "f", "--classes", "shirt,dress")

    invoke(*typed, "--text-encoder", "some/model", "--prompts", "a {class}")
    invoke(*typed, "--text-encoder", "none")

    common = dict(dataset="d", label_field="f", classes=["shirt", "dress"])
    assert calls == [dict(common, text_encoder="some/model", prompts="a {class}"), dict(common, text_encoder=None)]


def test_auto_label_end_to_end_prints_json_alone(digits):
    dataset = digits(n=150, size_px=8, labelled=90)
    dataset.save_view("part", dataset.limit(120))

    code, out, err = finish("auto-label", dataset.name, *QUICK, "--view", "part", "--json")

    assert code == 0, err
    results = json.loads(out)
    assert (results["run_key"], results["samples"], results["labelled"]) == ("evenset_auto_label_1", 120, 90)
    assert "%|" in err  # the bar
    dataset.reload()
    assert dataset.count("auto_label") == 120
    assert evenset.load_results(dataset, results["run_key"]).rows == results["rows"]
    assert list_runs(dataset).rows[0]["state"] == "done"


@pytest.mark.slow
def test_what_is_not_there_is_named_beside_what_is(digits):
    dataset = digits(n=20, size_px=8, labelled=10)

    code, out, err = finish("list-runs", "nothing")
    assert (code, out) == (2, "")
    assert re.search(f"there is no dataset 'nothing': there are .*{dataset.name!r}", err)
    code, out, err = finish("auto-label", dataset.name, "--label-field", "labels", "--quiet")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"Error: {dataset.name!r} has no field 'labels'")


def test_a_field_is_typed_with_and_without_its_name(invoke, monkeypatch):
    calls = []
    monkeypatch.setattr("evenset.terminal.call", lambda function, given, takes_progress: calls.append(given) or 0)

    assert invoke("review-labels", "d", "auto_label", "--from", "decisions.csv", "--tag", "a", "--tag", "b")[0] == 0
    assert invoke("audit-labels", "d", "--field", "auto_label")[0] == 0

    assert calls == [
        dict(dataset="d", field="auto_label", labels="decisions.csv", tag=["a", "b"]),
        dict(dataset="d", field="auto_label"),
    ]
    assert "FIELD is missing" in invoke("audit-labels", "d")[2].replace("--field", "FIELD")


@pytest.fixture
def typed(capfd, monkeypatch):
    """The command line within this process, with the database: exit code, stdout, stderr."""

    def run(*arguments: str, answer: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        stdout = os.dup(1)  # a command leaves it to libraries, since its process ends
        with pytest.raises(SystemExit) as end:
            commands.main(arguments)
        os.dup2(stdout, 1)
        os.close(stdout)
        return end.value.code or 0, *capfd.readouterr()

    return run


def test_all_runs_are_deleted_after_a_list_and_a_yes(suggestions, typed, everything):
    dataset = suggestions(["cat", "dog"])
    before = everything(dataset)
    evenset.review_labels(dataset, "auto_label", progress=False)
    keys = ["evenset_review_labels_1", "evenset_auto_label_1"]

    code, out, err = typed("delete-run", dataset.name, "--all", "--dry-run")
    assert code == 0 and [line for line in out.splitlines() if line in keys] == keys
    code, out, err = typed("delete-run", dataset.name, "--all", answer="n\n")
    assert (code, out) == (1, "") and "Fields: auto_label" in err and "Delete 2 runs of" in err
    assert typed("delete-run", dataset.name, "--all")[0] == 1  # no terminal to ask
    dataset.reload()
    assert set(dataset.list_runs()) == set(keys) and everything(dataset) != before

    code, out, err = typed("delete-run", dataset.name, "--all", "--json", answer="y\n")
    assert code == 0 and [row["key"] for row in json.loads(out)["runs"]] == keys
    dataset.reload()
    assert dataset.list_runs() == [] and not dataset.has_field("auto_label")
    assert typed("delete-run", dataset.name, "--all", "--yes")[0] == 0  # nothing is left


def test_a_run_that_stays_gives_exit_code_1(suggestions, typed):
    from evenset.workflows.data import locks

    dataset = suggestions(["cat", "dog"])
    with locks.lock_field(dataset, "auto_label"):
        code, out, err = typed("delete-run", dataset.name, "--all", "--yes")

    assert code == 1 and "evenset_auto_label_1 stays: " in out
    assert typed("delete-run", dataset.name, "evenset_auto_label_7")[0] == 1
    assert typed("delete-run", dataset.name, "evenset_auto_label_1")[0] == 0


def test_decisions_of_a_file_are_refused_with_its_line(suggestions, typed, tmp_path):
    dataset = suggestions(["cat", "dog"])
    first, second = dataset.values("id")
    path = tmp_path / "decisions.csv"
    path.write_text(f"id,label\n{first},cat\n{second},cow\n")
    command = ("review-labels", dataset.name, "auto_label", "--from", str(path), "--quiet")

    code, out, err = typed(*command)
    assert (code, out) == (1, "") and f"{path}, line 3, column label: 'cow' is not a class of 'ground_truth'" in err
    assert typed(*command, "--new-class")[0] == 0
    dataset.reload()
    assert dataset.values("ground_truth.label") == ["cat", "cow"]


def test_the_review_queue_is_listed_to_be_decided_in_a_file(suggestions, tmp_path, typed):
    dataset = suggestions(["cat", "dog"])
    dataset.set_values("auto_label.status", ["review", "review"])
    path = tmp_path / "decisions.csv"

    code, out, _ = typed("list-suggestions", dataset.name, "auto_label", "--csv", str(path), "--first", "1")
    assert code == 0 and dataset.first().id in out and f"--from {path}" in out
    path.write_text(path.read_text().replace(",,,", ",accept,,"))
    assert typed("review-labels", dataset.name, "auto_label", "--from", str(path), "--quiet")[0] == 0

    dataset.reload()
    assert dataset.values("ground_truth.label") == ["cat", None]


# Light commands, with arguments that suit a dataset with one run of auto_label.
LIGHT = {
    "list-runs": (),
    "load-results": ("evenset_auto_label_1",),
    "stop-run": ("evenset_auto_label_1",),
    "delete-run": ("evenset_auto_label_1", "--dry-run"),
    "list-suggestions": ("auto_label", "--first", "3"),
    "review-labels": ("auto_label", "--quiet"),
    "set-target": ("evenset_auto_label_1", "--target-precision", "0.9", "--dry-run"),
    "list-embeddings": (),
}


@pytest.mark.slow
def test_commands_that_need_no_model_start_in_two_seconds_beyond_fiftyone(clusters):
    """By the processor's time of the process: what others do on the machine is not its time."""
    dataset = clusters(60, 30)
    evenset.auto_label(dataset, "ground_truth", embeddings="vector", random_labels=True, progress=False)

    def seconds(*command: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    fiftyone = min(seconds("-c", "import fiftyone") for _ in range(2))
    for name, arguments in LIGHT.items():
        extra = seconds(str(ROOT), name, dataset.name, *arguments) - fiftyone
        assert extra < 2, f"{name} takes {extra:.1f} s beyond FiftyOne's import of {fiftyone:.1f} s"


@pytest.mark.slow
def test_results_that_cannot_be_printed_leave_the_run_done(clusters):
    dataset = clusters(60, 30)
    dataset.save_view("part", dataset.limit(40))
    evenset.auto_label(dataset, "ground_truth", embeddings="vector", random_labels=True, progress=False)
    options = ["review-labels", dataset.name, "--field", "auto_label", "--status", "all", "--seen", "--json", "--quiet"]

    process = start(*options, "--view", "part")
    process.stdout.close()  # as `| true` does
    err = process.stderr.read()
    assert process.wait(120) == 0 and "BrokenPipe" not in err and "evenset_" not in err

    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, str(ROOT), *options], stdout=full, stderr=subprocess.PIPE, text=True)
    key = "evenset_review_labels_2"
    again = f"{sys.executable} {ROOT} load-results {dataset.name} {key}"
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"{key} is done; its results could not be printed: {again}"
    assert [row["state"] for row in list_runs(dataset).rows] == ["done"] * 3


def test_ctrl_c_before_the_command_begins_is_no_traceback():
    code = (
        "import runpy, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'cyclopts': raise KeyboardInterrupt\n"
        f"sys.meta_path.insert(0, Interrupt()); runpy.run_path({str(ROOT)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code, "list-runs", "d"], capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (RuntimeError("no luck"), 1)])
def test_an_audit_that_ended_early_is_not_to_be_resumed(error, code, capsys):
    assert terminal.explain(error, "audit_labels", "d", "evenset_audit_labels_1") == code
    said = capsys.readouterr().err
    assert "resume" not in said and "delete-run d evenset_audit_labels_1" in said


@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_can_be_resumed(digits):
    dataset = digits(n=40, size_px=8, labelled=30)
    options = "--label-field ground_truth --size-px 8 --augmentation none --precision fp32 --min-updates 1 --epochs 25"
    process = start("train-resnet", dataset.name, *options.split())
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        rows = list_runs(dataset).rows
        if rows and evenset.workflows.runs.records.live(dataset, rows[0]["key"]):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert out == "" and "Traceback" not in err
    again = f"{sys.executable} {ROOT} resume-run {dataset.name} evenset_train_resnet_1"
    assert err.splitlines()[-1] == f"evenset_train_resnet_1 was stopped; continue it with: {again}"
    assert list_runs(dataset).rows[0]["state"] == "stopped"

    code, out, err = finish("resume-run", dataset.name, "evenset_train_resnet_1", "--quiet")
    assert code == 0 and "%|" not in err  # no bar
    assert "evenset_train_resnet_1" in out
    dataset.reload()
    assert dataset.count("resnet") == 40
