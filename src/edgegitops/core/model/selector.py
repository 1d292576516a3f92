"""Selectors of nodes by their tags."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Requirement:
    """One `matchExpressions` entry; operators In, NotIn, Exists, DoesNotExist, Gt, Lt as in Kubernetes labels."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; `is_all` is the written `all: true`. An empty selector does not exist."""

    requirements: tuple[Requirement, ...] = ()
    is_all: bool = False
