"""What is held against this machine before the first stage of a plan is started."""

from dataclasses import replace
from pathlib import Path

from quagpredict.engines.choose import check_engine
from quagpredict.errors import UsageError
from quagpredict.evaluation import read_suite
from quagpredict.evaluation.grading import check_grading
from quagpredict.plans.parts import LAUNCHERS, Launch
from quagpredict.plans.plan import Plan

_OUR_EVALUATION = "collectors/evaluate_checkpoint.py"  # a program of the user's own may know other engines


def checked_launcher(name: str, launch: Launch, launcher: str | None, fork_server: str | Path | None = None) -> str:
    """Return the name of the launcher: the one that is asked for, or that of the plan or search of that name.

    Raises
    ------
    UsageError
        If there is none of that name, or it does not go with the plan or with a fork server.
    """
    mode = launch.mode if launcher is None else launcher
    if mode not in LAUNCHERS:
        raise UsageError(f"launcher: expected one of {', '.join(LAUNCHERS)}, got '{mode}'")
    if fork_server is not None and mode != "fork":
        raise UsageError(f"a fork server is for plans with 'launch: {{mode: fork}}'; '{name}' has {mode}")
    if mode == "fork" and launch.accelerate:
        raise UsageError(f"launcher: '{name}' starts stages with accelerate, which a fork cannot be")
    return mode


def with_address(launch: Launch, mode: str, address: str | None) -> Launch:
    """Return how stages are started, with the address of the launcher's cluster where the call names one."""
    if address is None:
        return launch
    return replace(launch, options={**launch.options, mode: {**launch.options.get(mode, {}), "address": address}})


def check_measuring(plan: Plan) -> None:
    """Refuse a plan whose candidates cannot be measured here: hours of SFT would end in what nobody measures.

    Raises
    ------
    UsageError
        If the engine, or what grades the answers, is unknown or not installed.
    RecipeError
        If the suite cannot be read.
    """
    if plan.programs["evaluate"] != _OUR_EVALUATION:
        return
    try:
        check_engine(plan.evaluation.engine)
    except UsageError as error:
        raise type(error)(f"plan '{plan.name}': evaluation.engine: {error} (a dry run works without)") from None
    check_grading(read_suite(plan.evaluation.suite.path))
