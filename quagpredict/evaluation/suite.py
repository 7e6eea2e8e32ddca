"""Suites: which problems are asked, how they are prompted, how samples are drawn and graded; and proof of one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.answers import GradingPolicy, grade_many, readable_gold
from quagpredict.engines.contract import Sampling
from quagpredict.errors import InvalidDataError, RecipeError
from quagpredict.evaluation.sources import HeldOut, Problem, read_held_out, read_problems
from quagpredict.files import digest
from quagpredict.plans.keys import known_keys_only, settings_of
from quagpredict.plans.reading import read_yaml
from quagpredict.shipped import shipped_or_given


@dataclass(frozen=True)
class Suite:
    """Problems, held-out solutions, and the settings under which they are measured.

    Attributes
    ----------
    name : str
        Name of the suite.
    problems : tuple of Problem
        What is asked, of all benchmarks.
    held_out : tuple of HeldOut
        Solutions for the held-out loss; may be empty.
    sampling : Sampling
        How samples are drawn.
    grading : GradingPolicy
        How they are graded.
    prompt : str
        Template; ``{question}`` is replaced.
    system_prompt : str or None
        System message, for models with a chat template.
    unreadable : tuple of str
        Why problems were dropped: golds that the grader cannot read.
    held_out_max_tokens : int or None
        Held-out solutions are cut after this many tokens; the share that was cut is reported.
    benchmark_prompts, benchmark_grading : mapping
        Benchmark -> its own template, or its own policy, where that differs from the suite's.
    skipped : tuple of str
        Problems that the suite leaves out by id, each with the suite's reason.
    """

    name: str
    problems: tuple[Problem, ...]
    held_out: tuple[HeldOut, ...]
    sampling: Sampling
    grading: GradingPolicy
    prompt: str = "{question}"
    system_prompt: str | None = None
    held_out_max_tokens: int | None = None
    unreadable: tuple[str, ...] = ()
    benchmark_prompts: Mapping[str, str] = field(default_factory=dict)
    benchmark_grading: Mapping[str, GradingPolicy] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def prompt_of(self, question: str, benchmark: str | None = None) -> str:
        """Return the prompt of a question; braces in it or elsewhere in the template stay what they are."""
        template = self.prompt if benchmark is None else self.benchmark_prompts.get(benchmark, self.prompt)
        return template.replace("{question}", question)

    def grading_of(self, benchmark: str) -> GradingPolicy:
        """Return the policy under which a benchmark is graded."""
        return self.benchmark_grading.get(benchmark, self.grading)

    @property
    def eval_protocol_id(self) -> str:
        """The digest of everything that fixes how samples are drawn and graded; not of how many are drawn."""
        content = {
            "problems": [asdict(problem) for problem in self.problems],
            "held_out": [asdict(example) for example in self.held_out],
            "sampling": asdict(self.sampling),
            "grading": self.grading.as_dict(),
            "prompt": self.prompt,
            "system_prompt": self.system_prompt,
            "held_out_max_tokens": self.held_out_max_tokens,
        }
        # Left out where they say nothing, so that suites without them keep the ids they had before these keys existed.
        if self.benchmark_prompts:
            content["benchmark_prompts"] = dict(self.benchmark_prompts)
        if self.benchmark_grading:
            content["benchmark_grading"] = {name: policy.as_dict() for name, policy in self.benchmark_grading.items()}
        return digest(content)


def read_suite(path: str | Path) -> Suite:
    """Read a suite from YAML, the user's or a shipped one.

    Parameters
    ----------
    path : path
        Keys: ``name``, ``benchmarks``, ``sampling``, and optionally ``held_out``, ``held_out_max_tokens``, ``grading``,
        ``prompt``, ``system_prompt``. A benchmark has a ``name``, one source (``lab``: problems, seed, data; ``path``:
        a JSONL, JSON, CSV or Parquet file; ``hub``: id, config, split, revision), the names of its columns, and
        optionally a ``prompt`` and ``grading`` of its own. File paths are relative to the suite.

    Raises
    ------
    RecipeError
        For an unknown or missing key, an unreadable file, two problems of one id; the message names file and key.

    Examples
    --------
    >>> suite = read_suite("collectors/suites/lab-pilot.yaml")
    >>> sorted({problem.benchmark for problem in suite.problems})
    ['plain', 'shift', 'times']
    """
    path = shipped_or_given(path)
    given = read_yaml(path)
    optional = {"held_out", "held_out_max_tokens", "grading", "prompt", "system_prompt"}
    known_keys_only(given, {"name", "benchmarks", "sampling", *optional}, str(path))
    for key in ("name", "benchmarks", "sampling"):
        if key not in given:
            raise RecipeError(f"{path}: the key '{key}' is missing")
    benchmarks = given["benchmarks"]
    if (
        not isinstance(benchmarks, list)
        or not benchmarks
        or not all(isinstance(entry, Mapping) for entry in benchmarks)
    ):
        raise RecipeError(f"{path}: benchmarks must be a list of mappings with at least one entry")
    prompt = _template(given.get("prompt", "{question}"), str(path))
    grading: GradingPolicy = settings_of(GradingPolicy, given.get("grading", {}), f"{path}: grading")
    skipped: list[str] = []
    problems: list[Problem] = []
    prompts, policies = {}, {}
    for entry in benchmarks:
        where = f"{path}: benchmark {entry.get('name', '?')}"
        plain = {key: value for key, value in entry.items() if key not in ("prompt", "grading")}
        problems += read_problems(plain, Path(path).parent, where, skipped)
        if "prompt" in entry:
            prompts[str(entry["name"])] = _template(entry["prompt"], where)
        if "grading" in entry:
            # What the benchmark does not say is as in the whole suite.
            own = settings_of(GradingPolicy, {**given.get("grading", {}), **_mapping(entry["grading"], where)}, where)
            policies[str(entry["name"])] = own
    seen: set[tuple[str, str]] = set()
    for problem in problems:
        if (problem.benchmark, problem.problem_id) in seen:
            raise RecipeError(f"{path}: benchmark {problem.benchmark}: the id {problem.problem_id!r} appears twice")
        seen.add((problem.benchmark, problem.problem_id))
    readable, unreadable = [], []
    for problem in problems:
        try:
            policy = policies.get(problem.benchmark, grading)
            readable_gold(problem.answer, policy, f"{problem.benchmark}/{problem.problem_id}")
            readable.append(problem)
        except InvalidDataError as error:
            unreadable.append(str(error))
    if not readable:
        raise RecipeError(f"{path}: no problem has a gold that can be read; the first: {[*unreadable, *skipped][:1]}")
    held_out = given.get("held_out")
    return Suite(
        name=str(given["name"]),
        problems=tuple(readable),
        held_out=tuple(read_held_out(held_out, Path(path).parent, f"{path}: held_out")) if held_out else (),
        sampling=settings_of(Sampling, given["sampling"], f"{path}: sampling"),
        grading=grading,
        prompt=prompt,
        system_prompt=given.get("system_prompt"),
        held_out_max_tokens=given.get("held_out_max_tokens"),
        unreadable=tuple(unreadable),
        benchmark_prompts=prompts,
        benchmark_grading=policies,
        skipped=tuple(skipped),
    )


def _template(prompt: Any, where: str) -> str:
    if not isinstance(prompt, str) or "{question}" not in prompt:
        raise RecipeError(f"{where}: prompt must contain {{question}}, got {prompt!r}")
    return prompt


def _mapping(given: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: grading: expected a mapping of keys to values, got {given!r}")
    return given


def check_suite(suite: Suite) -> pl.DataFrame:
    r"""Return one row a benchmark: how many problems it has, and what became of their golds.

    Each gold is stated the way a response would: in ``\boxed{}`` where the policy reads boxes, as "the answer is" where
    it reads statements alone, at the very end under last_digits. It is graded under the benchmark's own policy.

    Returns
    -------
    polars.DataFrame
        Columns benchmark, problems, correct, not_correct (list of "id: verdict, gold").

    Examples
    --------
    >>> from quagpredict.evaluation import read_suite
    >>> from quagpredict.shipped import shipped_path
    >>> found = check_suite(read_suite(shipped_path("collectors/suites/lab-pilot.yaml")))
    >>> found.select("benchmark", "problems", "correct").rows()
    [('plain', 64, 64), ('times', 48, 48), ('shift', 48, 48)]
    """
    rows = []
    for benchmark in dict.fromkeys(problem.benchmark for problem in suite.problems):
        problems = [problem for problem in suite.problems if problem.benchmark == benchmark]
        policy = suite.grading_of(benchmark)
        stated = {"last_digits": "{}", "stated": "The answer is {}"}.get(policy.extraction, "So it is $\\boxed{{{}}}$.")
        responses = [stated.format(problem.answer) for problem in problems]
        grades = grade_many(responses, [problem.answer for problem in problems], policy=policy)
        failed = [
            f"{problem.problem_id}: {grade.verdict}, gold {problem.answer!r}"
            for problem, grade in zip(problems, grades, strict=True)
            if grade.verdict != "correct"
        ]
        rows.append((benchmark, len(problems), len(problems) - len(failed), failed))
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "benchmark": pl.String,
        "problems": pl.Int64,
        "correct": pl.Int64,
        "not_correct": pl.List(pl.String),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
