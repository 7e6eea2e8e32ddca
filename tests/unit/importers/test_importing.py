import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.answers import GradingPolicy
from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.importers import detect, import_run
from quagpredict.metrics import pass_at_k

FILES = Path(__file__).parent / "files"
TOY = FILES / "inspect_toy.json"
TEXT_ONLY = GradingPolicy()


def counts(found):
    return {row["problem_id"]: (row["n"], row["c"]) for row in found.problems.iter_rows(named=True)}


def write_counts(path, rows):
    path.write_text("id,n,c\n" + "".join(f"{name},{n},{c}\n" for name, n, c in rows))
    return path


@settings(max_examples=30, deadline=None)
@given(data=st.data(), n=st.integers(1, 300), size=st.integers(1, 20))
def test_counts_come_back_as_they_were(data, n, size, tmp_path_factory):
    rows = [(f"p{at}", n, data.draw(st.integers(0, n))) for at in range(size)]
    folder = tmp_path_factory.mktemp("counts")
    lines = folder / "b.jsonl"
    lines.write_text("".join(json.dumps(dict(zip(("id", "n", "c"), row, strict=True))) + "\n" for row in rows))
    for file in (write_counts(folder / "b.csv", rows), lines):
        found = import_run("counts", [file], candidate="a")
        assert counts(found) == {name: (n, c) for name, n, c in rows}
        assert found.row["pre_pass_at_1"].item() == pytest.approx(pass_at_k(n, [c for *_, c in rows], 1).mean())
        assert (found.row["pre_pass_at_256"].item() is None) == (n < 256)
        nested = found.row["pre_problems"].item().to_list()
        assert [(one["benchmark"], one["n"], one["c"]) for one in nested] == [("counts", n, c) for *_, c in rows]


def test_lm_eval_has_a_verdict_on_the_first_response_only(lm_eval):
    assert detect([lm_eval]) == "lm-eval"
    for named in (None, "strict-match"):  # no filter judges the other responses: one refusal, whichever is meant
        with pytest.raises(InvalidDataError, match=r"do not say how many are correct: `regrade`"):
            import_run("lm-eval", [lm_eval], candidate="a", filter=named)
    found = import_run("lm-eval", [lm_eval], candidate="a", filter="strict-match", regrade=TEXT_ONLY)
    assert counts(found) == {"0": (4, 1), "1": (4, 3)}
    assert counts(import_run("lm-eval", [lm_eval], candidate="a", regrade=TEXT_ONLY)) == counts(found)
    (difference,) = found.audit.differences
    assert (difference.theirs, difference.ours, difference.agrees) == (1.0, 0.5, False)
    assert "of the first one, where it was repeated" in difference.why
    assert found.problems["distinct_answers"].to_list() == [2, 2]


def test_of_several_filters_that_judge_all_there_is_one_is_chosen(lm_eval):
    records = [json.loads(line) for line in lm_eval.read_text().splitlines()]
    for record in records:  # a single response each, of which the filters think differently
        record["resps"] = [record["resps"][0][:1]]
        record["exact_match"] = float(record["filter"] == "strict-match")
    lm_eval.write_text("".join(json.dumps(record) + "\n" for record in records))
    wanted = r"several filters \(flexible-extract, strict-match\): choose one \(filter=.flexible-extract.\)"
    with pytest.raises(InvalidDataError, match=wanted):
        import_run("lm-eval", [lm_eval], candidate="a")
    assert counts(import_run("lm-eval", [lm_eval], candidate="a", filter="strict-match")) == {"0": (1, 1), "1": (1, 1)}
    assert counts(import_run("lm-eval", [lm_eval], candidate="a", filter="flexible-extract"))["0"] == (1, 0)
    assert counts(import_run("lm-eval", [lm_eval], candidate="a", regrade=TEXT_ONLY)) == {"0": (1, 1), "1": (1, 1)}


def test_lighteval_counts_follow_from_the_mean_over_samples(lighteval):
    assert detect([lighteval]) == "lighteval"
    found = import_run("auto", [lighteval], candidate="a")
    assert counts(found) == {"p": (4, 1), "q": (4, 3)}
    (difference,) = found.audit.differences
    assert difference.agrees
    assert counts(import_run("lighteval", [lighteval], candidate="a", regrade=TEXT_ONLY)) == counts(found)


def test_nemo_skills_joins_seeds_and_explains_best_of_the_first(nemo_skills):
    assert detect(nemo_skills) == "nemo-skills"
    found = import_run("auto", nemo_skills, candidate="a")
    assert counts(found) == {"a": (3, 1), "b": (3, 0)}
    by_name = {one.name.split()[0]: one for one in found.audit.differences}
    assert by_name["pass@1[3]"].agrees
    best = by_name["pass@2"]
    assert (best.theirs, round(best.ours, 4), best.agrees) == (0.5, 0.3333, False)
    assert "best of the first 2 samples" in best.why


