"""Measure a checkpoint on a suite: draw, grade, count, and score the held-out solutions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from quagpredict.answers import grade_many
from quagpredict.engines.choose import load_engine
from quagpredict.engines.contract import Engine, Request, Response
from quagpredict.errors import UsageError
from quagpredict.evaluation.suite import Problem, Suite, read_suite
from quagpredict.files import written_aside
from quagpredict.metrics import measurement, token_weighted_loss

# Samples in one Parquet part: enough to compress well, few enough for progress to show.
_PART_SAMPLES = 32_768


class Score(NamedTuple):
    """What was measured.

    Attributes
    ----------
    eval_protocol_id : str
        Digest of how it was measured.
    measurement : dict
        Column suffix -> value; see `quagpredict.corpus.schema`.
    problems : polars.DataFrame
        One row a problem, with its counts.
    samples : polars.DataFrame
        One row a sample: its text, verdict, answer, length, finish reason and seed.
    engine : str
        What drew and scored: its name and version.
    """

    eval_protocol_id: str
    measurement: dict[str, float | int | None]
    problems: pl.DataFrame
    samples: pl.DataFrame
    engine: str


def score_checkpoint(
    checkpoint: str | Path,
    suite: Suite | str | Path,
    *,
    samples: int = 256,
    engine: str = "auto",
    batch_size: int = 256,
    workers: int = 1,
    engine_settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Score:
    """Measure a checkpoint on a suite.

    Parameters
    ----------
    checkpoint : path
        A Hugging Face model folder.
    suite : Suite or path
        What is asked and how; a path is read with `read_suite`.
    samples : int
        Samples of each problem, at least 1.
    engine : {"auto", "transformers", "vllm"}
        What draws and scores; see `quagpredict.engines.choose.load_engine`.
    batch_size : int
        Samples drawn side by side: a matter of speed and memory, not of results.
    workers : int
        Processes that share the work, each with GPUs of its own where there are any.
    engine_settings : mapping, optional
        Further settings of the engine, e.g. ``gpu_memory_utilization`` of vLLM.
    out : path, optional
        Folder to write ``samples/part-*.parquet`` and ``problems.parquet`` to.
    progress : callable, optional
        Called with (samples drawn so far, samples in all).

    Returns
    -------
    Score

    Raises
    ------
    CheckpointError
        If the folder is not a loadable checkpoint.
    RecipeError
        If the suite is not valid.
    UsageError
        For an unknown engine or setting, or fewer than one sample.
    MissingExtraError
        If the engine is not installed.

    Examples
    --------
    >>> from quagpredict.shipped import shipped_path
    >>> base = shipped_path("datasets/lab-pilot/bases/weak")
    >>> score = score_checkpoint(base, shipped_path("collectors/suites/lab-pilot.yaml"), samples=2)
    >>> score.problems.height, score.samples.height, 0 < score.measurement["held_out_loss_nats"] < 2
    (160, 320, True)
    """
    if samples < 1:
        raise UsageError(f"samples must be at least 1, got {samples}")
    suite = suite if isinstance(suite, Suite) else read_suite(suite)
    loaded = load_engine(engine, checkpoint, workers=workers, batch_size=batch_size, **(engine_settings or {}))
    with closing(loaded):
        return _scored(suite, loaded, samples, None if out is None else Path(out), progress)


def _scored(
    suite: Suite, loaded: Engine, samples: int, out: Path | None, progress: Callable[[int, int], None] | None
) -> Score:
    if out is not None:
        # Parts of an earlier, longer measurement would otherwise be read as this one's.
        for old in out.glob("samples/part-*.parquet"):
            old.unlink()
    parts = []
    done, total = 0, samples * len(suite.problems)
    for position, part in enumerate(_sample_parts(suite, loaded, samples)):
        if out is not None:
            with written_aside(out / "samples" / f"part-{position:05d}.parquet") as aside:
                part.write_parquet(aside)
        parts.append(part)
        done += part.height
        if progress is not None:
            progress(done, total)
    table = pl.concat(parts)
    found = measurement(table)
    if out is not None:
        with written_aside(out / "problems.parquet") as aside:
            found.problems.write_parquet(aside)
    values = found.values | held_out_values(suite, loaded)
    return Score(suite.eval_protocol_id, values, found.problems, table, f"{loaded.name} {loaded.version}")


def _sample_parts(suite: Suite, engine: Engine, samples: int) -> Iterator[pl.DataFrame]:
    protocol = suite.eval_protocol_id
    per_part = max(1, _PART_SAMPLES // samples)
    # Prompts of like length side by side, so that an engine without padding can fill its batches.
    prompts = [engine.encode_prompt(suite.prompt_of(one.question), suite.system_prompt) for one in suite.problems]
    order = iter(sorted(range(len(prompts)), key=lambda index: -len(prompts[index])))
    while chosen := list(islice(order, per_part)):
        problems = [suite.problems[index] for index in chosen]
        requests = [
            Request(f"{protocol}/{problem.benchmark}/{problem.problem_id}", prompts[index], 0, samples)
            for index, problem in zip(chosen, problems, strict=True)
        ]
        drawn = dict(engine.generate(requests, suite.sampling))
        yield _graded(suite, problems, [drawn[position] for position in range(len(requests))], engine)


def _graded(
    suite: Suite, problems: Sequence[Problem], drawn: Sequence[Sequence[Response]], engine: Engine
) -> pl.DataFrame:
    asked = [problem for problem, responses in zip(problems, drawn, strict=True) for _ in responses]
    flat = [response for responses in drawn for response in responses]
    index = [position for responses in drawn for position in range(len(responses))]
    # Many samples of a small model are the same tokens: each is decoded once.
    texts: dict[tuple[int, ...], str] = {}
    for response in flat:
        if response.tokens not in texts:
            texts[response.tokens] = engine.decode(response.tokens)
    written = [texts[response.tokens] for response in flat]
    grades = grade_many(
        written,
        [problem.answer for problem in asked],
        finish_reasons=[response.finish_reason for response in flat],
        policy=suite.grading,
    )
    return pl.DataFrame(
        {
            "benchmark": [problem.benchmark for problem in asked],
            "problem_id": [problem.problem_id for problem in asked],
            "level": [problem.level for problem in asked],
            "sample": index,
            "seed": [response.seed for response in flat],
            "response": written,
            "verdict": [str(grade.verdict) for grade in grades],
            "answer": [grade.answer for grade in grades],
            "length": [response.length for response in flat],
            "finish_reason": [response.finish_reason for response in flat],
            "log_prob_sum": [response.log_prob_sum for response in flat],
            "entropy_sum": [response.entropy_sum for response in flat],
            "tokens": [response.length for response in flat],
        },
        schema_overrides={"level": pl.Int64, "seed": pl.UInt64, "answer": pl.String},
    )


def held_out_values(suite: Suite, engine: Engine) -> dict[str, Any]:
    """Return the held-out entries of a measurement: completion tokens only, unpacked, every token counting the same.

    The loss counts the end token; bits per byte leave it out, because it stands for no byte.
    """
    names = ("held_out_loss_nats", "held_out_loss_se", "held_out_bits_per_byte", "held_out_truncated_share")
    if not suite.held_out:
        return dict.fromkeys(names)
    pairs = []
    byte_counts = []
    truncated = 0
    for example in suite.held_out:
        prompt = engine.encode_prompt(suite.prompt_of(example.prompt), suite.system_prompt)
        completion = engine.encode_completion(example.completion)
        byte_counts.append(len(example.completion.encode()))
        if suite.held_out_max_tokens is not None and len(completion) > suite.held_out_max_tokens:
            truncated += 1
            completion = completion[: suite.held_out_max_tokens]
            byte_counts[-1] = len(engine.decode(completion).encode())
        pairs.append((prompt, completion))
    scores = engine.completion_log_probs(pairs)
    tokens = [len(score) for score in scores]
    loss = token_weighted_loss([-float(score.sum()) for score in scores], tokens)
    ends = [int(completion[-1] in engine.end_tokens) for _, completion in pairs]
    text = [-float(score[: len(score) - end].sum()) for score, end in zip(scores, ends, strict=True)]
    text_tokens = [count - end for count, end in zip(tokens, ends, strict=True)]
    per_byte = token_weighted_loss(text, text_tokens, byte_counts).bits_per_byte
    values = (loss.nats_per_token, loss.standard_error, per_byte, truncated / len(pairs))
    return dict(zip(names, values, strict=True))
