"""The hierarchical surrogate: a prior learnt elsewhere, results by benchmark, and what must hold whatever they are."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quagpredict.errors import CorpusError, SurrogateError
from quagpredict.surrogates import FittedSurrogate, fit, fit_frame, load_surrogate, prepare, save_surrogate
from quagpredict.surrogates.forms import symmetric_root
from quagpredict.surrogates.hierarchical import level_of, prior_surrogate
from quagpredict.surrogates.hierarchy import (
    AFTER,
    Cells,
    Evidence,
    cell_evidence,
    cell_noise,
    design,
    predicted,
    updated,
    weights_prior,
)
from quagpredict.surrogates.hierarchy_fit import posterior
from quagpredict.surrogates.hierarchy_learning import Task, learn
from quagpredict.surrogates.hierarchy_tables import CUT, TERMS
from quagpredict.surrogates.stored_prior import FILE, LEVELS, load_prior, save_prior, shipped_prior

from .test_across_families import corpus

RUNS = corpus(5, ("a", "b", "c"), 30)
FRESH = RUNS.drop("post_problems", "post_pass_at_1")


def with_cut(table: pl.DataFrame, share: np.ndarray) -> pl.DataFrame:
    """The same with so large a share of each candidate's wrong responses cut by the budget, (n,)."""
    problems = [
        [one | {"truncated": round(cut * (one["n"] - one["c"]))} for one in row]
        for row, cut in zip(table["pre_problems"].to_list(), share.tolist(), strict=True)
    ]
    return table.with_columns(pl.Series("pre_problems", problems))


def with_samples(table: pl.DataFrame, n: int) -> pl.DataFrame:
    """The same with n samples of each problem."""

    def fewer(counted: dict[str, Any]) -> dict[str, Any]:
        return (
            counted
            | {name: round(counted[name] * n / counted["n"]) for name in ("c", "truncated") if name in counted}
            | {"n": n}
        )

    columns = [name for name in ("pre_problems", "post_problems") if name in table.columns]
    return table.with_columns(pl.Series(name, [[fewer(one) for one in row] for row in table[name]]) for name in columns)


CUT_RUNS = with_cut(RUNS, np.random.default_rng(7).uniform(0, 0.8, RUNS.height))
FITTED = (prior_surrogate(FRESH), fit(RUNS[:8], "hierarchical"))
PRIOR = shipped_prior().levels["benchmarks and loss"]


def some_cells(n: int, seed: int = 0, B: int = 3) -> Cells:
    rng = np.random.default_rng(seed)
    share = rng.uniform(0, 0.7, (n, B))
    terms = np.repeat(rng.normal(0, 0.3, (n, 1, 1)), B, axis=1)
    return Cells(share, np.zeros((n, B)), terms, np.ones((n, 1)))


