"""The lab: a reasoning world small enough for a CPU and real in every part."""

from quagpredict.lab.chains import CHARACTERS, ChainSpec, Problem, Split, draw_problem, split_of
from quagpredict.lab.mixture import Mixture, Source

__all__ = ["CHARACTERS", "ChainSpec", "Mixture", "Problem", "Source", "Split", "draw_problem", "split_of"]
