"""Validating every surrogate on a corpus of 200 runs, 100 random halves, against a plain loop with scikit-learn."""

import resource
import time
import warnings

import numpy as np
from timing import Figure

from quagpredict.testing.synthetic import synthetic_corpus
from quagpredict.validation import validate
from quagpredict.validation.baselines import every_surrogate
from quagpredict.validation.splits import random_halves

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


def measure() -> list[Figure]:
    """One figure; promised are under 60 s on two cores. Both sides run once: each takes the best part of a minute."""
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
    return [Figure(name, ours, "scikit-learn, looped", theirs, f"< {LIMIT_S} s", ours < LIMIT_S, note)]


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)
