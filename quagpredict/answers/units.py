r"""What stands behind a value: a unit in one spelling, a number word, a percent sign, or text that is none of these."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from quagpredict.answers.tokens import Token, UnreadError
from quagpredict.answers.vocabulary import CHANGING_WORDS, NUMBER_WORDS, UNIT_LETTERS, UNITS, singular

Unit = tuple[tuple[str, int], ...]
_MOST = 24  # tokens
_POWERS = {"squared": 2, "cubed": 3}


class Behind(NamedTuple):
    """What a value is multiplied by, whether it is in per cent, and its unit: names with their powers, sorted."""

    factor: Fraction
    percent: bool
    unit: Unit


def read_behind(tokens: Sequence[Token]) -> Behind:
    r"""Read what stands behind a value.

    Raises
    ------
    UnreadError
        If it is neither: text with digits, with a variable, or with a word that changes what the number says.

    Examples
    --------
    >>> from quagpredict.answers.tokens import tokens_of
    >>> read_behind(tokens_of(r"\text{ kilometers per hour}")).unit == read_behind(tokens_of("km/h")).unit
    True
    >>> read_behind(tokens_of("million")).factor, read_behind(tokens_of("%")).percent
    (Fraction(1000000, 1), True)
    """
    if len(tokens) > _MOST:
        raise UnreadError
    factor = Fraction(1)
    rest = list(tokens)
    while rest and rest[0].kind == "word" and (singular(rest[0].text.lower()) in NUMBER_WORDS):
        factor *= NUMBER_WORDS[singular(rest.pop(0).text.lower())]
    if [token.text for token in rest] in (["%"], ["percent"]) or [t.text.lower() for t in rest] == ["per", "cent"]:
        return Behind(factor, True, ())
    return Behind(factor, False, _unit([token for token in rest if token.text not in ("{", "}")]))


def _unit(tokens: Sequence[Token]) -> Unit:
    r"""Read names with powers, over and under: m/s^2, square feet, \frac{\text{m}}{\text{s}}."""
    powers: dict[str, int] = {}
    sign = ahead = 1  # ahead: the power that square or cubic gives the next name
    last = ""
    if len(tokens) == 3 and tokens[0].text == "frac":
        tokens = [tokens[1], Token("mark", "/"), tokens[2]]
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        text, mark = token.text, token.kind == "mark"
        if mark and text == "^" and last:
            powers[last] *= _power(rest)
        elif mark and text in ("circ", "degree", "euro", "pound", "dollar"):
            last = "degree" if text == "circ" else text
            powers[last] = powers.get(last, 0) + sign
        elif mark and text in ("/", "*", "-", ".", "^"):
            sign = -1 if text == "/" else sign
        elif token.kind in ("open", "close") and text in ("(", ")"):
            continue
        elif token.kind == "letter" and text == "a" and token.upright:
            continue  # an article
        elif token.kind == "word" and text.lower() in _POWERS and last:
            powers[last] *= _POWERS[text.lower()]
        elif token.kind == "word" and (name := _name(text)) in ("per", "sq", "cubic"):
            sign = -1 if name == "per" else sign
            ahead = {"sq": 2, "cubic": 3}.get(name, ahead)
        elif _is_name(token, bool(powers) or _is_over(tokens)):
            last = _name(text)
            powers[last] = powers.get(last, 0) + sign * ahead
            ahead = 1
        else:
            raise UnreadError
    return tuple(sorted((name, power) for name, power in powers.items() if power))


def _is_name(token: Token, letters: bool) -> bool:
    """Say whether a token is a unit or a thing that is counted; a bare letter only beside another unit."""
    if token.kind == "word":
        return token.text.lower() not in CHANGING_WORDS
    return letters and token.kind == "letter" and token.text in UNIT_LETTERS


def _is_over(tokens: Sequence[Token]) -> bool:
    return len(tokens) > 2 and tokens[1].text == "/"


def _power(rest: list[Token]) -> int:
    """Take an exponent of one digit, with its sign, from what follows."""
    negative = bool(rest) and rest[0].text == "-"
    del rest[: int(negative)]
    if not rest or not rest[0].text.isdigit() or len(rest[0].text) > 1:
        raise UnreadError
    power = int(rest.pop(0).text)
    return -power if negative else power


def _name(word: str) -> str:
    for spelt in (word, word.lower(), singular(word.lower())):
        if spelt in UNITS:
            return UNITS[spelt]
    return singular(word.lower())
