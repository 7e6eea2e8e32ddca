"""Validating every surrogate on a corpus of 200 runs, 100 random halves, against a plain loop with scikit-learn."""

import resource
import time
import warnings

import numpy as np
import polars as pl
from timing import Figure

from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation import validate
from quagpredict.validation.baselines import every_surrogate
from quagpredict.validation.splits import random_halves, repeated_k_fold

RUNS, REPEATS, LIMIT_S = 200, 100, 60
JOBS = 2


def looped() -> float:
    """Fit scikit-learn's and LightGBM's own estimators on the same halves, nothing but R² and Spearman; seconds.

    Six models, no intervals, no baselines, no bootstrap: what a notebook would do.
    """
    from lightgbm import LGBMRegressor
    from scipy.stats import spearmanr
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.linear_model import BayesianRidge, LinearRegression, RidgeCV
    from sklearn.metrics import r2_score
    from sklearn.model_selection import GridSearchCV, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = synthetic_corpus(RUNS, seed=1).frame
    X = frame.select("pre_held_out_loss_nats", "pre_pass_at_64").to_numpy()
    y = frame["post_pass_at_1"].to_numpy()
    kernel = ConstantKernel() * RBF([1.0, 1.0]) + WhiteKernel()
    models = [
        LinearRegression(),
        make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))),
        make_pipeline(StandardScaler(), BayesianRidge()),
        make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True)),
        LGBMRegressor(min_child_samples=5, num_leaves=4, n_estimators=200, learning_rate=0.05, verbose=-1, n_jobs=1),
        GridSearchCV(
            make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True)),
            {"gaussianprocessregressor__alpha": [1e-8, 1e-4, 1e-2]},
        ),
    ]
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the optimiser's bounds, and of names that LightGBM makes up
        for number, split in enumerate(random_halves(np.arange(RUNS), REPEATS)):
            for model in models:
                predicted = model.fit(X[split.train], y[split.train]).predict(X[split.test])
                r2_score(y[split.test], predicted)
                spearmanr(y[split.test], predicted)
                if number < 10:  # as often as ours calibrates intervals
                    cross_val_predict(model, X[split.train], y[split.train], cv=5)
    return time.perf_counter() - started


def any_table() -> pl.DataFrame:
    """Return 104 rows of 8 features of anyone, two of which matter in a line and one in a wave."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(104, 8))
    score = X[:, 0] + 0.5 * X[:, 1] + np.sin(2 * X[:, 2]) + rng.normal(0, 0.3, 104)
    features = {f"f{place}": X[:, place] for place in range(8)}
    return pl.DataFrame({"candidate": [f"c{row}" for row in range(104)], **features, "score": score})


def process_looped(table: pl.DataFrame) -> float:
    """Fit scikit-learn's process with a length scale for each feature on the same 200 splits, nothing else; seconds."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    X, y = table.select("^f[0-9]$").to_numpy(), table["score"].to_numpy()
    kernel = ConstantKernel() * Matern(np.ones(8), nu=2.5) + WhiteKernel()
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of length scales at their bounds
        for split in (*random_halves(np.arange(104)), *repeated_k_fold(np.arange(104))):
            GaussianProcessRegressor(kernel, normalize_y=True).fit(X[split.train], y[split.train]).predict(
                X[split.test]
            )
    return time.process_time() - started


def measure_table() -> Figure:
    """Return the figure of a general table: processor time of every kind under every protocol, promised under 20 s."""
    table = any_table()
    spent = _cpu_seconds()
    report = validate(table, "all", target="score", features="f.*")
    spent = _cpu_seconds() - spent
    note = f"processor time; {report.frame['model'].n_unique() - 1} models, two protocols, intervals"
    theirs = process_looped(table)
    name = "validate --surrogate all, 104 rows x 8"
    return Figure(name, spent, "scikit-learn's process", theirs, "< 20 s", spent < 20, note)


def measure() -> list[Figure]:
    """Two figures; the first promises under 60 s on two cores. Both sides run once: each takes half a minute."""
    frame = synthetic_corpus(RUNS, seed=1).frame
    started, spent = time.perf_counter(), _cpu_seconds()
    report = validate(frame, "all", "random-halves", scenarios=["all"], repeats=REPEATS, jobs=JOBS)
    ours, spent = time.perf_counter() - started, _cpu_seconds() - spent
    theirs = looped()
    judged = report.frame["model"].n_unique() - 1
    name = f"validate {len(every_surrogate(frame))} surrogates, {RUNS} runs"
    note = (
        f"{REPEATS} halves, {judged} models with baselines, {JOBS} processes ({spent:.0f} s of CPU); the loop has "
        "6 models, no baselines"
    )
    whole = Figure(name, ours, "scikit-learn, looped", theirs, f"< {LIMIT_S} s", ours < LIMIT_S, note)
    return [whole, measure_table()]


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
