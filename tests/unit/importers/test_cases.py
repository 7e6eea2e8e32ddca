"""Small inputs that once came in wrong, each with what is right; and others of the same kinds, in other readers."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import quagpredict
from quagpredict.answers import GradingPolicy
from quagpredict.errors import InvalidDataError
from quagpredict.importers import detect, import_run

CASES = Path(__file__).parent / "files" / "cases"


def counts(found):
    return {row["problem_id"]: (row["n"], row["c"]) for row in found.problems.iter_rows(named=True)}


def lines(path, records, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding=encoding)
    return path


def qwen(idx, scores, text="a long chain of thought", gold="1"):
    return {"idx": idx, "gt": gold, "score": scores, "code": [f"{text} {i} of {idx}" for i in range(len(scores))]}


def lm_eval(doc, resps, value, temperature=0.6, **more):
    arguments = {"gen_args_0": {"arg_0": "p", "arg_1": {"temperature": temperature}}}
    record = {"doc_id": doc, "target": "4", "arguments": arguments, "resps": [resps], "filtered_resps": [resps[0]]}
    return record | {"filter": "none", "metrics": ["exact_match"], "exact_match": value} | more


# Which verdict counts


def test_the_metric_over_all_samples_is_the_verdict():
    file = CASES / "01_lighteval_two_pass1" / "old_names.parquet"
    found = import_run("lighteval", [file], candidate="a")
    assert [c for _, c in counts(found).values()] == [0, 1, 8, 16, 3, 5]
    row = found.row.row(0, named=True)
    assert (row["pre_pass_at_1"], round(row["pre_pass_at_16"], 4)) == (0.34375, 0.8333)
    with pytest.raises(InvalidDataError, match=r"mean over 4 samples, and the file has 16 responses"):
        import_run("lighteval", [file], candidate="a", metric="math_pass@1:4_samples")
    with pytest.raises(InvalidDataError, match=r"no metric 'x'; it has math_pass@1:1_samples"):
        import_run("lighteval", [file], candidate="a", metric="x")


def test_a_mean_over_other_samples_is_no_verdict(tmp_path):
    rows = [{"predictions": ["a", "b", "c"], "metrics": {"math_pass@1:2_samples": 0.5}, "gold": ["1"]}]
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InvalidDataError, match="do not say how many are correct"):
        import_run("lighteval", [tmp_path / "a.parquet"], candidate="a")


def test_a_mean_over_repeats_is_read_as_counts(tmp_path):
    texts = [f"a long response, number {i}" for i in range(4)]
    kept = [lm_eval(doc, texts, value, filtered_resps=[texts]) for doc, value in ((0, 0.25), (1, 1.0))]
    found = import_run("auto", [lines(tmp_path / "samples_toy.jsonl", kept)], candidate="a")
    assert counts(found) == {"0": (4, 1), "1": (4, 4)}
    named = [{**lm_eval(doc, texts, 0), "metrics": ["pass@1"], "pass@1": value} for doc, value in ((0, 0.75), (1, 0.0))]
    found = import_run("auto", [lines(tmp_path / "samples_toy.jsonl", named)], candidate="a")
    assert counts(found) == {"0": (4, 3), "1": (4, 0)}


def test_log_likelihoods_of_choices_are_no_responses(tmp_path):
    record = lm_eval(0, [""], 1.0, metrics=["acc"], acc=1.0)
    record["resps"] = [[["-1.5", "False"]], [["-0.5", "False"]]]
    file = lines(tmp_path / "samples_arc.jsonl", [record])
    assert counts(import_run("auto", [file], candidate="a")) == {"0": (1, 1)}
    with pytest.raises(InvalidDataError, match="the file has no responses"):
        import_run("auto", [file], candidate="a", regrade=GradingPolicy())


# Grading again


def test_a_gold_that_is_a_solution_is_reduced_to_its_answer():
    (file,) = (CASES / "02_lmeval_regrade_gsm8k").glob("*.jsonl")
    found = import_run("auto", [file], candidate="a", regrade=GradingPolicy())
    assert found.problems.height == 8
    assert found.row["pre_pass_at_1"].item() == 0.625


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("METADATA = {}\n\ndef check(candidate):\n    assert candidate(1) == 2\n", "is code"),
        ("We add the first and the second number.\nThe sum of both is then surely four.", "is a text of"),
        ("B", "letters of options"),
    ],
)
def test_what_cannot_be_graded_is_refused(tmp_path, gold, message):
    texts = ["So the sum of the two is \\boxed{4}.", "And so it must be \\boxed{5} after all."]
    file = lines(tmp_path / "samples_x.jsonl", [lm_eval(0, texts, 1.0, target=gold)])
    with pytest.raises(InvalidDataError, match=rf"{message}.*"):
        import_run("auto", [file], candidate="a", regrade=GradingPolicy())


def test_letters_are_graded_where_responses_name_letters(tmp_path):
    texts = ["So the right option is \\boxed{B}.", "And so it must be \\boxed{C} after all."]
    file = lines(tmp_path / "samples_x.jsonl", [lm_eval(0, texts, 1.0, target="B")])
    assert counts(import_run("auto", [file], candidate="a", regrade=GradingPolicy())) == {"0": (2, 1)}


# Seeds and chunks


def test_chunks_are_not_seeds():
    found = import_run("auto", [CASES / "03_nemo_chunks" / "gpqa" / "output-rs*.jsonl"], candidate="a")
    assert found.problems.height == 10
    assert set(counts(found).values()) == {(2, 2), (2, 0)}
    assert found.row["pre_pass_at_2"].item() == 0.5


def test_records_without_an_id_are_joined_where_golds_agree(tmp_path):
    def seed(number, golds, start=0):
        records = [
            {"generation": f"a long thought {number} {gold}", "expected_answer": gold, "is_correct": number == 0}
            for gold in golds
        ]
        return lines(tmp_path / "toy" / f"output-rs{start + number}.jsonl", records)

    files = [seed(0, "12"), seed(1, "12")]
    assert counts(import_run("auto", files, candidate="a")) == {"0": (2, 1), "1": (2, 1)}
    other = [files[0], seed(1, "34", start=5)]
    with pytest.raises(InvalidDataError, match=r"in line '0' of 'toy' is '1' in .*rs0.jsonl and '3' in .*give the rec"):
        import_run("auto", other, candidate="a")
    with pytest.raises(InvalidDataError, match="neither an id nor a gold answer"):
        import_run("auto", [files[0], seed(1, [None, None], start=7)], candidate="a")


def test_an_id_of_zero_is_an_id(tmp_path):
    for seed, order in enumerate(([0, 1, 2], [2, 0, 1])):
        records = [
            {"id": i, "generation": f"long thought {seed} on {i}", "expected_answer": "1", "is_correct": i == 0}
            for i in order
        ]
        lines(tmp_path / "toy" / f"output-rs{seed}.jsonl", records)
    assert counts(import_run("auto", [tmp_path], candidate="a")) == {"0": (2, 2), "1": (2, 0), "2": (2, 0)}
    lines(tmp_path / "c.jsonl", [{"id": 0, "n": 2, "c": 1}, {"id": "a", "n": 2, "c": 0}])
    assert counts(import_run("counts", [tmp_path / "c.jsonl"], candidate="a")) == {"0": (2, 1), "a": (2, 0)}


def test_seeds_in_several_files_are_joined(tmp_path):
    files = sorted((CASES / "08_seeds_refused" / "aime24").glob("*.jsonl"))
    found = import_run("auto", files, candidate="a")
    assert {n for n, _ in counts(found).values()} == {4}
    assert found.row["pre_pass_at_1"].item() == 0.5
    copy = shutil.copy(files[0], tmp_path / "test_qwen25-math-cot_-1_seed9_t0.6_s0_e-1.jsonl")
    (tmp_path / "aime24").mkdir()
    copy = shutil.move(copy, tmp_path / "aime24")
    with pytest.raises(InvalidDataError, match=r"seed9.* is a copy of .*seed0"):
        import_run("auto", [*files, copy], candidate="a")
    # The same responses in another order and spacing are the same seed.
    records = [json.loads(line) for line in Path(copy).read_text().splitlines()]
    lines(Path(copy), records[::-1])
    with pytest.raises(InvalidDataError, match=r"100% of the responses in .*seed9.* are those of .*seed0"):
        import_run("auto", [*files, copy], candidate="a")
    assert import_run("auto", [*files, copy], candidate="a", allow_duplicates=True).problems["n"].unique().item() == 5


def test_seeds_of_lm_eval_lighteval_inspect_and_counts_are_joined(tmp_path):
    logs = []
    for seed in range(2):
        folder = tmp_path / f"seed{seed}"
        lines(folder / f"samples_toy_2026-01-0{seed + 1}T00-00-00.1.jsonl", [
            lm_eval(doc, [f"a long response of seed {seed} to {doc}"], float(doc == seed)) for doc in range(3)
        ])  # fmt: skip
        rows = [
            {"doc": {"id": f"p{doc}"}, "metric": {"avg@n:n=1": float(doc == seed)},
             "model_response": {"text": [f"a long response of seed {seed} to {doc}"]}} for doc in range(3)
        ]  # fmt: skip
        pl.DataFrame(rows).write_parquet(folder / f"details_toy_2026-01-0{seed + 1}T00-00-00.1.parquet")
        log = json.loads((Path(__file__).parent / "files" / "inspect_toy.json").read_text())
        for sample in log["samples"]:
            sample["output"]["choices"][0]["message"]["content"] = f"of seed {seed}, epoch {sample['epoch']}, a text"
        (folder / f"log{seed}.json").write_text(json.dumps(log))
        logs.append(folder / f"log{seed}.json")
        (folder / "c.csv").write_text(f"id,n,c,benchmark\np0,4,{seed},toy\n")
    for format, n in (("lm-eval", 2), ("lighteval", 2), ("inspect", 6), ("counts", 8)):
        found = import_run(format, [tmp_path], candidate="a")
        assert found.problems["n"].unique().to_list() == [n], format
    with pytest.raises(InvalidDataError, match="files of several formats"):
        detect([tmp_path])


# What goes into the protocol


def test_the_documented_example_ranks():
    rows = []
    for name in ("mix-a", "mix-b"):
        file = CASES / "04_counts_documented_example" / f"{name}.csv"
        rows.append(import_run("counts", [file], candidate=name, protocol="vllm t=1.0").row)
    ranking = quagpredict.rank(pl.concat(rows), None)
    assert ranking.frame.height == 2
    assert not any("problems" in note for note in ranking.notes)


def test_the_protocol_does_not_hold_a_files_or_folders_name(tmp_path):
    ids = set()
    for name in ("mix-a", "mix-b"):
        file = lines(tmp_path / name / "test_cot_-1_seed0_t0.6_s0_e-1.jsonl", [qwen(0, [True, False], name)])
        found = import_run("auto", [file], candidate=name)
        ids.add(found.eval_protocol_id)
        assert found.problems["benchmark"].to_list() == ["qwen-math"]
    assert len(ids) == 1
    one = import_run("auto", [file], candidate="x", suite="aime").eval_protocol_id
    assert one not in ids
    assert one != import_run("auto", [file], candidate="x", suite="math").eval_protocol_id


def test_number_of_files_and_spelling_of_numbers_are_no_protocol(tmp_path):
    whole = [lm_eval(doc, [f"a long response to {doc}"], 1.0, temperature=1) for doc in range(2)]
    first = import_run("auto", [lines(tmp_path / "samples_t_2026-01-01T00-00-00.1.jsonl", whole)], candidate="a")
    for record in whole:
        record["arguments"]["gen_args_0"]["arg_1"]["temperature"] = 1.0
    files = [lines(tmp_path / f"samples_t_2026-01-0{i + 2}T00-00-00.1.jsonl", whole[i : i + 1]) for i in range(2)]
    assert import_run("auto", files, candidate="a").eval_protocol_id == first.eval_protocol_id


# Partial runs


def test_a_partial_run_is_said_to_be(tmp_path):
    whole = import_run("auto", sorted((CASES / "05_partial_run_ranked_first" / "full").glob("samples*")), candidate="f")
    part = sorted((CASES / "05_partial_run_ranked_first" / "part").glob("samples*"))
    with pytest.raises(InvalidDataError, match=r"the run is partial: the files hold 3 of the 6 problems of 'gsm8k'"):
        import_run("auto", part, candidate="p")
    found = import_run("auto", part, candidate="p", allow_ragged=True)
    assert any("the run is partial" in note for note in found.audit.notes)
    ranking = quagpredict.rank(pl.concat([whole.row, found.row]), None)
    assert any(flag.kind == "other-problems" and flag.candidate == "p" for flag in ranking.flags)
    assert any("not measured on the same problems" in note for note in ranking.notes)


def test_other_tools_count_their_problems_too(tmp_path):
    file = lines(tmp_path / "math" / "test_cot_-1_seed0_t0.6_s0_e-1.jsonl", [qwen(0, [True, False])])
    (file.parent / f"{file.stem}_cot_metrics.json").write_text(json.dumps({"num_samples": 3, "acc": 100.0}))
    with pytest.raises(InvalidDataError, match="hold 1 of the 3 problems of 'math'"):
        import_run("auto", [file], candidate="a")
    log = json.loads((CASES / "10_inspect_error_and_config" / "i3.json").read_text())
    log["samples"] = [sample for sample in log["samples"] if sample["id"] != 1]
    log["results"] = {"total_samples": 40, "scores": []}
    log["eval"]["config"] = {"epochs": 4}
    (tmp_path / "log.json").write_text(json.dumps(log))
    with pytest.raises(InvalidDataError, match=r"of the 10 problems of 'aime25' that log\.json counts"):
        import_run("auto", [tmp_path / "log.json"], candidate="a")


def test_human_eval_and_mbpp_are_two_benchmarks(tmp_path):
    records = [
        {"task_id": f"{name}/{i}", "completion": f"return {i}", "passed": True}
        for name in ("HumanEval", "Mbpp")
        for i in range(2)
    ]
    found = import_run("auto", [lines(tmp_path / "r_results.jsonl", records)], candidate="a")
    assert found.problems["benchmark"].to_list() == ["HumanEval"] * 2 + ["Mbpp"] * 2
    one = import_run("auto", [lines(tmp_path / "h_results.jsonl", records[:2])], candidate="a")
    assert one.eval_protocol_id != found.eval_protocol_id


# Settings


@pytest.mark.parametrize("order", [("math", "aime"), ("aime", "math")])
def test_settings_of_all_files_must_agree(order):
    files = [CASES / "06_mixed_temperature" / name / "*.jsonl" for name in order]
    with pytest.raises(InvalidDataError, match="were not drawn alike: temperature is"):
        import_run("auto", files, candidate="a")
    with pytest.raises(InvalidDataError, match="greedy decoding"):
        import_run("auto", files, candidate="a", allow_mixed_settings=True)


def test_mixed_settings_that_are_allowed_do_not_depend_on_the_order(tmp_path):
    files = [
        lines(tmp_path / name / f"test_x_-1_seed0_t{t}_s0_e-1.jsonl", [qwen(0, [True, False], name)])
        for name, t in (("math", 0.6), ("aime", 1.0))
    ]
    ids = {
        import_run("auto", given, candidate="a", allow_mixed_settings=True).eval_protocol_id
        for given in (files, files[::-1])
    }
    assert len(ids) == 1


def test_records_of_one_file_must_agree(tmp_path):
    records = [lm_eval(0, ["a long text"], 1.0, 0.6), lm_eval(1, ["a long text"], 1.0, 0.0)]
    with pytest.raises(InvalidDataError, match=r"temperature is 0\.6 and, for document 1, 0\.0"):
        import_run("auto", [lines(tmp_path / "samples_x.jsonl", records)], candidate="a")


def test_settings_beside_the_samples_are_read(tmp_path):
    records = [lm_eval(0, ["a long text"], 1.0)]
    del records[0]["arguments"]
    file = lines(tmp_path / "samples_x_2026-01-01T00-00-00.1.jsonl", records)
    bare = import_run("auto", [file], candidate="a")
    assert any("do not record the temperature" in note for note in bare.audit.notes)
    results = {"configs": {"x": {"generation_kwargs": {"temperature": 0.8, "max_gen_toks": 99, "until": []}}}}
    (tmp_path / "results_2026-01-01T00-00-00.1.json").write_text(json.dumps(results))
    known = import_run("auto", [file], candidate="a")
    assert not any("do not record the temperature" in note for note in known.audit.notes)
    assert known.eval_protocol_id != bare.eval_protocol_id


def test_results_of_another_run_are_not_taken(tmp_path):
    file = lines(tmp_path / "samples_x_2026-01-01T00-00-00.1.jsonl", [lm_eval(0, ["a long text"], 1.0)])
    results = {"configs": {"x": {"generation_kwargs": {"temperature": 0.0}}}}
    (tmp_path / "results_2026-01-01T00-00-00.1.json").write_text(json.dumps(results))
    with pytest.raises(InvalidDataError, match=r"drawn with temperature 0\.6, and results_.* says 0\.0"):
        import_run("auto", [file], candidate="a")


def test_a_scorer_that_is_not_there():
    with pytest.raises(InvalidDataError, match="expected the scorer 'x', found eq"):
        import_run("inspect", [CASES / "10_inspect_error_and_config" / "i3.json"], candidate="a", metric="x")


def test_inspect_settings_of_the_model_count():
    with pytest.raises(InvalidDataError, match="greedy decoding"):
        import_run("inspect", [CASES / "10_inspect_error_and_config" / "i4.json"], candidate="a")


# Samples that failed


@pytest.mark.parametrize("fault", ["error", "invalidation", "no score"])
def test_a_failed_sample_of_a_good_log_can_be_left_out(fault, tmp_path):
    log = json.loads((CASES / "10_inspect_error_and_config" / "i3.json").read_text())
    if fault != "error":
        log["samples"] = [sample for sample in log["samples"] if not sample.get("error")]
        if fault == "invalidation":
            log["samples"][-1]["invalidation"] = {"reason": "the tool was broken"}
        else:
            log["samples"][-1]["scores"] = {}
    file = tmp_path / "log.json"
    file.write_text(json.dumps(log))
    with pytest.raises(InvalidDataError, match=r"of 'aime25' cannot count|have 3 to 4 samples"):
        import_run("inspect", [file], candidate="a")
    found = import_run("inspect", [file], candidate="a", allow_ragged=True)
    assert found.problems["n"].min() < 4
    assert found.problems["c"].sum() > 0


# Ways to name files, and what is in them
