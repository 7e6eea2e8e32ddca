"""Runs of an MLflow store as a table: one row a run, with what was logged last of every metric."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.arguments import check_arguments
from quagpredict.errors import InvalidDataError, NothingToRankError, QuagpredictError, one_line
from quagpredict.optional import require
from quagpredict.schema import BY_NAME

_LOGGED_BY_CALLBACK = "quagpredict/"
_PAGE = 1000


def read_mlflow(uri: str | Path, experiment: str | None = None) -> pl.DataFrame:
    """Read the runs of an MLflow store as a table of candidates, under the names that were logged.

    Parameters
    ----------
    uri : str or path
        Where the store is: ``sqlite:///mlflow.db``, the address of a server, or a file that SQLite wrote.
    experiment : str, optional
        Name of the experiment; all of them together by default.

    Returns
    -------
    polars.DataFrame
        One row a run that was not deleted, oldest first. ``candidate`` is the run's name, followed by the start of its
        id where several have it or it has none. Metrics are numbers, the last of each that was logged; what
        `QuagpredictCallback` logged has the schema's name, so ``quagpredict/pass_at_1`` is ``pre_pass_at_1``.
        Parameters are there where runs differ in them (``recipe_`` before their names, numbers where all are). A run
        that lacks one has null. Headers of your own are told to `rank` or `read_corpus` by ``columns``.

    Raises
    ------
    InvalidDataError
        If there is no such store or experiment.
    NothingToRankError
        If it holds no run.
    MissingExtraError
        If MLflow is not installed.

    Examples
    --------
    ``qp.rank(qp.read_mlflow("sqlite:///mlflow.db", "sft"), columns={"pre_held_out_loss_nats": "eval_loss"})``; here
    what is said where there is no store:

    >>> from quagpredict.errors import MissingExtraError
    >>> try:
    ...     read_mlflow("no-such/mlflow.db")
    ... except (InvalidDataError, MissingExtraError) as error:
    ...     "mlflow" in str(error)
    True
    """
    check_arguments(read_mlflow, locals())
    mlflow = require("mlflow")
    text = str(uri)
    file = Path(text.removeprefix("sqlite:///"))
    if "://" not in text or text.startswith("sqlite:///"):
        if not file.is_file():  # MLflow would make an empty one
            raise InvalidDataError(
                f"{text}: there is no file {file}; expected an MLflow store, e.g. sqlite:///mlflow.db"
            )
        text = f"sqlite:///{file}"
    try:
        runs = _runs(mlflow.MlflowClient(tracking_uri=text), text, experiment)
    except QuagpredictError:
        raise
    except Exception as error:  # what a server, a driver or a broken file can raise is not listed anywhere
        raise InvalidDataError(f"{uri}: MLflow cannot read it ({type(error).__name__}: {one_line(error)})") from None
    if not runs:
        raise NothingToRankError(f"{uri}: there is no run" + ("" if experiment is None else f" in '{experiment}'"))
    return _table(runs)


def _runs(client: Any, uri: str, experiment: str | None) -> list[Any]:
    there = {each.name: each.experiment_id for each in _all(client.search_experiments)}
    if experiment is not None and experiment not in there:
        raise InvalidDataError(f"{uri}: there is no experiment '{experiment}'; there are {', '.join(there) or 'none'}")
    wanted = list(there.values()) if experiment is None else [there[experiment]]
    return _all(client.search_runs, experiment_ids=wanted, order_by=["attributes.start_time ASC"])


def _all(search: Callable[..., Any], **asked: Any) -> list[Any]:
    """Return what a search of MLflow finds, which comes in pages."""
    results: list[Any] = []
    token = None
    while True:
        page = search(max_results=_PAGE, page_token=token, **asked)
        results += page
        token = page.token
        if not token:
            return results


def _table(runs: list[Any]) -> pl.DataFrame:
    given_names = [run.info.run_name or "run" for run in runs]  # those of MLflow 1 may have no name
    names = Counter(given_names)
    called = [
        name + (f"-{run.info.run_id[:8]}" if names[name] > 1 or not run.info.run_name else "")
        for name, run in zip(given_names, runs, strict=True)
    ]
    columns: dict[str, pl.Series] = {"candidate": pl.Series("candidate", called, pl.String)}
    for name in dict.fromkeys(name for run in runs for name in run.data.metrics):
        values = [run.data.metrics.get(name) for run in runs]
        columns.setdefault(_column(name), pl.Series(_column(name), values, pl.Float64))
    for name in dict.fromkeys(name for run in runs for name in run.data.params):
        texts = pl.Series(f"recipe_{name}", [run.data.params.get(name) for run in runs], pl.String)
        if texts.n_unique() > 1:
            numbers = texts.cast(pl.Float64, strict=False)
            columns.setdefault(texts.name, numbers if numbers.null_count() == texts.null_count() else texts)
    return pl.DataFrame(list(columns.values()))


def _column(metric: str) -> str:
    """Return the column that a metric goes into: of the callback's the schema's, of others what they are called."""
    measured = metric.removeprefix(_LOGGED_BY_CALLBACK)
    if measured == metric:
        return metric
    name = {"held_out_loss": "held_out_loss_nats"}.get(measured, measured)
    return f"pre_{name}" if f"pre_{name}" in BY_NAME else measured
