"""The result of a validation."""

from dataclasses import dataclass

import polars as pl

from quagpredict.validation.baselines import BASELINE, BASELINE_ORDER
from quagpredict.validation.judging import OF_VALUES

#: Columns of `ValidationReport.frame`.
SCHEMA = {
    "scenario": pl.String,
    "protocol": pl.String,
    "model": pl.String,
    "features": pl.String,
    "metric": pl.String,
    "mean": pl.Float64,
    "sd": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "gain": pl.Float64,
    "gain_low": pl.Float64,
    "gain_high": pl.Float64,
    "repeats": pl.Int64,
    "candidates": pl.Int64,
}

CEILING = "noise ceiling"
#: Metric: the difference from Pass@k as it is in the share of pairs in order, on the same splits.
OVER_COVERAGE = "pairs_over_pass_at_k"

# Base models that must have been left out in turn before a surrogate counts as shown to carry over.
_FEWEST_BASES = 3


@dataclass(frozen=True, eq=False)
class ValidationReport:
    """How well models predicted runs that they were not fitted on.

    Attributes
    ----------
    frame : polars.DataFrame
        One row for each scenario, protocol, model and metric: ``mean`` and ``sd`` over the protocol's repeats; ``low``
        and ``high``, a 90 % interval of the mean; ``gain``, ``gain_low``, ``gain_high``, the same for the difference
        from post-SFT Pass@1 on the same splits, null where it has no such score (fitted as a line for errors and
        intervals, as it is, ``proxy:pass_at_1``, for what depends on the order alone); ``repeats``
        that had a score; ``candidates`` in the scenario. Regrets, errors and widths are in the unit of the target, and
        lower is better there. ``pairs_over_pass_at_k`` is the difference in the share of pairs in order from Pass@k as
        it is, of the largest k up to 64. Where groups were left out, ``r2_median`` and ``r2_pooled`` are R² over them,
        see `r2_over_groups`. The rows of the model ``noise ceiling`` are what the best predictor could reach.
    notes : tuple of str
        What was skipped, and why; how the noise ceiling was estimated.
    target, eval_protocol_id, rl_recipe_id : str
    candidates : int
        Finished candidates in all.
    surrogates : tuple of str
        Names of the models that are no baselines.
    baseline : str
        Model that gains are measured from.
    top_m : int
        How many candidates are chosen, for regret and recall.
    grouped_by : str
        What rows are grouped by: ``base``, or the column that took its place.
    groups : int
        How many groups there are.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...]
    target: str
    eval_protocol_id: str
    rl_recipe_id: str
    candidates: int
    surrogates: tuple[str, ...] = ()
    baseline: str = BASELINE
    top_m: int = 3
    grouped_by: str = "base"
    groups: int = 1

    def __repr__(self) -> str:
        """Return one line: the scores are in `frame`, and `table` shows some."""
        models, scenarios = self.frame["model"].n_unique(), self.frame["scenario"].n_unique()
        return f"ValidationReport({models} models, {scenarios} scenarios, {self.candidates} candidates; see .table())"

    def _repr_html_(self) -> str:
        """Return the table of the first scenario and protocol as notebooks show it."""
        return self.table(self.frame["scenario"][0], self.frame["protocol"][0])._repr_html_()

    def table(
        self,
        scenario: str = "all",
        protocol: str = "random-halves",
        metrics: tuple[str, ...] = ("r2", "spearman", "pairwise_accuracy", "regret_1", "coverage_90"),
    ) -> pl.DataFrame:
        """Return a table for reading: a row a model, and for each metric its mean and standard deviation.

        A metric that a model does not have is null; an unknown scenario or protocol gives no rows.
        """
        chosen = self.frame.filter((pl.col("scenario") == scenario) & (pl.col("protocol") == protocol))
        table = chosen.select("model").unique(maintain_order=True)
        for metric in metrics:
            values = chosen.filter(pl.col("metric") == metric)
            columns = [pl.col("mean").alias(metric), pl.col("sd").alias(f"{metric}_sd")]
            table = table.join(values.select("model", *columns), on="model", how="left", maintain_order="left")
        return table

    def baseline_of(self, metric: str) -> str:
        """Return the model that the gain in a metric is measured from: SFT Pass@1 as it is for an order."""
        of_order = self.baseline == BASELINE and metric not in OF_VALUES
        return BASELINE_ORDER if of_order and (self.frame["model"] == BASELINE_ORDER).any() else self.baseline

    def best(self, scenario: str = "all", protocol: str = "random-halves", metric: str = "spearman") -> str | None:
        """Return the surrogate with the best mean of a metric; None if no surrogate has it.

        It was chosen on these splits, so its own score is a little too good: the more surrogates, the more.
        """
        lower = metric.startswith(("regret", "rmse", "width"))
        rows = self.frame.filter(
            pl.col("model").is_in(self.surrogates),
            scenario=scenario,
            protocol=protocol,
            metric=metric,
        ).sort("mean", descending=not lower, nulls_last=True)
        return str(rows["model"][0]) if rows.height else None

    def carries_across_bases(self, model: str) -> bool:
        """Return whether `model` has been shown to predict candidates of a base model that it has not seen.

        That is so if, with each of three or more base models left out in turn, its mean R² is above 0 and its pairs are
        ordered better than by chance with 95 % confidence. Two bases are two cases: no evidence for a third.
        """
        rows = self.frame.filter(
            (pl.col("scenario") == "all") & (pl.col("protocol") == "leave-one-base-out") & (pl.col("model") == model)
        )
        rows = rows.filter(pl.col("repeats") >= _FEWEST_BASES)
        accurate = rows.filter((pl.col("metric") == "r2") & (pl.col("mean") > 0)).height
        ordered = rows.filter((pl.col("metric") == "pairwise_accuracy") & (pl.col("low") > 0.5)).height
        return bool(accurate and ordered)
