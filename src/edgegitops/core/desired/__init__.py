"""Snapshot and node to desired state."""
