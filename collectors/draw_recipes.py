"""Draw the random recipes of a plan: `python collectors/draw_recipes.py collectors/plans/lab-3.yaml`.

Everything in the plan below its line ``# drawn: {...}`` is written anew: a data entry and a candidate for every recipe,
drawn for every base on its own. The line says from what:

    # drawn: {seed: 31, recipes: 19, repeated: 2, bases: [ash, birch]}

``recipes`` are drawn for each base, and RL from the base without SFT is a candidate too; the first ``repeated`` of them
are taken through RL with three seeds. All recipes come from one wide distribution (`draw`), so that no kind of recipe
dominates, and any half of them is like any other. ``world: words`` or ``numbers`` draws them of those instead of dials,
and ``apart: true`` draws lengths, noise and answers without steps for each skill on its own. Or the recipes are trials
of a random search, which is what `quagpredict search SPACE --method random --seed S` would train:

    # drawn: {trials: 30, seeds: {collectors/searches/dials-hazel.yaml: 41}}

``--check`` writes nothing and fails if the plan is another.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from quagpredict.errors import RecipeError
from quagpredict.files import written_aside
from quagpredict.mixture_search.recipes import MixtureRecipe, recipe_of
from quagpredict.mixture_search.rounds import round_seed
from quagpredict.mixture_search.samplers import sampler_of
from quagpredict.mixture_search.space_file import SearchPlan
from quagpredict.plans.section import Section
from quagpredict.program import run_program
from quagpredict.shipped import shipped_or_given, shipped_path

MARK = "# drawn: "
# World -> skill -> operators of its chains and the operator that each of them holds.
SKILLS = {
    "dials": {
        "flip": ("-", ""),
        "turn": ("-+", "+"),
        "couple": ("-+<", "<"),
        "gear": ("-+*", "*"),
        "cascade": ("-+^", "^"),
    },
    "numbers": {"plain": ("+-", ""), "times": ("+-*", "*"), "rotate": ("+-<", "<"), "shift": ("+-^", "^")},
    "words": {"plain": ("+-", ""), "turn": ("+-<", "<"), "fill": ("+-^", "^"), "sort": ("+-*", "*")},
}
KEYS = ({"seed", "recipes", "repeated", "bases"}, {"trials", "seeds"})
OPTIONAL_KEYS = {"world", "apart"}
LENGTHS = ([1, 1], [1, 2], [2, 2], [1, 3], [3, 3])


class Drawn(NamedTuple):
    """One recipe: the data and the paradigm of its SFT."""

    data: dict[str, Any]
    unique_examples: int
    epochs: int
    learning_rate: float


class Written(NamedTuple):
    """How the chains of a skill are written: their lengths, the noise in solutions, the share without steps."""

    lengths: list[int]
    noise: float
    direct: float


def draw_written(rng: random.Random) -> Written:
    """Draw how chains are written."""
    lengths = rng.choice(LENGTHS)
    noise = round(rng.uniform(0.05, 0.35), 2) if rng.random() < 0.4 else 0.0
    direct = round(rng.uniform(0.1, 0.6), 2) if rng.random() < 0.4 else 0.0
    return Written(lengths, noise, direct)


def draw(rng: random.Random, world: str = "dials", apart: bool = False) -> Drawn:
    """Draw one recipe of a world.

    Skills are weighted by a flat Dirichlet draw with concentration 0.6, so that most recipes favour some and leave
    others out; two recipes in five have noise in their solutions, two in five answers without steps. Examples seen are
    log-uniform from 2048 to 32768, epochs from 1 to 64, the learning rate from 4e-4 to 4e-3. Lengths, noise and answers
    without steps are those of the recipe, or where ``apart`` of each of its skills.
    """
    weights = {skill: rng.gammavariate(0.6, 1.0) for skill in SKILLS[world]}
    total = sum(weights.values())
    shares = {skill: round(weight / total, 2) for skill, weight in weights.items() if weight / total >= 0.03}
    of_recipe = draw_written(rng)
    sources = []
    for skill, share in shares.items():
        operators, required = SKILLS[world][skill]
        lengths, noise, direct = draw_written(rng) if apart else of_recipe
        chain = {"world": world, "operators": operators} | ({"required": required} if required else {})
        stepwise = chain | {"lengths": [*lengths]} | ({"noise": noise} if noise else {})
        sources.append(stepwise | {"share": round(share * (1 - direct), 4)})
        if direct:
            sources.append(chain | {"lengths": [*lengths], "direct": True, "share": round(share * direct, 4)})
    seen = 2 ** rng.uniform(11, 15)
    epochs = round(2 ** rng.uniform(0, 6))
    rate = float(f"{10 ** rng.uniform(-3.4, -2.4):.1e}")
    return Drawn({"lab_data": {"sources": sources}}, max(32, round(seen / epochs)), epochs, rate)


def trials_of(path: str, trials: int, seed: int) -> tuple[str, Iterator[MixtureRecipe]]:
    """Return the base of a search space, and the recipes of the first trials of a random search in it.

    Which weights a base has does not matter for what is drawn, so a base that ships stands for one that has still to be
    trained.
    """
    import optuna

    content = yaml.safe_load(shipped_or_given(path).read_text(encoding="utf-8"))
    base = str(content["base"]["name"])
    content["base"]["model_name_or_path"] = str(shipped_path("datasets/lab-pilot/bases/weak"))
    with tempfile.TemporaryDirectory() as folder:
        stand_in = Path(folder, Path(path).name)
        stand_in.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        space = SearchPlan.from_yaml(stand_in).space
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler_of("random", space, round_seed(seed, 1)))
    asked = (study.ask(space.distributions()) for _ in range(trials))
    return base, (recipe_of(space, trial.params) for trial in asked)


def sections_of_trials(given: dict[str, Any]) -> str:
    """Return the sections ``data`` and ``candidates`` of a plan that holds the trials of random searches."""
    data, candidates = ["data:"], ["candidates:"]
    for path, seed in given["seeds"].items():
        base, recipes = trials_of(path, given["trials"], seed)
        for number, recipe in enumerate(recipes, start=1):
            name = f"{base}{number:02d}"
            data.append(f"  {name}: {_flow(recipe.data)}")
            entry = {"base": [base], "data": [name], "unique_examples": [recipe.unique_examples]}
            entry |= {"epochs": [recipe.epochs], "learning_rate": [recipe.learning_rate], "seed": [recipe.seed]}
            candidates.append(f"  - {_flow(entry | {'scenario': 'random'})}")
    return "\n".join([*data, *candidates]) + "\n"


def check_drawn(given: Section) -> None:
    """Refuse values that nothing can be drawn from, by file and key."""
    if "seeds" in given.content:
        given.whole("trials", low=1)
        seeds = given.section("seeds")
        for path in seeds.content:
            seeds.whole(path, low=0)
        return
    for key, low in {"seed": 0, "recipes": 1, "repeated": 0}.items():
        given.whole(key, low)
    given.listed("bases", str)
    given.choice("world", tuple(SKILLS), "dials")
    if not isinstance(apart := given.content.get("apart", False), bool):
        raise given.error("apart", f"expected true or false, got {apart!r}")


def drawn_sections(given: dict[str, Any]) -> str:
    """Return the sections ``data`` and ``candidates`` of a plan, as text with one line an entry."""
    if "seeds" in given:
        return sections_of_trials(given)
    data, candidates = ["data:"], ["candidates:"]
    for base in given["bases"]:
        candidates.append(f"  - {_flow({'base': [base], 'no_sft': True})}")
        rng = random.Random(f"{given['seed']}/{base}")
        for number in range(1, given["recipes"] + 1):
            recipe = draw(rng, given.get("world", "dials"), given.get("apart", False))
            name = f"{base}{number:02d}"
            data.append(f"  {name}: {_flow(recipe.data)}")
            entry: dict[str, Any] = {"base": [base], "data": [name], "unique_examples": [recipe.unique_examples]}
            entry |= {"epochs": [recipe.epochs], "learning_rate": [recipe.learning_rate], "seed": [0]}
            entry |= {"scenario": "random"} | ({"rl_seeds": [0, 1, 2]} if number <= given["repeated"] else {})
            candidates.append(f"  - {_flow(entry)}")
    return "\n".join([*data, *candidates]) + "\n"


def main(arguments: list[str]) -> None:
    """Read the plan down to the mark, and write the rest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="plan with a line '# drawn: {...}'")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if the plan would change")
    given = parser.parse_args(arguments)
    text = given.plan.read_text(encoding="utf-8")
    head, mark, rest = text.partition(f"\n{MARK}")
    if not mark:
        raise RecipeError(
            f"{given.plan}: expected a line '{MARK}{{seed: ..., recipes: ..., repeated: ..., bases: [...]}}' or "
            f"'{MARK}{{trials: ..., seeds: {{SPACE: ...}}}}'"
        )
    line = rest.partition("\n")[0]
    try:
        settings = yaml.safe_load(line)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise RecipeError(f"{given.plan}: '{MARK}' is followed by what is not YAML: {line}") from None
    if not isinstance(settings, dict) or set(settings) - OPTIONAL_KEYS not in KEYS:
        ways = " or ".join(", ".join(sorted(keys)) for keys in KEYS) + f" (and may have {', '.join(OPTIONAL_KEYS)})"
        raise RecipeError(f"{given.plan}: '{MARK}' needs the keys {ways}, got {line}")
    check_drawn(Section(settings, str(given.plan), MARK))
    made = f"{head}{mark}{line}\n{drawn_sections(settings)}"
    if given.check and made != text:
        raise RecipeError(f"{given.plan}: is not what its line '{MARK}' draws; run the program without --check")
    if not given.check:
        with written_aside(given.plan) as aside:
            aside.write_text(made, encoding="utf-8")


def _flow(value: Any) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)).strip()


if __name__ == "__main__":
    sys.exit(run_program(main))
