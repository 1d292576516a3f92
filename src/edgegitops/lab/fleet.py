"""Law: a lab's fleet repository is a real one: real SSH keys, a signed trust root, and every commit signed by the role
whose paths it changes, as `git commit -S` with gpg.format=ssh makes it.

`found` starts it: keys, the trust root and `fleet.yaml` in the first commit, which is the checkpoint that nodes pin.
`import_directory` brings a fleet from a folder, one commit a role, after giving each of its images a real digest.
"""

import hashlib
import json
import os
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgegitops.core.model.trust import ROOT_ROLE, PathRule, Pin, Revocation, Role, RootDocument, TrustKey
from edgegitops.core.trust.root_document import path_of, read_root, write_root
from edgegitops.errors import InvalidConfigError
from edgegitops.lab import images
from edgegitops.lab.commands import environment, run

REPOSITORY = "urn:edgegitops:lab"
ROOT_FILE = "trust/root/000001.json"
ROLES = ("security", "inventory", "engineer", "release-manager")
_ROOT_KEYS = ("root-1", "root-2")
_OWNERS = {
    "trust/**": ("security",),
    "fleet.yaml": ("security",),
    "policies/**": ("security",),
    "secrets/**": ("security", "release-manager"),
    "sites/**": ("inventory",),
    "apps/**": ("engineer",),
    "deployments/**": ("release-manager",),
}


@dataclass(frozen=True, slots=True)
class Key:
    """A person's SSH key: `id` is the hex SHA-256 of the key blob, `path` the private key's file."""

    name: str
    path: Path
    line: str
    id: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """The engineer's clone of a lab's fleet repository, with the keys of every role."""

    home: Path
    url: str

    @property
    def work(self) -> Path:
        """The working tree."""
        return self.home / "work"

    def key(self, name: str) -> Key:
        """A key by its role's name (`security`, `engineer` …) or `root-1`, `root-2`; made where it is new."""
        return _key(self.home / "keys", name)

    def commit(self, message: str, *, key: str | None, files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Write files (None deletes one), commit all that changed, signed by `key` (None: unsigned); the commit id."""
        for name, content in (files or {}).items():
            path = self.work / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        author = key or "nobody"
        settings = ["-c", f"user.name={author}", "-c", f"user.email={author}@lab.example", "-c", "commit.gpgsign=false"]
        signing: list[str] = []
        if key is not None:
            settings += ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.key(key).path}"]
            signing = ["-S"]
        self.git(*settings, "commit", "-q", *signing, "-m", message)
        return self.tip()

    def push(self, *, force: bool = False) -> str:
        """Push main to the lab's Git server; the tip."""
        self.git("push", "-q", "--set-upstream", *(["--force"] if force else []), "origin", "HEAD:main")
        return self.tip()

    def tip(self) -> str:
        """The clone's newest commit."""
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Run git in the working tree; its output without the line's end."""
        return run(["git", "-C", str(self.work), *arguments], env=_git_environment()).decode().strip()

    def pin(self) -> Pin:
        """What a node is enrolled with."""
        first = self.git("rev-list", "--max-parents=0", "HEAD")
        data = run(["git", "-C", str(self.work), "cat-file", "blob", f"{first}:{ROOT_FILE}"], env=_git_environment())
        return Pin(json.loads(data)["repository"], hashlib.sha256(data).hexdigest(), first)

    def import_directory(self, source: Path, publish: Callable[[images.App], str], *, reports: str = "") -> str:
        """Commit a fleet's manifests from a folder, one signed commit a role, and push; the tip. `reports` is the URL
        that its fleet.yaml is to name.

        Each `registry.example/…@sha256:…` gets the digest of a demo app that `publish` pushed under that name and tag.
        """
        waiting = {name: _pinned(path, publish) for name, path in _manifests(source)}
        if reports:
            waiting["fleet.yaml"] = with_reports(waiting["fleet.yaml"].decode(), reports).encode()
        for role in ROLES:
            mine = {name: data for name, data in waiting.items() if role == _owner(name)}
            if any(not self._holds(name, data) for name, data in mine.items()):
                self.commit(f"{role}: the fleet of {source.name}", key=role, files=mine)
        return self.push()

    def _holds(self, name: str, data: bytes) -> bool:
        path = self.work / name
        return path.is_file() and path.read_bytes() == data


def found(home: Path, url: str, *, repository: str = REPOSITORY, fleet_file: str | None = None) -> Fleet:
    """Make keys, trust root and first commit, and push it. `fleet_file` is the text of fleet.yaml."""
    fleet = Fleet(home, url)
    fleet.work.mkdir(parents=True)
    fleet.git("init", "-q", "--initial-branch=main")
    fleet.git("remote", "add", "origin", url)
    for setting, value in {  # for a person who tries a change here with plain git
        "user.name": "engineer",
        "user.email": "engineer@lab.example",
        "gpg.format": "ssh",
        "user.signingkey": str(fleet.key("engineer").path),
        "commit.gpgsign": "true",
        "tag.gpgsign": "true",
    }.items():
        fleet.git("config", setting, value)
    root = write_root(_root(fleet, repository))
    signatures = {
        f"trust/root/000001.sig/{fleet.key(name).id}.sig": sign(root.encode(), fleet.key(name), "edgegitops-root")
        for name in _ROOT_KEYS
    }
    manifest = fleet_file or fleet_manifest(repository)
    fleet.commit("trust: the first root", key="security", files={ROOT_FILE: root, **signatures, "fleet.yaml": manifest})
    fleet.push()
    return fleet


def revoke(fleet: Fleet, role: str, *, reason: str) -> Key:
    """Commit the second root: the key of `role` is revoked, and a new one, which is answered, has its place."""
    old, new = fleet.key(role), fleet.key(f"{role}-2")
    data = (fleet.work / ROOT_FILE).read_bytes()
    repository = str(json.loads(data)["repository"])
    first = read_root(data, version=1, repository=repository)
    if not isinstance(first, RootDocument):
        raise InvalidConfigError(first.detail, file=ROOT_FILE)
    second = replace(
        first,
        version=2,
        keys={**first.keys, new.id: TrustKey(id=new.id, line=new.line, owner=new.name)},
        roles={**first.roles, role: Role((new.id,))},
        revoked=(Revocation(old.id, reason),),
    )
    text = write_root(second)
    signatures = {
        f"trust/root/000002.sig/{fleet.key(name).id}.sig": sign(text.encode(), fleet.key(name), "edgegitops-root")
        for name in _ROOT_KEYS
    }
    fleet.commit("trust: root 2", key="security", files={path_of(2): text, **signatures})
    return new


def sign(data: bytes, key: Key, namespace: str) -> bytes:
    """The armored SSHSIG signature of `data`, as `ssh-keygen -Y sign` makes it."""
    return run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key.path)], data=data)


