"""Write tasks for a small language model: `python training/make_reasoning_tasks.py --out data/smollm2`.

Needs `pip install reasoning-gym==0.1.25` (Apache-2.0). Its generators chain_sum and products draw problems and answers;
the wording and the worked solutions are ours, and short: a line a step, and the last number is the answer, which is
never negative. No problem of a test is in the training data. The same call writes the same bytes.

``sft-KIND.jsonl`` (prompt, completion): broad (sums of two terms of one or two digits, products of two or three
one-digit numbers), direct (the same, the answer alone), easy (two terms of one digit), long (sums of three and four
terms, products of two-digit numbers), no-products, noisy (in three of ten a step is wrong, and with it the answer).
``rl.jsonl`` (problem, answer): new problems as in broad. ``sums.jsonl``, ``products.jsonl``, ``held-out.jsonl`` and
their first rows (``-20``): what the suites collectors/suites/smollm2*.yaml ask; copies are shipped beside them, and
``--check`` says whether they are what was written.
"""

import argparse
import json
import random
import re
import sys
from pathlib import Path
from typing import NamedTuple

from quagpredict.errors import InvalidDataError
from quagpredict.optional import require
from quagpredict.program import run_program
from quagpredict.shipped import shipped_path

SHORT = 20  # rows of the files for a CPU
SUITE_FILES = tuple(f"{name}{end}.jsonl" for name in ("sums", "products", "held-out") for end in ("", f"-{SHORT}"))
Source = tuple[str, dict[str, int]]  # a generator and its settings; all terms of a problem have as many digits
SUMS: Source = ("chain_sum", {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 2})
SUMS_OF_DIGITS: Source = ("chain_sum", {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1})
LONG_SUMS: Source = ("chain_sum", {"min_terms": 3, "max_terms": 4, "min_digits": 1, "max_digits": 2})
PRODUCTS: Source = ("products", {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 1})
PRODUCTS_OF_TWO: Source = ("products", {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1})
LONG_PRODUCTS: Source = ("products", {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 2})
EXAMPLES = 1024  # of each kind of SFT data
PROMPTS = 512  # for RL
NOISE = 0.3
_APART = 1_000_000  # reasoning-gym seeds item i of a set with seed + i


class Problem(NamedTuple):
    """An expression of whole numbers and its value."""

    expression: str
    answer: int

    @property
    def question(self) -> str:
        """What is asked."""
        return f"Compute {self.expression}."


