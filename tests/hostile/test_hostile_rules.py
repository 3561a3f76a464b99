"""Rules that would hang, explode or end in an error of Python, FiftyOne or MongoDB: each is refused by a sentence."""

from __future__ import annotations

import json
import time

import pytest
from evenset.models.errors import InvalidInput
from evenset.workflows.comparison import rules
from evenset.workflows.comparison.rule_parser import METHODS, OPERATORS, parse
from evenset.workflows.data.labels import read_labels
from fiftyone import ViewExpression
from fiftyone import ViewField as F

OPERANDS = ["F('num')", "F('tags')", "F('')", "F('$a')", "5", "-1", "9" * 30, "1e999", "'a'", "'$num'", "None", "True"]
OPERANDS += ["[]", "[1, 'a']", "[F('num')]", "[[]]", "(1,)", "'a\\0b'", "'\\ud800'", "'(a+)+$'", "F('num') > 1", "..."]
LABELS: dict = {}  # of each dataset, read once
SECONDS = 2  # FiftyOne iterates over a field without end, and takes a gigabyte in a few of them


@pytest.fixture(scope="module")
def numbered(database):
    import fiftyone as fo

    dataset = fo.Dataset()
    label = fo.Classification(label="a")
    samples = [fo.Sample(filepath=f"/nowhere/{i}.png", num=i, name="aaaa", tags=["a"]) for i in range(3)]
    for sample in samples:
        sample["ground_truth"] = label.copy()
    dataset.add_samples(samples, progress=False)
    yield dataset
    dataset.delete()


def use(dataset, given):
    """All that compare_methods does with rules: None, or the sentence by which they are refused."""
    known = LABELS[dataset.name] = LABELS.get(dataset.name) or read_labels(dataset, "ground_truth")
    began = time.monotonic()
    try:
        found = rules.read(given)
        rules.check(found, dataset, known, "ground_truth")
        rules.apply(found, dataset, known)
    except ValueError as error:
        assert isinstance(error, InvalidInput), repr(error)
        return str(error)
    finally:
        assert time.monotonic() - began < SECONDS, given
    return None


@pytest.mark.parametrize(
    "method", [*sorted(METHODS), "map", "filter", "reduce", "apply", "to_mongo", "sort", "is_subset"]
)
def test_a_method_with_any_operand_is_used_or_refused_at_once(numbered, method):
    for operand in OPERANDS:
        for text in (
            f"F('num').{method}({operand})",
            f"F('tags').{method}({operand}, {operand})",
            f"F('num').{method}()",
        ):
            use(numbered, f"a: {text} == 1")
            use(numbered, f"a: {text}")