def test_qwen_math_reports_the_first_sample(qwen_math):
    assert detect([qwen_math]) == "qwen-math"
    found = import_run("auto", [qwen_math], candidate="a")
    assert counts(found) == {"0": (4, 1), "1": (4, 3)}
    assert found.problems["benchmark"].to_list() == ["math500"] * 2
    assert [(one.theirs, one.ours, one.agrees) for one in found.audit.differences] == [(1.0, 0.5, False)]
    assert "first sample" in found.audit.differences[0].why


def test_human_eval_needs_results(human_eval, tmp_path):
    assert detect([human_eval]) == "human-eval"
    assert counts(import_run("auto", [human_eval], candidate="a")) == {"HumanEval/1": (3, 1), "HumanEval/2": (3, 2)}
    samples = tmp_path / "samples.jsonl"
    samples.write_text(json.dumps({"task_id": "HumanEval/1", "completion": "x"}) + "\n")
    with pytest.raises(InvalidDataError, match=r"no verdict 'passed': give the results file"):
        import_run("human-eval", [samples], candidate="a")


def test_inspect_json_logs_are_read_without_inspect():
    """Made by inspect_ai 0.3.285 with its mock model: three epochs, scorer match, reducers mean and pass_at_2."""
    assert detect([TOY]) == "inspect"
    found = import_run("auto", [TOY], candidate="a")
    assert counts(found) == {"product": (3, 1), "sum": (3, 2)}
    assert [(one.k, one.agrees) for one in found.audit.differences] == [(1, True), (2, True)]
    regraded = import_run("inspect", [TOY], candidate="a", regrade=TEXT_ONLY)
    assert regraded.problems["truncated"].to_list() == [1, 0]
    assert regraded.eval_protocol_id != found.eval_protocol_id


def test_a_failed_inspect_run_is_refused(tmp_path):
    file = tmp_path / "log.json"
    file.write_text(TOY.read_text().replace('"status": "success"', '"status": "cancelled"', 1))
    with pytest.raises(InvalidDataError, match="status 'cancelled'"):
        import_run("inspect", [file], candidate="a")


def test_ragged_samples_are_refused_unless_allowed(tmp_path):
    file = write_counts(tmp_path / "b.csv", [("p", 8, 4), ("q", 8, 1), ("r", 6, 1)])
    with pytest.raises(
        InvalidDataError, match=r"6 to 8 samples \(problem 'r' of 'counts' has 6, most have 8\).*`allow_ragged`"
    ):
        import_run("counts", [file], candidate="a")
    found = import_run("counts", [file], candidate="a", allow_ragged=True)
    assert found.row["pre_pass_at_8"].item() is None
    assert any(note.startswith("overruled by `allow_ragged`") for note in found.audit.notes)


def test_greedy_samples_are_refused(qwen_math):
    greedy = qwen_math.rename(qwen_math.with_name(qwen_math.name.replace("t0.6", "t0.0")))
    with pytest.raises(InvalidDataError, match=r"greedy decoding \(temperature 0\).*`allow_duplicates`"):
        import_run("qwen-math", [greedy], candidate="a")


@pytest.mark.parametrize(("times", "reason"), [(1, "same text: greedy decoding"), (2, "stands at least twice")])
def test_copies_are_refused(qwen_math, times, reason):
    records = [json.loads(line) for line in qwen_math.read_text().splitlines()]
    for record in records:
        texts = record["code"] if times == 2 else [record["code"][0]] * 2
        record["code"] = [text for text in texts for _ in range(2)]
        record["score"] = [True] * len(record["code"])
    qwen_math.write_text("".join(json.dumps(record) + "\n" for record in records))
    with pytest.raises(InvalidDataError, match=rf"{reason}.*`allow_duplicates`"):
        import_run("qwen-math", [qwen_math], candidate="a")
    assert import_run("qwen-math", [qwen_math], candidate="a", allow_duplicates=True).row["pre_pass_at_1"].item() == 1.0


def test_one_seed_among_many_that_is_there_twice_is_seen(tmp_path):
    rows = [
        {"id": name, "correct": True, "response": f"a thought of seed {seed} about {name}. " * 10}
        for name in "pqr" for seed in (0, 1, 2, 2)
    ]  # fmt: skip
    file = tmp_path / "s.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InvalidDataError, match="every problem has a response twice"):
        import_run("samples", [file], candidate="a")
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    assert import_run("samples", [file], candidate="a", allow_ragged=True).problems["n"].to_list() == [4, 4, 3]


