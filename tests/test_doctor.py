"""`evenset doctor`: each thing that is missing is a trouble with a remedy, and the exit code says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from evenset import doctor, terminal


@pytest.fixture
def checks(database):
    """The checks of one look, by name."""
    return lambda look: {check.name: check for check in look()}


def test_versions_that_are_missing_old_or_do_not_fit_are_named(checks, monkeypatch):
    versions = {"timm": None, "torch": "2.6.0", "torchvision": "0.21.0", "cleanlab": "1.0"}
    real, requires = doctor._version, doctor.metadata.requires
    monkeypatch.setattr(doctor, "_version", lambda name: versions[name] if name in versions else real(name))
    clashing = lambda name: ["torch==2.5.1"] if name == "torchvision" else requires(name)  # noqa: E731
    monkeypatch.setattr(doctor.metadata, "requires", clashing)

    found = checks(doctor._versions)

    assert found["python"].state == found["evenset"].state == found["fiftyone"].state == "ok"
    assert (found["timm"].text, found["timm"].remedy) == ("missing", "pip install 'timm>=1.0.20'")
    assert found["cleanlab"].text == "1.0, and cleanlab>=2.9 is needed"
    assert found["torchvision"].remedy.startswith("it needs torch==2.5.1, and torch is 2.6.0")
    assert "tqdm" not in found  # what is there and fits is listed only where it matters


def test_a_database_that_does_not_answer_is_a_trouble(checks, monkeypatch):
    import fiftyone.core.odm as foo

    assert checks(doctor._database)["database"].text.startswith("MongoDB ")

    def fail():
        raise ConnectionError("refused")

    monkeypatch.setattr(foo, "get_db_conn", fail)
    found = checks(doctor._database)["database"]
    assert "does not answer (ConnectionError: refused)" in found.text and "FIFTYONE_DATABASE_URI" in found.remedy


def test_a_full_or_closed_disk_is_a_trouble(monkeypatch, tmp_path):
    assert doctor._disk("datasets", tmp_path / "not" / "made", needs_space=True).state == "ok"

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(doctor.tempfile, "TemporaryFile", refuse)
        found = doctor._disk("datasets", tmp_path, needs_space=True)
    assert "cannot be written (Permission denied)" in found.text and str(tmp_path) in found.remedy

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    assert "2 GB" in doctor._disk("datasets", tmp_path, needs_space=True).remedy
    assert doctor._disk("plugins", tmp_path, needs_space=False).state == "ok"


def test_the_folder_of_runs_is_looked_at_where_it_is_named(checks, monkeypatch, tmp_path):
    assert "EVENSET_DIR" not in checks(doctor._disks)
    monkeypatch.setenv("EVENSET_DIR", str(tmp_path))
    assert checks(doctor._disks)["EVENSET_DIR"].text.startswith(str(tmp_path))

    monkeypatch.setenv("EVENSET_DIR", str(tmp_path / "none"))
    missing = checks(doctor._disks)["EVENSET_DIR"]
    assert "which is not a folder" in missing.text and missing.remedy == "name a folder that all machines share"


def test_weights_that_are_there_are_named(checks, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert "resnet18" not in checks(doctor._weights)["weights"].text

    path = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    path.parent.mkdir(parents=True)
    path.touch()

    assert "resnet18" in checks(doctor._weights)["weights"].text


def test_a_look_that_fails_is_a_trouble_and_the_others_go_on(database, monkeypatch):
    def fail():
        raise RuntimeError("broken\nin two lines")

    monkeypatch.setattr(doctor, "_device", fail)
    monkeypatch.setattr(doctor, "_weights", lambda: iter([doctor.Check("weights", "none")]))

    rows = {row["name"]: row for row in doctor.examine().rows}

    assert rows["weights"]["state"] == "ok"
    assert any(row["text"] == "RuntimeError: broken" and row["state"] == "trouble" for row in rows.values())


@pytest.mark.parametrize(("remedy", "code"), [("", 0), ("run: evenset link", 1)])
def test_the_exit_code_is_1_where_there_is_a_trouble(remedy, code, monkeypatch, capfd):
    row = dict(name="plugin", text="here", remedy=remedy, state="trouble" if remedy else "ok")
    monkeypatch.setattr(doctor, "examine", lambda: doctor.Checkup([row]))

    assert terminal.check_installation(as_json=True) == code
    out, err = capfd.readouterr()
    assert json.loads(out)["rows"] == [row] and "minutes on a busy machine" in err  # before anything takes long
    assert terminal.check_installation(as_json=False) == code
    text = "".join(capfd.readouterr())  # the first call left stdout to libraries
    lines = [line for line in text.splitlines() if line != terminal.STARTING]
    assert lines[0].split() == [row["state"], "plugin", "here"] and len(lines) == 1 + code


def test_versions_need_no_torch(tmp_path: Path):
    import subprocess
    import sys

    code = "import sys, evenset.doctor as d; list(d._versions()); print({'torch', 'fiftyone'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "set()", done.stderr
