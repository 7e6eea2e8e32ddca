"""What the lab's chains work on: numbers with arithmetic, words with rearrangements, or dials that turn each other.

The families share how problems are written and checked, and no rule: what a model learns in one is of no use in another
but for the form of a solution.
"""

from itertools import accumulate
from typing import Literal, NamedTuple

WorldName = Literal["numbers", "words", "dials"]


class World(NamedTuple):
    """One family of chains.

    Attributes
    ----------
    digits : int
        Places of a value. Values are the numbers below ``10**digits``.
    operands : dict
        Operator -> smallest and largest operand.
    """

    name: WorldName
    digits: int
    operands: dict[str, tuple[int, int]]

    @property
    def values(self) -> int:
        """How many values there are."""
        return int(10**self.digits)

    def written(self, value: int) -> str:
        """Write a value: numbers units first, because a left-to-right model can then carry; the others as they stand.

        Examples
        --------
        >>> NUMBERS.written(864), WORDS.written(72), DIALS.written(72)
        ('468', '0072', '072')
        """
        text = f"{value:0{self.digits}d}"
        return text[::-1] if self.name == "numbers" else text

    def read(self, text: str) -> int:
        """Return the value that was written."""
        return int(text[::-1] if self.name == "numbers" else text)

    def apply(self, operator: str, operand: int, value: int) -> int:
        """Return the value after one operation.

        Examples
        --------
        >>> NUMBERS.apply("*", 3, 856), NUMBERS.apply("^", 9, 856), NUMBERS.apply("<", 1, 856)
        (568, 745, 685)
        >>> [WORDS.apply(operator, 2, 7193) for operator in "+-*^<"]
        [7913, 9371, 9731, 7993, 1739]
        >>> [DIALS.apply(operator, 2, 472) for operator in "-+<*^"]
        [422, 492, 179, 894, 392]
        """
        if self.name == "numbers":
            return self._arithmetic(operator, operand, value)
        if self.name == "words":
            return self.read(_rearranged(operator, operand, self.written(value)))
        return self.read(_turned(operator, operand, self.written(value)))

    def _arithmetic(self, operator: str, operand: int, value: int) -> int:
        if operator == "+":
            return (value + operand) % self.values
        if operator == "-":
            return (value - operand) % self.values
        if operator == "*":
            return (value * operand) % self.values
        written = self.written(value)
        if operator == "^":
            return self.read("".join(str((int(digit) + operand) % 10) for digit in written))
        return self.read(written[operand:] + written[:operand])


def _rearranged(operator: str, operand: int, word: str) -> str:
    if operator == "+":  # the places `operand` and the next are swapped
        i = operand - 1
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if operator == "-":  # rotated
        return word[operand:] + word[:operand]
    if operator == "*":  # sorted, rising or falling
        return "".join(sorted(word, reverse=operand == 2))
    if operator == "^":  # the place `operand` gets the largest letter
        return word[: operand - 1] + max(word) + word[operand:]
    # `<` turns round: the whole word, or each half
    half = len(word) // 2
    return word[::-1] if operand == 1 else word[:half][::-1] + word[half:][::-1]


def _turned(operator: str, operand: int, dials: str) -> str:
    places = [int(place) for place in dials]
    k = operand - 1
    if operator == "-":  # the dial `operand` to its opposite
        places[k] = 9 - places[k]
    elif operator == "+":  # the dial `operand` by what the next one shows; the first is next to the last
        places[k] += places[(k + 1) % len(places)]
    elif operator == "<":  # the other dials by what the dial `operand` shows
        places = [place if i == k else place + places[k] for i, place in enumerate(places)]
    elif operator == "*":  # all dials, geared: each to three or seven times what it shows
        places = [place * (3, 7)[k] for place in places]
    else:  # `^`: a cascade from the left or from the right, each dial by what the one before it now shows
        places = list(accumulate(places if k == 0 else places[::-1]))
        places = places if k == 0 else places[::-1]
    return "".join(str(place % 10) for place in places)


#: Plus, minus and times modulo 1000; ``^d`` adds ``d`` to every digit without carry; ``<d`` rotates the written digits.
NUMBERS = World("numbers", 3, {"+": (2, 9), "-": (2, 9), "*": (2, 3), "^": (1, 9), "<": (1, 2)})
#: Words of four: ``+k`` swaps the places k and k + 1; ``-k`` rotates by k; ``*1`` sorts rising, ``*2`` falling; ``^k``
#: puts the largest letter at place k; ``<1`` turns the word round, ``<2`` each half of it.
WORDS = World("words", 4, {"+": (1, 3), "-": (1, 3), "*": (1, 2), "^": (1, 4), "<": (1, 2)})
#: Three dials of ten places each: ``-k`` turns dial k to its opposite (x to 9 - x); ``+k`` turns dial k on by what the
#: next dial shows; ``<k`` turns the other two on by what dial k shows; ``*1`` and ``*2`` turn every dial to three and
#: seven times what it shows; ``^1`` and ``^2`` turn each dial on by what the one before it now shows, from the left and
#: from the right. One, one, two, three and two dials move: who does not know a rule guesses its result one time in 10,
#: 10, 100, 1000 and 100, so some skills can be found by RL, some are taught by SFT or not at all.
DIALS = World("dials", 3, {"-": (1, 3), "+": (1, 3), "<": (1, 3), "*": (1, 2), "^": (1, 2)})
WORLDS: dict[str, World] = {world.name: world for world in (NUMBERS, WORDS, DIALS)}
