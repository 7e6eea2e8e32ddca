"""Where the stages of a collection stand, attempt by attempt, and which comes next.

An attempt changes the state of its stage and of those that follow from it, and who needs weights that are not there.
Nothing else is looked at, so that a stage costs the same in a collection of a hundred and of a hundred thousand
candidates.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from quagpredict.collection.ledger import Attempt
from quagpredict.collection.stages import DECISIONS, OPEN, Kind, Past, Stage, State

#: Stages of one kind that may fail before the first succeeds: what is wrong with all of them is no reason to train on.
MOST_FAILURES = 3
# Which kind is taken for the longer one before any was measured.
_LONGEST_FIRST: tuple[Kind, ...] = (
    *("grpo", "base", "sft", "evaluate-pre", "evaluate-post", "evaluate-along"),
    *DECISIONS,
)


class Standing:
    """The states of stages, and the order in which those that are ready should be started.

    Candidates that were started come before those that were not (a base model starts nobody); among started ones the
    longest stage comes first, among the others plan order decides. Until something was measured, measuring comes before
    RL: what cannot be measured should be known before RL is paid for.

    Parameters
    ----------
    stages : sequence of Stage
        In plan order, each after its inputs.
    attempts : iterable of Attempt
        Oldest first.
    without_weights : collection of str
        As for `states_of`, at first.

    Attributes
    ----------
    states : dict
        State by identity: what `states_of` says. A decision, which needs all measurements, is looked at again when
        nothing else is ready.
    count : Counter
        How many stages are in a state.
    """

    def __init__(
        self, stages: Sequence[Stage], attempts: Iterable[Attempt] = (), without_weights: Collection[str] = ()
    ) -> None:
        self.stages = stages
        self.states: dict[str, State] = {}
        self.count: Counter[State] = Counter()
        self._past = Past()
        self._position = {stage.id: position for position, stage in enumerate(stages)}
        self._followers: dict[str, list[Stage]] = defaultdict(list)
        self._of_candidate: dict[str, list[Stage]] = defaultdict(list)
        for stage in stages:
            for identity in dict.fromkeys(stage.inputs.values()) if stage.kind not in DECISIONS else ():
                self._followers[identity].append(stage)
            if stage.kind != "base":
                self._of_candidate[stage.candidate].append(stage)
        self._begun: set[str] = set()
        self._measured = 0
        self._ready: dict[tuple[bool, Kind], list[int]] = defaultdict(list)  # positions in order, by what `_rank` asks
        self._seconds: dict[str, float] = defaultdict(float)
        self._done: Counter[Any] = Counter()
        self._failed: Counter[str] = Counter()
        self._decision = next((stage for stage in stages[-1:] if stage.kind in DECISIONS), None)
        self._lost: dict[str, set[str]] = defaultdict(set)  # by the stage whose weights they were
        for part in without_weights:
            self._lost[_stage_of(part)].add(part)
        self._lasting: dict[str, State] = {}  # what the states are if nothing is made again
        self._wanted: Counter[str] = Counter()  # how many inputs of stages that are not over a stage's lost weights are
        self._touched: list[Stage] = []
        for attempt in attempts:
            self._note(attempt)
        for stage in stages:
            self._lasting[stage.id] = self._past.state(stage, self._lasting)
        for stage in stages if self._lost else ():
            if self._lasting[stage.id] in OPEN:
                self._want(stage, 1)
        for stage in stages:
            self._set(stage, self._state(stage))

    @property
    def without_weights(self) -> set[str]:
        """What of stages that are done has no weights by now."""
        return set().union(*self._lost.values())

    def lacks_weights(self, identity: str) -> bool:
        """Return whether a part of a stage is without weights."""
        return bool(self._lost.get(identity))

    @property
    def only_decides(self) -> bool:
        """Whether nothing but a decision is ready."""
        decision = self._decision is not None and self.states[self._decision.id] == "ready"
        return self.count["ready"] == decision

    def learn(self, attempt: Attempt, lost: str | None = None) -> None:
        """Take in an attempt that ended; one that is done has its weights, and may have used up those of another."""
        self._note(attempt)
        planned = attempt.stage in self._position
        self._touched = [self.stages[self._position[attempt.stage]]] if planned else []
        if attempt.status == "done" and self._lost.pop(attempt.stage, set()):
            self._want_of(attempt.stage, -self._wanted[attempt.stage])
        if lost is not None and lost not in self._lost[_stage_of(lost)]:
            self._lost[_stage_of(lost)].add(lost)
            needing = (stage for stage in self._followers[_stage_of(lost)] if self._is_open(stage.id))
            self._want_of(_stage_of(lost), sum(list(stage.needs.values()).count(lost) for stage in needing))
        changed = self._touched.copy()
        while changed:
            stage = changed.pop()
            state, was_open = self._past.state(stage, self._lasting), self._is_open(stage.id)
            if state != self._lasting[stage.id]:
                self._lasting[stage.id] = state
                self._touched.append(stage)
                changed += self._followers[stage.id]
                if self._is_open(stage.id) != was_open:
                    self._want(stage, -1 if was_open else 1)
        while self._touched:
            stage = self._touched.pop()
            if self._set(stage, self._state(stage)):
                self._touched += self._followers[stage.id]
        if self._decision is not None and self.only_decides:
            state = self._lasting[self._decision.id] = self._past.state(self._decision, self.states)
            self._set(self._decision, state)

    def _state(self, stage: Stage) -> State:
        lasting, again = self._lasting[stage.id], self._wanted[stage.id] > 0
        return self._past.state(stage, self.states, again=again) if again or lasting in OPEN else lasting

    def _is_open(self, identity: str) -> bool:
        """Return whether a stage has still to be run, for itself or for what needs its weights."""
        return self._wanted[identity] > 0 or self._lasting.get(identity) in OPEN

    def _want(self, stage: Stage, by: int) -> None:
        """Count a stage that has still to be run, or has not any more, among those that need its inputs' weights."""
        if self._lost and stage.kind not in DECISIONS:
            for key, needed in stage.needs.items():
                if needed in self._lost.get(stage.inputs[key], ()):
                    self._want_of(stage.inputs[key], by)

    def _want_of(self, identity: str, by: int) -> None:
        was_open = self._is_open(identity)
        self._wanted[identity] += by
        if identity in self._position and self._is_open(identity) != was_open:
            stage = self.stages[self._position[identity]]
            self._touched.append(stage)
            self._want(stage, -1 if was_open else 1)

    def next(self, taken: Collection[str] = ()) -> Stage | None:
        """Return the ready stage to start next, other than those that are taken; None if there is none."""
        for identity in taken:
            if identity in self._position:
                self._begin(self.stages[self._position[identity]])
        firsts = (self._first(bucket, taken) for bucket in self._ready.values())
        return min((stage for stage in firsts if stage is not None), key=self._rank, default=None)

    def last(self, stage: Stage) -> Attempt | None:
        """Return the last attempt at a stage as it is now."""
        return self._past.last.get((stage.id, stage.key))

    @property
    def mean_seconds(self) -> dict[Kind, float]:
        """The mean seconds of each kind of stage that was done at least once."""
        return {kind: self._seconds[kind] / n for kind, n in self._done.items()}

    @property
    def hopeless_kind(self) -> str | None:
        """The kind of stage of which none has ever succeeded and several have failed, or None: so would the rest."""
        return next((kind for kind, n in self._failed.items() if n >= MOST_FAILURES and not self._done[kind]), None)

    def _note(self, attempt: Attempt) -> None:
        self._past.learn(attempt)
        kind = attempt.stage.partition("/")[0]
        if attempt.status == "done":
            self._done[kind] += 1
            self._seconds[kind] += attempt.seconds
        elif not attempt.half_batch_next:
            self._failed[kind] += 1

    def _set(self, stage: Stage, state: State) -> bool:
        before = self.states.get(stage.id)
        if before == state:
            return False
        if before is not None:
            self.count[before] -= 1
        self.count[state] += 1
        if stage.kind.startswith("evaluate"):
            self._measured += (state == "done") - (before == "done")
        if before == "ready":
            self._move(stage, out=True)
        self.states[stage.id] = state
        if state == "done":
            self._begin(stage)
        elif state == "ready":
            self._move(stage, out=False)
        return True

    def _begin(self, stage: Stage) -> None:
        if stage.kind == "base" or stage.candidate in self._begun:
            return
        ready = [waiter for waiter in self._of_candidate[stage.candidate] if self.states.get(waiter.id) == "ready"]
        for waiter in ready:
            self._move(waiter, out=True)
        self._begun.add(stage.candidate)
        for waiter in ready:
            self._move(waiter, out=False)

    def _move(self, stage: Stage, *, out: bool) -> None:
        bucket = self._ready[stage.kind != "base" and stage.candidate in self._begun, stage.kind]
        position = self._position[stage.id]
        if out:
            del bucket[bisect_left(bucket, position)]
        else:
            insort(bucket, position)

    def _first(self, bucket: list[int], taken: Collection[str]) -> Stage | None:
        return next((stage for at in bucket if (stage := self.stages[at]).id not in taken), None)

    def _rank(self, stage: Stage) -> tuple[int, float, int, int]:
        position = self._position[stage.id]
        if stage.kind == "base" or stage.candidate not in self._begun:
            return 1, 0.0, position, 0
        if stage.kind.startswith("evaluate") and not self._measured:
            return -1, 0.0, position, 0
        return 0, -self.mean_seconds.get(stage.kind, 0.0), _LONGEST_FIRST.index(stage.kind), position


def _stage_of(part: str) -> str:
    """Return the stage whose weights a part is, as `Stage.needs` names it."""
    return "/".join(part.split("/")[:2])
