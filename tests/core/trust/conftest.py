"""A forge of keys, signatures and Git objects: real ones from `git` and `ssh-keygen`, hostile ones made by hand."""

import base64
import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from edgegitops.core.model.objects import Header, RawObject
from edgegitops.core.model.trust import Floor, Pin
from edgegitops.core.trust.objects import parse_commit
from edgegitops.core.trust.walk import NO_TIME_KNOWN, walk

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FLEET = "urn:edgegitops:acme"
PATHS = [
    {"path": "trust/**", "roles": ["security"]},
    {"path": "fleet.yaml", "roles": ["security"]},
    {"path": "policies/**", "roles": ["security"]},
    {"path": "sites/**", "roles": ["inventory"]},
    {"path": "deployments/**", "roles": ["release-manager"]},
    {"path": "apps/**", "roles": ["engineer"]},
]


def ssh(data):
    """A wire string."""
    return len(data).to_bytes(4, "big") + data


def mpint(value):
    """A wire number."""
    return ssh(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def armor(blob, width=70):
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    return ("-----BEGIN SSH SIGNATURE-----\n" + "\n".join(lines) + "\n-----END SSH SIGNATURE-----\n").encode()


@dataclass
class Signer:
    """A key pair that signs like `ssh-keygen -Y sign`, or wrongly where told so."""

    kind: str
    private: object
    application: bytes = b""
    flags: int = 1
    sig_kind: bytes = b""

    @property
    def blob(self):
        public = self.private.public_key()
        tail = ssh(self.application) if self.application else b""
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return ssh(b"ssh-rsa") + mpint(numbers.e) + mpint(numbers.n)
        if isinstance(public, ec.EllipticCurvePublicKey):
            point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            curve = b"nistp" + str(public.curve.key_size).encode()
            return ssh(self.kind.encode()) + ssh(curve) + ssh(point) + tail
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return ssh(self.kind.encode()) + ssh(raw) + tail

    @property
    def id(self):
        return hashlib.sha256(self.blob).hexdigest()

    @property
    def line(self):
        return f"{self.kind} {base64.b64encode(self.blob).decode()} somebody@example"

    def raw_sign(self, message):
        """The signature string's content: type, signature, and what FIDO keys add."""
        tail = b""
        if self.application:
            tail = bytes([self.flags]) + (7).to_bytes(4, "big")
            message = hashlib.sha256(self.application).digest() + tail + hashlib.sha256(message).digest()
        kind = self.sig_kind or self.kind.encode()
        if isinstance(self.private, rsa.RSAPrivateKey):
            kind = self.sig_kind or b"rsa-sha2-512"
            algorithm = {b"rsa-sha2-256": hashes.SHA256(), b"ssh-rsa": hashes.SHA1()}.get(kind, hashes.SHA512())  # noqa: S303 - the hostile case
            return ssh(kind) + ssh(self.private.sign(message, padding.PKCS1v15(), algorithm))
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            hash_ = hashes.SHA384() if self.private.curve.key_size == 384 else hashes.SHA256()
            r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hash_)))
            return ssh(kind) + ssh(mpint(r) + mpint(s)) + tail
        return ssh(kind) + ssh(self.private.sign(message)) + tail

    def blob_sign(self, message, namespace="git", *, hash_=b"sha512", version=1, reserved=b"", magic=b"SSHSIG"):
        digest = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}.get(hash_, hashlib.sha1)(message).digest()
        tail = ssh(namespace.encode()) + ssh(reserved) + ssh(hash_)
        signed = b"SSHSIG" + tail + ssh(digest)
        return magic + version.to_bytes(4, "big") + ssh(self.blob) + tail + ssh(self.raw_sign(signed))

    def sign(self, message, namespace="git", **odd):
        return armor(self.blob_sign(message, namespace, **odd))


@cache
def signer(name="anna", kind="ssh-ed25519"):
    """The same key for the same name, made without chance for the kinds that allow it."""
    seed = hashlib.sha256(name.encode()).digest()
    if kind in {"ssh-ed25519", "sk-ssh-ed25519@openssh.com"}:
        private = Ed25519PrivateKey.from_private_bytes(seed)
    elif kind.startswith("ssh-rsa"):
        private = rsa.generate_private_key(65537, int(kind.partition(":")[2] or 3072))
        kind = "ssh-rsa"
    else:
        curve = {"521": ec.SECP521R1(), "384": ec.SECP384R1()}.get(kind[-3:], ec.SECP256R1())
        private = ec.derive_private_key(int.from_bytes(seed, "big"), curve)
    return Signer(kind, private, b"ssh:" if kind.startswith("sk-") else b"")


