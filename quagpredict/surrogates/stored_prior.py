"""The shipped prior of the hierarchical model: read and written as plain JSON, every size and bound checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from quagpredict.corpus.columns import TRIES
from quagpredict.errors import SurrogateError
from quagpredict.files import write_json
from quagpredict.shipped import shipped_path
from quagpredict.surrogates.hierarchy import Prior, Spreads
from quagpredict.surrogates.hierarchy_tables import CUT, LOSS, TERMS
from quagpredict.surrogates.json_object import JsonObject

FILE = "prior.json"
_SHIPPED = "models/prior"
_MOST = 100


@dataclass(frozen=True, eq=False)
class StoredPrior:
    """What was learnt on finished corpora about bases in general.

    Attributes
    ----------
    levels : mapping of str to Prior
        By what is known of a candidate; see `LEVELS`.
    terms : mapping of str to tuple of str
        Columns of the terms of each level.
    corpora : tuple of str
        Names of the corpora that it was learnt on.
    bases : int
        How many base models these hold.
    rl_steps : tuple of float
        RL steps of their runs, sorted.
    """

    levels: Mapping[str, Prior]
    terms: Mapping[str, tuple[str, ...]]
    corpora: tuple[str, ...]
    bases: int
    rl_steps: tuple[float, ...]


class Level(NamedTuple):
    """What is known of a candidate, and how the model reads it.

    Attributes
    ----------
    knots : tuple of float
        Of the map, on the scale of `quagpredict.surrogates.hierarchy.BEFORE`; none for a model without benchmarks.
    terms : tuple of str
    tries : int
        The map reads Pass@k of each benchmark at this k.
    """

    knots: tuple[float, ...]
    terms: tuple[str, ...]
    tries: int = 1


#: Knots of the map, logits of Pass@k before RL: 2 % and 27 %.
KNOTS = (-4.0, -1.0)
#: Levels of information, the best first: Pass@4 where so many samples of each problem were drawn. Without benchmarks
#: there is no map: it would order by SFT Pass@1.
LEVELS = {
    f"Pass@{TRIES} by benchmark, what was cut, and loss": Level(KNOTS, (CUT, LOSS), TRIES),
    f"Pass@{TRIES} by benchmark and what was cut": Level(KNOTS, (CUT,), TRIES),
    f"Pass@{TRIES} by benchmark and loss": Level(KNOTS, (LOSS,), TRIES),
    f"Pass@{TRIES} by benchmark": Level(KNOTS, (), TRIES),
    "benchmarks, what was cut, and loss": Level(KNOTS, (CUT, LOSS)),
    "benchmarks and what was cut": Level(KNOTS, (CUT,)),
    "benchmarks and loss": Level(KNOTS, (LOSS,)),
    "benchmarks": Level(KNOTS, ()),
    "Pass@64 and loss": Level((), ("pre_problems.pass_at_64", LOSS)),
    "Pass@64": Level((), ("pre_problems.pass_at_64",)),
    "Pass@16 and loss": Level((), ("pre_problems.pass_at_16", LOSS)),
    "Pass@16": Level((), ("pre_problems.pass_at_16",)),
}
#: Levels that no prior had at first.
_LATER = {name for name, level in LEVELS.items() if level.tries > 1}


def save_prior(prior: StoredPrior, folder: str | Path) -> Path:
    """Write a prior into `folder` and return the file."""
    path = Path(folder) / FILE
    levels = {
        name: {
            "knots": level.knots.tolist(),
            "terms": list(prior.terms[name]),
            "mean": level.mean.tolist(),
            "covariance": level.covariance.tolist(),
            "spreads": list(level.spreads),
        }
        for name, level in prior.levels.items()
    }
    value = {
        "schema_version": 1,
        "levels": levels,
        "corpora": list(prior.corpora),
        "bases": prior.bases,
        "rl_steps": list(prior.rl_steps),
    }
    write_json(path, value)
    return path


def load_prior(folder: str | Path) -> StoredPrior:
    """Read a prior from its folder.

    Raises
    ------
    SurrogateError
        If the file is missing or anything in it is not as it must be; the message names the file and the key.

    Examples
    --------
    >>> sorted(load_prior(shipped_path("models/prior")).levels) == sorted(LEVELS)
    True
    """
    path = Path(folder) / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SurrogateError(f"{path}: there is no prior; `python training/learn_prior.py` makes one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SurrogateError(f"{path}: not a prior: {str(error)[:200]}") from None
    whole = JsonObject(value, path, "", frozenset({"schema_version", "levels", "corpora", "bases", "rl_steps"}))
    whole.number("schema_version", 1, 1)
    there = whole.value["levels"] if isinstance(whole.value["levels"], dict) else {}
    levels = JsonObject(whole.value["levels"], path, "levels.", frozenset(LEVELS) - (_LATER - {*there}))
    levels_read = {name: _level(levels.value[name], path, name) for name in LEVELS if name in levels.value}
    return StoredPrior(
        {name: level for name, (level, _) in levels_read.items()},
        {name: terms for name, (_, terms) in levels_read.items()},
        whole.texts("corpora", 1, _MOST),
        whole.count("bases"),
        tuple(whole.array("rl_steps", (whole.length("rl_steps", 1, _MOST),), low=0.0).tolist()),
    )


@cache
def shipped_prior() -> StoredPrior:
    """Return the prior that is shipped.

    Raises
    ------
    SurrogateError, UsageError
        If it is not installed or broken.
    """
    return load_prior(shipped_path(_SHIPPED))


def _level(value: Any, path: Path, name: str) -> tuple[Prior, tuple[str, ...]]:
    level = JsonObject(value, path, f"levels.{name}.", frozenset({"knots", "terms", "mean", "covariance", "spreads"}))
    knots = level.array("knots", (level.length("knots", 0, 20),), low=-50.0, high=50.0)
    terms = level.texts("terms", 0, 20)
    for term in terms:
        if term not in TERMS:
            raise level.error("terms", f"among {', '.join(TERMS)}", term)
    if (np.diff(knots) <= 0).any():
        raise level.error("knots", "rising", "numbers that do not rise")
    p = 1 + (len(knots) + 1 if len(knots) else 0) + len(terms)
    spreads = Spreads(*level.array("spreads", (len(Spreads._fields),), low=0.0, high=100.0).tolist())
    covariance = level.array("covariance", (p, p))
    return Prior(knots, len(terms), level.array("mean", (p,)), covariance, spreads), terms
