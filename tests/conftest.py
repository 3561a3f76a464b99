"""A database, folders and an App of this session's own; data sets of digits (8 x 8 scans) and of vectors."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evenset.workflows.runs import lifecycle

ROOT = Path(__file__).parents[1]
SLOW, SOAK = "slow: left out by --quick", "asked for by --soak"
assert "fiftyone" not in sys.modules, "fiftyone reads its environment once: nothing may import it before this file"
found = importlib.util.find_spec("evenset")
assert found and found.origin and Path(found.origin).parent.samefile(ROOT), f"evenset is {found}: see PYTHONPATH"


def start_mongod(folder: Path, port: int = 0, keep: bool = False) -> tuple[str, subprocess.Popen[bytes]]:
    """Starts FiftyOne's mongod on a port of its own; when its stdin ends, or we die, it goes, and `folder` (or `keep`).

    FiftyOne would share one mongod among all processes of a user: a test that ends it would pull it from under others.
    """
    fiftyone = importlib.util.find_spec("fiftyone")
    assert fiftyone and fiftyone.origin
    mongod = Path(fiftyone.origin).parent / "db" / "bin" / "mongod"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = port or free.getsockname()[1]
    (folder / "db").mkdir(parents=True, exist_ok=keep)
    options = ["--dbpath", str(folder / "db"), "--logpath", str(folder / "mongo.log"), "--port", str(port)]
    options += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
    until_stdin_ends = 'folder=$1; shift; "$@" >/dev/null & cat >/dev/null; kill $!; wait; rm -rf "$folder"'
    command = ["sh", "-c", until_stdin_ends, "sh", "" if keep else str(folder), str(mongod), *options]
    return f"mongodb://127.0.0.1:{port}", subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


# What the caller's environment may hold, and a test must not depend on: FiftyOne's settings, the form of a terminal's
# output, a launcher of processes, a git hook, how Python starts. Our own and the places of files are read.
CALLERS = re.compile(
    "(FIFTYONE|EVENSET|ACCELERATE|TQDM|RICH|JPY|GIT|PYTHON|DATABRICKS)_?.*"
    "|(NO|FORCE|CLI)_?COLOR(_FORCE)?|COLORTERM|COLUMNS|LINES|TERM|TTY_.*|RANK|WORLD_SIZE|(LOCAL|GROUP)_.*|MASTER_.*"
)
READ = re.compile("FIFTYONE_(DATABASE_URI|MODEL_ZOO_DIR)|EVENSET_(BROWSER|SCREENSHOTS|LIGHT|WIDTH|LOOP)")
READ_BY_PYTHON = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}


def leave_callers_environment() -> None:
    """For this process and all that it starts: as if a person had opened a terminal and changed no setting."""
    for name in [*os.environ]:
        if CALLERS.fullmatch(name) and not READ.fullmatch(name) and name not in READ_BY_PYTHON:
            del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):  # servers of the tests are on this machine
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it


leave_callers_environment()
session_dir = Path(tempfile.mkdtemp(prefix="evenset-tests-"))
own_mongod = None
if "FIFTYONE_DATABASE_URI" not in os.environ:
    os.environ["FIFTYONE_DATABASE_URI"], own_mongod = start_mongod(session_dir)
os.environ.update(
    FIFTYONE_DATABASE_NAME=f"evenset-tests-{uuid.uuid4().hex[:12]}",
    FIFTYONE_PLUGINS_DIR=str(session_dir / "plugins"),
    FIFTYONE_DEFAULT_DATASET_DIR=str(session_dir / "datasets"),
    FIFTYONE_DO_NOT_TRACK="true",
    OMP_NUM_THREADS="1",  # browser, server and workers run beside us: threads would wait for cores
    **{f"FIFTYONE_{kind}CONFIG_PATH": str(session_dir / "none.json") for kind in ("", "APP_", "EVALUATION_")},
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="the long loop, and kills at ten moments in place of three")
    parser.addoption("--quick", action="store_true", help="leaves out the tests that are marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if config.getoption("--quick") and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason=SLOW))
        elif not config.getoption("--soak") and item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason=SOAK))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says what --quick left out."""
    skipped = terminalreporter.stats.get("skipped", [])
    left = [report for report in skipped if isinstance(report.longrepr, tuple) and SLOW in report.longrepr[2]]
    if left:
        files = sorted({report.nodeid.partition("::")[0] for report in left})
        terminalreporter.write_sep("-", f"left out: {len(left)} slow tests (kills, workers, downloads, long walks)")
        terminalreporter.write_line("all of them: sh scripts/test --all    those of a file: sh scripts/test FILE")
        terminalreporter.write_line("\n".join(files))


