"""One outside thing a file; they touch and decide nothing."""
