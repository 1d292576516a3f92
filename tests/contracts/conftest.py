"""Fixtures that several contract suites share."""

from tests.contracts.engine_fixtures import podman, podman_nodes, rig

__all__ = ["podman", "podman_nodes", "rig"]
