"""The schedule beside its formula."""

import math

import pytest
from evenset.models.training_loops import cosine_at


def test_the_learning_rate_warms_up_over_a_tenth_and_falls_to_zero_by_a_cosine():
    factors = [cosine_at(update, 100) for update in range(100)]

    assert factors[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert factors[10:] == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 90)) for i in range(90)])
