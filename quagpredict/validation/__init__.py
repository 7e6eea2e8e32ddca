"""How far a surrogate can be trusted: splits, scores, baselines, the noise ceiling and the report."""
