"""Law: a variable is written, is a fact of the node, or is taken from a config; one written by name wins over a group.

A config that is a folder has its files as keys. A config that is one file has lines `KEY=value`: all after the first
`=` is the value as it stands, without quotes or escapes; empty lines and lines that begin with `#` are left out.
`envFrom` takes all keys of its configs, later ones over earlier ones.
A secret is never read here: which keys it has is known on its nodes alone, so a whole secret of `envFrom` gives what
nothing else gives.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgegitops.core.desired.configs import Config
from edgegitops.core.desired.mounts import Sources
from edgegitops.core.desired.reading import Cursor, Keys, unknown
from edgegitops.core.desired.secrets import read_ref
from edgegitops.core.desired.values import Target
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.secrets import SecretRef, read_pairs

_ENV_NAME = re.compile(r"[^=\0]+\Z")
_FACTS = ("node.name", "node.address", "site.name", "site.timeZone")
_KEYS = Keys(
    frozenset({"from", "config", "secret", "key"}),
    frozenset(),
    (("valueFrom", "from"), ("value", ""), ("file", "config")),
)
_GROUP_KEYS = Keys(frozenset({"config", "secret"}), hints=(("configMapRef", "config"), ("secretRef", "secret")))
_LARGEST = 128 * 1024
"""The kernel's limit of one variable, in bytes."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables: with their values, from secrets, and secrets whose keys become variables."""

    env: Mapping[str, str]
    secrets: Mapping[str, SecretRef]
    groups: tuple[SecretRef, ...]


def read_env(fields: Mapping[str, Cursor], target: Target, sources: Sources) -> Environment:
    """All variables of a container, of `envFrom` and `env`."""
    configs = sources.configs
    env: dict[str, str] = {}
    secrets: dict[str, SecretRef] = {}
    groups: list[SecretRef] = []
    for group in fields["envFrom"].items() if "envFrom" in fields else ():
        env |= _group(group, sources, groups)
    for name, entry in fields["env"].entries().items() if "env" in fields else ():
        if not _ENV_NAME.match(name):
            entry.note(FaultCode.WRONG_FORMAT, f"{name!r} is no name of a variable", "no '=' in it")
        if isinstance(entry.tree, dict) and "secret" in entry.tree:
            env.pop(name, None)
            secrets |= {name: ref} if (ref := _secret(entry, sources)) else {}
            continue
        env[name] = _taken(entry, target, configs) if isinstance(entry.tree, dict) else entry.expanded()
    return Environment(dict(sorted(env.items())), dict(sorted(secrets.items())), tuple(groups))


def _secret(spot: Cursor, sources: Sources) -> SecretRef | None:
    fields = spot.fields(_KEYS)
    for other in sorted({"config", "from"} & set(fields)):
        fields[other].note(FaultCode.WRONG_VALUE, f"{other} beside secret", "one source of the value")
    return read_ref(fields, sources.secrets)


def _group(spot: Cursor, sources: Sources, groups: list[SecretRef]) -> dict[str, str]:
    fields = spot.fields(_GROUP_KEYS)
    if len(fields) > 1:
        spot.note(FaultCode.WRONG_VALUE, "two sources of variables", "a config or a secret")
    if "secret" in fields and (ref := read_ref(fields, sources.secrets)):
        groups.append(ref)
    return dict(_pairs(fields["config"], sources.configs)) if "config" in fields else {}


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
    spot.scope.values.is_own = True
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
    if config.secrets:
        spot.note(FaultCode.WRONG_VALUE, f"the config {name} holds secrets", "mount it, or name the secret here")
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
    pairs, bad = read_pairs(text)
    for number in bad:
        spot.note(FaultCode.WRONG_FORMAT, f"line {number} of the config is no variable", "KEY=value on each line")
    return pairs
