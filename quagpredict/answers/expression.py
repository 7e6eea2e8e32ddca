r"""A row of tokens to a tree of operations, by the usual order of operations. Nothing is computed here."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

from quagpredict.answers.tokens import Token, UnreadError
from quagpredict.answers.vocabulary import FUNCTIONS, UNIT_LETTERS

_MAX_TOKENS = 300
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sinh": "arcsinh", "cosh": "arccosh"}
_SAME = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "log10"}
_SEVERAL = {"max", "min", "gcd", "lcm"}
_APPLIED = frozenset("fghuvFGHIPTVy")


@dataclass(frozen=True)
class Literal:
    """A number as it is written; `decimal`: with a point, and not whole."""

    value: Fraction
    decimal: bool = False


@dataclass(frozen=True)
class Symbol:
    """A variable, with its subscript and primes, or a function applied to a name: u(t)."""

    name: str


@dataclass(frozen=True)
class Operation:
    """add, mul, neg, div, pow, a function's name, or a constant (pi, e, i, infty) without arguments."""

    name: str
    arguments: tuple["Node", ...] = ()


Node = Literal | Symbol | Operation


def read_expression(tokens: Sequence[Token]) -> tuple[Node, int]:
    r"""Read as much of the tokens as is an expression.

    Returns
    -------
    tuple of Node and int
        The tree, and how many tokens it took; what follows may be a unit.

    Raises
    ------
    UnreadError
        If the tokens do not begin with an expression.

    Examples
    --------
    >>> from quagpredict.answers.tokens import tokens_of
    >>> read_expression(tokens_of("2x"))[0]
    Operation(name='mul', arguments=(Literal(value=Fraction(2, 1), decimal=False), Symbol(name='x')))
    >>> read_expression(tokens_of(r"5 \text{ cm}"))[1]
    1
    """
    if len(tokens) > _MAX_TOKENS:
        raise UnreadError
    reader = _Reader(tokens)
    try:
        return reader.sum(), reader.at
    except RecursionError:
        raise UnreadError from None


