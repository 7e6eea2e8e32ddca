# ruff: noqa: E501
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.answers.fingerprint import differ
from quagpredict.answers.normalise import canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x+x", "2x"), ("(x+1)^2", "x^2+2x+1"), (r"\sqrt{8}", r"2\sqrt{2}"), (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
        ("3\\frac{1}{2}", "7/2"), ("-80+15x", "15x-80"), (r"\sqrt[3]{8}", "2"), ("2^{-1}", "0.5"), ("x/y/z", r"\frac{x}{yz}"),
        ("-x^2", "-(x^2)"), (r"2\cdot 3", "6"), ("5m", "5"), ("a sheep", "5"), ("x", "y=x"), ("1/0", "2"), ("(-1)^{1/2}", "2"),
        ("9^9^9^9", "2"), ("i", "2"), (r"\sin(x)", "2"), ("x^", "2"), ("", "2"), (r"\frac{1}", "2"), ("50%", "0.5"), ("1 2", "12"), ("x^2-x^2+0.1-0.1", "0"),
    ],
)  # fmt: skip
def test_the_same_and_the_unreadable_never_differ(one, other):
    assert not differ(canonical(one), canonical(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [(r"2\sqrt{5}", "349"), ("x^2+1", "x^2-1"), ("5R^2", "3R^2"), (r"\pi", "3.14"), ("x", "463"), (r"\frac{x}{2}", r"\frac{x}{3}"), ("x", "y"), (r"\frac{2018}{2017^{2}}", r"\frac{2016}{2017^{2}}")],
)  # fmt: skip
def test_what_differs_is_seen(one, other):
    assert differ(canonical(one), canonical(other))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-30, 30), min_size=2, max_size=6), st.integers(1, 9))
def test_a_sum_in_any_order_over_any_denominator_is_itself(parts, under):
    text = "+".join(f"({part})/{under}" for part in parts)
    value = Fraction(sum(parts), under)
    assert not differ(text, f"{value}")
    assert not differ("+".join(reversed(text.split("+"))), text)
    assert differ(text, f"{value + 1}")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789x+-*/^(){}\\fracsqrt[]. ", max_size=40))
def test_any_text_is_read_or_left_alone_and_never_differs_from_itself(text):
    assert not differ(text, text)
