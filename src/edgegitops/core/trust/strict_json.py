"""Law: signed JSON has one reading: UTF-8, no key twice, whole numbers only, no text without a UTF-8 form.

What is signed is bytes; two readers that take the same bytes for different things would believe different things.
"""

import json
from typing import NoReturn

from edgegitops.core.model.codec import Tree


def read_strict(data: bytes) -> Tree:
    """The tree that these bytes are. ValueError, or RecursionError where they nest thousands deep."""
    tree = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=_without_twins,
        parse_float=_no_number,
        parse_constant=_no_number,
    )
    json.dumps(tree, ensure_ascii=False).encode("utf-8")  # a lone surrogate has no UTF-8: UnicodeEncodeError
    return tree


def _without_twins(pairs: list[tuple[str, Tree]]) -> Tree:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("a key is there twice")
    return tree


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]!r} is no whole number")