def repository_of(source: Path) -> str:
    """The repository id that a folder's fleet.yaml says. InvalidConfigError where it says none."""
    for line in (source / "fleet.yaml").read_text().splitlines():
        word, _, value = line.strip().partition(":")
        if word == "repository" and value.strip():
            return value.split(" #")[0].strip().strip("\"'")
    raise InvalidConfigError("no line `repository: …`", key="spec.repository", file=str(source / "fleet.yaml"))


def with_reports(text: str, url: str) -> str:
    """The text of a fleet.yaml whose reports go to the lab's own repository; as it was, where its layout is unusual."""
    said, times = re.subn(r"(?m)^(  reports:\n(?:    .*\n|  +#.*\n)*?    git: )\S+", rf"\g<1>{url}", text)
    is_open = re.search(r"(?m)^spec:\s*$", text) and not re.search(r"(?m)^ +reports:", text)
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if times or not is_open or not lines[-1].startswith("  "):
        return said
    return f"{text.rstrip()}\n  reports:\n    git: {url}\n"


def _root(fleet: Fleet, repository: str) -> RootDocument:
    roles = {role: Role((fleet.key(role).id,)) for role in ROLES}
    roles[ROOT_ROLE] = Role(tuple(fleet.key(name).id for name in _ROOT_KEYS), threshold=2)
    keys = [fleet.key(name) for name in (*_ROOT_KEYS, *ROLES)]
    return RootDocument(
        repository=repository,
        version=1,
        keys={key.id: TrustKey(id=key.id, line=key.line, owner=key.name) for key in keys},
        roles=roles,
        paths=tuple(PathRule(path, owners) for path, owners in _OWNERS.items()),
    )


def _owner(name: str) -> str:
    for path, owners in _OWNERS.items():
        if name == path or (path.endswith("/**") and name.startswith(path[:-2])):
            return owners[0]
    return "engineer"


def _manifests(source: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if path.is_file() and not name.startswith((".git/", "trust/root/")):
            yield name, path


def _pinned(path: Path, publish: Callable[[images.App], str]) -> bytes:
    data = path.read_bytes()
    if path.suffix not in {".yaml", ".yml"}:
        return data
    return images.with_real_digests(data.decode(), publish).encode()


def _key(folder: Path, name: str) -> Key:
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@lab.example", "-f", str(path)])
    line = path.with_suffix(".pub").read_text().strip()
    return Key(name, path, line, hashlib.sha256(b64decode(line.split()[1])).hexdigest())


def fleet_manifest(repository: str) -> str:
    """The text of a Fleet with nothing but its id."""
    return f"""apiVersion: edgegitops/v1
kind: Fleet
metadata:
  name: lab
spec:
  repository: {repository}
  resolver: 1
"""


def site_manifest(site: str, nodes: Sequence[tuple[str, str]], tags: Mapping[str, str] | None = None) -> str:
    """The text of a Site with these (node, address) pairs."""
    lines = ["apiVersion: edgegitops/v1", "kind: Site", "metadata:", f"  name: {site}", "spec:", "  tags:"]
    lines += [f"    {key}: {json.dumps(value)}" for key, value in {"lab": "true", **(tags or {})}.items()]
    lines += ["  timeZone: UTC", "  nodes:"]
    lines += [f"    {node}:\n      address: {address}" for node, address in nodes]
    return "\n".join(lines) + "\n"


def _git_environment() -> dict[str, str]:
    return environment(
        {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "NO_PROXY": "*"}
    )