def pytest_sessionfinish() -> None:
    """Leaves a database that was given to us as it was. Our own mongod waits for FiftyOne's farewell, at exit."""
    if own_mongod:
        return
    if "fiftyone" in sys.modules:
        import fiftyone.core.odm as foo

        foo.drop_database()
    shutil.rmtree(session_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def database() -> str:
    """Name of the session's database, which was empty when the session first used it."""
    import fiftyone as fo

    name = os.environ["FIFTYONE_DATABASE_NAME"]
    assert fo.config.database_name == name
    assert fo.list_datasets() == [], f"{name} is not this session's own: it holds data sets"
    return name


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Callable[..., tuple[str, subprocess.Popen[bytes]]]]:
    """Starts a mongod that a test may end: mongod(port=0) -> address, process. The next start has the same data."""
    started = []

    def start(port: int = 0) -> tuple[str, subprocess.Popen[bytes]]:
        address, process = start_mongod(tmp_path / "mongod", port, keep=True)
        started.append(process)
        return address, process

    yield start
    for process in started:
        process.communicate()
    shutil.rmtree(tmp_path / "mongod", ignore_errors=True)


@pytest.fixture
def make_dataset(database: str) -> Iterator[Callable[..., Any]]:
    """Makes data sets from files and labels; they are deleted after the test.

    make_dataset(paths, labels=None, *, label_field="ground_truth", truth=None, name=None)
        labels: a text or None for each path; None leaves the field empty
        truth: every label, in a text field `truth`, for the test alone
    """
    import fiftyone as fo

    made = []

    def make(
        paths: Sequence[str | Path],
        labels: Sequence[str | None] | None = None,
        *,
        label_field: str = "ground_truth",
        truth: Sequence[str] | None = None,
        name: str | None = None,
    ) -> Any:
        dataset = fo.Dataset(name or f"test-{uuid.uuid4().hex[:8]}", persistent=True)
        made.append(dataset)
        dataset.add_samples([fo.Sample(filepath=str(path)) for path in paths], progress=False)
        if labels is not None:
            dataset.add_sample_field(label_field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
            dataset.set_values(label_field, [label and fo.Classification(label=label) for label in labels])
        if truth is not None:
            dataset.set_values("truth", list(truth))
        return dataset

    yield make
    for dataset in made:
        if fo.dataset_exists(dataset.name):
            dataset.delete()


@pytest.fixture(scope="session")
def originals(database: str) -> dict[str, tuple[str, Any, Path]]:
    """Of each dataset that `finished` gives copies of: its name, the original, and where the original's files lie.

    They lie elsewhere than FiftyOne's, so that who looks for a run in all datasets does not meet it.
    """
    return {}


@pytest.fixture
def finished(originals: dict[str, tuple[str, Any, Path]]) -> Iterator[Callable[..., Any]]:
    """finished("what it holds", make): a dataset as make() returns it, with its runs, their records and their files.

    make() is called once in a process; from then on each test gets a copy, which owns its runs as if it had run them.
    """
    import fiftyone as fo

    copies: list[Any] = []

    def copy(name: str, make: Callable[[], Any]) -> Any:
        if name not in originals:
            dataset = make()
            original = with_runs(dataset, f"original of {name}", files_of(dataset))
            originals[name] = dataset.name, original, session_dir / "originals" / str(original._doc.id)
            shutil.move(files_of(original), originals[name][-1])
            return dataset
        usual, original, files = originals[name]
        copies.append(with_runs(original, f"{usual}-copy" if fo.dataset_exists(usual) else usual, files))
        return copies[-1]

    yield copy
    for dataset in copies:
        if not dataset.deleted:
            dataset.delete()


def files_of(dataset: Any) -> Path:
    import fiftyone as fo

    return Path(fo.config.default_dataset_dir, "evenset", str(dataset._doc.id))


def with_runs(dataset: Any, name: str, files: Path) -> Any:
    """A clone of which the runs are its own: it has their files, and records, views and evaluations name it."""
    clone = dataset.clone(name, persistent=True)
    shutil.copytree(files, files_of(clone))
    ids = {
        "views": {view.name: str(view.id) for view in clone._doc.get_saved_views()},
        "evaluations": {key: str(doc.id) for key, doc in clone._doc.get_evaluations().items()},
    }
    for key in clone.list_runs():
        record = clone.get_run_info(key).config.serialize()
        values = {part: value for part, value in record.items() if part not in ("cls", "type", "method")}
        values["dataset"] = str(clone._doc.id)
        if "ids" in record:
            values["ids"] = {
                kind: {ids[kind][it]: it for it in names.values()} for kind, names in record["ids"].items()
            }
        clone.update_run_config(key, clone.init_run(method=record["method"], **values))
        origin = files_of(clone) / key / "origin.json"
        origin.write_text(json.dumps({**json.loads(origin.read_text()), "dataset": name}))
    return clone


@pytest.fixture
def digit_files(tmp_path: Path) -> Callable[..., tuple[list[str], list[str]]]:
    """Writes digits as gray PNG files: digit_files(n=200, size_px=16, seed=0) -> paths [n], labels "0".."9" [n]."""
    from PIL import Image
    from sklearn.datasets import load_digits

    def write(n: int = 200, size_px: int = 16, seed: int = 0) -> tuple[list[str], list[str]]:
        pixels, digits = load_digits(return_X_y=True)
        chosen = np.random.default_rng(seed).permutation(len(digits))[:n]
        folder = tmp_path / f"digits-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        paths = []
        for number, index in enumerate(chosen):
            image = Image.fromarray((pixels[index].reshape(8, 8) * (255 / 16)).astype("uint8"))
            paths.append(str(folder / f"{number:05d}.png"))
            image.resize((size_px, size_px), Image.Resampling.BICUBIC).save(paths[-1])
        return paths, [str(digits[index]) for index in chosen]

    return write


@pytest.fixture
def digits(digit_files: Callable[..., Any], make_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """A data set of digits: digits(n=200, size_px=16, labelled=60, seed=0, name=None).

    The first `labelled` samples (they are in random order) have a `ground_truth`, and all have the text `truth`.
    """

    def make(n: int = 200, size_px: int = 16, labelled: int = 60, seed: int = 0, name: str | None = None) -> Any:
        paths, truth = digit_files(n, size_px, seed)
        labels = [label if number < labelled else None for number, label in enumerate(truth)]
        return make_dataset(paths, labels, truth=truth, name=name)

    return make


@pytest.fixture
def clusters(make_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """A data set of vectors around a centre for each class; its files need not exist.

    clusters(n=240, labelled=120, classes=3, spread=1.0, seed=0)
        labelled: the first samples (they are in random order) have a `ground_truth`; all have the text `truth`
        spread: standard deviation around centres that are 4 apart from the origin; 1 is easy, 3 is hard
    """

    def make(n: int = 240, labelled: int = 120, classes: int = 3, spread: float = 1.0, seed: int = 0) -> Any:
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, classes, n)
        truth[: 2 * classes] = np.tile(np.arange(classes), 2)
        vectors = rng.normal(4 * np.eye(8)[truth], spread).astype(np.float32)
        names = [f"class {i}" for i in truth]
        labels = [name if i < labelled else None for i, name in enumerate(names)]
        dataset = make_dataset([f"/nowhere/{seed}/{i:05d}.png" for i in range(n)], labels, truth=names)
        dataset.set_values("vector", list(vectors))
        return dataset

    return make


@pytest.fixture
def tagged(make_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """A data set of vectors with several tags each; its files need not exist.

    tagged(n=150, known=100, classes=3, spread=1.0, seed=0)
        known: the first samples have all their tags in `ground_truth`, which is None in the others
        spread: standard deviation around the sum of a direction for each tag, 4 long; 1 is easy, 3 is hard
        `truth` lists the tags of every sample; three of them have none
    """
    import fiftyone as fo

    def make(n: int = 150, known: int = 100, classes: int = 3, spread: float = 1.0, seed: int = 0) -> Any:
        rng = np.random.default_rng(seed)
        has = rng.random((n, classes)) < 0.4
        has[:3] = False
        vectors = rng.normal(4 * has @ np.eye(8)[:classes], spread).astype(np.float32)
        truth = [[f"tag {k}" for k in np.flatnonzero(row)] for row in has]
        dataset = make_dataset([f"/nowhere/{seed}/{i:05d}.png" for i in range(n)])
        dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classifications)
        labels = [fo.Classifications(classifications=[fo.Classification(label=name) for name in own]) for own in truth]
        dataset.set_values("ground_truth", [own if i < known else None for i, own in enumerate(labels)])
        dataset.set_values("truth", truth)
        dataset.set_values("vector", list(vectors))
        return dataset

    return make


@pytest.fixture
def boxed_digits(tmp_path: Path, make_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """A data set of images with several digits each, and a box around every digit.

    boxed_digits(images=40, boxes=5, labelled=60, px=12, seed=0)
        labelled: boxes with a label, drawn at random; all have the attribute `truth`
        px: side of the digits
    """
    import fiftyone as fo
    from PIL import Image
    from sklearn.datasets import load_digits

    def make(images: int = 40, boxes: int = 5, labelled: int = 60, px: int = 12, seed: int = 0) -> Any:
        pixels, digits = load_digits(return_X_y=True)
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(digits))[: images * boxes].reshape(images, boxes)
        is_labelled = rng.permutation(images * boxes).reshape(images, boxes) < labelled
        folder = tmp_path / f"boxed-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        side, paths, labels = 4 * px, [], []
        for number in range(images):
            canvas, own = np.zeros((side, side), dtype=np.uint8), []
            for cell, index, known in zip(rng.permutation(9)[:boxes], chosen[number], is_labelled[number], strict=True):
                left, top = int(4 + 1.3 * px * (cell % 3)), int(4 + 1.3 * px * (cell // 3))
                image = Image.fromarray((pixels[index].reshape(8, 8) * (255 / 16)).astype("uint8"))
                canvas[top : top + px, left : left + px] = image.resize((px, px), Image.Resampling.BICUBIC)
                truth = str(digits[index])
                box = [left / side, top / side, px / side, px / side]
                own.append(fo.Detection(label=truth if known else None, bounding_box=box, truth=truth))
            paths.append(str(folder / f"{number:05d}.png"))
            Image.fromarray(canvas).save(paths[-1])
            labels.append(fo.Detections(detections=own))
        dataset = make_dataset(paths)
        dataset.add_sample_field("ground_truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
        dataset.add_sample_field("ground_truth.detections.truth", fo.StringField)
        dataset.set_values("ground_truth", labels)
        return dataset

    return make


@pytest.fixture(scope="session")
def plugin() -> Path:
    """Evenset's link in the plugins folder of this session."""
    link = Path(os.environ["FIFTYONE_PLUGINS_DIR"]) / "evenset"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(ROOT, target_is_directory=True)
    return link


@pytest.fixture(scope="session")
def start_server(database: str, plugin: Path) -> Callable[[], tuple[str, Any]]:
    """start_server() -> address, service of the App. It has no session, so that pages alone say what they show."""
    from fiftyone.core.service import ServerService

    class PatientService(ServerService):
        def _wait_for_child_port(self, port: int | None = None, timeout: int = 300) -> Any:
            return super()._wait_for_child_port(port, timeout)  # FiftyOne's 60 seconds are few on a busy machine

    def start() -> tuple[str, Any]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return f"http://127.0.0.1:{port}", PatientService(port, address="127.0.0.1", do_not_track=True)

    os.environ["FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS"] = "true"  # the App's "Schedule" is there only with it
    return start


@pytest.fixture(scope="session")
def address(start_server: Callable[[], tuple[str, Any]]) -> Iterator[str]:
    """Where the App's server listens."""
    address, server = start_server()
    yield address
    server.stop()


@pytest.fixture
def suggestions(make_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """A data set with a field of suggestions that a run wrote, without any training.

    suggestions(["cat", "dog"], [None, "dog"], flagged=False) -> a sample for each suggestion, with these labels
        flagged: they are of find_mistakes, in `mistake`, and not of auto_label, in `auto_label`
    """
    import fiftyone as fo

    def make(suggested: Sequence[str], labels: Sequence[str | None] | None = None, flagged: bool = False) -> Any:
        from evenset.models.settings import AutoLabelSettings
        from evenset.workflows.data import saved_views
        from evenset.workflows.data.fields import declare_classification, write_classifications

        method, field = ("find_mistakes", "mistake") if flagged else ("auto_label", "auto_label")
        dataset = make_dataset([f"/nowhere/{i}.png" for i in range(len(suggested))], labels or [None] * len(suggested))
        inputs = dict(label_field="ground_truth", output_field=field)
        with lifecycle.start(
            dataset, lifecycle.RunRequest(method, settings=(AutoLabelSettings(),), inputs=inputs), progress=False
        ) as run:
            kinds = (
                {"is_issue": fo.BooleanField, "mistakenness": fo.FloatField} if flagged else {"status": fo.StringField}
            )
            columns = {"is_issue": True, "mistakenness": 0.9} if flagged else {"status": "accepted"}
            declare_classification(run, field, kinds)
            values = {name: [value] * len(suggested) for name, value in columns.items()}
            write_classifications(run, field, np.array(dataset.values("id")), {"label": suggested, **values})
            saved_views.save(run, f"{field}: view", dataset.exists(field))
        return dataset

    return make


@pytest.fixture
def everything() -> Callable[[Any], dict[str, Any]]:
    """Returns all that a run can change: schema, samples, saved views, App settings, runs and files on disk."""

    def stages(dataset: Any, name: str) -> Any:
        stored = dataset._get_saved_view_doc(name).view_stages  # a removed field may have patches that cannot load
        return [json.loads(stage) for stage in stored]

    def look(dataset: Any) -> dict[str, Any]:
        import fiftyone as fo

        dataset.reload()
        folder = Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id)
        schema = dataset.get_field_schema(flat=True)
        return {
            "schema": {name: (str(field), field.description, field.info) for name, field in schema.items()},
            "samples": [{**sample.to_dict(), "last_modified_at": None} for sample in dataset],
            "views": {name: stages(dataset, name) for name in dataset.list_saved_views()},
            "app": dataset.app_config.to_dict(),
            "runs": dataset.list_runs(),
            "files": sorted(str(path) for path in folder.rglob("*")),
            "folder": folder.exists(),
        }

    return look
