"""A whole search for a mixture: trials are trained, measured, scored, taken through RL and written down.

Each worker is this search once more in a process of its own: they share the study and the folder, and nothing else.
"""

import contextlib
import fcntl
import math
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import polars as pl

from quagpredict.arguments import check_arguments
from quagpredict.collection.planning import checked_launcher, with_address
from quagpredict.corpus import read_corpus
from quagpredict.corpus.columns import column_of
from quagpredict.engines.ray_cluster import join
from quagpredict.errors import IncomparableError, QuagpredictError, UsageError, argument
from quagpredict.files import written_aside
from quagpredict.mixture_search.recipe_runs import RecipeRuns
from quagpredict.mixture_search.rounds import Outcome, round_seed, search_in_rounds, study_name
from quagpredict.mixture_search.samplers import Method
from quagpredict.mixture_search.scoring import scoring_surrogate
from quagpredict.mixture_search.space_file import Scoring, SearchPlan
from quagpredict.mixture_search.storage import open_storage
from quagpredict.mixture_search.study import OBJECTIVE_OF, MixtureSearch
from quagpredict.mixture_search.warm_start import from_corpus, from_study
from quagpredict.optional import require
from quagpredict.ranking.applicability import mismatches
from quagpredict.surrogates.fitted import FittedSurrogate

Say = Callable[[str], None]

_LOCK = "rounds.lock"
_WORKER = "from quagpredict.mixture_search.searching import work; work()"


@dataclass(frozen=True, eq=False)
class _Asked:
    """What all workers of a search do."""

    plan: SearchPlan
    surrogate: FittedSurrogate | None
    corpus: str | None  # what the surrogate was fitted on, where it is to learn from verified trials
    out: Path
    storage: str
    trials: int
    method: Method
    seed: int
    verify: int
    rounds: int
    workers: int
    launcher: str


def search(
    space: SearchPlan | str | Path,
    out: str | Path | None = None,
    *,
    trials: int = 40,
    method: Method = "surrogate",
    surrogate: FittedSurrogate | str | Path | None = None,
    seed: int = 0,
    verify: int = 0,
    rounds: int = 1,
    workers: int = 1,
    launcher: str | None = None,
    address: str | None = None,
    storage: str | None = None,
    warm_start: Any = (),
    warm_start_study: str | Sequence[str] = (),
    allow_unvalidated_base: bool = False,
    allow_mixed_protocols: bool = False,
    figures: bool = False,
    say: Say | None = None,
) -> Outcome:
    """Find the SFT mixture that ends best after RL, by trainings at one budget.

    The same call resumes where it was stopped or killed, and may be made several times at once on one storage.

    Parameters
    ----------
    space : SearchPlan or path
        A path, also of a shipped search, is read with `SearchPlan.from_yaml`.
    out : path, optional
        Folder to work in; by default ``runs/<name of the space>``. It gets ``trials.csv``, ``result.json``,
        ``corpus.parquet``, ``recipe.yaml`` (unless no trial is feasible), ``figures/``, the study, and ``recipes/``.
    trials : int
        SFT trainings, in all rounds together.
    method : {"surrogate", "sft-pass-at-1", "pass-at-64", "random", "regmix", "equal"}
        How trials are chosen, see `MixtureSearch`.
    surrogate : FittedSurrogate, path or spec, optional
        Scores the trials; by default the space's, and where that names none the prior of `rank`. A spec such as
        ``ridge:both`` is fitted on the corpus of the space. One that is given here does not learn from verified trials.
    seed : int
    verify : int
        Take the best so many trials of each round through RL.
    rounds : int
        Refit the surrogate so many times less one, on what was verified.
    workers : int
        Trials that are trained side by side, each by a process here that starts stages and writes down how they end.
    launcher : str, optional
        Where stages run, instead of the space's ``launch.mode``; as in `quagpredict.collect`.
    address : str, optional
        Where the launcher finds its cluster, instead of ``launch.options`` of the space.
    storage : str, optional
        Where the study lives, a URL, see `open_storage`; by default a file in `out`.
    warm_start : sequence of source
        Measured candidates to begin with, anything that `read_corpus` reads.
    warm_start_study : sequence of str
        Names of earlier studies of the same storage to begin with.
    allow_unvalidated_base, allow_mixed_protocols : bool
        Search although the surrogate was not validated on this base, or holds for another protocol or RL recipe.
    figures : bool
        Draw figures too.
    say : callable, optional
        Gets a line after each trial, and what happens between them.

    Returns
    -------
    Outcome
        Its ``chosen`` is the recipe to use, ``written`` the files.

    Raises
    ------
    UsageError
        If the space has no section ``evaluation``, the storage or the surrogate is not there, or the call is wrong.
    IncomparableError
        If the surrogate does not hold for this search, and that was not allowed.
    RecipeError
        If the space is not valid.
    MissingExtraError
        For figures without matplotlib, a storage whose driver is not installed, or Ray without Ray.
    LauncherError
        If what starts the stages is lost, or their folder cannot be written to; the same call resumes.

    Examples
    --------
    >>> from quagpredict.errors import QuagpredictError
    >>> try:  # what cannot work is said before anything is trained
    ...     search("collectors/searches/lab-mixture.yaml", "runs/none", surrogate="lab", trials=4)
    ... except QuagpredictError as error:
    ...     "fit a surrogate on comparable runs" in str(error)
    True
    """
    check_arguments(search, locals())
    plan = space if isinstance(space, SearchPlan) else SearchPlan.from_yaml(space)
    if workers < 1:
        raise UsageError(f"{argument('workers', workers)}: expected a whole number of at least 1")
    if figures:
        require("matplotlib")
    fitted = check_search(
        plan,
        surrogate,
        method=method,
        allow_unvalidated_base=allow_unvalidated_base,
        allow_mixed_protocols=allow_mixed_protocols,
    )
    mode = checked_launcher(plan.space.name, plan.launch, launcher)
    plan = replace(plan, launch=with_address(plan.launch, mode, address))
    tell = say or (lambda _: None)
    folder = Path(out) if out is not None else Path("runs") / plan.space.name
    folder.mkdir(parents=True, exist_ok=True)
    # A surrogate of the caller's was fitted on runs that are not known here.
    corpus = plan.scoring.corpus if plan.scoring is not None and surrogate is None else None
    url = storage or f"sqlite:///{folder / 'study.db'}"
    warm = [read_corpus(source) for source in _listed(warm_start)]
    opened = open_storage(url)
    asked = _Asked(plan, fitted, corpus, folder, url, trials, method, seed, verify, rounds, workers, mode)
    _warmed(_study(asked, opened, 1, fitted), warm, _listed(warm_start_study), opened, folder, tell)
    with contextlib.ExitStack() as stack:
        asked = _joined(asked, stack)
        for number in range(1, workers):
            stack.push(partial(_end, _started(asked, number)))
        outcome = _rounds(asked, opened, 0, tell)
    return replace(outcome, written=_written(asked, outcome, figures=figures))