def test_sampling_settings_and_a_given_protocol_make_the_identity(qwen_math, tmp_path):
    first = import_run("qwen-math", [qwen_math], candidate="a").eval_protocol_id
    named = import_run("qwen-math", [qwen_math], candidate="a", protocol="32k tokens").eval_protocol_id
    warmer = qwen_math.rename(qwen_math.with_name(qwen_math.name.replace("t0.6", "t1.0")))
    assert len({first, named, import_run("qwen-math", [warmer], candidate="a").eval_protocol_id}) == 3
    assert first.startswith("imported-")
    file = write_counts(tmp_path / "b.csv", [("p", 8, 4)])
    assert any("`protocol`" in note for note in import_run("counts", [file], candidate="a").audit.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,n,c\np,8,9\n", "c = 9; expected"),
        ("id,n,c\np,8,x\n", "c must be a whole number, got 'x'"),
        ("id,n,c\np,0,0\n", "expected n >= 1"),
        ("id,n\np,8\n", "the column 'c' is missing"),
        ("id,n,c\np,8,1\np,8,1\n", "appears twice"),
        ("id,n,c\n", "no problem is in it"),
    ],
)
def test_bad_counts_are_named(tmp_path, content, message):
    file = tmp_path / "b.csv"
    file.write_text(content)
    with pytest.raises(InvalidDataError, match=message):
        import_run("counts", [file], candidate="a")


def test_wrong_calls(tmp_path):
    file = write_counts(tmp_path / "b.csv", [("p", 8, 4)])
    with pytest.raises(UsageError, match="unknown format 'helm'"):
        import_run("helm", [file], candidate="a")
    with pytest.raises(UsageError, match="`filter` goes with lm-eval only"):
        import_run("counts", [file], candidate="a", filter="x")
    with pytest.raises(UsageError, match="there is no such file"):
        import_run("auto", [tmp_path / "none"], candidate="a")
    broken = tmp_path / "b.jsonl"
    broken.write_text('{"id": 1}\n{oops\n')
    with pytest.raises(InvalidDataError, match="none of the formats"):
        detect([broken])
    with pytest.raises(InvalidDataError, match=r"b\.jsonl: line 2 is not JSON"):
        import_run("human-eval", [_second_line_broken(tmp_path)], candidate="a")


def _second_line_broken(folder):
    file = folder / "b.jsonl"
    file.write_text('{"task_id": "a", "completion": "", "passed": true}\n{oops\n')
    return file


def _regraded_ids(format, file, *choices):
    return {
        import_run(format, [file], candidate="a", regrade=TEXT_ONLY, **choice).eval_protocol_id for choice in choices
    }


def test_verdicts_that_regrading_throws_away_are_no_part_of_the_protocol(lm_eval, lighteval, tmp_path):
    filters = [{}, {"filter": "strict-match"}, {"filter": "flexible-extract"}]
    assert len(_regraded_ids("lm-eval", lm_eval, *filters)) == 1
    rows = pl.read_parquet(lighteval).to_dicts()
    pl.DataFrame([row | {"metric": {**row["metric"], "avg@n:n=4": 0.0}} for row in rows]).write_parquet(lighteval)
    metrics = [{"metric": "pass@k:k=1&n=4"}, {"metric": "avg@n:n=4"}]
    assert len(_regraded_ids("lighteval", lighteval, *metrics)) == 1
    assert len({import_run("lighteval", [lighteval], candidate="a", **one).eval_protocol_id for one in metrics}) == 2
    log = json.loads(TOY.read_text())
    for sample in log["samples"]:
        sample["scores"]["other"] = {"value": "I"}
    (tmp_path / "log.json").write_text(json.dumps(log))
    assert len(_regraded_ids("inspect", tmp_path / "log.json", {"metric": "match"}, {"metric": "other"})) == 1
    table = tmp_path / "s.csv"
    table.write_text("id,response,gold,reward\np,the answer is 4,4,0.2\np,the answer is 5,4,0.7\n")
    rewards = [{"correct": "reward", "threshold": at} for at in (0.5, 0.9)]
    assert len(_regraded_ids("samples", table, {}, *rewards)) == 1


def test_files_with_verdicts_of_other_filters_are_joined_when_graded_again(lm_eval):
    other = lm_eval.with_name(lm_eval.name.replace("T12", "T13"))
    first, second = (json.loads(line) for line in lm_eval.read_text().splitlines()[:2])
    for record in (first, second):
        record["resps"] = [[f"another seed: {text}" for text in record["resps"][0]]]
        record["filter"] = "none"
    other.write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n")
    found = import_run("lm-eval", [lm_eval, other], candidate="a", regrade=TEXT_ONLY)
    assert found.problems["n"].to_list() == [8, 8]