@pytest.mark.parametrize(
    "sign", ["in", "not in", "and", "or", "**", "//", "<<", "@", "is", ">", "==", "+", "*", "%", "&"]
)
def test_operators_with_any_operands_are_used_or_refused_at_once(numbered, sign):
    for left in OPERANDS[::3]:
        for right in OPERANDS:
            use(numbered, f"a: {left} {sign} {right}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("F('num').is_in(F('tags'))", "is_in(...) takes a list of values, as [1, 2], not "),
        ("F('num').starts_with(F('tags'))", "starts_with(...) takes a text or a list of texts, not "),
        ("F('num').round(10 ** 9)", "'10 ** 9' is not allowed"),
        ("F('num').round(1000)", "round(...) takes a whole number from -19 to 99, not 1000"),
        ("F('num').is_in()", "is_in(...) takes a list of values, as [1, 2] in its brackets, not 0 values"),
        ("F('num') ** 10 ** 9 > 1", "is not allowed"),
        ("'a' * 999999999999 == F('name')", "have no field to compare"),
        ("list(F('num'))", "is not allowed"),
        ("max(*F('num'))", "is not allowed"),
        ("F('num').is_in(*F('tags'))", "is not allowed"),
        ("F('num')[::10 ** 12]", "is not allowed"),
        ("[x for x in F('num')]", "is not allowed"),
        ("(lambda f: f(f))(lambda f: f(f))", "is not allowed"),
        ("F('num') > " + "9" * 30, "has more than 64 bits"),
        ("F('num') > " + "9" * 5000, "cannot be read"),
        ("F('name') == 'a\\0b'", "without NUL"),
        ('{"$eq": ["$_id", {"$oid": "no id"}]}', "cannot be read"),
        ('{"$eq": ["$num", {"$date": "no date"}]}', "cannot be read"),
        ('{"$eq": ["$num", {"$code": "sleep(1)"}]}', "cannot stand in an expression"),
        ('{"$not": ' * 60 + "true" + "}" * 60, None),
        ('{"$not": ' * 101 + "true" + "}" * 101, "nested more than 50 deep"),
        ('{"$not": ' * 9000 + "true" + "}" * 9000, "cannot be read"),
        ("not " * 400 + "F('num')", "nested more than 50 deep"),
        ("not " * 20_000 + "F('num')", "beside its values it has more than 2,000 characters"),
        (" & ".join(["(F('num') > 1)"] * 60), "nested more than 50 deep"),
        ("F('name').is_in(" + str(["x" * 90] * 1000) + ")", None),
        ("F('name').is_in(" + str(["x" * 90] * 1100) + ")", "100,000 characters"),
    ],
)
def test_what_would_explode_says_why_it_is_refused(numbered, text, words):
    sentence = use(numbered, f"a: {text}")
    assert sentence is None or sentence.startswith(("rule 1 ('a')", "rules has to be", "no rule matches any"))
    assert words is None or words in sentence


def test_expressions_of_python_are_bounded_too(numbered):
    deep = F("num") > 0
    for _ in range(3000):
        deep = ~deep
    assert "nested" in use(numbered, {"a": deep})
    assert "more than 100,000 bytes" in use(numbered, {"a": F("name").is_in(["x" * 90] * 1100)})
    assert "cannot stand in an expression" in use(numbered, {"a": F("num") == object()})
    assert "cannot stand in an expression" in use(numbered, {"a": ViewExpression({"$eq": ["$num", {1, 2}]})})
    for odd in ([("a", True, 1)], [5], ["ab"], [("a",)], {"a": None}, {"a": object()}, {"a": [True]}, {None: True}):
        assert use(numbered, odd)


def test_a_rule_that_takes_the_database_too_long_is_ended(numbered, monkeypatch):
    """MongoDB looks at the clock between samples alone: loops without an end are refused before."""
    count: dict = {"$sum": {"$map": {"input": "$tags", "in": 1}}}
    assert "may take" not in (use(numbered, {"a": {"$gt": [count, -1]}}) or "")
    for _ in range(2):
        count = {"$sum": {"$map": {"input": "$tags", "in": count}}}
    for endless in (count, {"$sum": {"$range": [0, 1_000_000]}}):
        assert "may never end" in use(numbered, {"a": {"$gt": [endless, 0]}})

    monkeypatch.setattr(rules, "MAX_SECONDS", 1e-6)
    assert use(numbered, "a: F('num') > 1") == "rule 1 ('a') runs longer than 1e-06 s: make it simpler"
    monkeypatch.undo()
    backtracking = {"$regexMatch": {"input": {"$concat": ["$name"] * 12}, "regex": "^(a+)+b$"}}
    assert use(numbered, "a: " + json.dumps(backtracking))


def test_a_field_in_a_list_field_means_what_python_means(numbered):
    assert use(numbered, "a: F('name') in F('tags')") == "no rule matches any of the 3 samples"
    numbered.set_values("tags", [["a", "aaaa"], ["b"], []])
    found = rules.read("a: F('name') in F('tags')")
    classes, _ = rules.apply(found, numbered, read_labels(numbered, "ground_truth"))
    assert classes.tolist() == [0, -1, -1]


def test_every_operator_is_tried_above():
    assert len(OPERATORS) == 13 and isinstance(parse("F('a') > 1"), ViewExpression)
