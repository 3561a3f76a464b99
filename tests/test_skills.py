"""The skills: FiftyOne finds them in the plugin's folder, and what they name is there."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import evenset
import pytest
import yaml
from evenset import commands

ROOT = Path(__file__).parents[1]
MANIFEST = yaml.safe_load((ROOT / "fiftyone.yml").read_text(encoding="utf-8"))
SKILLS = sorted(path.parent.name for path in ROOT.glob("skills/*/SKILL.md"))
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for layer in ("workflows", "models") for path in ROOT.glob(f"{layer}/**/*.py")
)


def text_of(skill: str) -> str:
    return (ROOT / "skills" / skill / "SKILL.md").read_text(encoding="utf-8")


def blocks(skill: str, language: str) -> list[str]:
    """The code of a skill in one language, without the indent of the list that it stands in."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text_of(skill), re.M | re.S)
    return [re.sub(rf"^{indent}", "", code, flags=re.M) for indent, code in found]


def test_fiftyone_lists_every_skill(plugin):
    command = [str(Path(sysconfig.get_path("scripts"), "fiftyone")), "skills", "list", "--names-only"]
    listed = subprocess.run([*command, "--plugin", MANIFEST["name"]], capture_output=True, text=True, check=True)

    assert set(SKILLS) == set(MANIFEST["skills"])
    assert set(SKILLS) <= set(listed.stdout.split())


@pytest.mark.parametrize("skill", SKILLS)
def test_the_head_of_a_skill_says_when_to_use_it(skill):
    head = yaml.safe_load(text_of(skill).split("---")[1])

    assert head["name"] == skill
    assert "Use for" in head["description"] and len(head["description"]) < 400
    assert head["category"]


@pytest.mark.parametrize("skill", SKILLS)
def test_calls_name_functions_and_settings_that_exist(skill):
    calls = 0
    for code in blocks(skill, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("evenset."):
                name = ast.unparse(node.func).removeprefix("evenset.")
                assert name in evenset.FUNCTIONS
                allowed = {*commands.arguments_of(name), *commands.settings_of(name)}
                assert {keyword.arg for keyword in node.keywords} <= allowed, code
                calls += 1
    assert calls >= 3


@pytest.mark.parametrize("skill", SKILLS)
def test_command_lines_are_understood(skill, monkeypatch):
    done = []
    monkeypatch.setattr("evenset.terminal.call", lambda function, given, takes_progress: done.append(function) or 0)
    lines = [line for code in blocks(skill, "sh") for line in code.splitlines()]
    for line in lines:
        with pytest.raises(SystemExit) as end:
            commands.main(shlex.split(line)[1:])
        assert end.value.code == 0, line
    assert len(done) == len(lines) >= 2


@pytest.mark.parametrize("skill", SKILLS)
def test_names_and_operators_in_the_text_exist(skill):
    text = text_of(skill)

    operators = re.findall(r"@evenset/evenset/(\w+)", text)
    assert operators and set(operators) <= set(MANIFEST["operators"])
    settings = {name for function in evenset.FUNCTIONS for name in commands.settings_of(function)}
    settings |= {name for function in evenset.FUNCTIONS for name in commands.arguments_of(function)}
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    for code in re.findall(r"`([^`\n]+)`", prose):
        given = re.match(r"(\w+)=", code)
        assert not given or given[1] in settings, code
        if re.fullmatch(r"[a-z]\w+", code):
            assert re.search(rf"\b{code}\b", SOURCES), code
        for function in re.findall(r"evenset\.(\w+)\(", code):
            assert function in evenset.FUNCTIONS
