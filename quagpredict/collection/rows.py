"""The corpus of a collection: a pure function of its plan, its ledger and its stages' folders."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import Row, rows_of, stages_of
from quagpredict.collection.work_folder import WorkFolder
from quagpredict.corpus import assemble_row, read_provenance, write_corpus
from quagpredict.errors import CorpusError, IncomparableError, InvalidDataError, one_line
from quagpredict.files import digest
from quagpredict.parquet import read_parquet
from quagpredict.plans.plan import Plan
from quagpredict.schema import POINT_FIELDS, empty_frame
from quagpredict.version import own_version

_NO_DATA = "none"
_BLOCK = 256  # rows


class Rows:
    """The rows that can be made so far, each made once.

    A candidate has a row for every run that was measured again, and as long as there is none, one row without a target.
    A run that a race has stopped is in that row, with its curve. A candidate whose evaluation before RL is not done has
    no row. Rows are in plan order.

    Parameters
    ----------
    attempts : iterable of Attempt
        Oldest first.
    """

    def __init__(self, plan: Plan, work: WorkFolder, attempts: Iterable[Attempt] = ()) -> None:
        self._plan = plan
        self._plan_id = plan.plan_id
        self._work = work
        self._stages = {stage.id: stage for stage in stages_of(plan)}
        self._rows: dict[str, list[Row]] = {}
        for row in rows_of(plan):
            self._rows.setdefault(row.candidate.name, []).append(row)
        self._done: dict[str, Attempt] = {}  # the last finished attempt, where it was made at the stage's present key
        # A table of one row takes as much memory as one of a thousand: rows are kept in blocks, in the order in which
        # they were made, with the place of each by what it was made from.
        self._blocks: list[pl.DataFrame] = [empty_frame()]
        self._single: list[pl.DataFrame] = []
        self._place: dict[tuple[str, ...], int] = {}
        for attempt in attempts:
            self.learn(attempt)

    def learn(self, attempt: Attempt) -> None:
        """Take in an attempt that ended."""
        if attempt.status == "done" and attempt.stage in self._stages:
            if attempt.key == self._stages[attempt.stage].key:
                self._done[attempt.stage] = attempt
            else:
                self._done.pop(attempt.stage, None)

    def frame(self, candidate: str | None = None) -> pl.DataFrame:
        """Return the table of all candidates, or of one.

        Raises
        ------
        InvalidDataError
            If a record lacks what a row needs; the message names the stage.
        """
        return self._rows_at([self._made(row) for row in self._wanted(candidate)])

    def write(self, candidate: str | None = None) -> int:
        """Write the file of one candidate, or the corpus, unless it is as it should be; return its number of rows.

        Where there is no row, there is no file.
        """
        path = self._work.corpus if candidate is None else self._work.candidate(candidate)
        source = self._source(candidate)
        height = len(self._wanted(candidate))
        if height and _made_from(path) != source:
            provenance = {"plan": self._plan.name, "plan_id": self._plan_id, "made_from": source}
            write_corpus(self.frame(candidate), path, provenance)
        return height

    def refresh(self) -> None:
        """Write the files of the candidates for which it was not done: somebody cut us off, or a row failed."""
        for candidate in self._rows:
            self.write(candidate)

    def _of(self, candidate: str | None) -> Iterable[list[Row]]:
        return self._rows.values() if candidate is None else [self._rows[candidate]]

    def _wanted(self, candidate: str | None) -> list[Row]:
        wanted: list[Row] = []
        for rows in self._of(candidate):
            begun = [row for row in rows if row.pre in self._done]
            wanted += [row for row in begun if row.post in self._done] or begun[:1]
        return wanted

    def _source(self, candidate: str | None) -> str:
        """Return a digest of what a file's rows are made from, and by what."""
        parts = (part for rows in self._of(candidate) for row in rows for part in _parts(row))
        done = [(part, self._done[part].key, self._done[part].started) for part in parts if part in self._done]
        return digest([self._plan_id, own_version(), *done])

    def _made(self, row: Row) -> int:
        """Return the place of a row among those that were made; it is made if it is not there."""
        run = row.post in self._done or _is_paused(row, self._done)
        parts = [part for part in (_parts(row) if run else (row.sft, row.pre, *row.more)) if part is not None]
        ends = [self._done[part] for part in parts if part in self._done]
        made = (row.candidate.name, *(end.started + end.key for end in ends))
        if made not in self._place:
            self._single.append(self._assembled(row, self._done, run))
            self._place[made] = len(self._place)
            if len(self._single) == _BLOCK:
                self._blocks.append(pl.concat(self._single, rechunk=True))
                self._single.clear()
        return self._place[made]

    def _rows_at(self, positions: list[int]) -> pl.DataFrame:
        if len(positions) == 1:
            block, at = divmod(positions[0], _BLOCK)
            return self._blocks[block + 1][at] if block + 1 < len(self._blocks) else self._single[at]
        return pl.concat([*self._blocks, *self._single])[pl.Series(positions, dtype=pl.UInt32)]

    def _assembled(self, row: Row, done: Mapping[str, Attempt], run: bool) -> pl.DataFrame:
        before = _before_rl(row, done)
        pre = _results(done[before[-1]])
        identity = {**_identity(self._plan, row), "eval_protocol_id": pre["eval_protocol_id"]}
        costs: dict[str, float | None] = {"sft": _cost(done, row.sft)}
        costs["pre_evaluation"] = sum(_cost(done, stage) or 0.0 for stage in before)
        pre_problems = self._problems(before[-1])
        if not run:
            return assemble_row(identity, pre["measurement"], pre_problems, costs=costs)
        assert row.grpo is not None
        assert row.post is not None
        grpo, last = _last_measured(row, done)
        rl, measured = _results(done[grpo]), _results(done[last])
        if measured["eval_protocol_id"] != pre["eval_protocol_id"]:
            raise IncomparableError(
                f"{last}: measured under protocol {measured['eval_protocol_id']}, but {row.pre} under "
                f"{pre['eval_protocol_id']}; the two must be the same: run one of them again"
            )
        weights, taken = _input(done[row.pre], "checkpoint"), _input(done[grpo], "candidate")
        if None not in (weights, taken) and weights != taken:
            raise InvalidDataError(
                f"{grpo}: RL began from other weights than {row.pre} measured (digests {taken} and {weights}): "
                "the checkpoint was changed in between; remove the folder of the wrong stage to have it made again"
            )
        identity |= {"rl_recipe_id": row.rl_recipe_id, "rl_seed": row.rl_seed}
        costs["rl"] = _cost(done, grpo)
        curves = {"rl_curve": rl["rl_curve"], "post_curve": self._curve(row, done)}
        if last != row.post:  # no target, and no length that it would be the target of
            return assemble_row(identity, pre["measurement"], pre_problems, costs=costs, **curves)
        # A run that was taken further counts at the recipe's end.
        identity["rl_steps"] = self._plan.rl.steps if row.candidate.rl_further and self._plan.rl else rl["rl_steps"]
        costs["post_evaluation"] = _cost(done, row.post)
        post = (measured["measurement"], self._problems(row.post))
        return assemble_row(identity, pre["measurement"], pre_problems, *post, costs=costs, **curves)

    def _curve(self, row: Row, done: Mapping[str, Attempt]) -> list[dict[str, Any]]:
        """Return the measurements before, along, at the end of and after a run, by step."""
        assert row.post is not None
        assert self._plan.rl is not None
        stages = {0: _before_rl(row, done)[-1], self._plan.rl.steps: row.post, **row.along}
        measured = {step: _results(done[stage])["measurement"] for step, stage in stages.items() if stage in done}
        if self._plan.rl.steps < 1 and row.grpo is not None:  # a recipe by epochs says its steps afterwards
            measured[_results(done[row.grpo])["rl_steps"]] = measured.pop(self._plan.rl.steps)
        return [
            {"step": step} | {field: measured[step].get(field) for field in POINT_FIELDS if field != "step"}
            for step in sorted(measured)
        ]

    def _problems(self, identity: str) -> pl.DataFrame:
        path = self._work.stage(identity) / "problems.parquet"
        try:
            return read_parquet(path)
        except OSError as error:
            raise InvalidDataError(f"{path}: cannot be read: {one_line(error)}") from None


