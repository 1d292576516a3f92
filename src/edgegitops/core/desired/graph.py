"""Law: what waits for itself is found, and named as the loop that it is."""

from collections.abc import Iterable, Mapping


def find_cycle(edges: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The names of one loop in their order, the smallest first; empty where there is none.

    Takes away, again and again, what waits for nothing that is left; what remains leads into a loop.
    """
    left = {name: {after for after in afters if after in edges} for name, afters in edges.items()}
    while free := [name for name, afters in left.items() if not afters & left.keys()]:
        for name in free:
            del left[name]
    if not left:
        return ()
    path: list[str] = []
    name = min(left)
    while name not in path:
        path.append(name)
        name = min(left[name] & left.keys())
    loop = path[path.index(name) :]
    start = loop.index(min(loop))
    return (*loop[start:], *loop[:start])
