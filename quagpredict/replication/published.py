"""The paper's figures, as far as they are known to us from notes on it."""

import polars as pl

#: Kang et al., arXiv 2510.01624: a linear predictor, fitted on half of the models, repeated; R² is mean and deviation.
PUBLISHED = pl.DataFrame(
    [
        ("dataset-level", "Llama3-8B", "SFT Pass@1", 0.75, 0.57, 0.29),
        ("dataset-level", "Llama3-8B", "held-out loss", 0.94, 0.88, 0.09),
        ("dataset-level", "Llama3-8B", "Pass@64", 0.95, 0.87, 0.10),
        ("dataset-level", "Llama3-8B", "both", 0.97, 0.94, 0.04),
        ("dataset-level", "Mistral-NeMo-12B", "SFT Pass@1", 0.78, 0.29, 0.38),
        ("dataset-level", "Mistral-NeMo-12B", "held-out loss", 0.90, 0.79, 0.26),
        ("dataset-level", "Mistral-NeMo-12B", "Pass@64", 0.92, 0.57, 0.32),
        ("dataset-level", "Mistral-NeMo-12B", "both", 0.90, 0.72, 0.24),
        ("instance-level", "Llama3-8B", "SFT Pass@1", 0.69, 0.58, 0.20),
        ("instance-level", "Llama3-8B", "Pass@64", 0.94, 0.92, 0.05),
        ("instance-level", "Mistral-NeMo-12B", "SFT Pass@1", 0.70, 0.73, 0.16),
        ("instance-level", "Mistral-NeMo-12B", "Pass@64", 0.98, 0.98, 0.01),
    ],
    schema=["scenario", "model", "metric", "spearman", "r2", "r2_sd"],
    orient="row",
)
