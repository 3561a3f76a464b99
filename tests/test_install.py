"""Installs Evenset the way users do: the plugin from a zip behind an address, and the package with pip."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MANIFEST = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
OPERATORS = [f"@evenset/evenset/{name}" for name in (*MANIFEST["operators"], *MANIFEST["panels"])]
HEAVY = {"torch", "torchvision", "torch_geometric", "diffusers", "accelerate", "safetensors"}
IMPORT_SECONDS = 0.3  # what FiftyOne and the App may wait for the plugin

# Runs without `site`, so that no editable install puts `evenset` on the path: a plugin has nothing but its folder.
LOOK = """
import sys; sys.path.extend({libraries!r})
import importlib.util; assert importlib.util.find_spec("evenset") is None, "the plugin has to work without the package"
import json, time
import fiftyone as fo, fiftyone.operators as foo, fiftyone.plugins as fop
from fiftyone.plugins.context import PluginContext

if {address!r}:
    assert list(fop.download_plugin({address!r})) == ["@evenset/evenset"]
for own in fop.list_plugins(builtin=True):  # what FiftyOne loads anyway is not the plugin's time
    PluginContext(own).register_all()
assert not any("evenset" in name for name in sys.modules)
plugin = fop.get_plugin("@evenset/evenset")
context, start = PluginContext(plugin), time.process_time()  # what others do on the machine is not its time either
context.register_all()
seconds = time.process_time() - start
found = [foo.get_operator(uri) for uri in {operators!r}]
print("ANSWER" + json.dumps(dict(
    seconds=seconds,
    errors=context.errors,
    folder=plugin.directory,
    script=plugin.js_bundle_path if plugin.has_js else None,
    uris=[operator.uri for operator in found],
    registered=sorted(operator.uri for operator in foo.list_operators(builtin=False)),
    labels=[operator.config.label for operator in found],
    heavy=sorted({heavy!r} & set(sys.modules)),
    module=sys.modules["fiftyone.plugins.orgs.evenset.evenset"].__file__,
)))
"""


def look(plugins: Path, address: str = "") -> dict:
    """Asks a fresh process about the plugin in the folder `plugins`, after a download if there is an address."""
    libraries = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    code = LOOK.format(libraries=libraries, address=address, operators=OPERATORS, heavy=HEAVY)
    env = {**os.environ, "FIFTYONE_PLUGINS_DIR": str(plugins), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=env, capture_output=True, text=True, cwd=plugins
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.partition("ANSWER")[2])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, without what git ignores."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        environments = {name for name in names if (Path(folder) / name / "pyvenv.cfg").exists()}
        return environments | shutil.ignore_patterns(".git", "build", "dist", "*.egg-info", "__pycache__", ".*_cache")(
            folder, names
        )

    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("tree") / "evenset-main", ignore=ignored))


@pytest.fixture(scope="module")
def address(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the zip of the repository can be downloaded; like GitHub's, it has one folder at the top."""
    folder = tmp_path_factory.mktemp("served")
    shutil.make_archive(str(folder / "evenset"), "zip", tree.parent, tree.name)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/evenset.zip"
        server.shutdown()


@pytest.mark.slow
def test_the_downloaded_plugin_has_every_operator_and_starts_fast(address, tmp_path):
    answers = [look(tmp_path, address), look(tmp_path), look(tmp_path)]

    first = answers[0]
    assert first["folder"] == str(tmp_path / "@evenset" / "evenset")
    assert first["module"] == str(tmp_path / "@evenset" / "evenset" / "__init__.py")
    assert first["script"] == str(tmp_path / "@evenset" / "evenset" / "operators" / "panel.js")
    assert first["errors"] == []
    assert first["uris"] == OPERATORS
    assert first["registered"] == sorted(OPERATORS)
    assert all(label[0].isupper() for label in first["labels"])
    assert first["heavy"] == []
    seconds = [answer["seconds"] for answer in answers]
    assert min(seconds) < IMPORT_SECONDS, f"the plugin's import took {seconds} seconds"


def test_the_plugin_works_from_a_folder_of_any_name(tree, tmp_path):
    folder = tmp_path / "my plug-in, copied"
    shutil.copytree(tree, folder)

    answer = look(tmp_path)

    assert answer["folder"] == str(folder)
    assert answer["errors"] == []
    assert answer["uris"] == OPERATORS


@pytest.mark.slow
def test_pip_install_gives_the_package(tree, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(tmp_path), str(tree)], check=True, capture_output=True)

    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import evenset, importlib.metadata, pathlib
assert pathlib.Path(evenset.__file__).parent == pathlib.Path({str(tmp_path)!r}, "evenset"), evenset.__file__
for name in ("fiftyone.yml", "operators/panel.js"):
    assert (pathlib.Path(evenset.__file__).parent / name).exists(), name
assert importlib.metadata.version("evenset") == evenset.__version__
from evenset.models.settings import ResNetSettings
ResNetSettings()
import importlib.util
for name in ("operators", "workflows", "models", "__main__"):
    assert importlib.util.find_spec("evenset." + name), name
assert importlib.util.find_spec("evenset.tests") is None
print(sorted(set(sys.modules) & {{"torch", "fiftyone", "numpy"}}))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_source_distribution_has_what_is_no_python(tree, tmp_path):
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=tree, check=True, capture_output=True)

    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"fiftyone.yml", "operators/panel.js"} <= names
