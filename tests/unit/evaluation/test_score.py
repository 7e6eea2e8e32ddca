"""Samples to a measurement, with an engine whose answers are known."""

import math

import numpy as np
import polars as pl
import pytest
import yaml

from quagpredict.engines.contract import Response
from quagpredict.errors import CheckpointError, UsageError
from quagpredict.evaluation import read_suite, score_checkpoint
from quagpredict.evaluation import score as module


class KnownEngine:
    """Answers right in a fixed share of samples; scores every token with the same probability."""

    name, version = "known", "1"

    def __init__(self, suite):
        self.end_tokens = [0]
        self.answers = {problem.question: problem.answer for problem in suite.problems}

    def encode_prompt(self, prompt, system_prompt=None):
        return tuple(map(ord, prompt))

    def encode_completion(self, completion):
        return (*map(ord, completion), 0)

    def decode(self, tokens):
        return "".join(chr(token) for token in tokens if token)

    def generate(self, requests, sampling):
        for position, request in reversed(list(enumerate(requests))):
            answer = self.answers["".join(map(chr, request.prompt))]
            responses = []
            for index in range(request.samples):
                # Sample 0 is wrong (another digit), sample 1 is cut, sample 2 says nothing, the rest is right.
                text = {0: answer[:-1] + "x", 1: answer, 2: ""}.get(index, answer)
                reason = "length" if index == 1 else "stop"
                responses.append(Response(tuple(map(ord, text)), len(text) + 1, reason, -1.5, 2.5, index))
            yield position, responses

    def completion_log_probs(self, pairs):
        return [np.full(len(completion), math.log(0.5)) for _, completion in pairs]

    def close(self):
        pass


@pytest.fixture
def suite(tmp_path):
    data = {"operators": "+-", "lengths": [1, 3]}
    path = tmp_path / "suite.yaml"
    described = {
        "name": "tiny",
        "benchmarks": [{"name": "one", "lab": {"problems": 6, "data": data}}],
        "held_out": {"lab": {"problems": 5, "data": data}},
        "sampling": {"max_new_tokens": 20},
        "grading": {"extraction": "last_digits", "digits": 3},
    }
    path.write_text(yaml.safe_dump(described))
    return read_suite(path)


@pytest.fixture
def known(monkeypatch, suite):
    monkeypatch.setattr(module, "load_engine", lambda *_, **__: KnownEngine(suite))


@pytest.mark.usefixtures("known")
def test_every_sample_is_graded_counted_and_written(suite, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PART_SAMPLES", 16)
    seen = []
    score = score_checkpoint("anything", suite, samples=8, out=tmp_path, progress=lambda *at: seen.append(at))
    assert score.eval_protocol_id == suite.eval_protocol_id
    assert score.problems["n"].to_list() == [8] * 6
    assert score.problems["c"].to_list() == [5] * 6
    assert score.measurement["pass_at_1"] == pytest.approx(5 / 8)
    assert score.measurement["pass_at_8"] == 1
    assert score.measurement["pass_at_16"] is None
    assert score.measurement["truncated_share"] == pytest.approx(1 / 8)
    assert score.measurement["no_answer_share"] == pytest.approx(2 / 8)
    assert seen[-1] == (48, 48)
    written = pl.read_parquet(tmp_path / "samples" / "*.parquet")
    assert written.height == 48 == written.select("problem_id", "sample").n_unique()
    assert len(list((tmp_path / "samples").iterdir())) == 3
    assert pl.read_parquet(tmp_path / "problems.parquet").equals(score.problems)


@pytest.mark.usefixtures("known")
def test_the_loss_counts_the_end_token_and_bits_per_byte_do_not(suite):
    measured = score_checkpoint("anything", suite, samples=1).measurement
    assert measured["held_out_loss_nats"] == pytest.approx(math.log(2))
    # One token a character: a bit a byte, whatever the end token cost.
    assert measured["held_out_bits_per_byte"] == pytest.approx(1.0)
    assert measured["held_out_truncated_share"] == 0


@pytest.mark.usefixtures("known")
def test_a_cut_solution_counts_its_kept_bytes_only(suite):
    from dataclasses import replace

    measured = score_checkpoint("anything", replace(suite, held_out_max_tokens=6), samples=1).measurement
    longer = sum(len(example.completion) + 1 > 6 for example in suite.held_out)
    assert measured["held_out_truncated_share"] == pytest.approx(longer / 5)
    assert measured["held_out_bits_per_byte"] == pytest.approx(1.0)


def test_wrong_calls_are_refused(suite, tmp_path):
    with pytest.raises(UsageError, match="samples must be at least 1"):
        score_checkpoint(tmp_path, suite, samples=0)
    with pytest.raises(UsageError, match="unknown engine 'gpu'"):
        score_checkpoint(tmp_path, suite, engine="gpu")
    with pytest.raises(CheckpointError, match="config"):
        score_checkpoint(tmp_path, suite)
