"""A worker of a search whose training is a nap: run by path, killed at random. Every training leaves a line."""

import os
import time
from pathlib import Path


def work(url, trials, folder, seed):
    from quagpredict.mixture_search.study import MixtureSearch
    from quagpredict.mixture_search.workers import Patience
    from quagpredict.testing.search_worlds import synthetic_world

    world = synthetic_world(12)
    search = MixtureSearch(world.space, method="sft-pass-at-1", storage=url, name="kills", seed=seed)

    def measure(recipe, report):
        with (Path(folder) / "trained.txt").open("a") as said:
            said.write(f"{recipe.recipe_id} {os.getpid()}\n")
        # However fast the storage is, the study must not be over before the last kill.
        while len((Path(folder) / "trained.txt").read_text().splitlines()) > float(
            (Path(folder) / "allowed.txt").read_text() or 0
        ):
            time.sleep(0.02)
        for part in (0.25, 0.5):
            time.sleep(0.03)
            report(round(100 * part), world.measure(recipe, part))
        return world.measure(recipe)

    search.run(measure, trials, patience=Patience(beat_s=0.2, grace_s=10.0, poll_s=0.05))


if __name__ == "__main__":
    work(**ARGUMENTS)  # noqa: F821 - given by whoever runs this file
