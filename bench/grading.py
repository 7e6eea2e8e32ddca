"""Grading 200,000 responses, against a plain loop over Math-Verify's parse and verify.

The golds are those of the paper's benchmarks in the folder that QUAGPREDICT_BENCHMARKS names (a JSON lines file a
benchmark), else the notations in bench/golds.txt. A problem has 64 responses: right as it stands, right in other
notation, wrong near and far, none; as of a model, most responses to a problem give one of few answers. The worst case
has each answer once. The odd pairs in bench/grading_pairs.jsonl are hostile answers (tests/long/hostile_answers.py) and
cases of the tests, mixed; there Math-Verify runs in a child that is killed when it hangs, and a hang counts as the time
limit of its parser.
"""

import json
import multiprocessing
import os
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from math_verify import parse, verify
from timing import Figure

from quagpredict.answers import GradingPolicy, grade_many, readable_gold, symbolic
from quagpredict.answers.extract import extract
from quagpredict.errors import InvalidDataError

RESPONSES, PER_PROBLEM = 200_000, 64
DISTINCT = 2_000  # of the worst case, where neither gains anything from answers that come again
LOOPED = 400
HANG_S = 5.0  # Math-Verify's default limit for parsing, and again for comparing
POLICY = GradingPolicy(symbolic=True)
# The paper's seven, and the key of the gold.
FILES = {
    "math500": "answer",
    "aime_1983_2024": "answer",
    "aime25": "expected_answer",
    "gsm8k_test": "answer",
    "amc_2022_2023": "answer",
    "olympiadbench_math_en": "final_answer",
    "minerva_math": "solution",
}
_FRACTION = re.compile(r"-?\\d?frac\{(\d+)\}\{(\d+)\}")