class _Reader:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.bars = 0  # open |
        self.angles = 0  # functions whose argument is being read: there 30^\circ is a number

    def unread(self) -> NoReturn:
        raise UnreadError

    def next(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else _END

    def take(self, kind: str, *texts: str) -> bool:
        token = self.next()
        taken = token.kind == kind and token.text in texts
        self.at += taken
        return taken

    def sum(self) -> Node:
        terms = [self.product()]
        while self.next().kind == "mark" and self.next().text in ("+", "-"):
            negative = self.next().text == "-"
            self.at += 1
            term = self.product()
            terms.append(Operation("neg", (term,)) if negative else term)
        return terms[0] if len(terms) == 1 else Operation("add", tuple(terms))

    def product(self) -> Node:
        value = self.signed()
        while True:
            token = self.next()
            if token.kind == "mark" and token.text in ("*", "/"):
                self.at += 1
                factor = self.signed()
                value = Operation("div", (value, factor)) if token.text == "/" else _times(value, factor)
            elif self.begins_factor(token):
                value = _times(value, self.power())
            else:
                return value

    def begins_factor(self, token: Token) -> bool:
        """Say whether a token goes on with the product without a sign between."""
        if token.kind == "number":  # (n-2)2^n, x 3^x; but 1 2 is nothing
            return self.tokens[self.at - 1].text == ")" or (self.next(1).text == "^" and not self.degrees_follow(1))
        if token.kind == "letter" and token.spaced and self.unit_follows():
            return False
        if token.kind in ("letter", "open") or (token.kind == "group" and token.text == "{"):
            return True
        if token.kind == "command":
            if token.text == "frac" and self.next(2).kind == "word":
                return False  # a fraction of units
            return token.text in FUNCTIONS or token.text in ("frac", "binom", "pi", "exp", "sqrt")
        return token.kind == "mark" and token.text == "|" and not self.bars

    def unit_follows(self) -> bool:
        """Say whether a letter with a space before it begins a unit with a slash: 5 m/s, but not 5 x/y."""
        letter, slash, under = (self.next(ahead) for ahead in range(3))
        before_slash = letter.text in UNIT_LETTERS and slash.text == "/" and not (slash.spaced or under.spaced)
        return before_slash and (under.text in UNIT_LETTERS or under.kind == "word")

    def signed(self) -> Node:
        if self.take("mark", "-"):
            return Operation("neg", (self.signed(),))
        return self.signed() if self.take("mark", "+") else self.power()

    def power(self) -> Node:
        value = self.postfix(self.atom())
        if self.next().text == "^" and self.next().kind == "mark" and not self.degrees_follow():
            self.at += 1
            value = Operation("pow", (value, self.exponent()))
            value = self.postfix(value)
        return value

    def postfix(self, value: Node) -> Node:
        while self.take("mark", "!"):
            value = Operation("factorial", (value,))
        return value

    def degrees_follow(self, begin: int = 0) -> bool:
        r"""Say whether ^\circ follows, which is a unit and no power."""
        ahead = begin + (2 if self.next(begin + 1).text == "{" else 1)
        return self.next(ahead).text in ("circ", "degree")

    def exponent(self) -> Node:
        if self.next().kind == "group":
            return self.braces()
        if self.take("mark", "-"):
            return Operation("neg", (self.exponent(),))
        value = self.postfix(self.atom())
        if self.take("mark", "^"):
            value = Operation("pow", (value, self.exponent()))
        return value

    def atom(self) -> Node:
        token = self.next()
        self.at += 1
        if token.kind == "number":
            return self.mixed(token)
        if token.kind == "letter":
            return self.symbol(token)
        if token.kind == "command":
            return self.command(token.text)
        if token.kind == "group" and token.text == "{":
            self.at -= 1
            return self.braces()
        if token.kind == "open":
            return self.bracket(token.text)
        if token.kind == "mark" and token.text == "|":
            self.bars += 1
            value = self.sum()
            self.bars -= 1
            return Operation("abs", (value,)) if self.take("mark", "|") else self.unread()
        return self.unread()

    def mixed(self, token: Token) -> Node:
        r"""Read a number, and the proper fraction of digits behind it: 3\frac{1}{2}, 3 1/2."""
        if token.value is None:
            return self.unread()
        literal = Literal(token.value, token.decimal)
        if not token.text.isdigit():
            return literal
        following = [self.next(ahead) for ahead in range(7)]
        if [part.text for part in following[::3]][:3] == ["frac", "}", "}"] and following[1].text == "{":
            over, under = following[2], following[5]
            length = 7
        elif following[0].kind == following[2].kind == "number" and following[1].text == "/" and following[0].spaced:
            over, under = following[0], following[2]
            length = 3
        else:
            return literal
        if over.text.isdigit() and under.text.isdigit() and over.value is not None and under.value:
            part = over.value / under.value
            if 0 < part < 1:
                self.at += length
                return Literal(token.value + part)
        return literal

    def symbol(self, token: Token) -> Node:
        if token.text in ("i", "e") and not self.subscript_follows():
            return Operation(token.text)
        name = token.text
        while True:
            if self.take("mark", "'"):
                name += "'"
            elif self.subscript_follows():
                self.at += 1
                name += "_" + self.subscript()
            elif self.next().text == "^" and (primes := self.primes_follow()):
                name += "'" * primes
                self.at += 1 + primes + (2 if self.next(1).text == "{" else 0)
            else:
                break
        applied = [self.next(ahead) for ahead in range(3)]
        enclosed = applied[0].text == "(" and applied[2].text == ")" and not applied[0].spaced
        if enclosed and token.text in _APPLIED and applied[1].kind in ("number", "letter"):
            self.at += 3
            return Symbol(f"{name}({applied[1].text})")
        return Symbol(name)

    def subscript_follows(self) -> bool:
        return self.next().kind == "mark" and self.next().text == "_"

    def primes_follow(self) -> int:
        ahead = 2 if self.next(1).text == "{" else 1
        count = 0
        while self.next(ahead + count).text == "'":
            count += 1
        return count if count and (ahead == 1 or self.next(ahead + count).text == "}") else 0

    def subscript(self) -> str:
        if self.next().text != "{":
            self.at += 1
            return self.tokens[self.at - 1].text if self.at <= len(self.tokens) else self.unread()
        begin, depth = self.at + 1, 0
        while self.at < len(self.tokens):
            depth += (self.next().text == "{") - (self.next().text == "}")
            self.at += 1
            if depth == 0:
                return "".join(token.text for token in self.tokens[begin : self.at - 1])
        return self.unread()

    def command(self, name: str) -> Node:
        if name in ("pi", "infty"):
            return Operation(name)
        if name == "frac":
            return self.fraction()
        if name == "binom":
            upper = self.argument()
            return Operation("binom", (upper, self.argument()))
        if name == "sqrt":
            return self.root()
        name = _SAME.get(name, name)
        if name in FUNCTIONS or name.startswith("arc") or name == "log10":
            return self.function(name)
        return self.unread()

    def fraction(self) -> Node:
        begin = self.at
        over = self.argument()
        middle = self.at
        under = self.argument()
        parts = [
            [t.text for t in self.tokens[a:b] if t.text not in ("{", "}")]
            for a, b in ((begin, middle), (middle, self.at))
        ]
        if parts[0][0] == parts[1][0] == "d" and parts[1][1:2] != ["e"] and (len(parts[1]), parts[1][2:3]) in _BY:
            return Symbol("".join(token.text for token in self.tokens[begin : self.at]))  # a derivative
        return Operation("div", (over, under))

    def root(self) -> Node:
        degree: Node | None = None
        if self.take("open", "["):
            degree = self.sum()
            if not self.take("close", "]"):
                self.unread()
        under = self.argument()
        return Operation("root", (under, degree)) if degree is not None else Operation("sqrt", (under,))

    def function(self, name: str) -> Node:
        raised: Node | None = None
        base: Node | None = None
        for _ in range(2):
            if self.take("mark", "^"):
                raised = self.exponent()
            elif self.take("mark", "_"):
                base = self.argument()
        if raised == Operation("neg", (Literal(Fraction(1)),)):
            name, raised = _INVERSE.get(name) or self.unread(), None
        value: Node
        if name in _SEVERAL:
            value = Operation(name, self.several())
        else:
            self.angles += 1
            value = Operation(name, (self.degrees(self.applied_to()), *((base,) if base is not None else ())))
            self.angles -= 1
        return value if raised is None else Operation("pow", (value, raised))

    def degrees(self, value: Node) -> Node:
        """Turn an angle with a degree sign behind it into radians."""
        if self.next().text != "^" or not self.degrees_follow():
            return value
        self.at += 4 if self.next(1).text == "{" else 2
        return Operation("mul", (value, Operation("pi"), Literal(Fraction(1, 180))))

    def several(self) -> tuple[Node, ...]:
        if not self.take("open", "("):
            self.unread()
        terms = [self.sum()]
        while self.take("mark", ","):
            terms.append(self.sum())
        return tuple(terms) if self.take("close", ")") else self.unread()

    def applied_to(self) -> Node:
        """Read what a function is applied to: the bracket behind it, or the product up to the next function or sign."""
        token = self.next()
        if token.kind in ("open", "group") or token.text == "|":
            return self.power() if token.kind == "group" or token.text == "|" else self.atom()
        if token.kind == "command" and token.text in FUNCTIONS and token.text != "sqrt":
            self.at += 1
            return self.command(token.text)
        value = self.signed()
        while self.begins_factor(self.next()):
            token = self.next()
            if token.kind == "command" and token.text in FUNCTIONS and token.text != "sqrt":
                break
            if token.kind == "open":
                break
            value = _times(value, self.power())
        return value

    def argument(self) -> Node:
        """Read the argument of a command: braces, or the next atom."""
        return self.braces() if self.next().kind == "group" else self.atom()

    def braces(self) -> Node:
        if not self.take("group", "{"):
            self.unread()
        value = self.sum()
        return value if self.take("group", "}") else self.unread()

    def bracket(self, opening: str) -> Node:
        closing = {"(": ")", "[": "]", "floor": "floor", "ceil": "ceil"}.get(opening) or self.unread()
        value = self.degrees(self.sum()) if self.angles else self.sum()
        if not self.take("close", closing):
            self.unread()
        return Operation(opening, (value,)) if opening in ("floor", "ceil") else value


_END = Token("end", "")
_BY: tuple[tuple[int, list[str]], ...] = ((2, []), (4, ["^"]))  # dx and dx^2


def _times(left: Node, right: Node) -> Node:
    if isinstance(left, Operation) and left.name == "mul":
        return Operation("mul", (*left.arguments, right))
    return Operation("mul", (left, right))


def symbols_of(node: Node) -> frozenset[str]:
    """Return the names of the variables in a tree."""
    if isinstance(node, Symbol):
        return frozenset({node.name})
    return frozenset().union(*map(symbols_of, node.arguments)) if isinstance(node, Operation) else frozenset()


def has_decimal(node: Node) -> bool:
    """Say whether a number in a tree was written with a point and is not whole."""
    if isinstance(node, Literal):
        return node.decimal
    return any(map(has_decimal, node.arguments)) if isinstance(node, Operation) else False
