"""Many candidates in one call, their losses, and what they keep of the base."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quagpredict
from quagpredict.corpus import read_corpus, read_provenance
from quagpredict.errors import IncomparableError, InvalidDataError, UsageError
from quagpredict.importers import coverage_ratio, import_run, import_runs, pass_at_group, write_imported
from quagpredict.metrics import pass_at_k


@pytest.fixture
def runs(tmp_path):
    found = {}
    for name, c in (("base", (1, 0, 4)), ("mix-a", (4, 0, 8)), ("mix-b", (8, 2, 0))):
        file = tmp_path / f"{name}.csv"
        file.write_text("id,n,c\n" + "".join(f"p{i},8,{count}\n" for i, count in enumerate(c)))
        found[name] = [file]
    return found


def test_many_candidates_with_losses_can_be_screened(runs, tmp_path):
    losses = tmp_path / "losses.csv"
    losses.write_text("candidate,loss\nmix-b,0.9\nbase,1.25\nmix-a,0.5\n")
    found = import_runs("auto", runs, losses=losses, base="base", base_model="weak")
    write_imported(found, tmp_path / "runs.parquet")
    table = read_corpus(tmp_path / "runs.parquet")
    assert table["candidate"].to_list() == ["base", "mix-a", "mix-b"]
    assert table["pre_held_out_loss_nats"].to_list() == [1.25, 0.5, 0.9]
    assert table["eval_protocol_id"].n_unique() == 1
    ranking = quagpredict.rank(table, None)
    assert not any("held-out loss was not measured" in note for note in ranking.notes)
    told = json.loads(read_provenance(tmp_path / "runs.parquet")["statistics"])
    assert [one["name"] for one in told["mix-a"]] == ["pass_at_group", "coverage_ratio"]
    assert [one["name"] for one in told["base"]] == ["pass_at_group"]
    same = import_runs("counts", runs, losses={"base": 1.25, "mix-a": 0.5, "mix-b": 0.9})
    assert [one.row["pre_held_out_loss_nats"].item() for one in same] == [1.25, 0.5, 0.9]


def test_the_base_may_be_a_table(runs, tmp_path):
    base = import_run("counts", runs.pop("base"), candidate="base")
    write_imported([base], tmp_path / "base.parquet")
    (first, second) = import_runs("counts", runs, base=tmp_path / "base.parquet")
    assert first.statistics[-1] == coverage_ratio(first.problems, base.problems)
    assert (first.statistics[-1].k, first.statistics[-1].value) == (8, 1.0)
    assert second.statistics[-1].value == 1.0
    with pytest.raises(IncomparableError, match="measure and import both alike"):
        import_runs("counts", runs, base=tmp_path / "base.parquet", protocol="warmer")


def test_what_differs_between_candidates_is_said(runs, tmp_path):
    for name, t in (("mix-a", 0.6), ("mix-b", 1.0)):
        file = tmp_path / name / f"test_x_-1_seed0_t{t}_s0_e-1.jsonl"
        file.parent.mkdir()
        file.write_text(json.dumps({"idx": 0, "gt": "1", "score": [True, False]}) + "\n")
        runs[name] = [file]
    del runs["base"]
    found = import_runs("auto", runs)
    assert found[0].eval_protocol_id != found[1].eval_protocol_id
    (note,) = {note for one in found for note in one.audit.notes if "measured alike" in note}
    assert "they differ in temperature (0.6 and 1.0)" in note


def test_rank_says_what_differs(runs, tmp_path):
    for name, protocol in (("mix-a", "t=1.0"), ("mix-b", "t=0.6")):
        found = import_run("counts", runs[name], candidate=name, protocol=protocol)
        write_imported([found], tmp_path / f"{name}.parquet")
    with pytest.raises(IncomparableError, match=r"2 protocols .*\(they differ in protocol \(t=1\.0 and t=0\.6\)\)$"):
        quagpredict.rank([tmp_path / "mix-a.parquet", tmp_path / "mix-b.parquet"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"losses": {"mix-a": 0.5}}, InvalidDataError, "no loss of candidate 'base'; there are those of mix-a"),
        ({"losses": {"base": -1.0, "mix-a": 1, "mix-b": 1}}, InvalidDataError, "candidate 'base': .*below 0"),
        ({"base": "nobody"}, UsageError, 'base="nobody": there is no such file; expected one of the candidates'),
        ({"group_size": 0}, InvalidDataError, "at least one sample, got 0"),
        ({"correct": "x"}, UsageError, "`correct` goes with samples only"),
    ],
)
def test_wrong_calls_are_named(runs, options, error, message):
    with pytest.raises(error, match=message):
        import_runs("counts", runs, **options)


def test_a_fault_names_the_candidate(runs):
    runs["mix-a"][0].write_text("id,n,c\np,8,9\n")
    with pytest.raises(InvalidDataError, match=r"candidate 'mix-a': .*mix-a.csv: problem 'p' has n = 8, c = 9"):
        import_runs("counts", runs)
    with pytest.raises(UsageError, match="no candidate"):
        import_runs("counts", {})


def test_losses_of_a_table_without_a_loss(runs, tmp_path):
    losses = tmp_path / "losses.csv"
    losses.write_text("candidate,los\nmix-b,0.9\n")
    with pytest.raises(InvalidDataError, match=r"losses\.csv: no column of losses .*there are candidate, los"):
        import_runs("counts", runs, losses=losses)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(2, 40), size=st.integers(1, 12))
def test_statistics_are_means_over_problems(data, n, size):
    """Whatever the counts: the value is that of the problems one by one, and lies in its interval's reach."""
    c = [data.draw(st.integers(0, n)) for _ in range(size)]
    of_base = [data.draw(st.integers(0, n)) for _ in range(size)]
    names = {"benchmark": ["b"] * size, "problem_id": list(map(str, range(size))), "n": [n] * size}
    problems, base = pl.DataFrame(names | {"c": c}), pl.DataFrame(names | {"c": of_base})
    group = pass_at_group(problems, min(n, 8))
    assert group.value == pytest.approx(pass_at_k(n, c, min(n, 8)).mean())
    assert group.low - 1e-12 <= group.value <= group.high + 1e-12 or size < 12
    assert pass_at_group(problems, n + 1) is None
    ratio = coverage_ratio(problems, base.sample(fraction=1.0, shuffle=True, seed=1))
    if not any(of_base):
        assert ratio is None
    else:
        k = max(2**power for power in range(9) if 2**power <= n)
        assert ratio.k == k
        assert ratio.value == pytest.approx(pass_at_k(n, c, k).mean() / pass_at_k(n, of_base, k).mean())
        assert np.isfinite([ratio.low, ratio.high]).all()
    assert coverage_ratio(base, base) is None or coverage_ratio(base, base).value == 1.0


