"""Hostile answers whose truth is known: what the grader is fuzzed with.

Every gold holds the digit 9, and what is made up at random never does, in no script: such text cannot spell a gold, and
that it equals one by arithmetic is as good as impossible. So whatever a grader makes of it, "correct" is a mistake.
"""

# ruff: noqa: E501 - tables of answers read best in long lines

import random
import string
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from quagpredict.answers.caps import balanced


class Case(NamedTuple):
    """A response and the gold it is graded against; `truth` is whether it is right, None if nobody knows."""

    kind: str
    response: str
    gold: str
    truth: bool | None


GOLDS = (
    "7919", "-97", r"\frac{7919}{97}", "(7919, 97)", "[97, 7919)", r"\{97, 7919\}", r"97\sqrt{7919}", "x^2+7919x+97",
    r"\begin{pmatrix} 97 & 0 \\ 1 & 7919 \end{pmatrix}", r"7919 \text{ cm}", r"79.19\%", r"3\frac{97}{7919}",
    "7919, -97", r"(-\infty, 97) \cup [7919, \infty)", r"\text{ninety9}", r"97^{19}", r"\sin(97x)", "x = 7919",
)  # fmt: skip
DIGITS = "012345678"
TOKENS = (
    r"\frac", r"\sqrt", r"\sqrt[3]", r"\left(", r"\right)", r"\{", r"\}", "{", "}", "(", ")", "[", "]", "^", "_", "&",
    r"\\", ",", ";", ".", "+", "-", "*", "/", "=", "!", "%", "|", "$", "~", r"\cdot", r"\times", r"\pi", r"\infty",
    r"\cup", r"\in", r"\le", r"\ne", r"\pm", r"\text{cm}", r"\text{", r"\mathbb{R}", r"\sin", r"\log_2", r"\sum_{i=1}",
    r"\int_0", r"\binom", r"\begin{pmatrix}", r"\end{pmatrix}", r"\boxed{", r"\circ", "e", "i", "x", "y", "n", " ",
    r"\lim_{x\to 0}", r"\prod_{k=1}", r"\dots", r"\overline", r"\lfloor", r"\rfloor", r"\mod", r"\hline", "\x00", "½", "²", "√",
)  # fmt: skip
CODE = (
    "__import__('os').system('touch {canary}')", "open('{canary}','w').write('x')", "exec(\"open('{canary}','w')\")",
    "eval('2+3')", "(lambda f: f(f))(lambda f: f(f))", "[x for x in ().__class__.__bases__[0].__subclasses__()]",
    "int('5')", "\"' or 1=1 --", "$(touch {canary})", "`touch {canary}`", "\\input{{/etc/passwd}}", "\\write18{{id}}",
    "{{{{7*7}}}}", "${{7*7}}", "sympify('exit()')", "Symbol('x').func.__init__.__globals__", "print(5)\n```output\n5\n```",
)  # fmt: skip
_ZEROS = [point for point in range(0x110000) if unicodedata.decimal(chr(point), None) == 0]


def number(rng: random.Random, most: int = 6) -> str:
    """Return a whole number without the digit 9."""
    return "".join(rng.choice(DIGITS) for _ in range(rng.randint(1, most))).lstrip("0") or "0"


def tower(rng: random.Random) -> str:
    text = number(rng, 3)
    for _ in range(rng.randint(1, 6)):
        base = rng.choice([number(rng, 2), "10", "(x+1)", "e", r"\pi", "2"])
        text = rng.choice(
            [f"{base}^{{{text}}}", f"{base}^{text}", f"{base}**{text}", f"({text})!", f"({base}^{text})^{base}"]
        )
    return text


def nest(rng: random.Random) -> str:
    depth = rng.choice([3, 10, 30, 39, 60, 200, 400])
    opening, closing = rng.choice(
        [("(", ")"), ("{", "}"), (r"\left(", r"\right)"), (r"\frac{1}{", "}"), (r"\sqrt{", "}"), ("[", "]"), (r"\{", r"\}"),
         ("-(", ")"), (r"\sin(", ")"), ("|", "|"), (r"\boxed{", "}"), (r"\text{", "}"), ("(1+", ")"), ("x^{", "}"),
         (r"\frac{1}{1+", "}"), (r"\log(", ")"), ("f(", ")"), (r"\overline{", "}")]
    )  # fmt: skip
    return opening * depth + number(rng) + closing * depth


