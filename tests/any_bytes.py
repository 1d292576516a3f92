"""Every reader of bytes that strangers send, with valid samples of them: what is fuzzed, shallow or deep.

Each reader answers any bytes with a value or an error of ours, and keeps within a second of CPU and 64 MiB.
"""

import contextlib
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.core.trust.conftest import Forge
from tests.core.trust.test_control_tags import NAME, signers, tag, text
from tests.core.trust.test_reports import NAME as NODE
from tests.core.trust.test_reports import NAMESPACE, REPORT

from edgegitops.adapters import secrets_pyrage
from edgegitops.core.documents.recipients import count_stanzas, read_recipients, write_recipients
from edgegitops.core.trust import freshness, keys, objects, sshsig
from edgegitops.core.trust.allowed_signers import Complaints, find_names, read_lines
from edgegitops.core.trust.certificates import read_signing
from edgegitops.core.trust.control_tags import read_control_tag
from edgegitops.core.trust.krl import MAGIC, is_listed
from edgegitops.core.trust.reports import payload_of, read_report, sealed
from edgegitops.core.trust.root_document import read_root
from edgegitops.core.trust.verify_ssh import read_signature
from edgegitops.errors import EdgegitopsError

CPU_SECONDS = 1.0
MEMORY = 64 * 1024 * 1024
PLAIN = b"db.2\n\nsecret"


@dataclass(frozen=True)
class Reader:
    """A reader, and valid bytes for it. It may raise errors of ours, and ValueError where its law says so."""

    read: Callable[[bytes], object]
    samples: tuple[bytes, ...]


def read_within(reader: Reader, data: bytes) -> None:
    """Read twice, and hold a bound each. AssertionError: one was passed; what else is raised is a mistake of ours."""
    began = time.process_time()
    with contextlib.suppress(EdgegitopsError, ValueError):
        reader.read(data)
    took = time.process_time() - began
    tracemalloc.start()
    try:
        with contextlib.suppress(EdgegitopsError, ValueError):
            reader.read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert took < CPU_SECONDS, f"{took:.1f} s"
    assert peak < MEMORY, f"{peak} bytes"


def strictly(read: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """A reader whose law is that it raises nothing at all."""

    def asked(data: bytes) -> object:
        try:
            return read(data)
        except ValueError as error:
            raise AssertionError(f"raised {error!r}") from error

    return asked


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)


def _lines(data: bytes) -> object:
    told = data.decode("utf-8", "replace")
    return list(read_lines(told, _utc, Complaints("signers"))), find_names(told, "anna", _utc)


@cache
def readers() -> dict[str, Reader]:
    """All readers, by name."""
    fleet = Forge().enrol()
    anna = fleet.signer()
    payload = fleet.payload(fleet.store.tree(fleet.files), [fleet.tip])
    commit = fleet.with_signature(payload, anna.sign(payload))
    tree = fleet.store.kept[fleet.store.tree(fleet.files)].data
    control = tag(fleet, text(fleet, Expires="2026-11-23T00:00:00Z"))
    said = payload_of(REPORT)
    report = sealed(said, fleet.signer("node").sign(said, NAMESPACE))
    line = fleet.signer("node").line
    statement = (
        f'{{"repository":"{fleet.fleet}","commit":"{fleet.tip}",'
        '"issuedAt":"2026-06-01T00:00:00Z","expiresAt":"2026-06-15T00:00:00Z"}'
    ).encode()
    allowed = f'anna,*@x namespaces="git",valid-after="20260101Z",cert-authority {anna.line}\n# x\n'.encode()
    revoked = (
        MAGIC + b"\0\0\0\x01" + b"\0" * 32 + b"\x02" + (len(anna.blob) + 4).to_bytes(4, "big") + fleet.ssh(anna.blob)
    )
    known, by = signers(fleet), {"fleet": REPORT.fleet, "name": NODE, "key_line": line}
    signing = read_signing(anna.blob)
    found = {
        "commit": Reader(strictly(objects.parse_commit), (commit, payload)),
        "tag": Reader(strictly(objects.parse_tag), (control,)),
        "tree": Reader(strictly(objects.parse_tree), (tree,)),
        "sshsig": Reader(
            strictly(lambda data: sshsig.verify(data, payload, "git")),
            tuple(fleet.signer("anna", kind).sign(payload) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256")),
        ),
        "lenient sshsig": Reader(strictly(read_signature), (anna.sign(payload),)),
        "key": Reader(strictly(keys.read_key), (anna.blob, fleet.signer("x", "ecdsa-sha2-nistp384").blob)),
        "certificate": Reader(strictly(read_signing), (anna.blob,)),
        "key line": Reader(strictly(lambda data: keys.read_line(data.decode("utf-8", "replace"))), (line.encode(),)),
        "allowed signers": Reader(strictly(_lines), (allowed,)),
        "revocation list": Reader(strictly(lambda data: is_listed(signing, data)), (revoked,)),
        "root": Reader(strictly(lambda data: read_root(data, version=1, repository=fleet.fleet)), (fleet.root,)),
        "freshness": Reader(strictly(lambda data: freshness.read_statement(data, fleet.fleet)), (statement,)),
        "control tag": Reader(strictly(lambda data: read_control_tag(f"refs/tags/{NAME}", data, known)), (control,)),
        "report": Reader(strictly(lambda data: read_report(data, **by)), (report,)),
    }
    return found | _of_secrets()


def _of_secrets() -> dict[str, Reader]:
    identity = Path(mkdtemp()) / "age.key"
    recipient = secrets_pyrage.make_identity(identity)
    sealed_age = secrets_pyrage.encrypt(PLAIN, [recipient])
    listed = write_recipients("db.2", sealed_age, {"plant/press-1": recipient}, ()).encode()
    return {
        "age": Reader(lambda data: secrets_pyrage.decrypt(data, identity), (sealed_age,)),
        "age stanzas": Reader(count_stanzas, (sealed_age,)),
        "age recipients": Reader(lambda data: read_recipients("db.2", data), (listed,)),
    }