def test_the_posterior_is_that_of_a_dense_normal_distribution() -> None:
    """Cells are conditioned through the effects; the same by the covariance of all cells, cell by cell."""
    cells, spreads = some_cells(9), PRIOR.spreads
    at = design(cells, PRIOR.knots)
    z = np.random.default_rng(1).normal(0, 1, (9, 3))
    z[2, 1] = np.nan
    mean, covariance = weights_prior(PRIOR, 3, 1)
    found, spread, likelihood = updated(mean, covariance, cell_evidence(at, z, spreads, 0.4))
    rows = at.loadings.reshape(27, -1)
    K = rows @ covariance @ rows.T + np.diag(cell_noise(at, spreads, 0.4).ravel())
    K += spreads.candidate**2 * np.kron(np.eye(9), np.ones((3, 3)))
    known = np.isfinite(z.ravel())
    inverse = np.linalg.inv(K[np.ix_(known, known)])
    miss = (z.ravel() - rows @ mean)[known]
    load = covariance @ rows[known].T
    np.testing.assert_allclose(found, mean + load @ inverse @ miss, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(spread, covariance - load @ inverse @ load.T, rtol=1e-5, atol=1e-8)
    dense = -0.5 * (miss @ inverse @ miss - np.linalg.slogdet(inverse)[1])
    assert likelihood == pytest.approx(dense)


def test_evidence_in_parts_is_evidence_as_a_whole() -> None:
    cells = some_cells(8)
    z = np.random.default_rng(1).normal(0, 1, (8, 3))
    belief = weights_prior(PRIOR, 3, 1)
    whole = updated(*belief, cell_evidence(design(cells, PRIOR.knots), z, PRIOR.spreads, 0.4))
    step: Any = belief
    for rows in (np.arange(3), np.arange(3, 8)):
        part = cell_evidence(design(cells.take(rows), PRIOR.knots), z[rows], PRIOR.spreads, 0.4)
        step = updated(step[0], step[1], part)[:2]
    np.testing.assert_allclose(step[0], whole[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(step[1], whole[1], rtol=1e-5, atol=1e-8)


def test_no_evidence_changes_nothing() -> None:
    mean, covariance = weights_prior(PRIOR, 2, 1)
    q = len(mean)
    found, spread, likelihood = updated(mean, covariance, Evidence(np.zeros((q + 1, q + 1)), 0.0))
    np.testing.assert_allclose(found, mean)
    np.testing.assert_allclose(spread, covariance, atol=1e-12)
    assert likelihood == 0.0


def test_the_joint_errors_are_those_of_draws_of_the_effects() -> None:
    """Mean and covariance of the scores, against effects, candidates and noise drawn one by one."""
    cells = some_cells(4)
    mean, covariance = weights_prior(PRIOR, 3, 1)
    covariance = covariance * 0.05  # as after some results: where errors are small, linear is right
    spreads = PRIOR.spreads._replace(quiet=0.1, loud=0.2, candidate=0.1)
    weights = np.array([0.5, 0.3, 0.2])
    scores = predicted(cells, PRIOR.knots, mean, symmetric_root(covariance), spreads, weights)
    rng, at = np.random.default_rng(0), design(cells, PRIOR.knots)
    effects = mean + rng.standard_normal((40_000, len(mean))) @ symmetric_root(covariance).T
    z = np.einsum("nbq,dq->dnb", at.loadings, effects) + spreads.candidate * rng.standard_normal((40_000, 4, 1))
    z += np.sqrt(cell_noise(at, spreads, 0.0)) * rng.standard_normal(z.shape)
    drawn = np.clip(AFTER.inverse(z), 0, 1) @ weights
    np.testing.assert_allclose(scores.mean, drawn.mean(axis=0), atol=0.02)
    joint = scores.shared @ scores.shared.T + np.diag(scores.own**2)
    np.testing.assert_allclose(joint, np.cov(drawn.T), atol=0.0015)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 6), st.integers(0, 2))
def test_more_pass_at_1_never_predicts_less_whatever_the_results(seed: int, count: int, benchmark: int) -> None:
    rng = np.random.default_rng(seed)
    done = some_cells(count, seed)
    after = rng.uniform(0, 1, (count, 3))
    weights = np.ones(3) / 3
    found = posterior(design(done, PRIOR.knots), PRIOR, after, after @ weights, weights)
    share = np.repeat(rng.uniform(0, 1, (1, 3)), 30, axis=0)
    share[:, benchmark] = np.linspace(0, 1, 30)
    cells = Cells(share, rng.uniform(0, 0.01, (30, 3)), np.zeros((30, 3, 1)), np.ones((30, 1)))
    root = symmetric_root(found.covariance)
    mean = predicted(cells, PRIOR.knots, found.mean, root, found.spreads, weights).mean
    assert (np.diff(mean) >= -1e-9).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, RUNS.height - 1))
def test_more_correct_samples_never_predict_less(seed: int, row: int) -> None:
    rng = np.random.default_rng(seed)
    problems = RUNS["pre_problems"][row].to_list()
    better = [one | {"c": min(one["n"], one["c"] + int(rng.integers(0, 9)))} for one in problems]
    both = pl.concat([RUNS[row], RUNS[row].with_columns(pl.Series("pre_problems", [better]))])
    for fitted in FITTED:
        worse, more = fitted.predict_frame(both).mean
        assert more >= worse - 1e-12


