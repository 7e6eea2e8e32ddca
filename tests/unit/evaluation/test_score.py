"""Samples to a measurement, with an engine whose answers are known."""

import json
import math
from dataclasses import replace

import polars as pl
import pytest

from quagpredict.answers import GradingPolicy
from quagpredict.corpus import read_corpus
from quagpredict.engines.contract import Sampling
from quagpredict.errors import CheckpointError, InvalidDataError, UsageError
from quagpredict.evaluation import OverlapCheck, drawing, read_samples, score_checkpoint
from quagpredict.evaluation.samples import SampleStore


def test_every_sample_is_graded_counted_and_written(suite, tmp_path, monkeypatch, checkpoint, known):
    monkeypatch.setattr(drawing, "_PART_SAMPLES", 16)
    seen = []
    run = tmp_path / "run"
    score = score_checkpoint(checkpoint, suite, samples=8, out=run, progress=lambda *at: seen.append(at))
    assert score.eval_protocol_id == suite.eval_protocol_id
    assert score.problems["n"].to_list() == [8] * 6
    assert score.problems["c"].to_list() == [5] * 6
    assert score.measurement["pass_at_1"] == pytest.approx(5 / 8)
    assert score.measurement["pass_at_8"] == 1
    assert score.measurement["pass_at_16"] is None
    assert score.measurement["truncated_share"] == pytest.approx(1 / 8)
    assert score.measurement["no_answer_share"] == pytest.approx(2 / 8)
    assert seen[0] == (0, 48)
    assert seen[-1] == (48, 48)
    assert score.drawn == 48
    assert " on 6 problems: Pass@1 0.625" in repr(score)
    assert len(repr(score)) < 150
    written = read_samples(run).collect()
    assert written.height == 48 == written.select("problem_id", "sample").n_unique()
    assert written["seed"].n_unique() == 48
    assert len(list((run / "samples" / score.draw_id).glob("part-*.parquet"))) == 3
    assert pl.read_parquet(run / "problems.parquet").equals(score.problems)
    assert pl.read_parquet(run / "grades.parquet")["verdict"].to_list() == score.samples["verdict"].to_list()
    assert json.loads((run / "summary.json").read_text())["measurement"] == score.measurement
    assert read_corpus(run / "candidate.parquet").equals(score.row)


def test_more_samples_draw_the_missing_ones_alone(suite, tmp_path, checkpoint, known):
    score_checkpoint(checkpoint, suite, samples=4, out=tmp_path / "run")
    score = score_checkpoint(checkpoint, suite, samples=10, out=tmp_path / "run")
    assert score.drawn == 36
    assert len(known.drawn) == len(set(known.drawn)) == 60
    whole = score_checkpoint(checkpoint, suite, samples=10)
    assert score.samples.equals(whole.samples)
    assert score.measurement == whole.measurement
    fewer = score_checkpoint(checkpoint, suite, samples=4, out=tmp_path / "run")
    assert fewer.drawn == 0
    assert fewer.problems["n"].to_list() == [4] * 6


def test_another_grading_policy_loads_and_draws_nothing(suite, tmp_path, checkpoint, known):
    score_checkpoint(checkpoint, suite, samples=4, out=tmp_path / "run")
    known.loaded = 0
    again = replace(suite, grading=GradingPolicy(extraction="last_digits", digits=3, grade_truncated=True))
    score = score_checkpoint(checkpoint, again, samples=4, out=tmp_path / "run")
    assert (known.loaded, score.drawn) == (0, 0)
    assert score.eval_protocol_id != suite.eval_protocol_id
    assert score.problems["c"].to_list() == [2] * 6
    assert score.measurement["truncated_share"] == 0