def golds() -> list[str]:
    """Return the golds to ask for, in a fixed order."""
    folder = os.environ.get("QUAGPREDICT_BENCHMARKS")
    if not folder:
        return Path(__file__).with_name("golds.txt").read_text(encoding="utf-8").splitlines()
    found = []
    for name, key in FILES.items():
        for line in (Path(folder) / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            gold = json.loads(line)[key]
            text = ", ".join(map(str, gold)) if isinstance(gold, list) else str(gold)
            text = text.rpartition("####")[2].strip()  # GSM8K
            found.append(extract(text, GradingPolicy(extraction="boxed")) or text if name == "minerva_math" else text)
    readable = []
    for gold in found:
        try:
            readable_gold(gold, POLICY)
            readable.append(gold)
        except InvalidDataError:
            continue
    return readable


def other_notation(rng: random.Random, gold: str) -> str:
    """Return the gold written in another way that means the same."""
    plain = gold.strip("$ ")
    ways = [f"${plain}$", plain.replace("\\frac", "\\dfrac"), f" {plain} ", f"\\left({plain}\\right)", plain + "."]
    if plain.lstrip("-").isdigit():
        value = int(plain)
        ways += [
            f"{value:,}",
            f"{value}.0",
            f"\\text{{{value}}}",
            f"x = {value}",
            f"{value - 1}+1",
            f"\\frac{{{2 * value}}}{{2}}",
        ]
    if found := _FRACTION.fullmatch(plain):
        over, under = int(found[1]), int(found[2])
        sign = "-" if plain.startswith("-") else ""
        ways += [f"{sign}\\frac{{{3 * over}}}{{{3 * under}}}", f"{sign}{over}/{under}"]
    if "+" in plain and not set(plain) & set("({[\\,="):
        ways.append("+".join(reversed(plain.split("+"))))
    return rng.choice(ways)


def wrong(rng: random.Random, gold: str) -> str:
    """Return an answer near the gold, or a common wrong one."""
    changed = re.sub(r"\d+", lambda found: str(int(found[0][:300]) + rng.choice([1, 2, 10])), gold, count=1)
    return (
        changed
        if changed != gold and rng.random() < 0.7
        else str(rng.choice([0, 1, 2, "x", "\\pi", "\\frac{1}{7}", "12", "2\\sqrt{5}"]))
    )


def responses(rng: random.Random, gold: str, number: int) -> list[str]:
    """Return responses to one problem: its answers come from a short list, the likely first."""
    skill = rng.betavariate(0.6, 0.6)
    right = [gold, *(other_notation(rng, gold) for _ in range(3))]
    wrongs = [wrong(rng, gold) for _ in range(8)]
    drawn = []
    for _ in range(number):
        kind = rng.random()
        if kind < 0.08:
            drawn.append("I cannot find it. " * rng.randint(1, 20))
            continue
        known = right if rng.random() < skill else wrongs
        answer = known[min(int(rng.expovariate(1.0)), len(known) - 1)]
        thought = "<think>" + "Let me see. " * rng.randint(1, 60) + "</think>" if kind < 0.5 else ""
        drawn.append(
            f"{thought}So the answer is \\boxed{{{answer}}}." if kind < 0.9 else f"The final answer is ${answer}$."
        )
    return drawn


def spread(seed: int) -> tuple[list[str], list[str]]:
    """Return 200,000 responses and their golds."""
    rng = random.Random(seed)
    known = golds()
    texts: list[str] = []
    asked: list[str] = []
    for _ in range(RESPONSES // PER_PROBLEM):
        gold = rng.choice(known)
        texts += responses(rng, gold, PER_PROBLEM)
        asked += [gold] * PER_PROBLEM
    return texts, asked


def all_distinct(seed: int) -> tuple[list[str], list[str]]:
    """Return responses of which no two give the same answer to the same gold, and few are plain numbers."""
    rng = random.Random(seed)
    known = golds()
    pairs: dict[tuple[str, str], None] = {}
    for number in range(50 * DISTINCT):
        gold = known[rng.randrange(len(known))]
        answer = other_notation(rng, gold) if number % 2 else wrong(rng, gold)
        pairs[answer, gold] = None
        if len(pairs) == DISTINCT:
            break
    return [f"\\boxed{{{answer}}}" for answer, _ in pairs], [gold for _, gold in pairs]


def looped(text: str, gold: str) -> bool:
    """Grade as a plain script does: parse both, verify."""
    return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(text)))


def kind_of(text: str, gold: str, ours: str) -> str:
    """Return the class of a difference, by the question on which graders disagree; docs/guide/grading.md lists them."""
    answer = extract(text, POLICY) or ""
    if ours not in ("correct", "wrong"):
        return ours
    rules: tuple[tuple[str, bool], ...] = (
        ("a full stop at the end", answer.endswith(".") or text.rstrip().endswith(".$.")),
        ("percent", "%" in answer + gold),
        (
            "units or words",
            "\\text" in answer + gold or bool(re.search(r"[A-Za-z]{3,}", re.sub(r"\\[A-Za-z]+", "", answer + gold))),
        ),
        ("brackets and order of lists", "," in answer + gold),
        ("an equation against its right side", "=" in answer + gold),
        ("decimals and their tolerance", "." in answer.rstrip(".") + gold.rstrip(".")),
        ("text that Math-Verify reads otherwise", True),
    )
    side = "we say correct" if ours == "correct" else "we say wrong"
    return f"{next(name for name, applies in rules if applies)}: {side}"