def test_lower_loss_never_predicts_less() -> None:
    fitted = fit(RUNS[:8], "hierarchical")
    X = np.repeat(fitted.design(RUNS[:1]), 20, axis=0)
    X[:, fitted.features.index("pre_held_out_loss_nats")] = np.linspace(0.1, 2.0, 20)
    assert (np.diff(fitted.predict(X).mean) <= 1e-9).all()


def test_of_two_with_equal_pass_at_1_the_one_that_was_cut_more_is_predicted_no_lower() -> None:
    """What was cut may have been right; without results, and whatever they say."""
    for fitted in (prior_surrogate(CUT_RUNS), fit(CUT_RUNS[:8], "hierarchical")):
        X = np.repeat(fitted.design(CUT_RUNS[:1]), 20, axis=0)
        X[:, fitted.features.index("pre_problems[b].finished")] = np.linspace(1.0, 0.0, 20)
        mean = fitted.predict(X).mean
        assert (np.diff(mean) >= -1e-9).all()
        assert mean[-1] > mean[0]


def test_how_much_cutting_says_is_learnt() -> None:
    """Where RL gives back what was cut, the coefficient is 1, and candidates are ordered by it."""
    rng = np.random.default_rng(2)
    share, cut = rng.uniform(0.05, 0.5, (60, 3)), -np.log(rng.uniform(0.3, 1.0, (60, 3)))
    cells = Cells(share, np.zeros((60, 3)), cut[:, :, None], np.repeat(np.eye(2), 30, axis=0))
    z = 0.5 * np.log(share / (1 - share)) + cut + 0.1 * rng.normal(size=(60, 3))
    prior = learn([Task(cells, z, np.ones(3) / 3)], np.array([-4.0, -1.0]), [TERMS[CUT].believed])
    assert prior.mean[-1] == pytest.approx(1.0, abs=0.1)


def test_responses_of_which_it_is_not_known_whether_they_were_cut_are_no_reason_to_screen() -> None:
    unknown = CUT_RUNS.with_columns(
        pl.col("pre_problems").list.eval(pl.element().struct.with_fields(truncated=pl.lit(None, pl.Int64)))
    )
    assert level_of(CUT_RUNS) == "Pass@4 by benchmark, what was cut, and loss"
    assert level_of(unknown) == "Pass@4 by benchmark and loss"
    one = pl.concat([CUT_RUNS[:-1], unknown[-1:]], how="vertical_relaxed")
    assert level_of(one) == "Pass@4 by benchmark and loss"
    np.testing.assert_array_equal(
        fit(unknown, "hierarchical").predict_frame(FRESH).mean, fit(RUNS, "hierarchical").predict_frame(FRESH).mean
    )


def test_the_same_share_of_fewer_samples_is_no_worse_only_less_sure() -> None:
    fitted = fit(RUNS[:8], "hierarchical")
    X = np.repeat(fitted.design(RUNS[:1]), 2, axis=0)
    samples = [at for at, name in enumerate(fitted.features) if name.endswith("samples")]
    X[0, samples], X[1, samples] = 16.0, 4096.0
    X[:, 0] = 0.0  # none of so many was right
    few, many = (fitted.predict(X).mean, fitted.predict(X).std)
    assert few[0] == few[1]
    assert many[0] > many[1]


def test_results_move_the_prior_towards_the_truth() -> None:
    truth = RUNS["post_pass_at_1"].to_numpy()[20:]

    def miss(surrogate: FittedSurrogate) -> float:
        return float(abs(surrogate.predict_frame(FRESH[20:]).mean - truth).mean())

    errors = [miss(prior_surrogate(FRESH)), *(miss(fit(RUNS[:count], "hierarchical")) for count in (1, 3, 20))]
    assert min(errors[:3]) > errors[3]
    assert errors[3] < 0.04


def test_overall_scores_teach_too_and_less() -> None:
    flat = RUNS.drop("post_problems")
    truth = RUNS["post_pass_at_1"].to_numpy()[20:]
    prior = prior_surrogate(FRESH).predict_frame(FRESH[20:])
    by_benchmark, overall = (fit(table[:20], "hierarchical").predict_frame(FRESH[20:]) for table in (RUNS, flat))
    assert abs(overall.mean - truth).mean() < abs(prior.mean - truth).mean()
    assert by_benchmark.std.mean() < overall.std.mean() < prior.std.mean()


