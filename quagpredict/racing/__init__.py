"""RL runs under way: what their curves say of their ends, and which to start, go on with or stop."""

from quagpredict.racing.racer import race, race_of
from quagpredict.racing.result import Race

__all__ = ["Race", "race", "race_of"]
