"""How a collection ended, in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import State


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
    """Return how a collection stands.

    Parameters
    ----------
    states : mapping
        State by stage identity.
    attempts : sequence of Attempt
        Oldest first.
    rows : int
        Rows of the corpus.
    """
    last = {attempt.stage: attempt for attempt in attempts}
    counted = list(states.values())
    return Summary(
        done=counted.count("done"),
        left=counted.count("ready") + counted.count("waiting"),
        failed=tuple(last[identity] for identity, state in states.items() if state == "failed"),
        blocked=tuple(identity for identity, state in states.items() if state == "blocked"),
        rows=rows,
    )
