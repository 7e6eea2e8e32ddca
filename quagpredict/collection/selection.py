"""Which part of a plan a call of `collect` is about."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from quagpredict.collection.stages import KINDS, Kind, Stage, State
from quagpredict.errors import UsageError


def selected(stages: Sequence[Stage], until: Kind | None = None, only: Sequence[str] = ()) -> tuple[Stage, ...]:
    """Return the stages up to a kind, of the candidates that are meant, with the stages that these need.

    Parameters
    ----------
    stages : sequence of Stage
        All stages, each after its inputs.
    until : str, optional
        The last kind of stage, in the order of `KINDS`: ``"evaluate-pre"`` leaves out RL and what follows it.
    only : sequence of str
        Patterns of candidates' names, as in a shell; none means all.

    Raises
    ------
    UsageError
        If `until` is no kind of stage, or a pattern matches no candidate.
    """
    if until is not None and until not in KINDS:
        raise UsageError(f"until: expected one of {', '.join(KINDS)}, got {until!r}")
    names = dict.fromkeys(stage.candidate for stage in stages if stage.kind != "base")
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"only: '{pattern}' matches no candidate, e.g. not '{next(iter(names), '')}'")
    meant = {name for name in names if not only or any(fnmatchcase(name, pattern) for pattern in only)}
    kinds = KINDS if until is None else KINDS[: KINDS.index(until) + 1]
    whole = _with_inputs(stages, {stage.id for stage in stages if stage.kind != "base" and stage.candidate in meant})
    return tuple(stage for stage in whole if stage.kind in kinds)  # what a stage needs is of an earlier kind


def _with_inputs(stages: Sequence[Stage], needed: set[str]) -> tuple[Stage, ...]:
    for stage in reversed(stages):  # inputs come first
        if stage.id in needed:
            needed |= set(stage.inputs.values())
    return tuple(stage for stage in stages if stage.id in needed)


def limited(stages: Sequence[Stage], states: Mapping[str, State], limit: int) -> tuple[Stage, ...]:
    """Return the stages of the first `limit` candidates that have something left to do, with the bases they need."""
    open_states = ("ready", "waiting")
    todo = dict.fromkeys(s.candidate for s in stages if s.kind != "base" and states[s.id] in open_states)
    chosen = set(list(todo)[:limit])
    return _with_inputs(stages, {stage.id for stage in stages if stage.kind != "base" and stage.candidate in chosen})