def _made_from(path: Path) -> str | None:
    try:
        return read_provenance(path).get("made_from")
    except (OSError, CorpusError):
        return None


def _parts(row: Row) -> tuple[str, ...]:
    """Return the stages that a row is made of."""
    whole = (row.sft, row.pre, *row.more, row.grpo, row.post, *row.along.values(), *row.paused.values())
    return tuple(part for part in whole if part is not None)


def _before_rl(row: Row, done: Mapping[str, Attempt]) -> list[str]:
    """Return the measurements of a candidate before RL; the last has most samples."""
    return [stage for stage in (row.pre, *row.more) if stage in done]


def _is_paused(row: Row, done: Mapping[str, Attempt]) -> bool:
    """Return whether a run was measured at a pause."""
    return any(row.along[step] in done for step in row.paused)


def _last_measured(row: Row, done: Mapping[str, Attempt]) -> tuple[str, str]:
    """Return the last part of a run that was measured, and its measurement."""
    assert row.grpo is not None
    assert row.post is not None
    if row.post in done:
        return row.grpo, row.post
    step = max(step for step in row.paused if row.along[step] in done)
    return row.paused[step], row.along[step]


def _results(attempt: Attempt) -> Mapping[str, Any]:
    assert attempt.record is not None
    return attempt.record.results


def _input(attempt: Attempt, name: str) -> str | None:
    return None if attempt.record is None else attempt.record.inputs.get(name)


def _cost(done: Mapping[str, Attempt], identity: str | None) -> float | None:
    record = done[identity].record if identity is not None else None
    return None if record is None else record.seconds


def _identity(plan: Plan, row: Row) -> dict[str, Any]:
    candidate = row.candidate
    trained = candidate.unique_examples is not None and candidate.epochs is not None
    epochs = candidate.epochs if candidate.checkpoint_epoch is None else candidate.checkpoint_epoch
    seen = round((candidate.unique_examples or 0) * (epochs or 0))
    return {
        "candidate": candidate.name,
        "base_model": candidate.base,
        "base_family": plan.base(candidate.base).family,
        "recipe_id": row.recipe_id,
        "recipe_data_kind": candidate.data or _NO_DATA,
        "recipe_unique_examples": candidate.unique_examples or 0,
        "recipe_epochs": epochs or 0.0,
        "recipe_planned_epochs": candidate.epochs or 0.0,
        "recipe_learning_rate": candidate.learning_rate,
        "recipe_seed": candidate.seed,
        "recipe_examples_seen": seen if trained else 0,
        "recipe_scenario": candidate.scenario,
        "split": candidate.split,
    }
