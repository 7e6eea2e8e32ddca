"""The name that was probably meant, for the error about one that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches


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
    near = get_close_matches(str(name), list(names), n=1, cutoff=cutoff)
    return f"; did you mean '{prefix}{near[0]}'?" if near else rest
