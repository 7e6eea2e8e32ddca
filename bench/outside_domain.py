"""How often predictive intervals hold outside the surrogate's training domain, on the shipped corpora: run this file.

Each kind of data is left out in turn: the surrogate is fitted and calibrated on the candidates of the other kinds, and
predicts those of this one. Half a minute on one core.
"""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from quagpredict.corpus import read_corpus
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.fitting import fit_frame
from quagpredict.surrogates.training_rows import training_rows
from quagpredict.validation.conformal import learn_calibration
from quagpredict.validation.splits import leave_one_group_out
from quagpredict.validation.task import names_of

CORPORA = ("lab", "lab-2", "lab-pilot")
THREE = ("pre_pass_at_1", "pre_pass_at_64", "pre_held_out_loss_nats")
MODELS = {"linear": "both", "mixed": "both", "average": THREE, "ridge": THREE, "gaussian_process": THREE}
FEWEST = 12


def predictions(corpus: str) -> Iterator[dict[str, object]]:
    """Yield every candidate of a kind of data that was left out: its distance, and whether the interval holds it."""
    runs = read_corpus(shipped_path(f"datasets/{corpus}/corpus.parquet"))
    rows = training_rows(runs, "post_pass_at_1", split=None, source=corpus)
    frame, y = rows.frame, rows.y
    for split in leave_one_group_out(names_of(frame, "recipe_data_kind")):
        if len(split.train) < FEWEST:
            continue
        train, test = frame[split.train], frame[split.test]
        for kind, features in MODELS.items():
            how = {"features": features, "transforms": "log-logit"}
            fitted = fit_frame(kind, train, y[split.train], **how)
            calibration = learn_calibration(kind, train, y[split.train], **how)
            calibrated = replace(fitted, calibration=calibration)
            X = calibrated.design(test)
            low, high = calibrated.interval(X, groups=test["base_model"].to_list())
            distance = calibrated.predict(X).distance
            for at, outcome in enumerate(y[split.test]):
                yield {
                    "corpus": corpus,
                    "candidate": test["candidate"][at],
                    "model": kind,
                    "where": "outside" if distance[at] > 1 else "inside",
                    "held": bool(low[at] <= outcome <= high[at]),
                }


def main() -> None:
    """Print the share of outcomes inside their 90 % intervals, by model and over all."""
    found = pl.DataFrame([row for corpus in CORPORA for row in predictions(corpus)])
    for title, part in [*((kind, found.filter(model=kind)) for kind in MODELS), ("all", found)]:
        texts = []
        for where in ("inside", "outside"):
            held = part.filter(where=where)
            share = f"{held['held'].sum() / held.height:.2f}" if held.height else "none"
            candidates = held.select("corpus", "candidate").n_unique()
            texts.append(f"{where} {share} of {held.height} ({candidates} candidates)")
        print(f"{title:<18}{'   '.join(texts)}")


if __name__ == "__main__":
    main()
