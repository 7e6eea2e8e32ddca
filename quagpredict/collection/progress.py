"""How far a collection is, on stderr: a bar on a terminal, plain lines elsewhere, an honest remaining time; its end."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import DECISIONS, Kind, Stage, State


def remaining_seconds(
    stages: Sequence[Stage],
    states: Mapping[str, State],
    means: Mapping[Kind, float],
    running: Mapping[str, float],
    workers: int,
) -> float | None:
    """Return the time that is left, or None as long as a kind of stage that is left was never measured.

    It is None too while there is something to decide, since nobody knows then what will be run.

    It is the work that is left shared by the workers, but no less than the longest chain of stages that must follow
    one another. Stages that failed or are blocked are not counted.

    Parameters
    ----------
    states : mapping
        State by stage identity.
    means : mapping
        Mean seconds of each kind of stage that was done at least once.
    running : mapping
        Identity of a running stage -> seconds since it was started.
    workers : int
        How many stages run at once.
    """
    unfinished = [stage for stage in stages if states[stage.id] in ("ready", "waiting")]
    if any(stage.kind in DECISIONS or stage.kind not in means for stage in unfinished):
        return None
    chain: dict[str, float] = {}
    total = 0.0
    for stage in unfinished:
        seconds = max(0.0, means[stage.kind] - running.get(stage.id, 0.0))
        total += seconds
        chain[stage.id] = seconds + max((chain.get(identity, 0.0) for identity in stage.inputs.values()), default=0.0)
    return max(total / workers, *chain.values(), 0.0)


def spoken(seconds: float | None) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> spoken(None), spoken(42.4), spoken(3000), spoken(9000)
    ('unknown', '42 s', '50 min', '2 h 30 min')
    """
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Shows a collection on stderr; a context manager."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Bar(*columns, console=Console(stderr=True), refresh_per_second=2)
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int, total: int, running: Iterable[str], remaining: float | None) -> None:
        """Say where the collection stands; a terminal only. The total grows where a race asks for more."""
        if self._bar is not None:
            text = f"{spoken(remaining)} left  {' '.join(running)}"
            self._bar.update(self._task, completed=done, total=total, description=text)

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


@dataclass(frozen=True)
class Summary:
    """How a collection ended.

    Attributes
    ----------
    done, left : int
        Stages of the plan that are done, and that could still be run.
    failed : tuple of Attempt
        The last attempt of every stage that failed.
    blocked : tuple of str
        Stages that cannot be run because one that they need failed.
    rows : int
        Rows of the corpus.
    """

    done: int
    left: int
    failed: tuple[Attempt, ...]
    blocked: tuple[str, ...]
    rows: int


def summary_of(states: Mapping[str, State], attempts: Sequence[Attempt], rows: int) -> Summary:
    """Return how a collection stands, by the states of its stages and the attempts so far, oldest first."""
    last = {attempt.stage: attempt for attempt in attempts}
    counted = list(states.values())
    return Summary(
        done=counted.count("done"),
        left=counted.count("ready") + counted.count("waiting"),
        failed=tuple(last[identity] for identity, state in states.items() if state == "failed"),
        blocked=tuple(identity for identity, state in states.items() if state == "blocked"),
        rows=rows,
    )