def test_problems_of_the_base_alone_do_not_count():
    names = {"benchmark": ["b"] * 2, "n": [4, 4]}
    found = coverage_ratio(
        pl.DataFrame(names | {"problem_id": ["p", "q"], "c": [4, 0]}),
        pl.DataFrame(names | {"problem_id": ["q", "r"], "c": [2, 4]}),
    )
    assert (found.value, found.problems) == (0.0, 1)
    with pytest.raises(InvalidDataError, match="no problem in common"):
        coverage_ratio(pl.DataFrame(names | {"problem_id": ["p", "q"], "c": [1, 1]}), pl.DataFrame(
            names | {"problem_id": ["r", "s"], "c": [1, 1]}
        ))  # fmt: skip


def test_candidates_whose_problems_have_other_answers_are_noted(tmp_path):
    runs = {name: tmp_path / f"{name}.jsonl" for name in ("a", "b", "c")}
    for name, golds in (("a", "12"), ("b", "12"), ("c", "13")):
        rows = [f'{{"id": {i}, "correct": 1, "response": "r{name}{i}", "gold": "{golds[i]}"}}' for i in range(2)]
        runs[name].write_text("\n".join(rows))
    said = "'a' and 'c' have different gold answers to 1 problems of one id, e.g. '1' of 'samples'"
    assert any(note.startswith(said) for note in import_runs("samples", runs)[0].audit.notes)
    del runs["c"]
    assert not any("gold" in note for note in import_runs("samples", runs)[0].audit.notes)
