"""`evenset link`: the installed folder as FiftyOne's plugin, and a plugin's folder as the package `evenset`.

One installation gives both. Each link is recorded, and `unlink` removes only what is recorded.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import site
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
PLUGIN = "@evenset/evenset"  # its name, and its place among FiftyOne's plugins
RECORD = "evenset-link.json"  # beside a link, or in a copy: what `link` made
PATH_FILE = "evenset-plugin.pth"  # among the packages: leads Python to a plugin's folder
PARTS = ("models", "operators", "workflows", "skills")  # folders of a copy; with them go the root's own files
PATTERNS = ("*.py", "*.pyi", "py.typed", "fiftyone.yml", "requirements.txt", "LICENSE")  # of the root, in a copy


def link(*, copy: bool = False, force: bool = False) -> list[str]:
    """Makes both links, where they are missing; returns a sentence for each.

    Args:
        copy: copies the folder for FiftyOne
        force: replaces a link or copy that another installation made, or a person's link

    Raises:
        ValueError: another Evenset is in the place of one; it stays
    """
    return [_link_plugin(copy, force), _link_package()]


def unlink() -> list[str]:
    """Removes what `link` of this folder made; returns a sentence for each."""
    removed, target = [], plugins_dir() / PLUGIN
    made = _made(target)
    if made and ROOT in (Path(made["source"]), target):
        _remove(target)
        with contextlib.suppress(OSError):  # other plugins of this author
            target.parent.rmdir()
        removed.append(f"{target} is removed")
    for folder in _package_folders():
        path = folder / PATH_FILE
        if path.exists() and _leads_to(path) == ROOT.parent:
            path.unlink()
            removed.append(f"{path} is removed")
    return removed or ["there is nothing to remove: evenset link of this folder made nothing here"]


def plugins_dir() -> Path:
    import fiftyone as fo

    return Path(fo.config.plugins_dir)


def installed_plugins() -> list[Any]:
    """FiftyOne's definitions of each Evenset among its plugins."""
    import fiftyone.plugins as fop

    return [p for p in fop.list_plugins(enabled="all", shadowed="all") if p.name == PLUGIN]


def describe_plugin() -> tuple[str, str]:
    """Where FiftyOne finds Evenset, and the remedy where that is not this folder; "" where it is."""
    import fiftyone.plugins as fop

    from . import __version__

    folders = {Path(plugin.directory): str(plugin.version) for plugin in installed_plugins()}
    if not folders:
        return f"Evenset is not among FiftyOne's plugins in {plugins_dir()}", "run: evenset link"
    if len(folders) > 1:
        return f"FiftyOne has it twice: {' and '.join(map(str, folders))}", "delete one of them"
    ((folder, version),) = folders.items()
    made = _made(folder) or {}
    if folder.resolve() != ROOT and Path(made.get("source", "")) != ROOT:
        return f"FiftyOne uses {folder} (version {version}), and Python {ROOT}", f"delete {folder}, run: evenset link"
    if version != __version__:
        return f"{folder} is a copy of version {version}, this is {__version__}", "run: evenset link"
    if PLUGIN not in [plugin.name for plugin in fop.list_plugins()]:
        return f"{folder} is switched off", f"run: fiftyone plugins enable {PLUGIN}"
    kind = "the folder itself" if folder == ROOT else "a link" if folder.resolve() == ROOT else "a copy"
    return f"version {version} at {folder} ({kind})", ""


