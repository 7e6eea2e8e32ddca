"""Collection: a plan's stages are run as programs of their own and written down in a ledger."""
