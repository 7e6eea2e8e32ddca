"""The errors that quagpredict raises on purpose, and the exit code each one means.

::

    QuagpredictError                 1   anything below; catch this one
    +-- UsageError                   2   the call itself is wrong
    |   +-- MissingExtraError        2   an optional dependency is not installed
    +-- InvalidDataError             3   a file or value breaks its contract
    |   +-- RecipeError              3   ... a plan, recipe or suite
    |   +-- CorpusError              3   ... a table of candidates or runs
    |   +-- IncomparableError        3   ... numbers measured under different protocols
    |   +-- CheckpointError          3   ... a model folder
    |   +-- SurrogateError           3   ... a stored surrogate
    +-- NothingToRankError           4   no candidate is left
    +-- StageError                   1   a collection stage failed
        +-- LauncherError            1   ... or what starts stages, or their folder, is lost
"""

import json
from collections.abc import Iterable


def argument(name: str, value: object) -> str:
    """Return an argument as Python writes it, for an error to name it; the command line turns it into its option.

    Examples
    --------
    >>> argument("gate", "nobody"), argument("next_run", True), argument("rl_steps", 200.0)
    ('gate="nobody"', 'next_run=True', 'rl_steps=200')
    """
    if isinstance(value, str):
        return f"{name}={json.dumps(value, ensure_ascii=False)}"
    return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"


def one_line(error: object, most: int = 300) -> str:
    r"""Return what an error of a library says, in one line of at most so many characters; its class without any.

    Examples
    --------
    >>> one_line(OSError("no\n  space")), one_line(KeyError())
    ('no space', 'KeyError')
    """
    return " ".join(str(error).split())[:most] or type(error).__name__


def did_you_mean(name: object, names: Iterable[str], *, cutoff: float = 0.6, prefix: str = "", rest: str = "") -> str:
    """Return the end of an error about a name: the nearest known one.

    Parameters
    ----------
    name : object
        What was given; YAML has keys that are no text.
    names : iterable of str
        The names that there are.
    cutoff : float
        Least similarity, 0-1, as in `difflib.get_close_matches`.
    prefix : str
        Goes before the nearest name, e.g. ``"launch."``.
    rest : str
        The end where no name is near.

    Examples
    --------
    >>> did_you_mean("learning_rat", ["learning_rate", "seed"])
    "; did you mean 'learning_rate'?"
    >>> did_you_mean("zzz", ["learning_rate", "seed"], rest="; known are learning_rate, seed")
    '; known are learning_rate, seed'
    """
    from difflib import get_close_matches  # asked for in errors alone

    near = get_close_matches(str(name), list(names), n=1, cutoff=cutoff)
    return f"; did you mean '{prefix}{near[0]}'?" if near else rest


class QuagpredictError(Exception):
    """Base of every error that quagpredict raises on purpose."""

    exit_code = 1


class UsageError(QuagpredictError):
    """The call is wrong: an unknown option, an impossible combination."""

    exit_code = 2


class MissingExtraError(UsageError):
    """An optional dependency is needed and not installed."""


class InvalidDataError(QuagpredictError, ValueError):
    """A file or a value breaks its contract."""

    exit_code = 3


class RecipeError(InvalidDataError):
    """A plan, recipe or suite file is not valid."""


class CorpusError(InvalidDataError):
    """A table of candidates or runs is not valid."""


class IncomparableError(InvalidDataError):
    """Numbers from different eval protocols or RL recipes would be mixed."""


class CheckpointError(InvalidDataError):
    """A model folder cannot be used."""


class SurrogateError(InvalidDataError):
    """A stored surrogate cannot be used."""


class NothingToRankError(QuagpredictError):
    """There is no candidate to rank."""

    exit_code = 4


class StageError(QuagpredictError):
    """A stage of a collection failed."""


class LauncherError(StageError):
    """What starts the stages is lost, or their folder cannot be written to: the fault of none of them."""