def check_search(
    space: SearchPlan | str | Path,
    surrogate: FittedSurrogate | str | Path | None = None,
    *,
    method: Method = "surrogate",
    allow_unvalidated_base: bool = False,
    allow_mixed_protocols: bool = False,
) -> FittedSurrogate | None:
    """Return the surrogate that scores a search, or refuse one that does not hold for it; nothing is trained.

    The parameters are those of `search`. None where neither the call nor the space names a
    surrogate: then the prior scores.

    Raises
    ------
    IncomparableError
        If it holds for another protocol, RL recipe or base, and that was not allowed.
    UsageError, SurrogateError, RecipeError
        If it is not there, surrogate or space are not valid, or it scores trials by a Pass@k that takes more samples a
        problem than they are measured with.

    Examples
    --------
    >>> check_search("collectors/searches/lab-mixture.yaml").name
    'average'
    """
    check_arguments(check_search, locals())
    plan = space if isinstance(space, SearchPlan) else SearchPlan.from_yaml(space)
    given = surrogate if surrogate is not None else plan.scoring.surrogate if plan.scoring else None
    fitted = scoring_surrogate(given, plan.scoring.corpus if plan.scoring else None)
    if fitted is None or plan.evaluation is None:
        return fitted
    k = max((column_of(name).k for name in fitted.features), default=0.0)
    if OBJECTIVE_OF.get(method) == "lower_bound" and k > plan.evaluation.samples_before:
        raise UsageError(
            f"search '{plan.space.name}': '{fitted.name}' reads Pass@k up to k = {k:g}, and evaluation.samples "
            f"is {plan.evaluation.samples_before}; measure with at least {math.ceil(k)}, or name one of smaller k"
        )
    runs = RecipeRuns(plan, "")
    row: dict[str, Any] = {"candidate": ["x"], "eval_protocol_id": [runs.eval_protocol_id]}
    row |= {"base_model": [plan.space.base.name], "rl_recipe_id": [runs.rl_recipe_id]}
    for mismatch in mismatches(pl.DataFrame(row, schema_overrides={"rl_recipe_id": pl.String}), fitted):
        base = mismatch.kind == "unseen-base"
        if not (allow_unvalidated_base if base else allow_mixed_protocols):
            option = "allow_unvalidated_base" if base else "allow_mixed_protocols"
            raise IncomparableError(
                f"search '{plan.space.name}': {mismatch.detail}; fit a surrogate on comparable runs, or pass "
                f"{option}=True"
            )
    return fitted


def _listed(given: Any) -> list[Any]:
    return [given] if isinstance(given, (str, Path, pl.DataFrame)) else list(given)


def work() -> None:
    """Be one worker: read from standard input what `search` asks of it, and do it. What is said goes to a log."""
    number, asked = pickle.load(sys.stdin.buffer)

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    try:
        with contextlib.ExitStack() as stack:
            _rounds(_joined(asked, stack), open_storage(asked.storage), number, say)
    except QuagpredictError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)


