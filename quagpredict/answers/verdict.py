"""The classes that a response can fall into."""

from typing import Literal, get_args

Verdict = Literal["correct", "wrong", "no_answer", "truncated", "timeout", "error"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