def _link_plugin(copy: bool, force: bool) -> str:
    from .models.errors import InvalidInput

    target = plugins_dir() / PLUGIN
    folders = {Path(plugin.directory) for plugin in installed_plugins()}
    for folder in folders:
        if folder.resolve() == ROOT and not (copy and folder == target and folder != ROOT):
            return f"FiftyOne's plugin is here already: {folder}"
    for folder in folders | ({target} if os.path.lexists(target) else set()):
        if not _is_replaceable(folder, force):
            what = "a link to " + os.readlink(folder) if folder.is_symlink() else "another folder"
            remedy = "--force replaces it" if folder.is_symlink() or _made(folder) else "delete it"
            raise InvalidInput(f"{folder} is {what}, where FiftyOne finds Evenset already: {remedy}, or keep it")
    for folder in folders | {target}:
        _remove(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    record = json.dumps(dict(made_by="evenset link", source=str(ROOT)))
    if not copy:
        with contextlib.suppress(OSError):  # links are not allowed here: a copy follows
            target.symlink_to(ROOT, target_is_directory=True)
            (target.parent / RECORD).write_text(record, encoding="utf-8")
            return f"FiftyOne's plugin: {target} leads to {ROOT}"
    _copy(target, record)
    return f"FiftyOne's plugin: {target} is a copy of {ROOT}; after an upgrade, run evenset link again"


def _is_replaceable(folder: Path, force: bool) -> bool:
    """Whether a plugin's folder may go: a link or copy that `link` made of this folder, or of one that is gone."""
    made = _made(folder)
    if made and (Path(made["source"]) == ROOT or not Path(made["source"]).exists()):
        return True
    return force and (made is not None or folder.is_symlink())


def _made(folder: Path) -> dict[str, str] | None:
    """The record of a link or copy that `link` made; None of any other folder."""
    path = (folder.parent if folder.is_symlink() else folder) / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if folder.is_symlink() and os.readlink(folder) != record["source"]:
        return None  # a person's link, in its place
    return dict(record)


def _remove(folder: Path) -> None:
    """Removes a link with its record, or a copy."""
    if folder.is_symlink():
        if _made(folder):
            (folder.parent / RECORD).unlink()
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _copy(target: Path, record: str) -> None:
    from .models.files import aside

    with aside(target, flush=False) as part:
        part.mkdir()
        for path in {path for pattern in PATTERNS for path in ROOT.glob(pattern)}:
            shutil.copy2(path, part)
        for name in PARTS:
            if (ROOT / name).is_dir():  # the package has no skills
                shutil.copytree(ROOT / name, part / name, ignore=shutil.ignore_patterns("__pycache__"))
        (part / RECORD).write_text(record, encoding="utf-8")


def _link_package() -> str:
    from .models.errors import InvalidInput

    found = importable()
    if found == ROOT:
        return f"Python's package: import evenset gives {ROOT}"
    if found:
        raise InvalidInput(f"import evenset gives {found} already: pip uninstall evenset, or run its own evenset link")
    neighbours = [path.name for path in ROOT.parent.iterdir() if path != ROOT and _can_be_imported(path)]
    if ROOT.name != "evenset" or neighbours:
        why = f"beside it lies {neighbours[0]}" if neighbours else "it is not called evenset"
        raise InvalidInput(f"Python cannot be led to {ROOT} alone, as {why}: pip install {ROOT}")
    for folder in _package_folders():
        with contextlib.suppress(OSError):
            text = f"# made by `evenset link`; `evenset unlink` removes it\n{ROOT.parent}\n"
            (folder / PATH_FILE).write_text(text, encoding="utf-8")
            return f"Python's package: {folder / PATH_FILE} leads to {ROOT}"
    raise InvalidInput(f"no folder of {sys.executable} for packages can be written: use a virtual environment")


def importable() -> Path | None:
    """The folder that `import evenset` gives in this environment, however this process has loaded it."""
    for finder in sys.meta_path:
        spec = finder.find_spec("evenset", None) if hasattr(finder, "find_spec") else None
        if spec and spec.origin:
            return Path(spec.origin).resolve().parent
    return None


def _can_be_imported(path: Path) -> bool:
    return path.suffix == ".py" or (path.is_dir() and path.name.isidentifier())


def _package_folders() -> list[Path]:
    """Where this environment looks for packages and path files, the environment's own first."""
    own = [Path(sysconfig.get_path("purelib"))]
    return [*own, Path(site.getusersitepackages())] if site.ENABLE_USER_SITE else own


def _leads_to(path: Path) -> Path | None:
    """The folder that a path file of `link` adds; None for any other file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return Path(lines[1]) if len(lines) == 2 and "evenset link" in lines[0] else None