def test_a_shorter_budget_draws_nothing_and_is_truncated_there(suite, tmp_path, checkpoint, known):
    whole = score_checkpoint(checkpoint, suite, samples=8, out=tmp_path / "run")
    budget = 3  # an empty response takes 1 token, the others 4
    known.drawn.clear()
    said = []
    shorter = replace(suite, sampling=replace(suite.sampling, max_new_tokens=budget))
    score = score_checkpoint(checkpoint, shorter, samples=8, out=tmp_path / "run", say=said.append)
    assert known.drawn == []
    assert any("cut to" in line for line in said)
    beyond = whole.samples["length"] > budget
    assert 0 < beyond.sum() < 48
    assert score.samples.filter(beyond)["verdict"].unique().to_list() == ["truncated"]
    assert score.samples["length"].max() == budget
    assert score.samples.filter(~beyond)["verdict"].equals(whole.samples.filter(~beyond)["verdict"])
    texts = score.responses.collect()
    assert texts["tokens"].list.len().max() <= budget
    assert score.measurement["token_entropy_nats"] is None  # of whole responses alone it would be that of short ones


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "{question} "},
        {"system_prompt": "Think."},
        {"sampling": Sampling(max_new_tokens=20, temperature=0.5)},
        {"sampling": Sampling(max_new_tokens=21)},
    ],
)
def test_another_template_or_setting_reuses_nothing_and_deletes_nothing(change, suite, tmp_path, checkpoint, known):
    known.answers |= {f"{question} ": answer for question, answer in known.answers.items()}
    first = score_checkpoint(checkpoint, suite, samples=2, out=tmp_path / "run")
    said = []
    other = score_checkpoint(checkpoint, replace(suite, **change), samples=2, out=tmp_path / "run", say=said.append)
    assert other.drawn == 12
    assert other.draw_id != first.draw_id
    assert said == [line for line in said if "kept and not mixed" in line] != []
    assert read_samples(tmp_path / "run", first.draw_id).collect().height == 12


def test_other_weights_in_the_same_folder_reuse_nothing(suite, tmp_path, checkpoint, known):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in checkpoint.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    same = score_checkpoint(copy, suite, samples=2, out=tmp_path / "run")
    assert score_checkpoint(checkpoint, suite, samples=2, out=tmp_path / "run").drawn == 0
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = score_checkpoint(copy, suite, samples=2, out=tmp_path / "run")
    assert changed.drawn == 12
    assert changed.draw_id != same.draw_id


def test_fewer_samples_than_are_there_are_told(suite, tmp_path, checkpoint, known):
    score_checkpoint(checkpoint, suite, samples=4, out=tmp_path / "run")
    said = []
    fewer = score_checkpoint(checkpoint, suite, samples=2, out=tmp_path / "run", say=said.append)
    assert fewer.samples["sample"].max() == 1
    assert said == [f"{tmp_path / 'run'}: up to 4 samples a problem are there, the first 2 are measured"]


def test_a_torn_part_is_set_aside_and_its_samples_drawn_again(suite, tmp_path, checkpoint, known):
    first = score_checkpoint(checkpoint, suite, samples=4, out=tmp_path / "run")
    (part,) = (tmp_path / "run" / "samples" / first.draw_id).glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(InvalidDataError, match=rf"{part.name}: torn or changed"):
        read_samples(tmp_path / "run")
    said = []
    again = score_checkpoint(checkpoint, suite, samples=4, out=tmp_path / "run", say=said.append)
    assert again.drawn == 24
    assert again.samples.equals(first.samples)
    assert len(said) == 1
    assert "torn" in said[0]
    assert len(list(part.parent.glob("*.corrupt"))) == 1


