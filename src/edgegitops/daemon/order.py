"""Law: what a worker is asked to do. A file of its own: a fetch may begin before what decides is loaded."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """`fetch` where the remote has news, `is_revert_only` to use nothing but journal and engine, finishing or reverting
    what is open.
    """

    fetch: bool = True
    is_revert_only: bool = False
