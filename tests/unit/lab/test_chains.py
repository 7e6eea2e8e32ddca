"""The lab's problems: right answers, one split each, noise in solutions only."""

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quagpredict.errors import RecipeError
from quagpredict.lab.chains import CHARACTERS, NUMBERS, WORLDS, ChainSpec, draw_problem, draw_problems, split_of

SPECS = st.builds(
    ChainSpec,
    lengths=st.tuples(st.integers(1, 4), st.integers(4, 8)),
    operators=st.sets(st.sampled_from(sorted(NUMBERS.operands)), min_size=1).map("".join),
    noise=st.sampled_from([0.0, 0.5]),
    homogeneous=st.booleans(),
    world=st.sampled_from(sorted(WORLDS)),
)


def recompute(prompt, world):
    """Solve a prompt in another way than the lab does."""
    return {"words": recompute_word, "numbers": recompute_number, "dials": recompute_dials}[world](prompt)


def recompute_dials(prompt):
    """Every operation but the flip is a matrix modulo ten."""
    chain, start = prompt.split(":")
    dials = np.array([int(place) for place in start])
    for operator, operand in re.findall(r"[a-h]([-+*^<])(\d)", chain):
        k = int(operand) - 1
        matrix = np.eye(3, dtype=int)
        if operator == "-":
            dials[k] = 9 - dials[k]
        elif operator == "+":
            matrix[k, (k + 1) % 3] = 1
        elif operator == "<":
            matrix[:, k] = 1
        elif operator == "*":
            matrix *= 3 if k == 0 else 7
        else:
            matrix = np.tri(3, dtype=int) if k == 0 else np.tri(3, dtype=int).T
        dials = matrix @ dials % 10
    return "".join(map(str, dials))


def recompute_word(prompt):
    """Rearrange a list of letters in place."""
    chain, start = prompt.split(":")
    word = list(start)
    for operator, operand in re.findall(r"[a-h]([-+*^<])(\d)", chain):
        k = int(operand)
        if operator == "+":
            word.insert(k - 1, word.pop(k))
        elif operator == "-":
            for _ in range(k):
                word.append(word.pop(0))
        elif operator == "*":
            word.sort(key=lambda letter: int(letter) if k == 1 else -int(letter))
        elif operator == "^":
            word[k - 1] = str(max(int(letter) for letter in word))
        else:
            word = [word[3], word[2], word[1], word[0]] if k == 1 else [word[1], word[0], word[3], word[2]]
    return "".join(word)


def recompute_number(prompt):
    """Use integer arithmetic, and digit lists for the two digit operators."""
    chain, start = prompt.split(":")
    value = int(start[::-1])
    for operator, operand in re.findall(r"[a-h]([-+*^<])(\d)", chain):
        digits = [int(digit) for digit in f"{value:03d}"[::-1]]
        number = int(operand)
        value = {
            "+": lambda v, d, n: v + n,
            "-": lambda v, d, n: v - n,
            "*": lambda v, d, n: v * n,
            "^": lambda v, d, n: sum((x + n) % 10 * 10**i for i, x in enumerate(d)),
            "<": lambda v, d, n: sum(d[(i + n) % 3] * 10**i for i in range(3)),
        }[operator](value, digits, number) % 1000
    return f"{value:03d}"[::-1]


@given(SPECS, st.integers(0, 10_000))
def test_the_gold_answer_is_right_and_a_clean_solution_ends_with_it(spec, seed):
    problem = draw_problem(spec, random.Random(seed))
    assert problem.answer == recompute(problem.prompt, spec.world)
    assert set(problem.prompt + problem.completion) <= set(CHARACTERS)
    assert len(problem.completion) == (3 + WORLDS[spec.world].digits) * problem.level
    if spec.noise == 0:
        assert problem.completion.endswith(problem.answer)


@given(SPECS, st.integers(0, 10_000))
def test_a_chain_keeps_to_its_spec(spec, seed):
    problem = draw_problem(spec, random.Random(seed))
    operators = re.findall(r"[a-h]([-+*^<])\d", problem.prompt)
    assert spec.lengths[0] <= len(operators) == problem.level <= spec.lengths[1]
    assert set(operators) <= set(spec.operators)
    if spec.homogeneous:
        assert len(set(operators)) == 1


def test_a_required_operator_is_in_every_chain():
    stream = draw_problems(ChainSpec(lengths=(1, 3), operators="+-^", required="^"), "test", random.Random(0))
    assert all("^" in next(stream).prompt for _ in range(200))


def test_a_noisy_solution_goes_on_from_its_own_mistake():
    rng = random.Random(1)
    broken = 0
    for _ in range(300):
        problem = draw_problem(ChainSpec(lengths=(4, 4), operators="+", noise=0.2), rng)
        start = problem.prompt.split(":")[1]
        values = [start, *re.findall(r"[a-h]\+\d(\d{3})", problem.completion)]
        operands = re.findall(r"\+(\d)", problem.prompt)
        wrong = [
            NUMBERS.apply("+", int(operand), int(before[::-1])) != int(after[::-1])
            for operand, before, after in zip(operands, values, values[1:], strict=False)
        ]
        broken += sum(wrong)
        assert problem.completion.endswith(problem.answer) or any(wrong)
    # 1200 steps, a fifth of them random (of which one in a thousand is right by chance).
    assert 180 < broken < 300


@given(st.text("abcdefgh+-*^<0123456789:", min_size=1))
def test_a_prompt_has_one_split(prompt):
    assert split_of(prompt) == split_of(prompt)


def test_the_splits_take_their_shares():
    rng = random.Random(0)
    splits = [split_of(draw_problem(ChainSpec(), rng).prompt) for _ in range(8000)]
    for split, share in {"test": 2 / 16, "held_out": 2 / 16, "rl": 4 / 16, "train": 8 / 16}.items():
        assert abs(splits.count(split) / 8000 - share) < 0.02


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lengths", (0, 2)),
        ("lengths", (3, 2)),
        ("lengths", (1, 9)),
        ("operators", ""),
        ("operators", "/"),
        ("noise", 2),
    ],
)
def test_a_bad_spec_is_refused_by_its_key(key, value):
    with pytest.raises(RecipeError, match=key):
        ChainSpec(**{key: value})


def test_a_world_that_is_not_there_is_refused():
    with pytest.raises(RecipeError, match="world must be one of numbers, words, dials, got 'letters'"):
        ChainSpec(world="letters")