def _joined(asked: _Asked, leave: contextlib.ExitStack) -> _Asked:
    """Join the cluster of Ray once for all trials, where they run on one; the workers share one that is our own."""
    if asked.launcher != "ray":
        return asked
    launch = asked.plan.launch
    ray = join(launch.options.get("ray", {}).get("address"), leave)
    launch = with_address(launch, "ray", ray.get_runtime_context().gcs_address)
    return replace(asked, plan=replace(asked.plan, launch=launch))


def _started(asked: _Asked, number: int) -> "subprocess.Popen[bytes]":
    with (asked.out / f"worker-{number}.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-c", _WORKER], stdin=subprocess.PIPE, stdout=log, stderr=log)
    assert process.stdin is not None
    with process.stdin, contextlib.suppress(BrokenPipeError):  # a worker that died at once says why in its log
        process.stdin.write(pickle.dumps((number, asked)))
    return process


def _end(worker: "subprocess.Popen[bytes]", kind: object, *_: object) -> None:
    """Wait for a worker that was started, or stop it if this one was stopped; its trial is then repeated."""
    if kind is not None:
        worker.terminate()
    worker.wait()


def _study(asked: _Asked, opened: Any, number: int, surrogate: FittedSurrogate | None) -> MixtureSearch:
    scoring = asked.plan.scoring or Scoring()
    return MixtureSearch(
        asked.plan.space,
        surrogate,
        method=asked.method,
        storage=opened,
        name=study_name(asked.plan.space.name, asked.method, asked.seed, number),
        seed=round_seed(asked.seed, number),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=8) if asked.plan.rungs else None,
        lower_bound=scoring.lower_bound,
        max_distance=scoring.max_distance,
    )


def _rounds(asked: _Asked, opened: Any, worker: int, say: Say) -> Outcome:
    # Fewer recipes to verify than workers: the RL seeds of each are shared out.
    rl_workers = max(1, asked.workers // max(1, asked.verify))
    with RecipeRuns(asked.plan, asked.out, rl_workers=rl_workers, launcher=asked.launcher) as runs:
        return search_in_rounds(
            partial(_study, asked, opened),
            runs.measure,
            trials=asked.trials,
            surrogate=asked.surrogate,
            corpus=read_corpus(asked.corpus) if asked.corpus else None,
            verify=runs.verify if asked.verify else None,
            verify_best=asked.verify,
            rounds=asked.rounds,
            lock=asked.out / _LOCK,
            worker=worker,
            progress=_progress(asked.trials, say),
            say=say,
        )


def _warmed(
    search: MixtureSearch, warm: Sequence[pl.DataFrame], studies: Sequence[str], opened: Any, out: Path, say: Say
) -> None:
    with (out / _LOCK).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for frame in warm:
            if (added := from_corpus(search, frame)) > 0:
                say(f"warm start: {added} of {frame.height} rows fit the space")
        for name in studies:
            try:
                earlier = optuna.load_study(study_name=name, storage=opened)
            except KeyError:
                names = ", ".join(optuna.get_all_study_names(opened))
                raise UsageError(
                    f"{argument('warm_start_study', name)}: no study '{name}' in this storage; it has {names}"
                ) from None
            if (copied := from_study(search, earlier)) > 0:
                say(f"warm start: {copied} trials of {name} fit the space")


def _progress(trials: int, say: Say) -> Callable[[Any], None]:
    started = time.monotonic()
    done = [0]

    def tell(trial: Any) -> None:
        done[0] += 1
        left = (time.monotonic() - started) / done[0] * max(0, trials - 1 - trial.number)
        value = "" if trial.value is None else f" {trial.value:.4f}"
        predicted = trial.user_attrs.get("prediction")
        parts = [] if predicted is None else [f"predicted {100 * predicted:.1f} %"]
        parts += [f"distance {trial.user_attrs['distance']:.2f}"] if "distance" in trial.user_attrs else []
        parts += [trial.user_attrs["error"]] if "error" in trial.user_attrs else []
        parts += ["a recipe that was measured before"] if trial.user_attrs.get("reused") else []
        detail = f" ({', '.join(parts)})" if parts else ""
        say(f"trial {trial.number}: {trial.state.name.lower()}{value}{detail}; about {left / 60:.0f} min left")

    return tell


def _written(asked: _Asked, outcome: Outcome, *, figures: bool) -> tuple[Path, ...]:
    from quagpredict.report.formats import to_json
    from quagpredict.report.search_tables import search_frame, search_values

    out, chosen = asked.out, outcome.chosen
    trials, result = search_frame(outcome).write_csv(), to_json(search_values(outcome))
    for name, content in (("trials.csv", trials), ("result.json", result)):
        with written_aside(out / name) as aside:
            aside.write_text(content, encoding="utf-8")
    corpus = RecipeRuns(asked.plan, out).write_corpus()
    written = [out / "trials.csv", out / "result.json", *([corpus] if corpus else [])]
    if chosen is not None:
        note = f"Trial {chosen.number} by method {asked.method}, seed {asked.seed}, score {chosen.value:.4f}."
        chosen.recipe.save(out / "recipe.yaml", asked.plan.space, note)
        written.append(out / "recipe.yaml")
    if figures:
        from quagpredict.report.search_figures import write_figures

        written += write_figures(outcome, out / "figures")
    return tuple(written)
