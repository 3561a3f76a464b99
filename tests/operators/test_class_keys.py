"""The classes that number keys stand for."""

from __future__ import annotations

from evenset.operators.tabs.class_keys import by_key, likeliest


def test_numbers_stand_for_the_likeliest_where_there_are_more_classes():
    classes = [f"class {i}" for i in range(20)]
    assert likeliest(classes, ["class 7", None, "class 3", "gone", "class 7"], "class 3") == [
        "class 7", *classes[:3], *classes[4:7], *classes[8:11],
    ]  # fmt: skip


def test_a_class_that_is_called_like_a_number_key_has_that_key():
    assert by_key(["cat", "dog"]) == [("1", "cat"), ("2", "dog")]
    assert by_key(["2", "bird", "cat"]) == [("1", "bird"), ("2", "2"), ("3", "cat")]
    digits, many = [str(i) for i in range(10)], [str(i) for i in range(12)]
    assert by_key(likeliest(many, ["7", "11"], "7")) == list(zip(digits, digits, strict=True))
    assert by_key(digits) == list(zip(digits, digits, strict=True))
    assert by_key([*"abcdefghij"])[-1] == ("0", "j")
