"""Seeded chains of operations: problems with verifiable answers and step-by-step solutions.

A problem is a start value and a chain of labelled operations, e.g. ``a-8b*3c+4:468``. In the world of numbers values
have three digits, are taken modulo 1000 and are written units digit first (468 means 864). The start value stands last
in the prompt, so that every step of the solution finds the previous value at the same distance. A solution copies each
operation and writes the new value, six characters a step: ``a-8658b*3865c+4275``. The answer is the last value.

Chains work on numbers with arithmetic, words with rearrangements, or dials that turn each other. These worlds share how
problems are written and checked, and no rule: what a model learns in one is of no use in another but for the form of a
solution.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from quagpredict.errors import RecipeError

WorldName = Literal["numbers", "words", "dials"]


class World(NamedTuple):
    """One family of chains."""

    name: WorldName
    digits: int  #: Places of a value. Values are the numbers below ``10**digits``.
    operands: dict[str, tuple[int, int]]  #: Operator -> smallest and largest operand.

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
    digits = [int(digit) for digit in dials]
    k = operand - 1
    if operator == "-":  # the dial `operand` to its opposite
        digits[k] = 9 - digits[k]
    elif operator == "+":  # the dial `operand` by what the next one shows; the first is next to the last
        digits[k] += digits[(k + 1) % len(digits)]
    elif operator == "<":  # the other dials by what the dial `operand` shows
        digits = [digit if i == k else digit + digits[k] for i, digit in enumerate(digits)]
    elif operator == "*":  # all dials, geared: each to three or seven times what it shows
        digits = [digit * (3, 7)[k] for digit in digits]
    else:  # `^`: a cascade from the left or from the right, each dial by what the one before it now shows
        digits = list(accumulate(digits if k == 0 else digits[::-1]))
        digits = digits if k == 0 else digits[::-1]
    return "".join(str(digit % 10) for digit in digits)


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


LABELS = "abcdefgh"
CHARACTERS = "0123456789" + "".join(NUMBERS.operands) + ":=?," + LABELS

Split = Literal["train", "rl", "held_out", "test"]
# A problem belongs to one split for ever, by a hash of its prompt: sixteen buckets, shared out here. Training, RL,
# held-out and test problems are therefore disjoint whatever specs and seeds produced them.
_SPLIT_OF_BUCKET: tuple[Split, ...] = ("test",) * 2 + ("held_out",) * 2 + ("rl",) * 4 + ("train",) * 8


class Problem(NamedTuple):
    """One problem with its gold answer and a solution (whose steps may be corrupted by noise)."""

    prompt: str
    completion: str
    answer: str
    level: int


@dataclass(frozen=True)
class ChainSpec:
    """What kind of chains to draw.

    Parameters
    ----------
    lengths : (int, int)
        Shortest and longest chain, in operations (1-8); lengths are equally likely. The length is the level.
    operators : str
        Operators to draw from, some of ``+ - * ^ <``; the world says what they do.
    required : str
        If not empty, every chain holds at least one of these operators.
    homogeneous : bool
        If true, a chain uses a single operator throughout.
    noise : float
        Probability that a step of the *solution* writes a random value; later steps go on from it. The gold answer
        stays right.
    direct : bool
        If true, the solution is ``=`` and the answer, without steps.
    world : str
        ``numbers``, ``words`` or ``dials``.

    Raises
    ------
    RecipeError
        If a value is out of its range.
    """

    lengths: tuple[int, int] = (1, 4)
    operators: str = "+-*"
    required: str = ""
    homogeneous: bool = False
    noise: float = 0.0
    direct: bool = False
    world: str = "numbers"

    def __post_init__(self) -> None:
        lengths = tuple(self.lengths)
        object.__setattr__(self, "lengths", lengths)
        if len(lengths) != 2 or not 1 <= lengths[0] <= lengths[1] <= len(LABELS):
            raise RecipeError(f"lengths must be two numbers with 1 <= low <= high <= {len(LABELS)}, got {lengths}")
        if self.world not in WORLDS:
            raise RecipeError(f"world must be one of {', '.join(WORLDS)}, got {self.world!r}")
        operands = WORLDS[self.world].operands
        if not self.operators or not set(self.operators) <= set(operands):
            raise RecipeError(f"operators must be some of {' '.join(operands)}, got {self.operators!r}")
        if not set(self.required) <= set(self.operators):
            raise RecipeError(f"required operators {self.required!r} must be among operators {self.operators!r}")
        if not 0 <= self.noise <= 1:
            raise RecipeError(f"noise must be a probability between 0 and 1, got {self.noise}")


def split_of(prompt: str) -> Split:
    """Return the one split that a prompt belongs to.

    Examples
    --------
    >>> split_of("a-8b*3c+4:468") in ("train", "rl", "held_out", "test")
    True
    """
    return _SPLIT_OF_BUCKET[hashlib.blake2b(prompt.encode(), digest_size=1).digest()[0] % len(_SPLIT_OF_BUCKET)]


def draw_problem(spec: ChainSpec, rng: random.Random) -> Problem:
    """Draw one problem of a spec, of whatever split.

    Examples
    --------
    >>> draw_problem(ChainSpec(lengths=(2, 2), operators="+-"), random.Random(0))
    Problem(prompt='e-9h+8:049', completion='e-9139h+8939', answer='939', level=2)
    """
    world: World = WORLDS[spec.world]
    length = rng.randint(*spec.lengths)
    while True:
        if spec.homogeneous:
            operators = [rng.choice(spec.required or spec.operators)] * length
        else:
            operators = [rng.choice(spec.operators) for _ in range(length)]
        if not spec.required or any(operator in spec.required for operator in operators):
            break
    labels = rng.sample(LABELS, length)
    operations = [
        (f"{label}{operator}{(operand := rng.randint(*world.operands[operator]))}", operator, operand)
        for label, operator in zip(labels, operators, strict=True)
    ]
    start = rng.randrange(world.values)
    answer = start
    shown = start
    steps = []
    for text, operator, operand in operations:
        answer = world.apply(operator, operand, answer)
        shown = rng.randrange(world.values) if rng.random() < spec.noise else world.apply(operator, operand, shown)
        steps.append(text + world.written(shown))
    prompt = "".join(text for text, _, _ in operations) + ":" + world.written(start)
    completion = "=" + world.written(answer) if spec.direct else "".join(steps)
    return Problem(prompt, completion, world.written(answer), length)


def draw_problems(spec: ChainSpec, split: Split, rng: random.Random) -> Iterator[Problem]:
    """Draw problems of one split without end; prompts may repeat."""
    while True:
        problem = draw_problem(spec, rng)
        if split_of(problem.prompt) == split:
            yield problem
