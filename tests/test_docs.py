"""The docs: links lead somewhere, and what they quote, name and call is in the code.

In docs/, a message of the code is quoted with `...` where the code puts a value in: **`as it begins`** in
troubleshooting.md, and **"any part of it"** in the guides.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import evenset
import pytest
from evenset import commands
from evenset.models import settings

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *GUIDES]
LAYERS = ("models", "workflows", "operators")
SOURCES = [*ROOT.glob("*.py"), *(path for layer in LAYERS for path in ROOT.glob(f"{layer}/**/*.py"))]
LEAST_LETTERS = 7  # of a quoted message: fewer would be found anywhere

KINDS = [kind for kind in vars(settings).values() if isinstance(kind, type) and issubclass(kind, settings.Settings)]
FIELDS = [item for kind in KINDS for item in dataclasses.fields(kind)]
ARGUMENTS = [item for function in evenset.FUNCTIONS for item in commands.arguments_of(function).values()]
NAMES = {item.name for item in (*FIELDS, *ARGUMENTS)}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose_of(page: Path) -> str:
    """The text without its blocks of code, a paragraph a line."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = text.replace("`` ` ``", "")  # the key that opens the list of operators
    return re.sub(r"(?<!\n)\n *(?=\S)", " ", text)


def code_of(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def texts_of(tree: ast.AST) -> Iterator[str]:
    """Every text of a source, `...` in place of what an f-string puts in; docstrings count for nothing."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


def texts_of_shell(source: str) -> Iterator[str]:
    for text in re.findall(r'"((?:[^"\\]|\\.)*)"', source, re.S):
        yield re.sub(r"\$(\w+|\{[^}]*\}|\([^)]*\))", "...", text.replace("\\\n", ""))


@pytest.fixture(scope="module")
def texts() -> list[str]:
    found = [text for path in SOURCES for text in texts_of(ast.parse(path.read_text(encoding="utf-8")))]
    return found + list(texts_of_shell((ROOT / "scripts" / "setup").read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_lead_to_what_is_there(page):
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)) if "://" not in target]
    for target in targets:
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.is_file(), f"{page.name} leads to {target}, which is not there"
        assert not anchor or anchor in slugs(goal), f"{page.name} leads to {target}: {goal.name} has no such heading"
    assert targets


def test_the_index_has_every_guide():
    named = set(re.findall(r"\]\((\w[\w-]*\.md)\)", (ROOT / "docs" / "README.md").read_text(encoding="utf-8")))

    assert named == {page.name for page in GUIDES} - {"README.md"}


def test_messages_begin_as_they_do_in_the_code(texts):
    quoted = re.findall(r"\*\*`([^`]+)`\*\*", prose_of(ROOT / "docs" / "troubleshooting.md"))
    unknown = [message for message in quoted if not any(text.startswith(message) for text in texts)]

    assert len(quoted) > 80
    assert not unknown
    assert not [message for message in quoted if len(re.findall("[a-z]", message)) < LEAST_LETTERS]


def test_notes_are_quoted_as_the_code_has_them(texts):
    quoted = [note for page in GUIDES for note in re.findall(r'\*\*"([^"]+)"\*\*', prose_of(page))]
    unknown = [note for note in quoted if not any(note in text for text in texts)]

    assert len(quoted) > 30
    assert not unknown
    assert not [note for note in quoted if len(re.findall("[a-z]", note)) < LEAST_LETTERS]


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_settings_and_arguments_exist(page):
    spans = re.findall(r"`([^`]+)`", prose_of(page))
    given = {name for span in spans for name in re.findall(r"(?<![\w-])([a-z]\w*)=(?!=)", span)}

    assert given <= NAMES, given - NAMES


def test_tables_of_settings_have_the_defaults():
    rows = [
        row
        for page in GUIDES
        for block in re.findall(r"^\| setting \| default \|.*\n\|[-|]+\n((?:\|.*\n?)+)", page.read_text("utf-8"), re.M)
        for row in re.findall(r"^\| `(\w+)` \| (.*?) \|", block, re.M)
    ]
    defaults: dict[str, set[str]] = {}
    for item in (*FIELDS, *ARGUMENTS):
        shown = item.default
        if isinstance(shown, bool):
            shown = "on" if shown else "off"
        defaults.setdefault(item.name, set()).add(f"{shown:g}" if isinstance(shown, float) else str(shown))

    assert len(rows) > 50
    assert not [row for row in rows if row[1].removesuffix(".0") not in defaults.get(row[0], set())]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_calls_name_functions_and_arguments_that_exist(page):
    spans = [span for span in re.findall(r"`([^`]+)`", prose_of(page)) if re.fullmatch(r"evenset\.\w+\(.*\)", span)]
    for code in (*code_of(page, "python"), *spans):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("evenset."):
                function = ast.unparse(node.func).removeprefix("evenset.")
                assert function in evenset.FUNCTIONS, code
                allowed = {*commands.arguments_of(function), *commands.settings_of(function)}
                assert {keyword.arg for keyword in node.keywords} <= allowed, code


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_command_lines_are_understood(page, monkeypatch, tmp_path):
    monkeypatch.setattr("evenset.terminal.call", lambda function, given, takes_progress: 0)
    monkeypatch.setattr("evenset.terminal.delete_runs", lambda *_: 0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.txt").write_text("label: True")
    for line in "".join(code_of(page, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["evenset"]:
            with pytest.raises(SystemExit) as end:
                commands.main(words[1:])
            assert end.value.code == 0, line
