"""Bytes to model: YAML, schemas, positions of faults."""
