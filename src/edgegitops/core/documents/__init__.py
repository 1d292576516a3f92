"""Bytes of the fleet repository <-> model: YAML reader, schemas, and the places of faults."""
