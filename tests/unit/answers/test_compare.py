from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.answers import DEFAULT, GradingPolicy
from quagpredict.answers.caps import balanced, beyond_caps, power_depth, too_costly
from quagpredict.answers.compare import equal
from quagpredict.answers.forms import Value
from quagpredict.answers.reading import read_form
from quagpredict.answers.values import exact


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        # layout
        (r"\dfrac{1}{2}", r"\frac12"),
        (r"\left(3,\; \frac{\pi}{2}\right)", r"(3, \frac{\pi}{2})"),
        (r"$x^{2}$", "x^2"),
        ("x²", "x^2"),
        ("√2", r"\sqrt{2}"),
        (r"x \leq 3", "x <= 3"),
        (r"\text{even}", "Even"),
        (r"\text{(B)}", "B"),
        (r"(1, +\infty)", r"(1,\infty)"),
        (r"\begin{bmatrix} 1 & 2 \end{bmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
        # numbers
        ("1,234", "1234"),
        ("1{,}234", "1234"),
        (r"1\,234", "1234"),
        ("033", "33"),
        ("27.0", "27"),
        (".5", r"\frac{1}{2}"),
        (r"3\frac{1}{2}", "3.5"),
        ("3 1/2", "7/2"),
        ("3½", "7/2"),
        ("−½", "-0.5"),
        ("٣", "3"),
        ("３", "3"),
        ("1e3", "1000"),
        (r"1.5 \times 10^{3}", "1500"),
        (r"4.5 \times 10^{33}", "4.5e33"),
        ("2^{10}", "1024"),
        ("0.333333", "1/3"),
        (r"-\frac{1}{2}", r"\frac{-1}{2}"),
        # units, percent, currency
        ("5 cm", "5"),
        (r"5\,\text{cm}", r"5 \text{ centimeters}"),
        ("90°", r"90^\circ"),
        ("90", r"90^{\circ}"),
        (r"\$5.00", "5"),
        (r"6 \text{ cm}^2", "6"),
        ("50%", "0.5"),
        ("50", r"50\%"),
        ("50 percent", "50%"),
        # assignments, lists, sets
        ("x = 5", "5"),
        ("5", "x=5"),
        ("2, -1", "-1, 2"),
        ("1 and 2", "2,1"),
        (r"\{1, 2\}", r"\{2, 1\}"),
        (r"\{1, 2\}", "2, 1"),
        ("(0.5, 2)", r"(\frac{1}{2}, 2)"),
        ("(1,2),(3,4)", "(3,4), (1,2)"),
        (r"x \in [0, 1)", "[0,1)"),
        ("2516_{8}", "2516_8"),
        ("2516", "2516_8"),
        ("(2516)_8", "2516_{8}"),
        ("12_{10}", "12"),
        (r"\begin{pmatrix} 0.5 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{pmatrix} 1/2 & 2 \\ 3 & 4 \end{pmatrix}"),
    ],
)
def test_the_same_in_another_notation(answer, gold):
    assert equal(answer, gold, DEFAULT) is True


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("1 2", "12"),
        ("1000001", "1000000"),
        ("0.3333", "1/3"),
        ("(1,2)", "(2,1)"),
        ("[0,1)", "(0,1)"),
        ("1,2", "1,2,3"),
        ("5 cm", "5 m"),
        (r"6 \text{ cm}^2", r"6 \text{ cm}"),
        ("5%", "50"),
        ("12", "1,2"),
        ("x^2", "x2"),
        ("5²", "52"),
        (r"3\cdot\frac{1}{2}", "3.5"),
        ("B", "C"),
        ("AB", "ab"),
        ("1/0", "0"),
        (r"\text{not } 5", "5"),
        ("", "0"),
        ("nan", "0"),
        ("inf", r"\infty"),
        ("5x", "5"),
        ("5!", "5"),
        ("7919_{11}", "7919"),
        ("2516_9", "2516_8"),
        ("2517", "2516_8"),
        (r"\{97, \{7919\}\}", r"\{97, 7919\}"),
        (r"y \ge 2", r"x \ge 2"),
    ],
)
def test_known_wrong_is_never_equal(answer, gold):
    assert equal(answer, gold, DEFAULT) is not True


