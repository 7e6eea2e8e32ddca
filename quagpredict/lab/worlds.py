"""What the lab's chains work on: numbers with arithmetic, or words with rearrangements.

The two families share how problems are written and checked, and no rule: what a model learns in one is of no use in the
other but for the form of a solution.
"""

from typing import Literal, NamedTuple

WorldName = Literal["numbers", "words"]


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
        """Write a value: numbers units first, because a left-to-right model can then carry; words as they stand.

        Examples
        --------
        >>> NUMBERS.written(864), WORDS.written(72)
        ('468', '0072')
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
        """
        if self.name == "numbers":
            return self._arithmetic(operator, operand, value)
        return self.read(_rearranged(operator, operand, self.written(value)))

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


#: Plus, minus and times modulo 1000; ``^d`` adds ``d`` to every digit without carry; ``<d`` rotates the written digits.
NUMBERS = World("numbers", 3, {"+": (2, 9), "-": (2, 9), "*": (2, 3), "^": (1, 9), "<": (1, 2)})
#: Words of four: ``+k`` swaps the places k and k + 1; ``-k`` rotates by k; ``*1`` sorts rising, ``*2`` falling; ``^k``
#: puts the largest letter at place k; ``<1`` turns the word round, ``<2`` each half of it.
WORDS = World("words", 4, {"+": (1, 3), "-": (1, 3), "*": (1, 2), "^": (1, 4), "<": (1, 2)})
WORLDS: dict[str, World] = {world.name: world for world in (NUMBERS, WORDS)}
