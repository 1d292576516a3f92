"""Law: the place of a file says what it is; what stands nowhere in particular is not ours and is ignored.

    fleet.yaml                   Fleet
    sites/<any folders>/X.yaml   Site X
    apps/X/app.yaml              Application X; every other file under apps/X is a config file of it
    deployments/X.yaml           Deployment X
    policies/X.yaml              Policy X
    trust/nodes/X.yaml           NodeKeys X
    secrets/X.N.age              secret X at version N; secrets/X.N.recipients says for whom

A YAML file that stands beside these places inside our folders is a mistake, and is told with the right place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import SecretFile
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.secrets import FILE_NAME

PLACES = {
    "Fleet": "fleet.yaml",
    "Site": "sites/<any folders>/<name>.yaml",
    "Application": "apps/<name>/app.yaml",
    "Deployment": "deployments/<name>.yaml",
    "Policy": "policies/<name>.yaml",
    "NodeKeys": "trust/nodes/<site>.yaml",
    "NodePolicy": "/etc/edgegitops/policy.yaml on the node, never in Git",
    "NodeConfig": "/etc/edgegitops/node.yaml on the node, never in Git",
}
FLEET_FILE = "fleet.yaml"
_APP_FILE = "app.yaml"
_FLAT = {("deployments",): "Deployment", ("policies",): "Policy", ("trust", "nodes"): "NodeKeys"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A manifest to read: what it must be, and the name that its file gives it (empty for the fleet)."""

    file: str
    oid: str
    kind: str
    name: str


@dataclass(slots=True)
class Layout:
    """A revision's files by what they are; `beside` are the config files of each application folder, `secrets` the age
    files by name and version (`db.2`).
    """

    leaves: list[Leaf] = field(default_factory=list)
    beside: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    secrets: dict[str, SecretFile] = field(default_factory=dict)


def lay_out(files: Mapping[str, str]) -> Layout:
    """Sort the files (path -> blob id) of a revision into their places, in the order of paths."""
    layout = Layout()
    for file in sorted(files):
        _place(layout, file, files[file])
    _place_secrets(layout, files)
    for app in sorted(set(layout.beside) - {leaf.name for leaf in layout.leaves if leaf.kind == "Application"}):
        first = f"apps/{app}/{min(layout.beside[app])}"
        message = f"apps/{app} has files but no app.yaml"
        layout.faults.append(Fault(first, FaultCode.FILE_MISSING, message, expected=f"apps/{app}/app.yaml"))
    return layout


def _place_secrets(layout: Layout, files: Mapping[str, str]) -> None:
    """The age files right under secrets/; other files there are somebody's notes."""
    for file in sorted(one for one in files if one.startswith("secrets/") and one.endswith(".age")):
        name = file.removeprefix("secrets/")
        if FILE_NAME.match(name):
            beside = files.get(f"{file.removesuffix('.age')}.recipients", "")
            layout.secrets[name.removesuffix(".age")] = SecretFile(files[file], beside)
        else:
            _misplaced(layout, file, "secrets/<name>.<version>.age")


def _place(layout: Layout, file: str, oid: str) -> None:
    *folders, name = file.split("/")
    stem, dot, ending = name.rpartition(".")
    is_yaml = bool(dot) and ending.lower() in {"yaml", "yml"}
    if folders[:1] == ["apps"] and len(folders) > 1 and (name != _APP_FILE or len(folders) > _APP_DEPTH):
        if name in {"app.yml", "application.yaml"} and len(folders) == _APP_DEPTH:
            _misplaced(layout, file, f"apps/{folders[1]}/{_APP_FILE}")
        else:
            layout.beside.setdefault(folders[1], {})["/".join((*folders[2:], name))] = oid
        return
    if not is_yaml:
        return
    kind = _kind(tuple(folders), name)
    if kind and ending == "yaml":
        key = folders[1] if kind == "Application" else "" if kind == "Fleet" else stem
        layout.leaves.append(Leaf(file, oid, kind, key))
    elif kind:
        _misplaced(layout, file, f"{file[: -len(ending)]}yaml")
    elif wanted := _wanted(tuple(folders), stem):
        _misplaced(layout, file, wanted)


_APP_DEPTH = 2


def _kind(folders: tuple[str, ...], name: str) -> str:
    if not folders:
        return "Fleet" if name in {FLEET_FILE, "fleet.yml"} else ""
    if folders[0] == "sites":
        return "Site"
    if folders[0] == "apps":
        return "Application" if len(folders) == _APP_DEPTH and name == _APP_FILE else ""
    return _FLAT.get(folders, "")


def _wanted(folders: tuple[str, ...], stem: str) -> str:
    """Where a YAML file inside our folders should stand; empty for a file that is not ours."""
    match folders:
        case ("apps",):
            return f"apps/{stem}/{_APP_FILE}"
        case ("deployments" | "policies", *_):
            return f"{folders[0]}/{stem}.yaml"
        case ("trust", "nodes", *_):
            return f"trust/nodes/{stem}.yaml"
        case _:
            return ""


def _misplaced(layout: Layout, file: str, wanted: str) -> None:
    message = f"a {'secret' if file.endswith('.age') else 'manifest'} cannot stand at {file}"
    layout.faults.append(
        Fault(file, FaultCode.WRONG_PLACE, message, expected=wanted, suggestion=f"move it to {wanted}")
    )


def kind_fault(file: str, wanted: str, found: object) -> tuple[FaultCode, str, str, str]:
    """Code, message, expectation and suggestion for a document whose `kind` is not that of its place."""
    expected = f"kind: {wanted}"
    if isinstance(found, str) and found in PLACES:
        message = f"this is a {found}, but {file} is the place of a {wanted}"
        return FaultCode.WRONG_PLACE, message, expected, f"move it to {PLACES[found]}"
    close = get_close_matches(str(found)[:64], PLACES, n=1)
    message = f"{str(found)[:64]!r} is no kind of ours" if found is not None else "the field kind is missing"
    return FaultCode.UNKNOWN_KIND, message, expected, close[0] if close else f"kind: {wanted}"