def test_results_of_other_runs_than_the_target_are_not_learnt_from() -> None:
    """Scores by benchmark that do not add up to the target are of one seed of several, or of another run."""
    moved = RUNS.with_columns(post_pass_at_1=pl.col("post_pass_at_1") * 0.9)[:12]
    first, second = (fit(table, "hierarchical") for table in (moved, moved.drop("post_problems")))
    np.testing.assert_allclose(first.predict_frame(FRESH).mean, second.predict_frame(FRESH).mean)


def test_a_prepared_table_gives_the_same_fit() -> None:
    direct, prepared = fit(RUNS[:9], "hierarchical"), fit(prepare(RUNS, ("hierarchical",))[:9], "hierarchical")
    np.testing.assert_allclose(direct.predict_frame(FRESH).mean, prepared.predict_frame(FRESH).mean, atol=1e-12)


def test_another_base_is_predicted_with_less_certainty() -> None:
    fitted = fit(RUNS[:10], "hierarchical")
    own = fitted.predict_frame(FRESH[10:])
    other = fitted.predict_frame(FRESH[10:].with_columns(base_model=pl.lit("unknown")))
    assert (other.std > own.std).all()
    # What was seen of the benchmarks still helps.
    assert (other.std < prior_surrogate(FRESH).predict_frame(FRESH[10:]).std).all()


def test_the_level_follows_what_is_measured() -> None:
    flat = pl.DataFrame({"pre_pass_at_1": [0.1], "pre_pass_at_64": [0.5], "pre_held_out_loss_nats": [0.7]})
    assert level_of(RUNS) == "Pass@4 by benchmark and loss"
    assert level_of(RUNS.drop("pre_held_out_loss_nats")) == "Pass@4 by benchmark"
    assert level_of(with_samples(RUNS, 3)) == "benchmarks and loss"
    assert level_of(flat) == "Pass@64 and loss"
    assert level_of(flat.drop("pre_held_out_loss_nats")) == "Pass@64"
    assert level_of(flat.drop("pre_pass_at_64")) == ""
    one = corpus(1, ("only",))
    assert level_of(one) == "Pass@64 and loss"  # a map of one benchmark would order by Pass@1
    with pytest.raises(CorpusError, match="needs the counts of each problem of two or more benchmarks"):
        fit(flat.drop("pre_pass_at_64").with_columns(candidate=pl.lit("a"), post_pass_at_1=0.3), "hierarchical")


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_survives_storage_to_the_last_bit(level: str, tmp_path: Path) -> None:
    knots, terms, tries = LEVELS[level]
    table = CUT_RUNS if CUT in terms else RUNS
    table = table if "pre_held_out_loss_nats" in terms else table.drop("pre_held_out_loss_nats")
    table = table if tries > 1 else with_samples(table, 3)
    if not knots:
        k = terms[0].rpartition("_")[2]
        coverage = pl.col("post_pass_at_1").alias(f"pre_pass_at_{k}")
        table = table.drop("pre_problems").with_columns(coverage, pre_pass_at_1=0.2)
    assert level_of(table) == level
    for fitted in (fit(table[:9], "hierarchical"), prior_surrogate(table)):
        save_surrogate(fitted, tmp_path)
        first, second = fitted.predict_frame(table), load_surrogate(tmp_path).predict_frame(table)
        assert np.array_equal(first.mean, second.mean)
        assert np.array_equal(first.std, second.std)
        assert np.isfinite(first.std).all()


def test_what_errs_together_adds_up_to_the_deviation() -> None:
    fitted = fit(RUNS[:9], "hierarchical")
    X = fitted.design(FRESH)
    joint, prediction = fitted.joint(X), fitted.predict(X)
    np.testing.assert_allclose(np.sqrt((joint.factor**2).sum(axis=1) + joint.noise**2), prediction.std)
    np.testing.assert_allclose(joint.mean, prediction.mean)