def bomb(rng: random.Random) -> str:
    n, big = number(rng, 3), number(rng, 6)
    return rng.choice(
        [f"(x+y)^{{{n}}}", rf"\sum_{{i=1}}^{{{big}}} i^{{{n}}}", rf"\prod_{{i=1}}^{{{big}}} i", rf"\int_0^{{{n}}} x^{{{n}}}\sin(x^2) dx",
         rf"\binom{{{big}}}{{{n}}}", f"{big}!", f"({n}!)^{{{n}}}", rf"\sqrt[{n}]{{{big}^{{{n}}}}}", rf"\log_{{{n}}}({big}^{{{big}}})",
         "".join(f"(x-{number(rng, 3)})" for _ in range(rng.randint(2, 60))), "+".join(f"x^{{{i}}}" for i in range(rng.randint(2, 150))),
         "".join(rng.choice(DIGITS) for _ in range(rng.randint(100, 420))), rf"\frac{{{number(rng, 390)}}}{{{number(rng, 390)}}}",
         "=".join(number(rng) for _ in range(rng.randint(2, 60))), ",".join(number(rng) for _ in range(rng.randint(2, 200))),
         r"\begin{pmatrix}" + r"\\".join("&".join(number(rng, 2) for _ in range(8)) for _ in range(8)) + r"\end{pmatrix}",
         rf"\lim_{{x\to 0}} \frac{{\sin^{{{n}}} x}}{{x^{{{n}}}}}", rf"\gcd({big}^{{{n}}}, {n}!)", rf"x^{{{n}}} - {big}x^5 + 1 = 0",
         rf"\frac{{d^{{{n}}}}}{{dx^{{{n}}}}} e^{{x^2}}", rf"\sin({big}x)^{{{n}}}+\cos({n}x)^{{{n}}}", rf"{big} \mod {n}", f"1.{n}e{big}",
         rf"\{{x \mid x^{{{n}}} > {big}\}}", rf"\lfloor {big}^{{1/{n}}} \rfloor", "+".join(rf"\sqrt{{{number(rng, 3)}}}" for _ in range(rng.randint(2, 40))),
         rf"({big}+{n}i)^{{{n}}}", rf"10^{{{n}}}", rf"2^{{{big}}}", rf"{n}^{{{n}}}^{{{n}}}", rf"e^{{{big}}}", rf"\Gamma({big})"]
    )  # fmt: skip


def soup(rng: random.Random) -> str:
    vocabulary = (*TOKENS, *DIGITS, *DIGITS)
    return "".join(rng.choice(vocabulary) for _ in range(rng.choice([2, 5, 10, 20, 40, 120])))


def unicode_text(rng: random.Random) -> str:
    ranges = (
        (0x20, 0x2FF),
        (0x300, 0x36F),
        (0x5D0, 0x6FF),
        (0x2000, 0x22FF),
        (0xD800, 0xDFFF),
        (0xFF00, 0xFFEF),
        (0x1D400, 0x1D7FF),
    )
    points = (rng.randint(*rng.choice(ranges)) for _ in range(rng.randint(1, 60)))
    return "".join(chr(point) for point in points if "9" not in unicodedata.normalize("NFKC", chr(point)))


def foreign(rng: random.Random, text: str) -> str:
    """Return the text with its digits in another script."""
    zero = rng.choice(_ZEROS)
    return "".join(chr(zero + int(mark)) if mark in string.digits else mark for mark in text)