@pytest.mark.parametrize(
    ("answer", "gold", "policy", "expected"),
    [
        ("50%", "0.5", {"percent": "value"}, True),
        ("50%", "50", {"percent": "value"}, False),
        ("50%", "0.5", {"percent": "number"}, False),
        ("50%", "50", {"percent": "number"}, True),
        ("5 cm", "5", {"units": "strict"}, False),
        ("5 cm", "5 cm", {"units": "strict"}, True),
        ("2,1", "1,2", {"lists": "ordered"}, False),
        (r"\{2,1\}", r"\{1,2\}", {"lists": "ordered"}, True),
        ("3.14", r"\frac{314159}{100000}", {"relative_tolerance": 1e-2}, True),
        ("0.333333", "1/3", {"relative_tolerance": 0.0}, False),
        ("1, -2", "(1,-2)", {}, True),
        ("-2, 1", "(1,-2)", {}, False),
        ("1, -2", "(1,-2)", {"brackets": "strict"}, False),
    ],
)
def test_where_graders_disagree_the_policy_decides(answer, gold, policy, expected):
    assert equal(answer, gold, GradingPolicy(**policy)) is expected


whole = st.integers(-(10**9), 10**9)


def number(text):
    form = read_form(text)
    return exact(form.node) if isinstance(form, Value) else None


@settings(max_examples=200, deadline=None)
@given(whole, st.integers(1, 10**6))
def test_every_way_to_write_a_fraction_is_read_exactly(over, under):
    value = Fraction(over, under)
    sign = "-" if over < 0 else ""
    for text in (f"{over}/{under}", rf"\frac{{{over}}}{{{under}}}", rf"{sign}\dfrac{{{abs(over)}}}{{{under}}}"):
        assert number(text) == value
    mixed = rf"{sign}{abs(over) // under}\frac{{{abs(over) % under}}}{{{under}}}"
    assert over % under == 0 or number(mixed) == value


@settings(max_examples=200, deadline=None)
@given(whole)
def test_a_neighbour_is_never_equal(value):
    for text in (f"{value}", f"{value:,}", f"{value}.0", f"${value}$", f"{value} cm", rf"\text{{{value}}}"):
        assert equal(text, str(value), DEFAULT) is True
        assert equal(text, str(value + 1), DEFAULT) is False


@pytest.mark.parametrize("text", ["1e1001", "9" * 900, "10^{99999}", "1/0", "", "e", "1,23", "٣".encode().hex() + "z"])
def test_what_is_no_readable_number(text):
    assert number(text) is None


def test_quantities():
    assert read_form("3 apples").unit == read_form("3 apple").unit == (("apple", 1),)
    assert read_form("5x").unit == ()
    assert read_form(r"5 \text{ percent}").percent


@pytest.mark.parametrize(
    "text",
    ["9^{9^{9^9}}", "9^9^9^9", "x^{123456}", "(" * 50 + ")" * 50, "123456!", "9!!", "1" * 500, "x" * 2000],
)
def test_caps_stop_what_would_keep_an_engine_busy(text):
    assert beyond_caps(text, DEFAULT)


@pytest.mark.parametrize(
    "text", ["x^5 - x^4 + x^3 - x^2 + x - 1", "e^{x^2}", "2005!", r"\frac{a}{\frac{b}{c}}", "2^{2005}"]
)
def test_caps_let_real_answers_pass(text):
    assert beyond_caps(text, DEFAULT) is None


@pytest.mark.parametrize(
    "text",
    [
        "(x+y)^{666}",
        r"\pi^{386}",
        r"\sin(453340x)^{608}",
        r"\log(\log(\log(\log(3))))",
        r"\int_0^{61} x^{61}\sin(x^2) dx",
        r"\sum_{i=1}^{9} i",
        r"\lim_{x\to 0} x",
        "(21^{7})!",
        "(2^(788)!)^2",
        "(10^{e^{(51)!}})!",
    ],
)
def test_what_would_keep_an_engine_busy_is_not_asked(text):
    assert too_costly(text, "5")


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("x^{2005}", "5"),
        ("2^{1009}", "5"),
        (r"\sum_{k} k", r"\sum_j j"),
        (r"\sin\cos x", "5"),
        ("2^n (n-1)!", "5"),
        (r"\frac{4^{202}}{3}-2", "5"),
    ],
)
def test_real_answers_are_asked(text, gold):
    assert not too_costly(text, gold)


def test_power_depth_and_balance():
    assert power_depth("a^{b^{c}}^d") == 2
    assert power_depth("(x^2)^3") == power_depth("x^2 y^3") == 1
    assert not balanced("}{")
    assert not balanced("1\\")