def compared(texts: list[str], asked: list[str], looped_at: list[int], name: str) -> Figure:
    """Grade all, loop over some of them, and compare the verdicts of those."""
    symbolic.close_workers()
    symbolic._remembered.clear()
    started = time.perf_counter()
    grades = grade_many(texts, asked, policy=POLICY)
    ours = time.perf_counter() - started
    started = time.perf_counter()
    theirs = [looped(texts[at], asked[at]) for at in looped_at]
    loop = (time.perf_counter() - started) * len(texts) / len(looped_at)
    differ = defaultdict(list)
    for at, verdict in zip(looped_at, theirs, strict=True):
        if (grades[at].verdict == "correct") != verdict:
            differ[kind_of(texts[at], asked[at], grades[at].verdict)].append((extract(texts[at], POLICY), asked[at]))
    verdicts = Counter(grade.verdict for grade in grades)
    print(f"{name}: {dict(verdicts)}; {sum(map(len, differ.values()))} of {len(looped_at)} looped differ")
    for kind, found in sorted(differ.items(), key=lambda item: -len(item[1])):
        shown = "; ".join(f"{answer!r} for {gold!r}" for answer, gold in dict.fromkeys(found[:3]))
        print(f"  {len(found):>4}  {kind}, such as {shown}")
    note = f"workers started anew; the loop was timed on {len(looped_at):,} and scaled"
    return Figure(name, ours, "parse, verify looped", loop, ">= 30 x as fast", loop >= 30 * ours, note)


def chosen(total: int, number: int) -> Iterator[int]:
    """Yield positions of a random sample."""
    yield from sorted(random.Random(1).sample(range(total), number))


def served(pairs: Connection) -> None:
    """Answer pairs with Math-Verify's verdict, until there are none."""
    while (pair := pairs.recv()) is not None:
        try:
            verdict = looped(f"\\boxed{{{pair[0]}}}", pair[1])
        except Exception:  # it has no answer for everything
            verdict = False
        pairs.send(verdict)


def looped_with_kills(pairs: list[tuple[str, str]]) -> tuple[float, int]:
    """Return the seconds that Math-Verify takes for all, each at most HANG_S, and how many took longer."""
    context = multiprocessing.get_context("spawn")
    seconds, hangs = 0.0, 0
    ours, child = None, None
    for pair in pairs:
        if child is None:
            ours, theirs = context.Pipe()
            child = context.Process(target=served, args=(theirs,))
            child.start()
            ours.send(("1", "1"))  # its start is not counted
            ours.recv()
        started = time.perf_counter()
        ours.send(pair)
        try:
            done = ours.poll(2 * HANG_S)
            if done:
                ours.recv()
        except EOFError:
            done = False
        spent = time.perf_counter() - started
        seconds += min(spent, HANG_S)
        hangs += spent > HANG_S
        if not done:
            child.kill()
            child = None
    if child is not None:
        ours.send(None)
        child.join()
    return seconds, hangs


def odd_pairs() -> Figure:
    """Grade the odd pairs, workers' start included, and loop over the same."""
    lines = Path(__file__).with_name("grading_pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [(item["answer"], item["gold"]) for item in map(json.loads, lines)]
    symbolic.close_workers()
    symbolic._remembered.clear()
    started = time.perf_counter()
    grades = grade_many([f"\\boxed{{{answer}}}" for answer, _ in pairs], [gold for _, gold in pairs], policy=POLICY)
    ours = time.perf_counter() - started
    loop, hangs = looped_with_kills(pairs)
    print(f"odd pairs: {dict(Counter(grade.verdict for grade in grades))}; {hangs} hang in Math-Verify")
    name = f"grade {len(pairs):,} odd pairs"
    return Figure(name, ours, "parse, verify looped", loop, "<= 1 x", ours <= loop, f"{hangs} hangs at {HANG_S:.0f} s")


def measure() -> list[Figure]:
    """Measure the realistic spread, at least 30 x promised, the worst case, and pairs that are odd."""
    texts, asked = spread(0)
    figures = [compared(texts, asked, list(chosen(len(texts), LOOPED)), f"grade {len(texts):,} responses")]
    texts, asked = all_distinct(0)
    worst = compared(texts, asked, list(chosen(len(texts), LOOPED // 2)), f"grade {len(texts):,}, no answer twice")
    return [
        *figures,
        Figure(worst.name, worst.seconds, worst.yardstick, worst.yardstick_seconds, "none", True, worst.note),
        odd_pairs(),
    ]
