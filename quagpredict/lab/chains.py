"""Seeded chains of operations: problems with verifiable answers and step-by-step solutions.

A problem is a start value and a chain of labelled operations, e.g. ``a-8b*3c+4:468``. In the world of numbers values
have three digits, are taken modulo 1000 and are written units digit first (468 means 864). The start value stands last
in the prompt, so that every step of the solution finds the previous value at the same distance. A solution copies each
operation and writes the new value, six characters a step: ``a-8658b*3865c+4275``. The answer is the last value.
`quagpredict.lab.worlds` says what values and operations there are.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from quagpredict.errors import RecipeError
from quagpredict.lab.worlds import NUMBERS, WORLDS, World

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
