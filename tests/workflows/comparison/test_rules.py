"""Rules: what a text means, that nothing of it is executed, and what is said of rules that do not work."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evenset.workflows.comparison import rules
from evenset.workflows.comparison.rule_parser import parse
from evenset.workflows.data.labels import read_labels
from fiftyone import ViewExpression
from fiftyone import ViewField as F


@pytest.fixture
def sized(make_dataset):
    """Ten samples, five of each class, with a number, a text and tags."""
    dataset = make_dataset([f"/nowhere/{i}.png" for i in range(10)], ["cat"] * 5 + ["dog"] * 5)
    dataset.set_values("size", list(range(10)))
    dataset.set_values("name", [f"Photo {i}" for i in range(10)])
    dataset.set_values("tags", [["night"] if i % 2 else [] for i in range(10)])
    return dataset


def classes(dataset, given):
    """Names that the rules give, None where they abstain."""
    known, found = read_labels(dataset, "ground_truth"), rules.read(given)
    rules.check(found, dataset, known, "ground_truth")
    said, _ = rules.apply(found, dataset, known)
    return [known.names[i] if i >= 0 else None for i in said]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('F("size") > 5', F("size") > 5),
        ('5 <= F("size") + 1 < 8', (F("size") + 1 >= 5) & (F("size") + 1 < 8)),
        ('F("size") / 2 == 2', F("size") / 2 == 2),
        ('F("size") % 3 != 0', F("size") % 3 != 0),
        ('-F("size") * 2 < -8', F("size") > 4),
        ('F("tags").contains("night")', F("tags").contains("night")),
        ('"night" in F("tags")', F("tags").contains("night")),
        ('F("size") in [1, 2, 3]', F("size").is_in([1, 2, 3])),
        ('F("size") not in (1, 2, 3)', ~F("size").is_in([1, 2, 3])),
        ('(F("size") > 5) & (F("size") < 8) | (F("size") == 0)', F("size").is_in([0, 6, 7])),
        ('F("size") > 5 and not F("size") == 8', F("size").is_in([6, 7, 9])),
        ('F("size") < 2 or ~(F("size") < 8)', F("size").is_in([0, 1, 8, 9])),
        ('F("name").lower().starts_with("photo 3")', F("size") == 3),
        ('F("name").strlen() == 7', F("size") >= 0),
        ('F("tags").length() == 0', F("tags").length() == 0),
        ('{"$gt": ["$size", 5]}', F("size") > 5),
    ],
)
def test_a_text_means_what_the_expression_of_fiftyone_means(sized, text, same):
    expected = ["dog" if match else None for match in np.isin(sized.values("id"), sized.match(same).values("id"))]
    assert 0 < expected.count("dog")

    assert classes(sized, f"dog: {text}") == expected
    assert classes(sized, {"dog": same}) == expected
    assert classes(sized, {"dog": same.to_mongo()}) == expected


def test_the_first_rule_that_matches_wins_and_the_last_may_take_the_rest(sized):
    text = """
        # small ones first
        cat: F("size") < 2
        dog: F("size") < 6
        cat: True
    """
    assert classes(sized, text) == ["cat"] * 2 + ["dog"] * 4 + ["cat"] * 4
    assert classes(sized, [("cat", F("size") < 2), ("dog", F("size") < 6)]) == ["cat"] * 2 + ["dog"] * 4 + [None] * 4


def test_rules_are_written_as_text_that_reads_back():
    given = rules.read({'a "b": c': F("size") > 5, "d": F("flag"), "e": True, "f": F("name").matches_str("^x")})

    assert rules.read(rules.write(given)) == given


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "F('size').__class__",
        "F('size').to_mongo()",
        "F('size').apply(F('x'))",
        "F('a').map(lambda x: x)",
        "[x for x in (1, 2)]",
        "F(open('/etc/passwd').read())",
        "f'{F}'",
        "F('size') > 10 ** 10",
        "F('size') ** 2 > 4",
        "2 * 3",
        "'a'.lower()",
        "F('size', 1)",
        "F('size').abs(value=1)",
        "size > 5",
        "F('a').is_in([1])(2)",
        "F('size') := 3",
        "(" * 500 + "1" + ")" * 500,
        "-" * 1500 + "1",
        "F('size') > 1 " + "& F('size') > 1" * 500,
    ],
)
def test_what_is_not_in_the_list_is_refused_and_never_run(text):
    with pytest.raises(ValueError) as caught:
        rules.read(f"cat: {text}")
    assert "rule 1 ('cat')" in str(caught.value)
    assert "F(" in str(caught.value) or "characters" in str(caught.value)  # it says what is allowed


@pytest.mark.parametrize("name", ["$function", "$accumulator", "$where"])
def test_code_for_the_database_is_refused_at_any_depth(name):
    with pytest.raises(ValueError, match="runs code in the database"):
        rules.read("cat: " + json.dumps({"$and": [True, {name: {"body": "sleep(1)"}}]}))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "has no rule"),
        ("cat", "has to be label: expression"),
        ('"cat: True', "a quote that is not closed"),
        ('cat: {"$gt": ["$size", ', "cannot be read"),
        ('cat: {"size": {"$gt": 5}}', "is not a boolean expression"),
        ({"cat": 5}, "is not a boolean expression"),
        ({3: True}, "the label has to be a text"),
        ('cot: F("size") > 1', "did you mean 'cat'?"),
        ('cat: F("sice") > 1', "reads the field 'sice', which does not exist: did you mean 'size'?"),
        ('cat: F("ground_truth.label") == "cat"', "the labels that it is scored on"),
        ({"cat": ViewExpression({"$eq": ["$$ROOT.ground_truth.label", "cat"]})}, "the labels that it is scored on"),
    ],
)
def test_rules_that_cannot_be_read_say_why(sized, given, words):
    with pytest.raises(ValueError) as caught:
        classes(sized, given)
    assert words in str(caught.value)


def test_a_rule_that_raises_in_the_database_is_named(sized):
    with pytest.raises(ValueError) as caught:
        classes(sized, 'cat: F("size") > 3\ndog: F("name") / 2 > 1')
    assert str(caught.value).startswith("rule 2 ('dog') cannot be evaluated: $divide only supports numeric types")


def test_rules_that_never_match_are_told_and_none_that_ever_does_is_refused(sized):
    known = read_labels(sized, "ground_truth")
    found = rules.read('cat: F("size") > 3\ndog: F("size") > 5\ndog: F("size") > 50')

    _, notes = rules.apply(found, sized, known)

    assert notes == [
        "Rule 2 ('dog') is never reached: earlier rules match all its samples.",
        "Rule 3 ('dog') matches none of the 10 samples.",
    ]
    with pytest.raises(ValueError, match="no rule matches any of the 10 samples"):
        rules.apply(found[2:], sized, known)


def test_parsing_is_no_evaluation_of_constants():
    """A power that would take forever is refused before anything is worked out."""
    with pytest.raises(ValueError, match="is not allowed"):
        parse('F("size") > 9 ** 9 ** 9 ** 9')