def megabyte(rng: random.Random) -> str:
    piece = rng.choice(
        [
            "1",
            "1,",
            "(",
            "{",
            "}",
            "\\",
            "$",
            " ",
            "½",
            r"\frac{",
            "x+",
            r"\boxed{",
            "the answer is ",
            "<think>",
            "^{",
            "(1,2),",
            "\x00",
            "\n",
            "-",
            "!",
        ]
    )
    return piece * (rng.choice([2_000, 50_000, 1_000_000]) // len(piece))


NEAR_MISSES: dict[str, tuple[str, ...]] = {
    "7919": ("7918", "7920", "-7919", "79190", "7919.1", "7,91", "7919!", "7919i", "7919x", r"\frac{7919}{2}", "7919^2", r"\sqrt{7919}",
             "79 19", "7919/0", r"7919\infty", "7919, 97", "(7919, 7919)", r"\{7919, 1\}", "7919 or 97", r"\overline{7919}1", "0x7919", "7919e1", "7919_{11}"),
    "-97": ("97", "- -97", "97-", "-9.7", "-97.5", "|-97|", "(-97)^2", r"\pm 97", "-97i", "-97^2"),
    r"\frac{7919}{97}": ("7919", "97", r"\frac{97}{7919}", r"-\frac{7919}{97}", "81.6", "81.64", r"81\frac{61}{97}", r"\frac{7919}{97}x", "7919/96", r"\frac{\frac{7919}{97}}{97}"),
    "(7919, 97)": ("(97, 7919)", "(7919, 97, 0)", "(7919)", "7919", "(-7919, 97)", "((7919, 97), 1)", "(7919, 98)", "(7919 97 1)"),
    "[97, 7919)": ("(97, 7919)", "[97, 7919]", "(97, 7919]", "[7919, 97)", "[97, 7918)", r"[97, \infty)", r"[97, 7919) \cup \{8000\}"),
    r"\{97, 7919\}": (r"\{97\}", r"\{97, 7919, 1\}", r"\{-97, 7919\}", r"\{97, \{7919\}\}", r"\emptyset", "97", r"\{\}"),
    r"97\sqrt{7919}": (r"97\sqrt{7918}", r"\sqrt{7919}", r"97+\sqrt{7919}", r"-97\sqrt{7919}", r"97\sqrt[3]{7919}", "8632", r"\sqrt{97 \cdot 7919}"),
    "x^2+7919x+97": ("x^2+7919x-97", "x^2+7919x", "7919x+97", "x^3+7919x+97", "y^2+7919y+98", "x^2+97x+7919"),
    r"\begin{pmatrix} 97 & 0 \\ 1 & 7919 \end{pmatrix}": (r"\begin{pmatrix} 97 & 1 \\ 0 & 7919 \end{pmatrix}", "97, 0, 1, 7919", r"\begin{pmatrix} 97 & 0 \end{pmatrix}", r"\begin{pmatrix} 97 & 0 & 1 & 7919 \end{pmatrix}"),
    r"7919 \text{ cm}": (r"7919 \text{ m}", "7919 km", r"7919 \text{ cm}^2", "7918 cm", r"79.19 \text{ cm}", "cm"),
    r"79.19\%": (r"7919", r"0.7919\%", r"7.919\%", "79.2", r"79\%", r"-79.19\%", "0.00791"),
    r"3\frac{97}{7919}": (r"\frac{97}{7919}", r"\frac{291}{7919}", r"3\cdot\frac{97}{7919}", "397/7919", r"-3\frac{97}{7919}", r"3-\frac{97}{7919}", "3"),
    "7919, -97": ("7919", "7919, 97", "7919, -97, 0", "(-97, 7919)", "-7919, 97", "7919-97", "7919 -97 0"),
    r"(-\infty, 97) \cup [7919, \infty)": (r"(-\infty, 97] \cup [7919, \infty)", r"(-\infty, 97)", r"(-\infty, \infty)", r"(-\infty, 97) \cap [7919, \infty)", r"(97, 7919)"),
    r"97^{19}": (r"97^{18}", "97^{1}9", "97", "9719", r"19^{97}", r"97 \cdot 19", "5.6e37"),
    r"\sin(97x)": (r"\cos(97x)", r"\sin(97)", r"97\sin(x)", r"\sin(98x)", r"\sin(97y)", r"\sin^{-1}(97x)"),
    "x = 7919": ("x = 7918", "7918", "x", "x > 7919", r"x \ne 7919", r"x \in (0, 7919)", "x = 7919y", "x=7919, y=97"),
    r"\text{ninety9}": (r"\text{ninety8}", "ninety", "9", r"\text{not ninety9}", r"\text{ninety9 or ninety8}"),
}  # fmt: skip


def broken(rng: random.Random, text: str) -> str:
    """Return the text with characters removed, doubled, swapped or replaced."""
    marks = list(text)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(marks) + 1)
        marks[at : at + rng.randint(0, 2)] = rng.choice(
            ["", "{", "}", "\\", "\x00", "$", "^", "(", ")", "\u200b", "&", " "]
        )
    return "".join(marks)


