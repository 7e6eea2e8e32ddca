"""Recipes of a search become candidates: each is trained, measured and taken through RL in a work folder of its own."""

import contextlib
import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.collection.collecting import collect
from quagpredict.collection.launch import environment_of
from quagpredict.collection.planning import planned_commands
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.corpus import read_corpus
from quagpredict.errors import InvalidDataError, LauncherError, QuagpredictError, StageError, UsageError
from quagpredict.evaluation import read_suite
from quagpredict.files import written_aside
from quagpredict.mixture_search.recipes import MixtureRecipe, candidate_of
from quagpredict.mixture_search.space_file import SearchPlan
from quagpredict.mixture_search.study import Report
from quagpredict.parquet import write_parquet
from quagpredict.plans.parts import PROGRAMS, Candidate
from quagpredict.plans.plan import Plan
from quagpredict.plans.recipe import Recipe, rl_recipe_id
from quagpredict.shipped import shipped_path

_SERVER_PATIENCE_S = 300.0
_CHECKPOINT = "checkpoint-"


class RecipeRuns:
    """Trains, measures and verifies recipes with the programs and the launcher of `collect`.

    The folder of a recipe is named by its `recipe_id`, so that a recipe that was trained once is not trained again,
    by whatever trial, worker or round it comes back; and a trial that was killed goes on where it was.

    Parameters
    ----------
    plan : SearchPlan
        With an evaluation.
    out : path
        ``<out>/recipes/<recipe_id>/`` is the work folder of a recipe.
    programs : mapping, optional
        Your own program for ``sft``, ``rl`` or ``evaluate``, as in a plan.
    rl_workers : int
        RL runs of one recipe that go on at once.
    launcher : str, optional
        Where stages run, instead of the search's ``launch.mode``; as in `collect`.

    Raises
    ------
    UsageError
        If the search has no evaluation: then nothing can be measured here.
    """

    def __init__(
        self,
        plan: SearchPlan,
        out: str | Path,
        programs: Mapping[str, str] | None = None,
        *,
        rl_workers: int = 1,
        launcher: str | None = None,
    ) -> None:
        if plan.evaluation is None:
            raise UsageError(f"search '{plan.space.name}' has no section 'evaluation', so no trial can be measured")
        self._plan = plan
        self._out = Path(out)
        self._rl_workers = rl_workers
        self._launcher = launcher or plan.launch.mode
        self._programs = {**PROGRAMS, **(programs or {})}
        self._servers: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def __enter__(self) -> "RecipeRuns":
        return self

    def __exit__(self, *_: object) -> None:
        for process, address in self._servers.values():
            process.kill()
            process.wait()
            shutil.rmtree(address.parent, ignore_errors=True)
        self._servers.clear()

    @property
    def eval_protocol_id(self) -> str:
        """The id of the protocol that recipes are measured under."""
        assert self._plan.evaluation is not None
        return read_suite(self._plan.evaluation.suite.path).eval_protocol_id

    @property
    def rl_recipe_id(self) -> str | None:
        """The id of the RL recipe that verifies, or None."""
        return None if self._plan.rl is None else rl_recipe_id(self._plan.rl.recipe.config)

    def measure(self, recipe: MixtureRecipe, report: Report) -> pl.DataFrame:
        """Train a recipe, measure it, and return its row; a `Measure` for `MixtureSearch.run`.

        Checkpoints on the way are measured while the training goes on, and reported; what `report` raises ends it.

        Raises
        ------
        StageError
            If a stage failed; the message names its log.
        """
        root = self._folder(recipe)
        reported: set[int] = set()

        def watch(folders: Mapping[str, Path]) -> None:
            folder = next((path for identity, path in folders.items() if identity.startswith("sft/")), None)
            for percent, checkpoint in (
                _checkpoints(folder, self._plan.rungs.every) if folder and self._plan.rungs else ()
            ):
                if percent not in reported:
                    reported.add(percent)
                    report(percent, self._at_rung(recipe, percent, checkpoint))

        with self._alone(root):
            self._collect(self._candidate_plan(recipe, ()), root, watch if self._plan.rungs else None)
            for spent in WorkFolder(root).root.glob(f"stages/sft/*/{_CHECKPOINT}*"):
                shutil.rmtree(spent)
            return self._rows(recipe, root).head(1)

    def verify(self, recipe: MixtureRecipe) -> pl.DataFrame:
        """Take a recipe through RL with every seed, and return one row a run; what is done already is not repeated.

        Raises
        ------
        UsageError
            If the search has no section ``rl``.
        StageError
            If a stage failed.
        """
        if self._plan.rl is None:
            raise UsageError(f"search '{self._plan.space.name}' has no section 'rl', so nothing can be verified")
        root = self._folder(recipe)
        with self._alone(root):
            plan = self._candidate_plan(recipe, self._plan.rl.seeds)
            self._collect(plan, root, None, workers=self._rl_workers)
            return self._rows(recipe, root)

    def write_corpus(self) -> Path | None:
        """Write the rows of all recipes that were measured, with their shares, as one table; None if there is none."""
        frames = []
        for path in sorted(self._out.glob("recipes/*/corpus.parquet")):
            shares = json.loads((path.parent / "shares.json").read_text(encoding="utf-8"))
            columns = [pl.lit(share).alias(f"share_{name}") for name, share in shares["shares"].items()]
            columns_of_recipe = [pl.lit(shares[name]).alias(name) for name in ("recipe_id", "recipe_unique_examples")]
            frames.append(read_corpus(path).with_columns(*columns_of_recipe, *columns))
        if not frames:
            return None
        target = self._out / "corpus.parquet"
        write_parquet(pl.concat(frames, how="diagonal"), target)
        return target

    def _folder(self, recipe: MixtureRecipe) -> Path:
        root = self._out / "recipes" / recipe.recipe_id
        root.mkdir(parents=True, exist_ok=True)
        distinct = sum(
            count if source.size is None else min(count, source.size)
            for source, count in zip(self._plan.space.sources, recipe.examples.values(), strict=True)
        )
        kept = {"recipe_id": recipe.recipe_id, "recipe_unique_examples": distinct, "shares": dict(recipe.shares)}
        with written_aside(root / "shares.json") as aside:
            aside.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        return root

    def _candidate_plan(self, recipe: MixtureRecipe, rl_seeds: tuple[int, ...]) -> Plan:
        sft = dict(self._plan.space.sft.config)
        if self._plan.rungs is not None:
            # A ratio of the training; these keys decide what is saved, not what is trained.
            sft |= {"save_strategy": "steps", "save_steps": self._plan.rungs.every, "save_only_model": True}
        candidate = candidate_of(self._plan.space, recipe, rl_seeds)
        whole = self._plan_of(candidate, replace(self._plan.space.base, model_name_or_path=self._base), recipe)
        return replace(whole, sft=Recipe(self._plan.space.sft.path, sft))

    def _plan_of(self, candidate: Candidate, base: Any, recipe: MixtureRecipe | None) -> Plan:
        assert self._plan.evaluation is not None
        space = self._plan.space
        return Plan(
            name=space.name,
            bases=(base,),
            data={} if recipe is None else {recipe.name: recipe.data},
            sft=space.sft,
            rl=self._plan.rl,
            evaluation=self._plan.evaluation,
            candidates=(candidate,),
            launch=self._plan.launch,
            programs=self._programs,
        )

    @property
    def _base(self) -> str:
        model = str(self._plan.space.base.model_name_or_path)
        return str(Path(model).resolve()) if Path(model).exists() else model

    def _at_rung(self, recipe: MixtureRecipe, percent: int, checkpoint: Path) -> pl.DataFrame:
        """Measure an intermediate checkpoint: as a base without SFT, by the same program."""
        assert self._plan.rungs is not None
        name = f"{recipe.name}.at-{percent}"
        base = replace(self._plan.space.base, name=name, model_name_or_path=str(checkpoint))
        plan = self._plan_of(Candidate(f"{name}.no-sft", name, "no-sft", "fit", ()), base, None)
        plan = replace(plan, evaluation=replace(plan.evaluation, samples_before=self._plan.rungs.samples))
        root = self._folder(recipe) / "rungs" / f"{percent}"
        self._collect(plan, root, None, server="rungs")
        return read_corpus(WorkFolder(root).corpus)

    def _collect(self, plan: Plan, root: Path, watch: Any, server: str = "trials", workers: int = 1) -> None:
        root.mkdir(parents=True, exist_ok=True)
        if WorkFolder(root).corpus.exists() and all(state == "done" for _, state, _ in planned_commands(plan, root)):
            return  # nothing to start a fork server for
        fork = self._server(server, plan) if self._launcher == "fork" else None
        how: dict[str, Any] = {"launcher": self._launcher, "fork_server": fork}
        with (root / "collect.log").open("a", encoding="utf-8") as log, contextlib.redirect_stderr(log):
            summary = collect(plan, root, workers=workers, retry_failed=True, watch=watch, **how)
        if summary.failed:
            failed = summary.failed[0]
            raise StageError(f"{failed.stage} failed; see {root / failed.log}")

    def _rows(self, recipe: MixtureRecipe, root: Path) -> pl.DataFrame:
        rows = read_corpus(WorkFolder(root).corpus)
        if rows.height == 0:
            raise InvalidDataError(f"{root}: the recipe was measured, but left no row")
        return rows.with_columns(pl.lit(recipe.recipe_id).alias("recipe_id"))

    @contextlib.contextmanager
    def _alone(self, root: Path) -> Iterator[None]:
        """Hold the folder of a recipe; another worker may be at the same recipe, and is waited for."""
        with (root / "recipe.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _server(self, name: str, plan: Plan) -> Path:
        """Return the socket of a fork server that lives as long as this object: imports are paid once a worker."""
        if name in self._servers and self._servers[name][0].poll() is None:
            return self._servers[name][1]
        address = Path(tempfile.mkdtemp(prefix="quagpredict-")) / "forks"
        programs = ("sft", "evaluate", *(("rl",) if self._plan.rl else ())) if name == "trials" else ("evaluate",)
        command = [sys.executable, "-u", "-P", "-m", "quagpredict.collection.supervisor", "--listen", str(address)]
        for program in programs:
            command += ["--preload", str(shipped_path(self._programs[program]))]
        self._out.mkdir(parents=True, exist_ok=True)
        with (self._out / "fork-server.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment_of(plan),
                start_new_session=True,  # Ctrl-C is for the worker, which stops its stages itself
            )
        self._servers[name] = (process, address)
        until = time.monotonic() + _SERVER_PATIENCE_S
        while not address.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise LauncherError(f"the fork server did not start; see {self._out / 'fork-server.log'}")
            time.sleep(0.1)
        time.sleep(0.1)  # from its name on disk to its first `listen`
        return address


def _checkpoints(folder: Path, every: float) -> list[tuple[int, Path]]:
    """Return the whole checkpoints that a training has left so far, with the rung of each in per cent; not the last.

    Steps are whole, so a checkpoint lies a little beside its rung; pruners compare trials at the same one.
    """
    paths = []
    for path in folder.glob(f"{_CHECKPOINT}*"):
        with contextlib.suppress(OSError, ValueError, KeyError, QuagpredictError):
            state = json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))  # written last
            if state["global_step"] < state["max_steps"]:
                paths.append((round(100 * every * round(state["global_step"] / state["max_steps"] / every)), path))
    return sorted(paths)