def oid_of(kind, data):
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()  # noqa: S324 - Git's own


@dataclass
class Store:
    """Git objects in memory; counts what is read."""

    kept: dict = field(default_factory=dict)
    reads: list = field(default_factory=list)

    def header(self, oid):
        return Header(self.kept[oid].kind, len(self.kept[oid].data)) if oid in self.kept else None

    def read(self, oid):
        self.reads.append(oid)
        return self.kept.get(oid)

    def put(self, kind, data):
        oid = oid_of(kind, data)
        self.kept[oid] = RawObject(kind, data)
        return oid

    def tree(self, files):
        """A tree of {path: bytes}, {path: (mode, id)} for odd entries, or an id for a whole folder."""
        here, below = {}, {}
        for path, content in files.items():
            head, _, rest = path.partition("/")
            if rest:
                below.setdefault(head, {})[rest] = content
            else:
                here[head] = content if isinstance(content, tuple) else ("100644", self.put("blob", content))
        here |= {name: ("40000", self.tree(inside)) for name, inside in below.items()}
        return self.raw_tree([(mode, name, oid) for name, (mode, oid) in here.items()])

    def raw_tree(self, entries, *, is_sorted=True):
        rows = [(mode, name.encode() if isinstance(name, str) else name, oid) for mode, name, oid in entries]
        if is_sorted:
            rows.sort(key=lambda row: row[1] + b"/" if row[0] == "40000" else row[1])
        return self.put(
            "tree", b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in rows)
        )

    def load(self, repository):
        """Everything that a real repository holds."""
        data = subprocess.run(
            ["git", "-C", str(repository), "cat-file", "--batch-all-objects", "--batch"],
            check=True,
            capture_output=True,
        ).stdout
        while data:
            head, _, data = data.partition(b"\n")
            oid, kind, size = head.decode().split()
            self.kept[oid] = RawObject(kind, data[: int(size)])
            data = data[int(size) + 1 :]


def payload(tree, parents=(), *, message=b"change\n", at=1_780_000_000, extra=b""):
    ident = b"Anna <anna@example> %d +0000" % at
    lines = [f"tree {tree}\n".encode(), *(f"parent {parent}\n".encode() for parent in parents)]
    return b"".join(lines) + b"author " + ident + b"\ncommitter " + ident + b"\n" + extra + b"\n" + message


def with_signature(data, signature, *, header=b"gpgsig"):
    """The commit bytes with the armor as the last header, as `git commit -S` writes it."""
    cut = data.index(b"\n\n") + 1
    return data[:cut] + header + b" " + signature.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n" + data[cut:]


def root_json(version=1, *, keys=None, roles=None, **more):
    """The bytes of a root document. `keys` {signer: fields}, `roles` {name: [signers] or (threshold, [signers])}."""
    roles = roles or {}
    members = {name: role if isinstance(role, tuple) else (1, role) for name, role in roles.items()}
    known = {one.id: one for _, holders in members.values() for one in holders}
    fields = {one.id: extra for one, extra in (keys or [])}
    known |= {one.id: one for one, _ in (keys or [])}
    tree = {
        "repository": FLEET,
        "version": version,
        "keys": {
            key: {"line": one.line, "owner": f"owner-{key[:4]}"} | fields.get(key, {}) for key, one in known.items()
        },
        "roles": {
            name: {"keys": [one.id for one in holders], "threshold": n} for name, (n, holders) in members.items()
        },
        "paths": PATHS,
    } | more
    return json.dumps(tree, indent=1).encode()


def root_files(version, data, signers):
    """The files that publish a root: the document and its signatures."""
    files = {f"trust/root/{version:06}.json": data}
    for one in signers:
        files[f"trust/root/{version:06}.sig/{one.id}.sig"] = one.sign(data, "edgegitops-root")
    return files


STAFF = {
    "root": (2, [signer("rita"), signer("ravi"), signer("rosa")]),
    "security": [signer("sara")],
    "release-manager": [signer("max")],
    "engineer": [signer("anna"), signer("amir")],
    "inventory": [signer("ines")],
}


