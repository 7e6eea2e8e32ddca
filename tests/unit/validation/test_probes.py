import polars as pl

from quagpredict.shipped import shipped_path
from quagpredict.validation import validate
from quagpredict.validation.probes import probe_columns, with_probes


def _curves(*steps: list[int]) -> pl.DataFrame:
    curves = [[{"step": step, "pass_at_1": step / 1000, "pass_at_1_se": 0.01} for step in row] for row in steps]
    return pl.DataFrame({"candidate": [str(i) for i in range(len(steps))], "post_curve": curves})


def test_the_earliest_step_that_all_have_and_none_ends_at() -> None:
    found = with_probes(_curves([0, 25, 50, 200], [0, 50, 100, 200]))
    assert probe_columns(found) == ["probe_pass_at_1_step_50"]
    assert found["probe_pass_at_1_step_50"].to_list() == [0.05, 0.05]
    assert probe_columns(with_probes(_curves([0, 25, 200], [0, 50, 200]))) == []
    assert probe_columns(with_probes(_curves([0, 50, 200], [0, 50]))) == []  # the whole run of one is no probe


def test_pass_at_16_is_a_probe_of_its_own_where_it_was_measured() -> None:
    points = [{"step": 0, "pass_at_1": 0.1, "pass_at_16": 0.2}, {"step": 50, "pass_at_1": 0.2, "pass_at_16": 0.4}]
    end = {"step": 200, "pass_at_1": 0.5, "pass_at_16": 0.6}
    found = with_probes(pl.DataFrame({"candidate": ["a"], "post_curve": [[*points, end]]}))
    assert found.select("probe_pass_at_1_step_50", "probe_pass_at_16_step_50").row(0) == (0.2, 0.4)
    without = [{**point, "pass_at_16": None} for point in [*points, end]]
    both = pl.DataFrame({"candidate": ["a", "b"], "post_curve": [[*points, end], without]})
    assert probe_columns(with_probes(both)) == ["probe_pass_at_1_step_50"]


def test_rows_without_a_curve_have_no_probe() -> None:
    frame = _curves([0, 50, 200], [0, 50, 200])
    empty = pl.concat([frame, frame.head(1).with_columns(post_curve=pl.lit(None, frame["post_curve"].dtype))])
    assert probe_columns(with_probes(empty)) == []
    assert with_probes(frame.head(0)).columns == frame.columns


def test_the_training_log_gives_its_first_tenth() -> None:
    frame = pl.read_parquet(shipped_path("datasets/lab-pilot/corpus.parquet"))
    found = with_probes(frame)
    assert probe_columns(found) == ["probe_reward_step_20"]
    log = frame["rl_curve"][0].to_list()
    expected = sum(entry["reward"] for entry in log if entry["step"] <= 20) / 2
    assert abs(found["probe_reward_step_20"][0] - expected) < 1e-12
    report = validate(frame, ["linear:both"], "random-halves", scenarios=["all"], repeats=5)
    models = report.frame["model"].to_list()
    assert "proxy:probe_reward_step_20" in models
    assert "linear:probe_reward_step_20" in models
    assert any("only after 20 steps of RL with every candidate, 10 % of RL" in note for note in report.notes)


def test_pass_at_16_of_a_curve_is_among_the_baselines_of_validate() -> None:
    frame = pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet")).filter(rl_seed=0)
    report = validate(frame, ["linear:both"], "random-halves", scenarios=["all"], repeats=2)
    judged = set(report.frame["model"])
    for k in (1, 16):
        assert {f"proxy:probe_pass_at_{k}_step_50", f"linear:probe_pass_at_{k}_step_50"} <= judged
