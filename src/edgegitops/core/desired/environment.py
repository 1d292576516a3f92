"""Law: a variable is written, is a fact of the node, or is taken from a config; one written by name wins over a group.

A config that is a folder has its files as keys. A config that is one file has lines `KEY=value`: all after the first
`=` is the value as it stands, without quotes or escapes; empty lines and lines that begin with `#` are left out.
`envFrom` takes all keys of its configs, later ones over earlier ones.
"""

import re
from collections.abc import Mapping

from edgegitops.core.desired.configs import Config
from edgegitops.core.desired.mounts import unknown
from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.desired.values import Target
from edgegitops.core.model.reasons import FaultCode

_ENV_NAME = re.compile(r"[^=\0]+\Z")
_FACTS = ("node.name", "node.address", "site.name", "site.timeZone")
_KEYS = Keys(
    frozenset({"from", "config", "key"}),
    frozenset({"secret"}),
    (("valueFrom", "from"), ("value", ""), ("file", "config")),
)
_GROUP_KEYS = Keys(frozenset({"config"}), frozenset({"secret"}), (("configMapRef", "config"),))
_LARGEST = 128 * 1024
"""The kernel's limit of one variable, in bytes."""


def read_env(fields: Mapping[str, Cursor], target: Target, configs: Mapping[str, Config | None]) -> dict[str, str]:
    """All variables of a container, of `envFrom` and `env`."""
    env: dict[str, str] = {}
    for group in fields["envFrom"].items() if "envFrom" in fields else ():
        env |= _group(group, configs)
    for name, entry in fields["env"].entries().items() if "env" in fields else ():
        if not _ENV_NAME.match(name):
            entry.note(FaultCode.WRONG_FORMAT, f"{name!r} is no name of a variable", "no '=' in it")
        env[name] = _taken(entry, target, configs) if isinstance(entry.tree, dict) else entry.expanded()
    return dict(sorted(env.items()))


def _group(spot: Cursor, configs: Mapping[str, Config | None]) -> dict[str, str]:
    fields = spot.fields(_GROUP_KEYS)
    return dict(_pairs(fields["config"], configs)) if "config" in fields else {}


def _taken(spot: Cursor, target: Target, configs: Mapping[str, Config | None]) -> str:
    before = len(spot.scope.faults)
    fields = spot.fields(_KEYS)
    if "from" in fields:
        for key in sorted({"config", "key"} & set(fields)):
            fields[key].note(FaultCode.WRONG_VALUE, f"{key} beside from", "one source of the value")
        return _fact(fields["from"], target)
    if "config" not in fields or "key" not in fields:
        if len(spot.scope.faults) == before:
            spot.note(FaultCode.MISSING_FIELD, "no source of the value", "config and key, or from")
        return ""
    pairs = _pairs(fields["config"], configs)
    key = fields["key"].text()
    if key not in pairs and len(spot.scope.faults) == before and configs.get(str(fields["config"].tree)):
        unknown(fields["key"], "key", key, pairs)
    return pairs.get(key, "")


def _fact(spot: Cursor, target: Target) -> str:
    name = spot.text()
    facts = dict(
        zip(_FACTS, (target.node.name, target.node.address, target.site.name, target.site.time_zone), strict=True)
    )
    if name not in facts:
        spot.note(FaultCode.UNKNOWN_REFERENCE, f"there is no {name!r}", ", ".join(_FACTS))
    elif not facts[name]:
        spot.note(FaultCode.UNKNOWN_REFERENCE, f"{name} is not given here", f"{name} in the file of the site")
    return facts.get(name, "")


def _pairs(spot: Cursor, configs: Mapping[str, Config | None]) -> dict[str, str]:
    """What a config says, by key; empty where a fault was noted, here or where the config stands."""
    name = spot.text()
    if name not in configs:
        unknown(spot, "config", name, configs)
        return {}
    config = configs[name]
    if config is None:
        return {}
    texts = {path: _text(spot, path, data) for path, data in sorted(config.contents.items())}
    return texts if config.is_folder else _lines(spot, texts[""])


def _text(spot: Cursor, path: str, data: bytes) -> str:
    what = f"{path!r} of the config" if path else "the config"
    if len(data) > _LARGEST:
        spot.note(FaultCode.TOO_LARGE, f"{what} is too long for a variable", f"at most {_LARGEST} bytes; mount it")
        return ""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        spot.note(FaultCode.NOT_UTF8, f"{what} is no UTF-8 text", "text; mount what is none")
        return ""
    if "\0" in text:
        spot.note(FaultCode.WRONG_FORMAT, f"{what} holds a NUL", "text without NUL; mount what has one")
        return ""
    return text


def _lines(spot: Cursor, text: str) -> dict[str, str]:
    pairs = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, mark, value = line.partition("=")
        if not mark or not key.strip():
            spot.note(FaultCode.WRONG_FORMAT, f"line {number} of the config is no variable", "KEY=value on each line")
            continue
        pairs[key.strip()] = value
    return pairs
