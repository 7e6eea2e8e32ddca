"""``quagpredict search``: find the SFT mixture that ends best after RL."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quagpredict.cli import COMMANDS
from quagpredict.cli.inputs import FORMATS, at_least, emit, say, say_notes

if TYPE_CHECKING:
    from quagpredict.collection.recipe_runs import RecipeRuns
    from quagpredict.mixture_search.rounds import Outcome
    from quagpredict.mixture_search.space_file import SearchPlan

METHODS = ("surrogate", "sft-pass-at-1", "random", "regmix", "equal")

DESCRIPTION = """\
Train SFT candidates with different mixtures and settings at one budget, measure each, and score it by the lower bound
of what a surrogate predicts after RL. --verify takes the best through RL; with --rounds the surrogate learns from them.
The same command goes on where it was stopped or killed, and may run several times at once on one storage.
"""
EPILOG = """\
examples:
  quagpredict search collectors/searches/lab-mixture.yaml --trials 40 --out runs/search
  quagpredict search SPACE.yaml --trials 60 --verify 3 --rounds 3 --workers 2 --figures
  quagpredict search SPACE.yaml --trials 40 --method sft-pass-at-1
  quagpredict search SPACE.yaml --trials 40 --storage postgresql://user@host/studies
"""


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Add the command's options."""
    parser = subparsers.add_parser(
        "search",
        help=COMMANDS["search"],
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("space", metavar="SPACE", help="search space (YAML)")
    add("--trials", type=at_least(1), default=40, metavar="N", help="SFT trainings, in all rounds (default: 40)")
    add("--out", type=Path, metavar="DIR", help="folder to work in (default: runs/<name of the space>)")
    add("--storage", metavar="URL", help="sqlite:///F, journal:///F or a database (default: DIR/study.db)")
    add("--method", choices=METHODS, default="surrogate", help="how trials are chosen (default: surrogate)")
    add("--surrogate", metavar="FOLDER", help="fitted surrogate (default: the space's)")
    add("--seed", type=at_least(0), default=0, metavar="S", help="seed of the search (default: 0)")
    add("--verify", type=at_least(0), default=0, metavar="M", help="take the best M of each round through RL")
    add("--rounds", type=at_least(1), default=1, metavar="R", help="refit the surrogate R - 1 times (default: 1)")
    add("--workers", type=at_least(1), default=1, metavar="N", help="processes that train side by side (default: 1)")
    add(
        "--warm-start",
        action="extend",
        nargs="+",
        default=[],
        metavar="TABLE",
        help="measured candidates to begin with",
    )
    add(
        "--warm-start-study",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help="earlier studies of the same storage",
    )
    add("--allow-unvalidated-base", action="store_true", help="search on a base the surrogate was not validated on")
    add("--allow-mixed-protocols", action="store_true", help="search although the surrogate's protocol or RL differs")
    add("--check", action="store_true", help="check the space and print it; train nothing")
    add("--figures", action="store_true", help="also write figures to DIR/figures (needs the extra 'plot')")
    add("--top", type=at_least(1), default=10, metavar="N", help="trials in the printed table (default: 10)")
    add("--format", choices=FORMATS, default="table", help="what to print (default: table)")
    add("--worker", type=at_least(0), default=0, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Search, verify, write and print."""
    from quagpredict.mixture_search.space_file import SearchPlan
    from quagpredict.optional import require

    plan = SearchPlan.from_yaml(args.space)
    if args.check:
        would = _checked(args, plan)
        print(_described(plan))
        say(would)
        return 0
    if args.figures:
        require("matplotlib")
    out = args.out or Path("runs") / plan.space.name
    out.mkdir(parents=True, exist_ok=True)
    storage = args.storage or f"sqlite:///{out / 'study.db'}"
    with ExitStack() as stack:
        outcome = _searched(args, plan, out, storage, stack)
    if args.worker:
        return 0
    return _written(args, plan, out, outcome)


def _checked(args: argparse.Namespace, plan: "SearchPlan") -> str:
    """Refuse a surrogate that is not there or does not apply; return what would be done."""
    from quagpredict.collection.recipe_runs import RecipeRuns

    surrogate = _surrogate(args, plan)
    if surrogate is not None and plan.evaluation is not None:
        with RecipeRuns(plan, args.out or Path("runs") / plan.space.name) as runs:
            _applicable(args, plan, runs, surrogate)
    by = f"the surrogate '{surrogate.name}'" if surrogate is not None else "what the space file says"
    verified = f"; the best {args.verify} verified by RL in {args.rounds} rounds" if args.verify else ""
    return f"{args.trials} trials by the method {args.method}, scored by {by}{verified}"


def _surrogate(args: argparse.Namespace, plan: "SearchPlan") -> Any:
    from quagpredict.surrogates.store import load_surrogate

    given = args.surrogate or (plan.scoring.surrogate if plan.scoring else None)
    return load_surrogate(given) if given else None


def _searched(args: argparse.Namespace, plan: "SearchPlan", out: Path, storage: str, stack: ExitStack) -> "Outcome":
    import polars as pl

    from quagpredict.collection.recipe_runs import RecipeRuns
    from quagpredict.corpus import read_corpus
    from quagpredict.mixture_search.rounds import search_in_rounds, study_name
    from quagpredict.mixture_search.storage import open_storage
    from quagpredict.mixture_search.study import MixtureSearch

    # Fewer recipes to verify than workers: the RL seeds of each are shared out.
    rl_workers = max(1, args.workers // max(1, args.verify))
    runs = stack.enter_context(RecipeRuns(plan, out, rl_workers=rl_workers))
    scoring = plan.scoring
    surrogate = _surrogate(args, plan)
    if surrogate is not None:
        _applicable(args, plan, runs, surrogate)
    corpus = None
    if scoring is not None and scoring.corpus and not args.surrogate:
        corpus = read_corpus(scoring.corpus)
    opened = open_storage(storage)
    warm = [read_corpus(name) for name in args.warm_start]

    def make_search(number: int, fitted: Any) -> MixtureSearch:
        search = MixtureSearch(
            plan.space,
            fitted,
            method=args.method,
            storage=opened,
            name=study_name(plan.space.name, args.method, args.seed, number),
            seed=args.seed * 1000 + number,
            pruner=_pruner() if plan.rungs else None,
            lower_bound=scoring.lower_bound if scoring else 0.1,
            max_distance=scoring.max_distance if scoring else 1.0,
        )
        if number == 1:
            _warmed(search, warm, args.warm_start_study, opened, out)
        return search

    first = make_search(1, surrogate)  # says what is wrong with the storage before workers are started
    del first
    for number in range(1, 1 if args.worker else args.workers):
        stack.push(partial(_end, _worker(number, args, storage, out)))
    try:
        return search_in_rounds(
            make_search,
            runs.measure,
            trials=args.trials,
            surrogate=surrogate,
            corpus=pl.DataFrame(corpus) if corpus is not None else None,
            verify=runs.verify if args.verify else None,
            verify_best=args.verify,
            rounds=args.rounds,
            lock=out / "rounds.lock",
            worker=args.worker,
            progress=_progress(args.trials),
            say=say,
        )
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        raise


def _warmed(search: Any, warm: list[Any], studies: list[str], storage: Any, out: Path) -> None:
    import fcntl

    import optuna

    from quagpredict.errors import UsageError
    from quagpredict.mixture_search.warm_start import from_corpus, from_study

    with (out / "rounds.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for frame in warm:
            if (added := from_corpus(search, frame)) > 0:
                say(f"warm start: {added} of {frame.height} rows fit the space")
        for name in studies:
            try:
                earlier = optuna.load_study(study_name=name, storage=storage)
            except KeyError:
                known = ", ".join(optuna.get_all_study_names(storage))
                raise UsageError(f"--warm-start-study: no study '{name}' in this storage; it has {known}") from None
            if (copied := from_study(search, earlier)) > 0:
                say(f"warm start: {copied} trials of {name} fit the space")


def _applicable(args: argparse.Namespace, plan: "SearchPlan", runs: "RecipeRuns", surrogate: Any) -> None:
    """Refuse a surrogate that holds for another protocol, RL recipe or base, before anything is trained."""
    import polars as pl

    from quagpredict.errors import IncomparableError
    from quagpredict.ranking.applicability import mismatches

    row: dict[str, Any] = {"candidate": ["x"], "eval_protocol_id": [runs.eval_protocol_id]}
    row |= {"base_model": [plan.space.base.name], "rl_recipe_id": [runs.rl_recipe_id]}
    for mismatch in mismatches(pl.DataFrame(row, schema_overrides={"rl_recipe_id": pl.String}), surrogate):
        base = mismatch.kind == "unseen-base"
        if not (args.allow_unvalidated_base if base else args.allow_mixed_protocols):
            option = "--allow-unvalidated-base" if base else "--allow-mixed-protocols"
            raise IncomparableError(
                f"{args.space}: {mismatch.detail}; fit a surrogate on comparable runs, or pass {option}"
            )


def _pruner() -> Any:
    import optuna

    return optuna.pruners.MedianPruner(n_startup_trials=8)


def _worker(number: int, args: argparse.Namespace, storage: str, out: Path) -> "subprocess.Popen[bytes]":
    """Start the same search once more, as one worker; it prints into a log and writes no result."""
    words = ["search", args.space, "--worker", str(number), "--storage", storage, "--out", str(out)]
    for name in ("trials", "method", "seed", "verify", "rounds", "workers"):
        words += [f"--{name}", str(getattr(args, name))]
    words += ["--surrogate", args.surrogate] if args.surrogate else []
    flags = ("allow_unvalidated_base", "allow_mixed_protocols")
    words += [f"--{name.replace('_', '-')}" for name in flags if getattr(args, name)]
    code = "from quagpredict.cli import main; raise SystemExit(main())"
    with (out / f"worker-{number}.log").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-c", code, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )


def _end(worker: "subprocess.Popen[bytes]", kind: object, *_: object) -> None:
    """Wait for a worker that was started, or stop it if this one was stopped; its trial is then repeated."""
    if kind is not None:
        worker.terminate()
    worker.wait()


def _progress(trials: int) -> Callable[[Any], None]:
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
        parts += ["a recipe that is known"] if trial.user_attrs.get("reused") else []
        detail = f" ({', '.join(parts)})" if parts else ""
        say(f"trial {trial.number}: {trial.state.name.lower()}{value}{detail}; about {left / 60:.0f} min left")

    return tell


def _written(args: argparse.Namespace, plan: "SearchPlan", out: Path, outcome: "Outcome") -> int:
    from quagpredict.collection.recipe_runs import RecipeRuns
    from quagpredict.files import written_aside
    from quagpredict.report.search_tables import print_search, search_csv, search_json

    chosen = outcome.chosen
    makers = {"csv": partial(search_csv, outcome), "json": partial(search_json, outcome)}
    emit(args.format, makers, lambda console: print_search(outcome, console, args.top), None)
    for name, make in (("trials.csv", makers["csv"]), ("result.json", makers["json"])):
        with written_aside(out / name) as aside:
            aside.write_text(make(), encoding="utf-8")
    corpus = RecipeRuns(plan, out).write_corpus()
    written = [out / "trials.csv", out / "result.json", *([corpus] if corpus else [])]
    if chosen is not None:
        note = f"Trial {chosen.number} by method {args.method}, seed {args.seed}, score {chosen.value:.4f}."
        chosen.recipe.save(out / "recipe.yaml", plan.space, note)
        written.append(out / "recipe.yaml")
    if args.figures:
        from quagpredict.report.search_figures import write_figures

        written += write_figures(outcome, out / "figures")
    say_notes(outcome.notes, "search")
    say(f"wrote {', '.join(map(str, written))}")
    if chosen is None:
        say("note: no trial is finished and feasible, so there is no recipe to recommend")
        return 4
    return 0


def _described(plan: "SearchPlan") -> str:
    space = plan.space
    lines = [f"{space.name}: {space.budget.amount:g} {space.budget.unit} a trial, {len(space.sources)} sources"]
    for source, low, high in zip(space.sources, space.simplex.lower, space.simplex.upper, strict=True):
        size = "" if source.size is None else f", {source.size} examples"
        lines.append(f"  {source.name}: share {low:.3g} to {high:.3g}{size}")
    for setting in space.settings:
        ends = setting.choices if setting.choices else f"{setting.low:g} to {setting.high:g}"
        lines.append(f"  {setting.name}: {ends}")
    return "\n".join(lines)