def test_what_was_drawn_before_an_engine_failed_is_kept(suite, tmp_path, checkpoint, known, monkeypatch):
    whole = known.generate

    def failing(requests, sampling):
        for at, drawn in enumerate(whole(requests, sampling)):
            if at == 2:
                raise RuntimeError("out of memory")
            yield drawn

    monkeypatch.setattr(known, "generate", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        score_checkpoint(checkpoint, suite, samples=4, out=tmp_path / "run")
    monkeypatch.setattr(known, "generate", whole)
    assert score_checkpoint(checkpoint, suite, samples=4, out=tmp_path / "run").drawn == 16


def test_two_processes_do_not_draw_into_one_folder(suite, tmp_path, checkpoint, known):
    refused = pytest.raises(UsageError, match="another process draws samples here")
    with SampleStore(tmp_path / "run" / "samples", {"max_new_tokens": 1}, print), refused:
        score_checkpoint(checkpoint, suite, samples=1, out=tmp_path / "run")
    assert score_checkpoint(checkpoint, suite, samples=1, out=tmp_path / "run").drawn == 6


def test_adaptive_samples_stop_where_the_answer_is_known(suite, tmp_path, checkpoint, known):
    score = score_checkpoint(checkpoint, suite, samples="auto", precision=0.2, target="pass@32", out=tmp_path / "run")
    assert score.adaptive.reached
    assert score.adaptive.value == pytest.approx(1.0)
    assert score.measurement["pass_at_32"] == pytest.approx(1.0)
    assert score.measurement["samples_per_problem"] is None
    assert score.problems["n"].to_list() == score.adaptive.n.tolist()
    assert score.row["pre_problems"].item().struct.field("n").to_list() == [16] * 6
    assert score.as_dict()["adaptive"]["samples_total"] == score.drawn == len(known.drawn)
    again = score_checkpoint(checkpoint, suite, samples="auto", precision=0.2, target="pass@32", out=tmp_path / "run")
    assert again.drawn == 0
    assert again.measurement == score.measurement


@pytest.mark.usefixtures("known")
def test_the_loss_counts_the_end_token_and_bits_per_byte_do_not(suite, checkpoint):
    measured = score_checkpoint(checkpoint, suite, samples=1).measurement
    assert measured["held_out_loss_nats"] == pytest.approx(math.log(2))
    # One token a character: a bit a byte, whatever the end token cost.
    assert measured["held_out_bits_per_byte"] == pytest.approx(1.0)
    assert measured["held_out_truncated_share"] == 0


@pytest.mark.usefixtures("known")
def test_a_cut_solution_counts_its_kept_bytes_only(suite, checkpoint, tmp_path):
    cut = replace(suite, held_out_max_tokens=6)
    for _ in range(2):  # the second time from the file
        score = score_checkpoint(checkpoint, cut, samples=1, out=tmp_path / "run")
        longer = sum(len(example.completion) + 1 > 6 for example in suite.held_out)
        assert score.measurement["held_out_truncated_share"] == pytest.approx(longer / 5)
        assert score.measurement["held_out_bits_per_byte"] == pytest.approx(1.0)
        assert score.held_out.height == 5


@pytest.mark.usefixtures("known")
def test_overlap_is_counted_before_anything_is_drawn(suite, checkpoint, tmp_path, known):
    lab = {"lab": {"problems": 64, "data": {"operators": "+-", "lengths": [1, 3]}, "split": "rl"}, "name": "rl"}
    score = score_checkpoint(checkpoint, suite, samples=1, overlap=OverlapCheck([lab]))
    assert [(one.of, one.against, one.copied) for one in score.overlap] == [
        ("one", "rl", 0),
        ("held-out", "rl", 0),
        ("held-out", "one", 0),
    ]
    assert score.as_dict()["overlap"][0]["documents"] == 6


def test_wrong_calls_are_refused(suite, tmp_path):
    with pytest.raises(UsageError, match="samples=0: expected a whole number of at least 1"):
        score_checkpoint(tmp_path, suite, samples=0)
    with pytest.raises(UsageError, match="needs a precision"):
        score_checkpoint(tmp_path, suite, samples="auto")
    with pytest.raises(UsageError, match='goes with samples="auto"'):
        score_checkpoint(tmp_path, suite, samples=4, precision=0.1)
    with pytest.raises(UsageError, match="expected pass@K or order@K"):
        score_checkpoint(tmp_path, suite, samples="auto", precision=0.1, target="maj@4")
    with pytest.raises(UsageError, match="unknown engine 'gpu'"):
        score_checkpoint(tmp_path, suite, engine="gpu")
    with pytest.raises(CheckpointError, match="config"):
        score_checkpoint(tmp_path, suite)
