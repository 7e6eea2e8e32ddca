"""Finished runs with curves: those of the shipped family `lab-2`, and a family whose curves are known."""

import numpy as np
import polars as pl
import pytest

from quagpredict.curves.model import LOGIT, learn_curves
from quagpredict.shipped import shipped_path

COLUMNS = ["candidate", "base_model", "rl_seed", "post_curve"]


@pytest.fixture(scope="session")
def lab_2():
    return pl.read_parquet(shipped_path("datasets/lab-2/corpus.parquet"), columns=COLUMNS)


@pytest.fixture(scope="session")
def lab():
    return pl.read_parquet(shipped_path("datasets/lab/corpus.parquet"), columns=COLUMNS)


@pytest.fixture(scope="session")
def model(lab_2):
    return learn_curves([lab_2])


def known_runs(bases, each, spread, noise, seed=0):
    """Runs that gain h (1 + g + base) on the logit until their end, with g the logit of Pass@16 less that of Pass@1."""
    random = np.random.default_rng(seed)
    rows = []
    for base in range(bases):
        more = spread * random.standard_normal()
        for run in range(each):
            end, g = random.normal(0.5, 0.3), random.uniform(0.2, 1.5)
            points = []
            # One measurement before the end: it is the end of no shorter run.
            for step in (int(random.choice([0, 50, 100, 200])), 400):
                h = 1.0 - np.sqrt(step / 400)
                x = end - h * (1.0 + g + more + noise * random.standard_normal())
                both = LOGIT.inverse(np.array([x, x + g]))
                points.append({"step": step, "pass_at_1": float(both[0]), "pass_at_16": float(both[1])})
            rows.append({"candidate": f"{base}.{run}", "base_model": f"b{base}", "post_curve": points})
    return pl.DataFrame(rows)
