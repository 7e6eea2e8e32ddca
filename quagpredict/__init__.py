"""quagpredict."""