@dataclass
class Forge:
    """A fleet repository in memory, one commit at a time."""

    store: Store = field(default_factory=Store)
    files: dict = field(default_factory=dict)
    root: bytes = b""
    tip: str = ""
    pin: Pin | None = None

    signer = staticmethod(signer)
    ssh = staticmethod(ssh)
    mpint = staticmethod(mpint)
    armor = staticmethod(armor)
    root_json = staticmethod(root_json)
    root_files = staticmethod(root_files)
    payload = staticmethod(payload)
    with_signature = staticmethod(with_signature)
    now = NOW
    fleet = FLEET
    staff = STAFF

    def enrol(self, **root):
        """Start the fleet with its first root; pins it."""
        self.root = root_json(**({"roles": STAFF} | root))
        self.files = {"fleet.yaml": b"kind: Fleet\n", **root_files(1, self.root, [])}
        self.tip = self.store.put("commit", payload(self.store.tree(self.files)))
        self.pin = Pin(FLEET, hashlib.sha256(self.root).hexdigest(), self.tip)
        return self

    def commit(self, by, *, add=None, remove=(), parents=None, tree=None, **odd):
        """Sign and add a commit to the tip; answers its id."""
        self.files = {path: data for path, data in self.files.items() if path not in remove} | (add or {})
        data = payload(tree or self.store.tree(self.files), parents if parents is not None else [self.tip], **odd)
        if by:
            data = with_signature(data, by.sign(data))
        self.tip = self.store.put("commit", data)
        return self.tip

    def rotate(self, version, by, signers, *, add=None, **root):
        data = root_json(version, **({"roles": STAFF} | root))
        return self.commit(by, add=root_files(version, data, signers) | (add or {}))

    def walk(self, floor=None, tip=None, *, now=NOW, **limits):
        return walk(self.pin, floor, tip or self.tip, self.store, now=now, **limits)

    def floor(self, commit=None, *, root_version=1):
        """A floor at this commit, as the node would have it."""
        raw = self.store.kept[commit or self.tip].data
        parsed = parse_commit(raw)
        digest = hashlib.sha256(parsed.payload).hexdigest()
        return Floor(commit or self.tip, digest, parsed.tree, root_version, NO_TIME_KNOWN)


@pytest.fixture
def forge():
    return Forge()


@pytest.fixture
def fleet():
    """A forge whose fleet is enrolled."""
    return Forge().enrol()


@dataclass
class Workshop:
    """A real repository and real OpenSSH keys in a temporary folder."""

    path: object
    env: dict

    def run(self, *argv, stdin=None):
        return subprocess.run(argv, cwd=self.path, env=self.env, check=True, capture_output=True, input=stdin).stdout

    def key(self, name, *options):
        """(public key line, path of the private key) of a fresh key."""
        path = self.path.parent / name
        self.run("ssh-keygen", "-q", "-N", "", "-C", name, "-f", str(path), *(options or ("-t", "ed25519")))
        return path.with_name(f"{name}.pub").read_text().strip(), path

    def sign(self, key_path, data, namespace):
        """What `ssh-keygen -Y sign` makes of the data."""
        file = self.path.parent / "to-sign"
        file.write_bytes(data)
        self.run("ssh-keygen", "-q", "-Y", "sign", "-f", str(key_path), "-n", namespace, str(file))
        signature = file.with_name("to-sign.sig")
        made = signature.read_bytes()
        signature.unlink()
        return made

    def write(self, path, data):
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def commit(self, key_path, message="change", *, options=("-a",)):
        """`git commit -S` with this key; answers the commit id."""
        sign = (f"-S{key_path}",) if key_path else ("--no-gpg-sign",)
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", *sign, *options, "-m", message)
        return self.head()

    def head(self):
        return self.run("git", "rev-parse", "HEAD").decode().strip()

    def load(self):
        store = Store()
        store.load(self.path)
        return store


@pytest.fixture
def workshop(tmp_path):
    repository = tmp_path / "fleet"
    repository.mkdir()
    env = {name: value for name, value in os.environ.items() if not re.match(r"GIT_|SSH_", name)}
    env |= {
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Anna",
        "GIT_AUTHOR_EMAIL": "anna@example",
        "GIT_COMMITTER_NAME": "Anna",
        "GIT_COMMITTER_EMAIL": "anna@example",
    }
    shop = Workshop(repository, env)
    shop.run("git", "init", "-q", "-b", "main")
    shop.run("git", "config", "gpg.format", "ssh")
    shop.run("git", "config", "gc.auto", "0")
    return shop


@pytest.fixture(scope="module")
def forge_of_module():
    """A forge for Hypothesis, which shares fixtures over its examples."""
    return Forge()
