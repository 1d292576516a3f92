"""Law: what a gate costs that asks ten thousand nodes: reports verified and kept, three waves counted, in this process.

Every node has a key of its own; all of them are in waves before the one that asks. Cold, nothing is known of anybody;
incremental, one node of ten thousand says something new: to the same worker, which is handed that alone, and to a new
one, which has loaded nothing, reads what was noted, and is shown all reports again, as a transport shows them. What a
transport needs to bring the reports is not in it. Garbage is looked for as seldom as in a worker.
"""

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from figures import Figure, Target, median, say
from nacl.bindings import crypto_sign_open

from edgegitops.adapters.clock_system import SystemClock
from edgegitops.adapters.reports_sqlite import ReportsStore
from edgegitops.core.model.canonical import digest, sha256_hex
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedState
from edgegitops.core.model.waves import Edition, Editions, Gate, Member, RolloutPolicy, Wave
from edgegitops.core.rollout.control_log import ControlLog
from edgegitops.core.rollout.count import Reading
from edgegitops.core.rollout.evidence import Standpoint
from edgegitops.core.rollout.next_release import Own, Question, Start, next_release
from edgegitops.core.trust import signing
from edgegitops.core.trust.keys import read_key
from edgegitops.core.trust.reports import NAMESPACE, key_id, payload_of, sealed
from edgegitops.core.witness import evidence_of
from edgegitops.daemon.archive import Archive
from edgegitops.errors import BrokenInvariantError

FLEET, DEPLOYMENT, ME = "urn:bench:fleet", "line", "last/gw"
SOAK = timedelta(minutes=10)


@dataclass(frozen=True)
class Fleet:
    """Ten thousand nodes that all run what the newest revision says: their keys, what they sent, and the chain."""

    private: Mapping[str, bytes]
    keys: Mapping[str, str]
    sent: Mapping[str, bytes]
    chain: Editions


def gates(folder: Path, nodes: int, runs: int) -> Iterator[Figure]:
    """Cold, with one report more, and as a new worker finds it with one report more."""
    say(f"a fleet of {nodes:,} nodes signs its reports")
    fleet = _fleet({"canary": nodes // 100, "pilot": nodes // 10, "early": nodes - nodes // 100 - nodes // 10})
    verified = _verified_only(fleet)
    cold, more, anew = [], [], []
    for at in range(runs):
        say(f"gate over {nodes:,} reports, {at + 1} of {runs}")
        store, memo = ReportsStore(folder / f"reports-{at}.db"), dict[str, object]()
        archive = Archive(store, FLEET)
        *names, name = list(fleet.keys)[-2 * runs - 1 :]
        sent = {one: _said(fleet, one, sequence=at + 2) for one in (*names, name)}
        with _as_in_a_worker():
            cold.append(_asked(fleet, archive, memo, fleet.sent))
            more += [_asked(fleet, archive, memo, {one: sent[one]}) for one in names]
        del archive, memo
        with _as_in_a_worker():
            anew.append(_asked(fleet, Archive(store, FLEET), {}, {**fleet.sent, **sent}))
    what, target = f"gate over {nodes:,} reports", Target("<= 2 s", 2, is_ratio=False)
    yield Figure(f"{what}, cold", "s", median(cold), runs, "their Ed25519 signatures alone", verified, target)
    fifty = Target("<= 50 ms", 50, is_ratio=False)
    yield Figure(f"{what}, one is new", "ms", median(more) * 1000, len(more), target=fifty)
    yield Figure(f"{what}, one is new to a new worker", "ms", median(anew) * 1000, runs)


@contextmanager
def _as_in_a_worker() -> Iterator[None]:
    """No key was read, nothing of an earlier run is to be swept, and garbage is looked for as cli/plain.py says."""
    read_key.cache_clear()
    key_id.cache_clear()
    gc.collect()
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _asked(fleet: Fleet, archive: Archive, memo: dict[str, object], sent: Mapping[str, bytes]) -> float:
    """Seconds from the reports to the answer of the gate, which is open."""
    began = time.perf_counter()
    archive.take_in(sent, fleet.keys)
    evidence = evidence_of(archive.all(), fleet.keys, FLEET, memo)
    standpoint = Standpoint(SystemClock().now(), is_clock_trusted=True, root_version=1)
    own = Own(ME, fleet.chain.pages[0].digest(ME))
    found = next_release(Question(own, fleet.chain, ControlLog(), Reading(DEPLOYMENT, evidence, standpoint)))
    took = time.perf_counter() - began
    if not isinstance(found, Start):
        raise BrokenInvariantError(f"the gate is not open: {found}")
    return took


def _verified_only(fleet: Fleet) -> float:
    """Seconds that the library itself needs for as many signatures."""
    keys = [Ed25519PrivateKey.generate() for _ in range(200)]
    message = b"x" * 130
    signed = [(key.public_key().public_bytes_raw(), key.sign(message) + message) for key in keys]
    began = time.perf_counter()
    for key, both in signed:
        crypto_sign_open(both, key)
    return (time.perf_counter() - began) * len(fleet.sent) / len(keys)


def _fleet(sizes: Mapping[str, int]) -> Fleet:
    waves = tuple(Wave(name, gate=Gate(min_healthy=Fraction(95, 100), soak=SOAK)) for name in sizes)
    seats = {f"{wave}-{at}/gw": Member(index) for index, (wave, size) in enumerate(sizes.items()) for at in range(size)}
    members = seats | {ME: Member(len(sizes))}
    pages = tuple(
        Edition(revision, RolloutPolicy(waves), members, {name: digest([revision, name]) for name in members})
        for revision in ("a" * 40, "b" * 40)
    )
    private = {name: _key() for name in seats}
    keys = {name: signing.public_line(key) for name, key in private.items()}
    bare = Fleet(private, keys, {}, Editions(pages))
    return replace(bare, sent={name: _said(bare, name, sequence=1) for name in seats})


def _key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def _said(fleet: Fleet, name: str, *, sequence: int) -> bytes:
    """What a node reports: it runs the newest release, healthy for long enough."""
    site, _, node = name.partition("/")
    page = fleet.chain.pages[-1]
    told = ReportedDeployment(page.revision, page.digest(name), ReportedState.HEALTHY, SOAK + timedelta(seconds=1.5))
    report = Report(
        fleet=FLEET,
        site=site,
        node=node,
        installation=sha256_hex(name.encode())[:32],
        boot="0b1e",
        sequence=sequence,
        issued_at=SystemClock().now(),
        root_version=1,
        floor=page.revision,
        deployments={DEPLOYMENT: told},
    )
    payload = payload_of(report)
    return sealed(payload, signing.sign(payload, fleet.private[name], NAMESPACE))
