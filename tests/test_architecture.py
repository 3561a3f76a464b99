"""Reads the syntax trees, and holds the rules that no single file shows: layers, late imports, lists in step."""

from __future__ import annotations

import ast
import dataclasses
import graphlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LAYERS = ("operators", "workflows", "models")
CODE = [*sorted(ROOT.glob("*.py")), *(path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py")))]
HEAVY = {"torch", "torchvision", "torch_geometric", "diffusers", "faiss", "accelerate", "safetensors", "sklearn", "cv2"}
HEAVY |= {"timm", "transformers"}
FLOORS = {  # folders of workflows/, each with those below it that it may import; "" are the files of the SDK
    "display": set(),
    "data": {"display"},
    "runs": {"data", "display"},
    "embeddings": {"runs", "data", "display"},
    "training": {"embeddings", "runs", "data", "display"},
    "reviewing": {"runs", "data", "display"},
    "splitting": {"training", "embeddings", "runs", "data", "display"},
    "exporting": {"runs", "data", "display"},
    "preprocessing": {"runs"},
    **{
        name: {"training", "embeddings", "runs", "data", "display"}
        for name in ("labeling", "mistakes", "checking", "gcn", "balancing", "comparison")
    },
    "tagging": {"labeling", "mistakes", "training", "embeddings", "runs", "data", "display"},
}
FLOORS[""] = set(FLOORS)
FLOORS["ui"] = set(FLOORS)


class Import(NamedTuple):
    file: str  # "models/classifiers/resnet.py"
    line: int
    module: str  # as a path from the root, "models.losses", or a library's name, "torch.nn"
    level: int  # dots before it
    early: bool  # runs when the file is imported

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, also those inside functions."""
    file = path.relative_to(ROOT)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    early = set(early_statements(tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file.as_posix(), node.lineno, alias.name, 0, node in early)
        elif isinstance(node, ast.ImportFrom):
            parents = file.parts[:-1][: len(file.parts) - node.level] if node.level else ()
            module = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:  # `from . import weights` and `from ..models import linear` name files
                inner = ".".join(filter(None, [module, alias.name]))
                names_file = bool(node.level) and (ROOT / (inner.replace(".", "/") + ".py")).exists()
                yield Import(file.as_posix(), node.lineno, inner if names_file else module, node.level, node in early)


def early_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run at import: those outside functions, and outside `if TYPE_CHECKING`."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for name in ("body", "orelse", "finalbody"):
            yield from early_statements(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            yield from early_statements(handler.body)


ALL = [item for path in CODE for item in imports(path)]


def wrong(rule: str, found: list[Import]) -> str:
    return rule + ":\n" + "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("layer", "forbidden"),
    [("models", {"fiftyone", "eta", "workflows", "operators"}), ("workflows", {"operators"})],
)
def test_layers_import_downwards_only(layer, forbidden):
    found = [item for item in ALL if item.file.startswith(layer + "/") and item.package in forbidden]
    assert not found, wrong(f"{layer}/ imports none of {', '.join(sorted(forbidden))}", found)


def test_operators_do_not_import_one_another():
    names = {f"operators.{name}" for name in manifest()["operators"]}
    found = [item for item in ALL if item.file.startswith("operators/") and item.module in names]
    assert not found, wrong("what operators share goes into forms.py, or a workflow", found)


def folder_of(file: str) -> str:
    """The folder of a file inside its layer: "labeling" for workflows/labeling/results.py, "" for a file at its top."""
    return "/".join(file.split("/")[1:-1])


def test_method_folders_of_models_do_not_know_one_another():
    def target(item: Import) -> str:
        return folder_of(item.module.replace(".", "/") + ".py")

    found = [item for item in ALL if item.file.startswith("models/") and item.package == "models"]
    found = [item for item in found if target(item).split("/")[0] not in ("", folder_of(item.file).split("/")[0])]
    assert not found, wrong("arrays pass between methods in a workflow; methods do not know one another", found)


def test_folders_of_workflows_import_downwards_only():
    assert {folder_of(path.relative_to(ROOT).as_posix()) for path in (ROOT / "workflows").rglob("*.py")} == set(FLOORS)

    def target(item: Import) -> str:
        return folder_of(item.module.replace(".", "/") + ".py")

    found = [item for item in ALL if item.file.startswith("workflows/") and item.package == "workflows"]
    found = [i for i in found if target(i) not in FLOORS[folder_of(i.file)] | {folder_of(i.file)}]
    assert not found, wrong("ui -> SDK -> its own folders -> training -> embeddings -> runs -> data -> display", found)


def test_the_top_of_workflows_has_a_file_for_each_function_of_the_sdk():
    import evenset

    files = {path.stem for path in (ROOT / "workflows").glob("*.py")} - {"__init__"}
    assert files == set(evenset.FUNCTIONS)


def test_every_folder_is_packaged():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'^    "(evenset[\w.]*)",$', project, re.M)
    folders = {path.parent.relative_to(ROOT) for layer in LAYERS for path in (ROOT / layer).rglob("*.py")}
    assert sorted(listed) == sorted(["evenset", *(f"evenset.{'.'.join(folder.parts)}" for folder in folders)])


def test_no_file_imports_itself_by_way_of_others():
    """Also not by an import inside a function."""
    files = {path.relative_to(ROOT).as_posix() for path in CODE}
    graph = {file: set() for file in files}
    for item in ALL:
        if item.level and (target := item.module.replace(".", "/") + ".py") in files:
            graph[item.file].add(target)
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_imports_inside_the_repository_are_relative():
    found = [item for item in ALL if item.level == 0 and item.package in {"evenset", *LAYERS}]
    assert not found, wrong("FiftyOne loads the folder under another name: write `from .` or `from ..`", found)


def test_no_import_climbs_above_the_root():
    found = [item for item in ALL if item.level > len(Path(item.file).parts)]
    assert not found, wrong("the root folder is the package", found)


def test_the_root_can_be_imported_alone():
    found = [item for item in ALL if "/" not in item.file and item.level and item.early]
    assert not found, wrong("root files import relative modules inside functions", found)


def test_heavy_libraries_are_imported_late():
    """Outside models/ by nobody; and registering the operators leads to no file of models/ that imports them early."""
    early = {path.relative_to(ROOT).as_posix(): [item for item in imports(path) if item.early] for path in CODE}
    outside = [item for file in early if not file.startswith("models/") for item in early[file]]
    found = [item for item in outside if item.package in HEAVY]
    assert not found, wrong("import it inside the function that needs it", found)

    reached = [file for file in early if "/" not in file or file.startswith("operators/")]
    for file in reached:  # grows while it is walked
        found = [item for item in early[file] if item.package in HEAVY]
        assert not found, wrong("the plugin's start leads here: import this file late", found)
        targets = {item.module.replace(".", "/") + ".py" for item in early[file] if item.level}
        reached.extend(sorted(targets & set(early) - set(reached)))


def test_settings_need_only_the_standard_library():
    allowed = {*sys.stdlib_module_names, "models.errors"}
    found = [item for item in ALL if item.file in ("models/settings.py", "models/errors.py")]
    found = [item for item in found if not {item.package, item.module} & allowed]
    assert not found, wrong("forms and command line read the settings before anything heavy is there", found)


def test_checkpoints_are_never_pickles():
    found = [item for item in ALL if item.package in {"pickle", "joblib", "dill", "cloudpickle"}]
    assert not found, wrong("loading a pickle runs code: use safetensors, npz and JSON", found)
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert given.get("weights_only") == "True", f"{path}:{node.lineno} torch.load without weights_only=True"


def test_files_of_runs_and_generators_are_opened_only_where_they_are_regular():
    """A pipe or a device in the place of a file would wait without end: `regular` looks first."""
    reads = re.compile(r"^np\.load$|^safe_open$|\.read_text$|\.open$")
    for path in [*sorted((ROOT / "workflows").rglob("*.py")), *sorted((ROOT / "models").rglob("*.py"))]:
        if path.stem in {"regular_files", "decode", "pixels"}:  # images are looked at by their own
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and reads.search(ast.unparse(node.func)):
                is_safe = any(word in ast.unparse(node) for word in ("regular(", "part.open", "part.write", "BytesIO("))
                assert is_safe, f"{path.name}:{node.lineno} {ast.unparse(node)}"


def test_private_names_of_fiftyone_stand_in_one_file():
    for path in [path for path in CODE if "models" not in path.parts[:-1]]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and re.match(r"_(?!_|replace$|asdict$)", node.attr):
                is_own = ast.unparse(node.value) in ("self", "super()", "cls") or path.stem == "internals"
                assert is_own, f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}: see data/internals.py"


def test_models_do_not_print():
    for path in sorted((ROOT / "models").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) != "print", f"{path}:{node.lineno}: yield a report, the caller shows it"


def test_every_setting_has_a_help_text_and_a_default_in_its_range():
    from evenset.models import settings

    kinds = [kind for kind in vars(settings).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    kinds = [kind for kind in kinds if dataclasses.fields(kind)]
    assert len(kinds) >= 5
    for kind in kinds:
        kind()  # checks its own defaults
        for item in dataclasses.fields(kind):
            assert len(item.metadata["help"].split()) > 1, f"{kind.__name__}.{item.name} has no help text"
            if item.metadata["kind"] in (int, float):
                assert item.metadata["low"] is not None, f"{kind.__name__}.{item.name} has no lower bound"


def test_fiftyone_yml_lists_the_operators_that_are_there():
    """FiftyOne drops an operator that is not listed without a word."""
    found = {}
    for path in sorted((ROOT / "operators").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(
                re.search(r"\b(Sse)?(Operator|Panel)$", ast.unparse(b)) for b in node.bases
            ):
                found[path.stem] = node.name
    assert sorted([*manifest()["operators"], *manifest()["panels"]]) == sorted(found)
    import evenset

    assert evenset.OPERATORS == found


def test_the_sdk_has_every_function_it_names():
    import evenset

    for name in set(evenset.__all__) - {"__version__"}:
        assert callable(getattr(evenset, name)), name
    with pytest.raises(AttributeError, match="auto_label"):
        evenset.autolabel  # noqa: B018


def test_requirements_and_version_are_the_same_everywhere():
    import evenset

    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.M | re.S)
    assert block
    assert (ROOT / "requirements.txt").read_text().split("\n")[:-1] == re.findall(r'^ +"(.+)",$', block[1], re.M)
    version = re.search(r'^version = "(.+)"', project, re.M)
    assert version and version[1] == manifest()["version"] == evenset.__version__
    assert f"\n## {evenset.__version__} " in (ROOT / "CHANGELOG.md").read_text()


def test_what_is_imported_is_required():
    """Every library that the code names is in requirements.txt; FiftyOne installs a plugin's needs from there."""
    names = {"cv2": "opencv-python-headless", "PIL": "pillow", "sklearn": "scikit-learn", "bson": "pymongo"}
    names |= {"faiss": "faiss-cpu", "skimage": "scikit-image", "art": "adversarial-robustness-toolbox"}
    names |= {"huggingface_hub": "diffusers"}  # which downloads by it, as transformers does
    lines = (ROOT / "requirements.txt").read_text().split()
    extras = re.findall(r"^(?:pretrained|robustness|cluster) = \[(.+?)\]", (ROOT / "pyproject.toml").read_text(), re.M)
    lines += re.findall(r'"(.+?)"', " ".join(extras))
    required = {re.split(r"[<>=\[]", line)[0] for line in lines}
    own = {*sys.stdlib_module_names, *LAYERS, "evenset"}
    found = [item for item in ALL if item.level == 0 and item.package not in own]
    found = [item for item in found if names.get(item.package, item.package.replace("_", "-")) not in required]
    assert not found, wrong("add it to pyproject.toml and requirements.txt", found)


def test_no_drawer_for_odds_and_ends_and_no_path_of_one_machine():
    places = ("operators", "workflows", "models", "tests", "benchmarks", "scripts", "examples", "docs", "skills", ".ci")
    files = [path for path in ROOT.glob("*") if path.is_file() and path.name != ".git"]  # of a worktree
    files += [path for place in places for path in (ROOT / place).rglob("*") if path.is_file()]
    for path in files:
        assert path.stem not in {"utils", "util", "helpers", "helper", "misc"}, f"{path}: say what is in it"
        if path.suffix in {"", ".py", ".md", ".toml", ".yml", ".txt", ".sh", ".js"}:
            found = re.search(r"(?<![\w.*/{}$])/(work|opt|root)/\S*", path.read_text(encoding="utf-8"))
            assert not found, f"{path} names {found and found[0]}, a folder of one machine"


def test_every_file_is_small_enough_for_who_downloads_the_plugin():
    shown = [path for path in ROOT.glob("*") if not path.name.startswith(".")]
    files = [path for top in shown for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    large = [str(path) for path in files if path.stat().st_size > 1_000_000]
    assert not large, wrong("not over 1 MB, since the plugin's download carries it", large)


def test_files_have_at_most_300_lines_and_functions_50():
    """Without settings.py, a list; a docstring does not count."""
    files = [path for path in CODE if path != ROOT / "models" / "settings.py"]
    long = [path.name for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 300]
    assert not long, wrong("not over 300 lines", long)
    bodies = [
        (path.name, node.name, node.body[ast.get_docstring(node) is not None :] or node.body)
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    long = [f"{file}: {name}" for file, name, body in bodies if body[-1].end_lineno - body[0].lineno >= 50]
    assert not long, wrong("not over 50 lines", long)


def manifest() -> dict:
    return yaml.safe_load((ROOT / "fiftyone.yml").read_text(encoding="utf-8"))
