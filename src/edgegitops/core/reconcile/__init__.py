"""Desired, observed, remembered, now: what to do next."""
