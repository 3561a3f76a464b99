"""`evenset link` and `unlink`: one installation gives plugin and package, and nobody else's folder is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from evenset.plugin_link import PARTS, PATH_FILE, PATTERNS, RECORD

ROOT = Path(__file__).parents[1]
FIND = """
import json, pathlib, fiftyone.plugins as fop, evenset
folders = [p.directory for p in fop.list_plugins() if p.name == "@evenset/evenset"]
print(json.dumps([folders, str(pathlib.Path(evenset.__file__).parent), str(pathlib.Path(evenset.__file__).resolve())]))
"""


@pytest.fixture
def copy_to() -> Callable[[Path], Path]:
    """Copies the files that are installed."""

    def copy(folder: Path) -> Path:
        folder.mkdir(parents=True)
        for path in {path for pattern in PATTERNS for path in ROOT.glob(pattern)}:
            shutil.copy2(path, folder)
        for name in PARTS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        return folder

    return copy


class Environment:
    """A virtual environment that has the libraries of this one, but no evenset, and a plugins folder of its own."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
        libraries = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        (self.packages / "libraries.pth").write_text("\n".join(libraries))  # their own .pth files count for nothing
        self.plugins, self.folder = folder / "plugins", folder
        self.env = {**os.environ, "FIFTYONE_PLUGINS_DIR": str(self.plugins)}
        self.env.pop("PYTHONPATH", None)

    def run(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run([self.python, *arguments], env=self.env, cwd=self.folder, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def files(self) -> list[str]:
        """All that `link` could have made."""
        paths = [*self.plugins.glob("*"), *self.plugins.glob("*/*"), *self.packages.glob("*.pth")]
        return sorted(str(path.relative_to(self.folder)) for path in paths)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


@pytest.mark.slow
def test_after_pip_install_the_link_gives_the_plugin_and_unlink_takes_it_back(environment, copy_to):
    package = copy_to(environment.packages / "evenset")
    link = environment.plugins / "@evenset" / "evenset"
    before = environment.files()

    code, said = environment.run("-m", "evenset", "link")
    assert code == 0 and f"{link} leads to {package}" in said, said
    assert link.is_symlink() and link.resolve() == package
    assert "is here already" in environment.run("-m", "evenset", "link")[1]  # a second time
    folders, imported, _ = json.loads(environment.run("-c", FIND)[1])
    assert (folders, imported) == ([str(link)], str(package))

    assert environment.run("-m", "evenset", "unlink")[0] == 0
    assert set(environment.files()) - set(before) <= {"plugins"}
    assert package.exists()
    assert "nothing to remove" in environment.run("-m", "evenset", "unlink")[1]


@pytest.mark.slow
def test_a_downloaded_plugin_gives_the_package_and_unlink_takes_it_back(environment, copy_to):
    plugin = copy_to(environment.plugins / "@evenset" / "evenset")
    before = environment.files()
    assert environment.run("-c", "import evenset")[0] == 1

    code, said = environment.run(str(plugin), "link")
    assert code == 0 and f"{environment.packages / PATH_FILE} leads to {plugin}" in said, said
    assert environment.run(str(plugin), "link")[0] == 0
    folders, imported, _ = json.loads(environment.run("-c", FIND)[1])
    assert (folders, imported) == ([str(plugin)], str(plugin))

    assert environment.run("-m", "evenset", "unlink")[0] == 0
    assert environment.files() == before and plugin.exists()


@pytest.mark.slow
def test_another_folder_is_never_overwritten_and_a_copy_is_renewed(environment, copy_to):
    package = copy_to(environment.packages / "evenset")
    other = copy_to(environment.plugins / "@evenset" / "evenset")

    code, said = environment.run("-m", "evenset", "link", "--force")
    assert code == 1 and f"{other} is another folder" in said and "delete it" in said
    assert (other / "fiftyone.yml").exists() and not (other / RECORD).exists()
    code, said = environment.run(str(other), "link")
    assert code == 1 and f"import evenset gives {package} already" in said

    shutil.rmtree(other)
    assert environment.run("-m", "evenset", "link", "--copy")[0] == 0
    assert not other.is_symlink() and (other / "operators" / "panel.js").exists()
    (other / "fiftyone.yml").write_text((other / "fiftyone.yml").read_text().replace("0.1.0", "0.0.9"))
    assert environment.run("-m", "evenset", "link", "--copy")[0] == 0
    assert (other / "fiftyone.yml").read_text() == (ROOT / "fiftyone.yml").read_text()
    assert environment.run("-m", "evenset", "unlink")[0] == 0
    assert not other.exists()


@pytest.fixture
def links(monkeypatch, tmp_path, copy_to):
    """The module with another folder as its own, and a plugins folder of its own."""
    import fiftyone as fo
    from evenset import plugin_link

    root = copy_to(tmp_path / "package" / "evenset")
    monkeypatch.setattr(plugin_link, "ROOT", root)
    monkeypatch.setattr(plugin_link, "importable", lambda: root)
    monkeypatch.setattr(fo.config, "plugins_dir", str(tmp_path / "plugins"))
    return plugin_link


def test_a_persons_link_goes_only_by_force_and_stays_at_unlink(links, tmp_path, copy_to):
    other, target = copy_to(tmp_path / "other"), tmp_path / "plugins" / "@evenset" / "evenset"
    target.parent.mkdir(parents=True)
    target.symlink_to(other, target_is_directory=True)

    with pytest.raises(ValueError, match="is a link to .*other, where FiftyOne finds Evenset already: --force"):
        links.link()
    assert "nothing to remove" in links.unlink()[0] and target.resolve() == other
    assert "FiftyOne uses" in links.describe_plugin()[0]

    links.link(force=True)
    assert target.resolve() == links.ROOT and (other / "fiftyone.yml").exists()
    assert links.describe_plugin() == (f"version 0.1.0 at {target} (a link)", "")
    links.unlink()
    assert not os.path.lexists(target)
    assert links.describe_plugin()[1] == "run: evenset link"


def test_a_copy_takes_the_place_of_a_link_where_links_are_not_allowed(links, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError("a privilege is missing")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    target = tmp_path / "plugins" / "@evenset" / "evenset"

    assert "is a copy of" in links.link()[0]

    assert not target.is_symlink() and (target / "workflows" / "delete_run.py").exists()
    assert links.describe_plugin() == (f"version 0.1.0 at {target} (a copy)", "")
    path = target / "fiftyone.yml"
    path.write_text(path.read_text().replace("0.1.0", "0.0.9"))
    assert links.describe_plugin()[1] == "run: evenset link"


def test_a_folder_with_neighbours_is_not_put_among_the_packages(links, monkeypatch, tmp_path):
    monkeypatch.setattr(links, "importable", lambda: None)
    monkeypatch.setattr(links, "_package_folders", lambda: [tmp_path])
    neighbour = links.ROOT.parent / "torch.py"
    neighbour.write_text("")

    with pytest.raises(ValueError, match="beside it lies torch.py: pip install"):
        links.link()
    assert not (tmp_path / PATH_FILE).exists()
    neighbour.unlink()
    links.link()
    assert (tmp_path / PATH_FILE).read_text().splitlines()[1] == str(links.ROOT.parent)
    links.unlink()
    assert not (tmp_path / PATH_FILE).exists()
