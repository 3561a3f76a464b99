"""`evenset doctor`: what an installation needs, each with a remedy where it is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
PACKAGES = ("fiftyone", "torch", "torchvision", "torch-geometric", "timm", "diffusers", "accelerate", "numpy")
OPTIONAL = ("transformers", "adversarial-robustness-toolbox")
MIN_FREE_GB = 2.0  # vectors of an encoder take 0.1 GB for 70,000 images, a checkpoint up to 1


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    text: str  # what it is
    remedy: str = ""  # of a trouble; "" where there is none

    @property
    def state(self) -> str:
        return "trouble" if self.remedy else "ok"


@dataclass(frozen=True)
class Checkup:
    """All checks. `str` prints a line for each, with a remedy below each trouble."""

    rows: list[dict[str, str]]  # name, state, text, remedy

    @property
    def troubles(self) -> int:
        return sum(row["state"] == "trouble" for row in self.rows)

    def __str__(self) -> str:
        width = max(len(row["name"]) for row in self.rows)
        lines = []
        for row in self.rows:
            lines.append(f"{row['state']:8} {row['name']:{width}}  {row['text']}")
            lines += [f"{'':8} {'':{width}}  -> {row['remedy']}"] if row["remedy"] else []
        return "\n".join(lines)


def examine() -> Checkup:
    """Looks at everything; a check that fails is a trouble with its error."""
    looks: list[Callable[[], Iterator[Check]]] = [
        _versions, _database, _plugin, _package, _disks, _weights, _device,
    ]  # fmt: skip
    checks: list[Check] = []
    for look in looks:
        try:
            checks += look()
        except Exception as error:  # whatever is broken, the other checks matter
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            checks.append(Check(look.__name__.strip("_"), text, "see the message; reinstalling evenset may mend it"))
    return Checkup([{**asdict(check), "state": check.state} for check in checks])


def _versions() -> Iterator[Check]:
    from packaging.requirements import Requirement

    from . import __version__

    is_new = sys.version_info >= (3, 11)
    yield Check("python", f"{platform.python_version()}, {sys.executable}", "" if is_new else "install Python 3.11")
    yield Check("evenset", f"{__version__}, {ROOT}")
    needed = {item.name: item for item in map(Requirement, _requirements())}
    for name in (*PACKAGES, *(name for name in needed if name not in PACKAGES)):
        version, wanted = _version(name), needed[name]
        if version is None:
            yield Check(name, "missing", f"pip install '{wanted}'")
        elif not wanted.specifier.contains(version, prereleases=True):
            yield Check(name, f"{version}, and {wanted} is needed", f"pip install '{wanted}'")
        elif name in PACKAGES:
            yield Check(name, version, _clash(name))
    yield from (Check(name, f"{_version(name) or 'missing'} (optional)") for name in OPTIONAL)


def _requirements() -> list[str]:
    """What Evenset needs: a plugin's folder has them in a file, the package in its metadata."""
    path = ROOT / "requirements.txt"
    if path.exists():
        return path.read_text(encoding="utf-8").split()
    return [line for line in metadata.requires("evenset") or [] if "extra ==" not in line]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _clash(name: str) -> str:
    """The remedy where torchvision was built for another torch."""
    from packaging.requirements import Requirement

    torch = _version("torch")
    wanted = [Requirement(line) for line in metadata.requires(name) or []] if name == "torchvision" else []
    clashes = [item for item in wanted if item.name == "torch" and torch and not item.specifier.contains(torch)]
    return f"it needs {clashes[0]}, and torch is {torch}: pip install torch torchvision" if clashes else ""


def _database() -> Iterator[Check]:
    import fiftyone as fo
    import fiftyone.core.odm as foo

    where = (fo.config.database_uri or "FiftyOne's own").rpartition("@")[2]  # without a password
    try:
        foo.get_db_conn()
        server = foo.get_db_client().server_info()["version"]
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        yield Check(
            "database",
            f"{where} does not answer ({reason})",
            "start MongoDB and set FIFTYONE_DATABASE_URI; in a clone, sh scripts/setup installs one",
        )
        return
    yield Check("database", f"MongoDB {server}, {where}, {fo.config.database_name}: {len(fo.list_datasets())} datasets")


def _plugin() -> Iterator[Check]:
    from .plugin_link import describe_plugin

    yield Check("plugin", *describe_plugin())


def _package() -> Iterator[Check]:
    from .plugin_link import importable

    found = importable()
    first = "pip uninstall evenset, then " if found else ""
    remedy = "" if found == ROOT else f"{first}run: {sys.executable} {ROOT} link"
    yield Check("package", f"import evenset gives {found}" if found else "import evenset finds nothing", remedy)


def _disks() -> Iterator[Check]:
    import fiftyone as fo
    from huggingface_hub import constants

    from .models.encoders.weights import torch_file
    from .workflows.data import folders as places

    folders = {
        "datasets": Path(fo.config.default_dataset_dir),
        "plugins": Path(fo.config.plugins_dir),
        "hub cache": Path(constants.HF_HUB_CACHE),
        "torch cache": torch_file("resnet18").parent,
    }
    for name, folder in folders.items():
        yield _disk(name, folder, needs_space=name != "plugins")
    if os.environ.get(places.VARIABLE):
        try:
            yield _disk(places.VARIABLE, places.root(), needs_space=True)
        except ValueError as error:
            yield Check(places.VARIABLE, str(error), "name a folder that all machines share")


def _disk(name: str, folder: Path, needs_space: bool) -> Check:
    """Whether a folder, or the nearest one above it that is there, can be written, and has room."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free_gb = shutil.disk_usage(there).free / 1e9
    text = f"{folder}, {free_gb:,.1f} GB free"
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Check(name, f"{text}, cannot be written ({error.strerror})", f"allow this user to write {there}")
    is_full = needs_space and free_gb < MIN_FREE_GB
    return Check(name, text, f"free {MIN_FREE_GB:g} GB, or delete old runs (evenset clean)" if is_full else "")


def _weights() -> Iterator[Check]:
    from .models.encoders.weights import RESNETS, hub_file, torch_file
    from .models.settings import AutoLabelSettings
    from .workflows.training.auto_embeddings import BASE, SMALL

    here = [candidate.title for candidate in (SMALL, BASE) if candidate.is_here]
    here += [name for name in RESNETS if torch_file(name).exists()]
    encoders = AutoLabelSettings.__dataclass_fields__["text_encoder"].metadata["choices"]
    here += [name for name in encoders if hub_file(name)]
    text = ", ".join(here) or "none: they are downloaded on first use; without internet, give embeddings="
    yield Check("weights", text)


def _device() -> Iterator[Check]:
    """Needs torch, and so comes last."""
    import torch

    from .models.devices import has_gpu, multiplies_bf16

    kind: Any = torch.cuda.get_device_name() if torch.cuda.is_available() else "Apple GPU" if has_gpu() else "CPU"
    bf16 = "bf16" if multiplies_bf16("auto") else "no bf16"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("device", f"{kind}, {bf16}, {torch.get_num_threads()} threads on {cores} cores")
