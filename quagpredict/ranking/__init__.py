"""From measured candidates to a decision: which deserve RL compute, and how sure that is."""

from quagpredict.ranking.applicability import why_not_applicable
from quagpredict.ranking.headers import HeadersError
from quagpredict.ranking.ranker import rank
from quagpredict.ranking.result import Choice, Flag, Outcome, Ranking

__all__ = ["Choice", "Flag", "HeadersError", "Outcome", "Ranking", "rank", "why_not_applicable"]
