"""The cycle, the resident and the worker, over ports."""
