"""Which samples a measurement is bound to, which of them are missing, and drawing those."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, groupby
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from quagpredict.engines.contract import Engine, Request, Response
from quagpredict.evaluation.samples import COLUMNS, SampleStore
from quagpredict.evaluation.sources import Problem
from quagpredict.evaluation.suite import Suite
from quagpredict.files import digest

# What an engine is asked for at once: at the end of each call workers run empty, so the fewer calls the better.
_CALL_SAMPLES = 131_072
# Samples of one request. A kill loses the requests that are under way.
_REQUEST_SAMPLES = 256
# A part is written when it has this many samples, or this many seconds after the last.
_PART_SAMPLES = 32_768
_PART_SECONDS = 20.0

Wanted = Mapping[Problem, int]


class _Drawn(NamedTuple):
    problem: Problem
    first: int
    prompt_tokens: int
    responses: Sequence[Response]


def draw_of(suite: Suite, checkpoint_digest: str, engine: str) -> dict[str, object]:
    """Return what samples are bound to, beside problem and index: not how they are graded, or how many there are."""
    return {
        "checkpoint": checkpoint_digest,
        "engine": engine,
        "prompt": suite.prompt,
        "benchmark_prompts": dict(suite.benchmark_prompts),
        "system_prompt": suite.system_prompt,
        **asdict(suite.sampling),
    }


def problem_key(problem: Problem) -> str:
    """Return a digest of what is asked, so that a question that was changed under its old id has no samples."""
    return digest([problem.benchmark, problem.problem_id, problem.question])


def missing_samples(store: SampleStore, wanted: Wanted) -> Iterator[tuple[Problem, int, int]]:
    """Yield (problem, first, count) for each run of samples that is wanted and not there.

    Parameters
    ----------
    wanted : mapping
        Problem -> how many samples, from index 0.
    """
    there = store.there()
    for problem, count in wanted.items():
        missing = ~there.get(problem_key(problem), 0) & ((1 << count) - 1)
        # Runs of consecutive indices share index - position.
        gaps = [index for index in range(count) if missing >> index & 1] if missing else []
        for _, run in groupby(enumerate(gaps), key=lambda pair: pair[1] - pair[0]):
            indices = [index for _, index in run]
            for start in range(0, len(indices), _REQUEST_SAMPLES):
                block = indices[start : start + _REQUEST_SAMPLES]
                yield problem, block[0], len(block)


def draw(
    store: SampleStore,
    suite: Suite,
    engine: Callable[[], Engine],
    wanted: Wanted,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Draw what is missing and add it to the store; return how many samples were drawn.

    Parameters
    ----------
    engine : callable
        Returns the loaded engine; not called if nothing is missing.
    wanted : mapping
        Problem -> how many samples, from index 0.
    progress : callable, optional
        Called with (samples there, samples wanted).
    """
    blocks = list(missing_samples(store, wanted))
    total = sum(wanted.values())
    left = sum(count for _, _, count in blocks)
    drawn = left
    if progress is not None:
        progress(total - left, total)
    if not blocks:
        return 0
    loaded = engine()
    prompts = {
        problem: loaded.encode_prompt(suite.prompt_of(problem.question, problem.benchmark), suite.system_prompt)
        for problem in dict.fromkeys(problem for problem, _, _ in blocks)
    }
    # Eval protocol and problem seed a sample, with its index. Candidates share their random numbers, which makes
    # differences between them less noisy. What was drawn under another grading policy or budget keeps its seeds.
    protocol = suite.eval_protocol_id
    keys = {problem: f"{protocol}/{problem.benchmark}/{problem.problem_id}" for problem in prompts}
    # Prompts of like length side by side, so that an engine without padding can fill its batches.
    blocks.sort(key=lambda block: -len(prompts[block[0]]))
    waiting: list[_Drawn] = []
    written = time.monotonic()
    try:
        for call in _calls(blocks):
            requests = [Request(keys[problem], prompts[problem], first, count) for problem, first, count in call]
            for position, responses in loaded.generate(requests, suite.sampling):
                problem, first, _ = call[position]
                waiting.append(_Drawn(problem, first, len(requests[position].prompt), responses))
                left -= len(responses)
                full = sum(len(block.responses) for block in waiting) >= _PART_SAMPLES
                if full or time.monotonic() - written >= _PART_SECONDS:
                    store.add(_table(waiting, loaded))
                    waiting, written = [], time.monotonic()
                if progress is not None:
                    progress(total - left, total)
    finally:  # also what a Ctrl-C or a failing engine leaves
        if waiting:
            store.add(_table(waiting, loaded))
    return drawn


def _calls(blocks: Sequence[tuple[Problem, int, int]]) -> Iterator[list[tuple[Problem, int, int]]]:
    call: list[tuple[Problem, int, int]] = []
    room = _CALL_SAMPLES
    for block in blocks:
        if call and block[2] > room:
            yield call
            call, room = [], _CALL_SAMPLES
        call.append(block)
        room -= block[2]
    if call:
        yield call


def _table(drawn: Sequence[_Drawn], engine: Engine) -> pl.DataFrame:
    """Return the samples of several blocks as one table; a column at a time, which is what makes it fast."""
    responses = [response for block in drawn for response in block.responses]
    # Many samples of a small model are the same tokens: each is decoded once.
    texts = {tokens: engine.decode(tokens) for tokens in {response.tokens for response in responses}}
    block_of = np.repeat(np.arange(len(drawn)), [len(block.responses) for block in drawn])
    ends = np.cumsum([0, *(len(response.tokens) for response in responses)])
    tokens = np.fromiter(chain.from_iterable(response.tokens for response in responses), np.uint32, int(ends[-1]))

    def each(values: Iterable[object]) -> pl.Series:
        return pl.Series(list(values)).gather(block_of)

    return pl.DataFrame(
        {
            "key": each(problem_key(block.problem) for block in drawn),
            "benchmark": each(block.problem.benchmark for block in drawn),
            "problem_id": each(block.problem.problem_id for block in drawn),
            "sample": np.concatenate([np.arange(block.first, block.first + len(block.responses)) for block in drawn]),
            "seed": [response.seed for response in responses],
            "prompt_tokens": each(block.prompt_tokens for block in drawn),
            "response": [texts[response.tokens] for response in responses],
            "tokens": pl.from_arrow(pa.LargeListArray.from_arrays(ends, tokens)),
            "length": [response.length for response in responses],
            "finish_reason": [response.finish_reason for response in responses],
            "log_prob_sum": [response.log_prob_sum for response in responses],
            "entropy_sum": [response.entropy_sum for response in responses],
        },
        schema=COLUMNS,
    )
