"""Scores along RL: the table of them, what they say of the ends of runs, and where every run stands."""
