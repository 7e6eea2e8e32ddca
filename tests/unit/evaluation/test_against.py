"""Candidates to compare with: their own counts and errors, whether results stopped them or not."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from quagpredict.corpus import assemble_row, write_corpus
from quagpredict.errors import CorpusError, IncomparableError, NothingToRankError, UsageError
from quagpredict.evaluation import score_checkpoint
from quagpredict.evaluation.against import read_others


def write(suite, path, c=5, n=64, protocol=None, problems=None, samples=64):
    table = pl.DataFrame(
        [
            {"benchmark": one.benchmark, "problem_id": one.problem_id, "level": 1, "n": n, "c": c}
            for one in (problems or suite.problems)
        ]
    )
    identity = {"candidate": path.stem, "eval_protocol_id": protocol or suite.eval_protocol_id}
    write_corpus(assemble_row(identity, {"samples_per_problem": samples}, table), path, {})
    return path


def test_fixed_counts_give_pass_at_k_and_its_error_in_the_suites_order(suite, tmp_path):
    path = write(suite, tmp_path / "a.parquet", problems=suite.problems[::-1])
    (other,) = read_others([path, path, str(tmp_path / "*.parquet")], suite, 8)
    assert other.name == "a"
    left = 1 - 5 / 64
    expected = 1 - np.prod([(64 - 5 - i) / (64 - i) for i in range(8)])
    assert other.values == pytest.approx(np.full(6, expected))
    assert 0 < other.error < 8 * left**7 * (5 / 64 * left / 64 / 6) ** 0.5 * 3


def test_a_stopped_measurement_is_read_from_its_run_folder(suite, tmp_path, checkpoint, known):
    run = tmp_path / "run"
    score = score_checkpoint(checkpoint, suite, samples="auto", precision=0.2, target="pass@32", out=run, name="b")
    for source in (run, run / "candidate.parquet"):
        (other,) = read_others([source], suite, 32)
        assert other.values.mean() == pytest.approx(score.adaptive.value)
        assert other.error * 1.6449 == pytest.approx(score.adaptive.half_width, rel=1e-3)
    with pytest.raises(NothingToRankError, match="no other candidate"):
        read_others([run], suite, 32, own=run)
    elsewhere = tmp_path / "elsewhere.parquet"
    elsewhere.write_bytes((run / "candidate.parquet").read_bytes())
    with pytest.raises(CorpusError, match=r"has 16 samples of a problem, Pass@32 needs 32.*in its run folder"):
        read_others([elsewhere], suite, 32)
    summary = json.loads((run / "summary.json").read_text())
    summary["adaptive"] |= {"rounds": [8], "go_on": []}
    (run / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(CorpusError, match=r"do not fit|needs 32"):
        read_others([run], suite, 32)


def test_what_cannot_be_compared_is_refused(suite, tmp_path):
    other = write(suite, tmp_path / "other.parquet", protocol="0" * 16)
    with pytest.raises(
        IncomparableError, match=r"other.parquet: candidate 'other' was measured under eval protocol 000"
    ):
        read_others([other], suite, 8)
    few = write(suite, tmp_path / "few.parquet", problems=suite.problems[:4])
    with pytest.raises(CorpusError, match="no counts of 2 of 6 problems"):
        read_others([few], suite, 8)
    with pytest.raises(CorpusError, match="has 4 samples of a problem, Pass@8 needs 8"):
        read_others([write(suite, tmp_path / "short.parquet", n=4, c=1, samples=4)], suite, 8)
    with pytest.raises(NothingToRankError, match="no file matches"):
        read_others([str(tmp_path / "*.csv")], suite, 8)
    with pytest.raises(UsageError, match="no such file"):
        read_others([tmp_path / "nobody.parquet"], suite, 8)


def test_samples_end_where_the_order_is_known(suite, tmp_path, checkpoint, known):
    worse = write(suite, tmp_path / "worse.parquet", c=0)
    asked = {"samples": "auto", "target": "order@16", "against": [worse], "out": tmp_path / "run"}
    score = score_checkpoint(checkpoint, suite, **asked, precision=0.0001)
    assert [(one.name, one.apart, one.difference) for one in score.order] == [("worse", True, pytest.approx(1.0))]
    assert score.adaptive.n.max() == 16  # known from the least that measures Pass@16, whatever the precision
    written = json.loads((tmp_path / "run" / "summary.json").read_text())["adaptive"]
    assert (written["target"], written["against"][0]["name"]) == ("order@16", "worse")
    assert score_checkpoint(checkpoint, suite, **asked).drawn == 0
    changed = replace(suite, prompt="{question} ")
    with pytest.raises(IncomparableError):
        score_checkpoint(checkpoint, changed, **asked)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"samples": "auto", "target": "order"}, "needs the candidates to be told apart from"),
        ({"samples": 8, "target": "order", "against": ["a"]}, 'target="order" goes with samples="auto"'),
        ({"samples": 8, "against": ["a"]}, '`against` goes with target="order"'),
        ({"samples": "auto", "target": "order", "against": "a"}, 'against="a": expected a list of '),
        ({"samples": "auto", "target": "order@0", "against": ["a"]}, 'target="order@0": expected pass@K or order@K'),
    ],
)
def test_wrong_calls_are_refused(asked, said, suite, tmp_path):
    with pytest.raises(UsageError, match=said):
        score_checkpoint(tmp_path, suite, **asked)