def main(arguments: list[str]) -> None:
    """Draw all splits, write the files or compare them with the shipped ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--check", action="store_true", help="also compare with the files shipped for the suites")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    files = all_files()
    for name, rows in files.items():
        (given.out / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{given.out}: {', '.join(f'{name} ({len(rows)})' for name, rows in files.items())}", file=sys.stderr)
    if given.check:
        for name in SUITE_FILES:
            if (given.out / name).read_bytes() != shipped_path(f"collectors/suites/smollm2/{name}").read_bytes():
                raise InvalidDataError(f"{given.out / name} is not what is shipped: install reasoning-gym==0.1.25")


def all_files() -> dict[str, list[dict[str, str]]]:
    """Return the rows of every file. What a test asks is drawn first, and kept out of all that is drawn later."""
    taken: set[str] = set()
    sums, products = drawn(SUMS, 50, 1, taken), drawn(PRODUCTS, 50, 2, taken)
    held_out = mixed(drawn(SUMS, 25, 3, taken), drawn(PRODUCTS, 25, 4, taken))
    files = {"sums": [asked(problem) for problem in sums], "products": [asked(problem) for problem in products]}
    files["held-out"] = [solved(problem) for problem in held_out]
    files |= {f"{name}-{SHORT}": rows[:SHORT] for name, rows in files.items()}
    tested = set(taken)
    files["rl"] = [
        asked(problem) for problem in mixed(*(drawn(kind, PROMPTS // 2, 5, taken) for kind in (SUMS, PRODUCTS)))
    ]
    half = EXAMPLES // 2
    broad = mixed(drawn(SUMS, half, 6, taken), drawn(PRODUCTS, half, 7, taken))
    # There are few problems of two digits in all: those that no test asks, again and again.
    sums, products = (drawn(kind, 40, 8, set(tested)) for kind in (SUMS_OF_DIGITS, PRODUCTS_OF_TWO))
    kinds = {
        "broad": [solved(problem) for problem in broad],
        "direct": [solved(problem, steps=False) for problem in broad],
        "easy": [solved(problem) for problem in mixed((sums * half)[:half], (products * half)[:half])],
        "long": [
            solved(problem)
            for problem in mixed(drawn(LONG_SUMS, half, 10, taken), drawn(LONG_PRODUCTS, half, 11, taken))
        ],
        "no-products": [solved(problem) for problem in drawn(SUMS, EXAMPLES, 12, taken)],
        "noisy": noisy(broad),
    }
    return {f"{name}.jsonl": rows for name, rows in files.items()} | {
        f"sft-{kind}.jsonl": rows for kind, rows in kinds.items()
    }


def drawn(source: Source, count: int, seed: int, taken: set[str]) -> list[Problem]:
    """Return that many new problems of a generator whose answer is not negative, and add them to what is taken."""
    generator, settings = source
    gym = require("reasoning_gym")
    problems: list[Problem] = []
    for entry in gym.create_dataset(generator, size=20 * count, seed=seed * _APART, **settings):
        expression = re.search(r"\d[\d +*-]*\d|\d", entry["question"])
        if expression is not None and expression[0] not in taken and int(entry["answer"]) >= 0:
            taken.add(expression[0])
            problems.append(Problem(expression[0], int(entry["answer"])))
            if len(problems) == count:
                return problems
    raise InvalidDataError(f"{generator} with {settings} gave {len(problems)} different problems, expected {count}")


def mixed(*parts: list[Problem]) -> list[Problem]:
    """Return problems of several kinds in turn."""
    return [problem for group in zip(*parts, strict=True) for problem in group]


def asked(problem: Problem) -> dict[str, str]:
    """Return a row of a question and its answer."""
    return {"problem": problem.question, "answer": str(problem.answer)}


def solved(problem: Problem, *, steps: bool = True) -> dict[str, str]:
    """Return a row of a question and a solution, with or without its steps."""
    lines, result = worked(problem.expression) if steps else ([], problem.answer)
    return solution(problem, lines, result)


def noisy(problems: list[Problem]) -> list[dict[str, str]]:
    """Return worked solutions of which a share has a slip in one step, and what follows from it."""
    chance = random.Random(15)
    rows = []
    for problem in problems:
        lines, result = worked(problem.expression)
        if chance.random() < NOISE:
            at, by = chance.randrange(len(lines)), chance.choice([-10, -2, -1, 1, 2, 10])
            lines, result = worked(problem.expression, slip_at=at, slip_by=by)
        rows.append(solution(problem, lines, result))
    return rows


def solution(problem: Problem, lines: list[str], result: int) -> dict[str, str]:
    """Return a row of a question, the lines of its solution and what comes out."""
    return {"prompt": problem.question, "completion": "\n".join(lines) if lines else str(result)}


def worked(expression: str, slip_at: int | None = None, slip_by: int = 0) -> tuple[list[str], int]:
    """Return the steps from left to right, a product of large numbers by tens and ones, and the result."""
    lines: list[str] = []

    def step(left: int, sign: str, right: int) -> int:
        value = {"+": left + right, "-": left - right, "*": left * right}[sign]
        value += slip_by if len(lines) == slip_at else 0
        lines.append(f"{left} {sign} {right} = {value}")
        return value

    first, *rest = expression.split()
    value = int(first)
    for sign, term in zip(rest[::2], map(int, rest[1::2]), strict=True):
        if sign == "*" and min(value, term) > 9 and value % 10 and term % 10:
            by_tens, by_ones = step(value, "*", term // 10 * 10), step(value, "*", term % 10)
            value = step(by_tens, "+", by_ones)
        else:
            value = step(value, sign, term)
    return lines, value


if __name__ == "__main__":
    sys.exit(run_program(main))