def test_other_targets_and_scores_that_are_no_fraction_are_refused() -> None:
    with pytest.raises(CorpusError, match=r"predicts Pass@k or maj@k after RL .*, not 'other'"):
        fit(RUNS.with_columns(other=pl.col("post_pass_at_1")), "hierarchical", target="other")
    with pytest.raises(CorpusError, match="must be a fraction from 0 to 1"):
        fit_frame("hierarchical", RUNS, 100 * RUNS["post_pass_at_1"].to_numpy())


def test_the_shipped_prior_knows_the_signs() -> None:
    stored = shipped_prior()
    assert stored.corpora == ("lab", "lab-2", "lab-3", "lab-pilot", "lab-search")
    for level in stored.levels.values():
        assert (level.mean[1:] >= 0).all()
        assert level.mean[1:].max() > 0.1


def test_a_prior_survives_storage_and_a_broken_one_is_named(tmp_path: Path) -> None:
    stored = shipped_prior()
    again = load_prior(save_prior(stored, tmp_path).parent)
    for name, level in stored.levels.items():
        assert np.array_equal(level.mean, again.levels[name].mean)
        assert np.array_equal(level.covariance, again.levels[name].covariance)
        assert level.spreads == again.levels[name].spreads
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    (tmp_path / FILE).write_text(text.replace('"bases": ', '"basis": '), encoding="utf-8")
    with pytest.raises(SurrogateError, match="key 'bases' is missing"):
        load_prior(tmp_path)
    bad = replace(stored.levels["Pass@64"], mean=np.array([np.inf, 1.0]))
    with pytest.raises((SurrogateError, ValueError)):
        load_prior(save_prior(replace(stored, levels={**stored.levels, "Pass@64": bad}), tmp_path).parent)
    with pytest.raises(SurrogateError, match="there is no prior"):
        load_prior(tmp_path / "nowhere")


def test_a_prior_of_before_reads_pass_at_1_and_is_read(tmp_path: Path) -> None:
    stored = shipped_prior()
    old = {name: level for name, level in stored.levels.items() if LEVELS[name].tries == 1}
    again = load_prior(save_prior(replace(stored, levels=old), tmp_path).parent)
    assert {*again.levels} == {*old}
    fitted = prior_surrogate(FRESH, again)
    assert "pre_problems[a].pass_at_1" in fitted.features
    few = prior_surrogate(with_samples(FRESH, 3), stored)
    assert fitted.features == few.features
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    (tmp_path / FILE).write_text(text.replace('"benchmarks and loss"', '"benchmarks or loss"'), encoding="utf-8")
    with pytest.raises(SurrogateError, match=r"key 'levels\.benchmarks and loss' is missing"):
        load_prior(tmp_path)


def test_a_surrogate_stored_before_its_map_named_its_tries_reads_pass_at_1(tmp_path: Path) -> None:
    fitted = fit(with_samples(RUNS, 3)[:9], "hierarchical")
    path = save_surrogate(fitted, tmp_path)
    value = json.loads(path.read_text(encoding="utf-8"))
    assert value["form"].pop("tries") == 1.0
    path.write_text(json.dumps(value), encoding="utf-8")
    assert np.array_equal(load_surrogate(tmp_path).predict_frame(RUNS).mean, fitted.predict_frame(RUNS).mean)


def test_steps_far_from_those_of_the_prior_are_said() -> None:
    for steps, said in ((300, False), (90, True), (2000, True)):
        notes = prior_surrogate(FRESH.with_columns(rl_steps=steps)).notes
        assert any("RL steps, far from the prior's" in note for note in notes) == said


def test_benchmarks_that_were_measured_after_rl_alone_are_said() -> None:
    """Their results are in the overall score, which then is not the sum of what is known by benchmark."""
    wide = corpus(5, ("a", "b", "c", "new"), 12)
    before = pl.col("pre_problems").list.eval(pl.element().filter(pl.element().struct.field("benchmark") != "new"))
    fitted = fit(wide.with_columns(before), "hierarchical")
    assert any("not before, so not predicted by benchmark: new" in note for note in fitted.notes)
    assert not any("not predicted by benchmark" in note for note in fit(wide, "hierarchical").notes)
    assert np.isfinite(fitted.predict_frame(wide.with_columns(before)).mean).all()
