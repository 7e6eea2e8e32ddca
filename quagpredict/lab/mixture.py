"""Mixtures of chain specs: the lab's data sets, each a pure function of its description and a seed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from quagpredict.errors import RecipeError
from quagpredict.lab.chains import ChainSpec, Problem, Split, draw_problems
from quagpredict.plans.keys import known_keys_only

# Repeats in a row before a spec counts as exhausted: at most a few new problems in a thousand draws are then left.
_MISSES = 1000


@dataclass(frozen=True)
class Source:
    """A chain spec and its share of a mixture (shares are relative: 1 and 3 mean a quarter and three quarters)."""

    spec: ChainSpec
    share: float = 1.0


@dataclass(frozen=True)
class Mixture:
    """Sources that are mixed by their shares.

    Examples
    --------
    >>> mixture = Mixture.from_mapping({"sources": [{"operators": "+-"}, {"operators": "*", "share": 3}]})
    >>> problems = mixture.problems(8, split="train", seed=0)
    >>> sum("*" in problem.prompt for problem in problems)
    6
    """

    sources: tuple[Source, ...]

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Mixture":
        """Read a mixture from parsed YAML: the keys of one `ChainSpec`, or ``sources``, a list of such with ``share``.

        Raises
        ------
        RecipeError
            For an unknown key or a value out of range; the message names the source and the key.
        """
        listed = mapping["sources"] if set(mapping) == {"sources"} else [mapping]
        if not isinstance(listed, Sequence) or not listed:
            raise RecipeError(f"lab data: 'sources' must be a list with at least one source, got {listed!r}")
        return cls(tuple(_source(entry, position) for position, entry in enumerate(listed)))

    def as_dict(self) -> dict[str, Any]:
        """Return the mixture as plain data, for digests and records."""
        return {"sources": [{**asdict(source.spec), "share": source.share} for source in self.sources]}

    def problems(self, count: int, *, split: Split, seed: int, distinct: bool = True) -> list[Problem]:
        """Draw `count` problems of a split, in random order, each source's number rounded from its share.

        Parameters
        ----------
        count : int
            How many problems.
        split : {"train", "rl", "held_out", "test"}
            Which problems may be drawn; the four never share one.
        seed : int
            Same seed, same problems in the same order. Growing `count` keeps the problems of each source as a prefix.
        distinct : bool
            Whether prompts must differ.

        Raises
        ------
        RecipeError
            If the specs cannot give that many distinct problems.
        """
        drawn: list[Problem] = []
        seen: set[str] = set()
        for position, (source, quota) in enumerate(zip(self.sources, self._quotas(count), strict=True)):
            stream = draw_problems(source.spec, split, random.Random(f"{seed}/{split}/{position}"))
            misses = 0
            while quota:
                problem = next(stream)
                if distinct and problem.prompt in seen:
                    misses += 1
                    if misses > _MISSES:
                        raise RecipeError(f"lab data: source {position} has fewer distinct {split} problems than asked")
                    continue
                misses = 0
                seen.add(problem.prompt)
                drawn.append(problem)
                quota -= 1
        random.Random(f"{seed}/{split}/order").shuffle(drawn)
        return drawn

    def _quotas(self, count: int) -> list[int]:
        total = sum(source.share for source in self.sources)
        cumulative = 0.0
        quotas = []
        taken = 0
        for source in self.sources:
            cumulative += source.share
            upto = round(count * cumulative / total)
            quotas.append(upto - taken)
            taken = upto
        return quotas


def _source(entry: Any, position: int) -> Source:
    if not isinstance(entry, Mapping):
        raise RecipeError(f"lab data: source {position} must be a mapping of keys, got {entry!r}")
    names = [field.name for field in fields(ChainSpec)]
    known_keys_only(entry, ["share", *names], f"lab data: source {position}")
    share = entry.get("share", 1.0)
    if not isinstance(share, int | float) or not share > 0:
        raise RecipeError(f"lab data: source {position}: share must be a positive number, got {share!r}")
    try:
        spec = ChainSpec(**{key: value for key, value in entry.items() if key != "share"})
    except (TypeError, RecipeError) as error:
        raise RecipeError(f"lab data: source {position}: {error}") from None
    return Source(spec, float(share))