def _near_miss(rng: random.Random) -> tuple[str, str, bool | None]:
    gold = rng.choice(sorted(NEAR_MISSES))
    return rng.choice(NEAR_MISSES[gold]), gold, False


def _right(rng: random.Random) -> tuple[str, str, bool | None]:
    gold, answer = rng.choice(RIGHT)
    return answer, gold, True


RIGHT = (
    ("7919", "7,919"), ("7919", "7919.0"), ("7919", r"\text{7919}"), ("7919", "x = 7919"), ("7919", "७९१९"), ("7919", "2^{10}+6895"), ("7919", "7918+1"),
    (r"\frac{7919}{97}", r"\dfrac{15838}{194}"), (r"\frac{7919}{97}", "7919/97"), (r"\frac{7919}{97}", r"81\frac{62}{97}"), ("[97, 7919)", r"\left[97,7919\right)"),
    (r"\{97, 7919\}", r"\{7919, 97\}"), (r"97\sqrt{7919}", r"\sqrt{7919}\cdot 97"), (r"97\sqrt{7919}", r"\sqrt{74509871}"), ("x^2+7919x+97", "97+x^2+7919x"),
    (r"7919 \text{ cm}", "7919"), (r"79.19\%", "0.7919"), (r"79.19\%", "79.19"), ("7919, -97", "-97 and 7919"), ("x = 7919", "7919"), (r"97^{19}", r"97 \cdot 97^{18}"),
)  # fmt: skip


def _known(make: Callable[[random.Random], str]) -> Callable[[random.Random], tuple[str, str, bool | None]]:
    return lambda rng: (make(rng), rng.choice(GOLDS), False)


# The kind, how often it comes, and what makes an answer, its gold and the truth.
KINDS: tuple[tuple[str, int, Callable[[random.Random], tuple[str, str, bool | None]]], ...] = (
    ("tower", 12, _known(tower)),
    ("nesting", 12, _known(nest)),
    ("bomb", 20, _known(bomb)),
    ("soup", 20, _known(soup)),
    ("near miss", 15, _near_miss),
    ("code", 5, _known(lambda rng: rng.choice(CODE))),
    ("unicode", 6, _known(unicode_text)),
    ("foreign digits", 4, _known(lambda rng: foreign(rng, number(rng)))),
    ("broken", 10, lambda rng: (broken(rng, number(rng) + rng.choice(TOKENS) + bomb(rng)), rng.choice(GOLDS), False)),
    ("broken gold", 8, lambda rng: (broken(rng, gold := rng.choice(GOLDS)), gold, None)),
    ("megabyte", 1, _known(megabyte)),
    ("right", 5, _right),
)  # fmt: skip
_WEIGHTS = [weight for _, weight, _ in KINDS]


def case(seed: int, position: int, canary: str = "canary") -> Case:
    """Return one case; the same for the same seed and position."""
    rng = random.Random(f"{seed}/{position}")
    kind, _, make = rng.choices(KINDS, _WEIGHTS)[0]
    answer, gold, truth = make(rng)
    if kind == "code":
        answer = answer.format(canary=canary)
    decoy = rng.choice(
        ["", "", f"\\boxed{{{gold}}}, no: ", f"<think>\\boxed{{{gold}}}</think>", "<think>hm</think>", "\x00"]
    )
    ending = rng.choice(["", ".", "$", "\n\nDone."])
    return Case(kind, f"{decoy}\\boxed{{{answer}}}{ending}", gold, _truth(answer, decoy, truth))


def _truth(answer: str, decoy: str, truth: bool | None) -> bool | None:
    """Where the braces of the answer do not close, the decoy may be the last complete box, and right."""
    return None if truth is False and "boxed" in decoy and not (balanced(answer) and answer.strip()) else truth
