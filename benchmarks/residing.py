"""Law: what the resident costs while nothing changes: alone, and with all that may watch it, and what a thousand of its
cycles leave in memory.

Its share counts its own processor time, its children's and that of Podman's service. With everything on means: TLS to
the repository, a scrape of its metrics every 15 s, a notification hook, and a watchdog that hears from it. The thousand
cycles are the same code with short pauses (hasty.py); each is a look at the engine and a poll.
"""

import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from figures import Figure, Target, say
from gateway import Gateway, cpu_of, memory_of
from relay import Relay

from edgegitops.errors import UnavailableError
from edgegitops.lab import git_server
from edgegitops.lab.commands import run, until

SETTLED = 15.0
SCRAPE_EVERY = 15.0
FIRST_CYCLES = 100
LISTEN = "127.0.0.1:9464"
SCRAPE = f"import urllib.request as r; r.urlopen('http://{LISTEN}/metrics', timeout=5).read()"
WATCHED = f"""  metrics: {{listen: "{LISTEN}"}}
  notify: {{exec: [/bin/true]}}
"""


@dataclass(frozen=True, slots=True)
class Share:
    """Of one core, in percent, and memory in MiB."""

    own: float
    whole: float
    rss: float
    pss: float
    service_rss: float


def resident(gateway: Gateway, count: int, seconds: float, cycles: int) -> Iterator[Figure]:
    """The resident beside so many running, probed containers."""
    gateway.commit(count, probe=True)
    gateway.forget()
    gateway.worker()
    gateway.settle()
    say(f"the resident with {count} containers, {seconds:g} s")
    yield from _rows(f"resident idle, {count} probed", _share(gateway, seconds))
    say(f"the resident with https, metrics, a hook and a watchdog, {seconds:g} s")
    with _secured(gateway), _watched(gateway) as command:
        share = _share(gateway, seconds, command)
    yield from _rows(f"the same with https, metrics, hook, watchdog, {count} probed", share)
    say(f"{cycles:,} cycles of the resident")
    first, last = _memory_of_cycles(gateway, cycles)
    what = f"resident: RSS after {cycles:,} cycles, {count} probed"
    yield Figure(what, "MiB", last, 1, f"after {FIRST_CYCLES}", first, Target("<= 1.05x", 1.05))


def _rows(what: str, share: Share) -> Iterator[Figure]:
    target = Target("<= 25 MiB", 25, is_ratio=False)
    yield Figure(f"{what}: RSS", "MiB", share.rss, 1, "Podman's service", share.service_rss, target)
    yield Figure(f"{what}: PSS", "MiB", share.pss, 1)
    yield Figure(f"{what}: CPU, alone", "% core", share.own, 1)
    target = Target("<= 0.1 %", 0.1, is_ratio=False)
    yield Figure(f"{what}: CPU, with Podman", "% core", share.whole, 1, target=target)


def _share(gateway: Gateway, seconds: float, command: Sequence[str] | None = None) -> Share:
    with _running(gateway, command):
        time.sleep(SETTLED)  # its first worker has come and gone
        agent, service = gateway.agent_pid(), gateway.service_pid()
        before, began = (cpu_of(agent), cpu_of(service)), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        own, podman = cpu_of(agent) - before[0], cpu_of(service) - before[1]
        rss, pss = memory_of(agent)
        return Share(100 * own / passed, 100 * (own + podman) / passed, rss, pss, memory_of(service)[0])


@contextmanager
def _running(gateway: Gateway, command: Sequence[str] | None) -> Iterator[None]:
    gateway.node.start_agent(command)
    try:
        until((gateway.node.home / "agent.pid").exists, "the agent")
        yield
    finally:
        gateway.node.stop_agent()


@contextmanager
def _secured(gateway: Gateway) -> Iterator[None]:
    """The repository at an https address, with a certificate of our own."""
    file, pem = gateway.node.home / "node.yaml", gateway.node.home / "tls.pem"
    usual, address = file.read_text(), gateway.lab.wiring.address
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=bench", "-addext", f"subjectAltName=IP:{address}"]
    run([*make, *names, "-keyout", str(pem), "-out", f"{pem}.crt"])
    pem.write_text(pem.read_text() + Path(f"{pem}.crt").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with Relay((address, 0), (address, git_server.PORT), tls=context) as relay:
        plain, secure = gateway.lab.git_url, f"https://{address}:{relay.port}/fleet.git"
        branch = f'"{secure}"\n    caFile: "{pem}.crt"\n'
        file.write_text(usual.replace(f'"{plain}"\n', branch))
        try:
            yield
        finally:
            file.write_text(usual)
        if relay.up == 0:
            raise UnavailableError("bench", "poll over https", "the resident did not ask")


@contextmanager
def _watched(gateway: Gateway) -> Iterator[list[str]]:
    """The command of a resident whom everybody watches; its watchers come and go with it."""
    file, notified = gateway.node.home / "node.yaml", gateway.node.home / "notify.sock"
    usual = file.read_text()
    file.write_text(usual + WATCHED)
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(SCRAPE_EVERY):
            gateway.node.attempt([sys.executable, "-I", "-S", "-c", SCRAPE])

    def hear() -> None:
        with suppress(OSError):
            while True:
                watchdog.recv(4096)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as watchdog:
        watchdog.bind(str(notified))
        watchers = [threading.Thread(target=one, daemon=True) for one in (scrape, hear)]
        for one in watchers:
            one.start()
        try:
            agent = [sys.executable, "-m", "edgegitops", "agent", "run", "--config", str(file)]
            yield ["env", f"NOTIFY_SOCKET={notified}", "WATCHDOG_USEC=60000000", *agent]
        finally:
            over.set()
            watchers[0].join(60)
            file.write_text(usual)
            notified.unlink(missing_ok=True)


def _memory_of_cycles(gateway: Gateway, cycles: int) -> tuple[float, float]:
    """RSS in MiB after the first cycles and after all of them."""
    told = gateway.node.home / "hasty.txt"
    told.unlink(missing_ok=True)
    program = Path(__file__).with_name("hasty.py")
    wanted = (FIRST_CYCLES, FIRST_CYCLES + cycles)
    command = [
        sys.executable,
        str(program),
        str(told),
        ",".join(map(str, wanted)),
        str(gateway.node.home / "node.yaml"),
    ]

    def is_done() -> bool:
        return told.exists() and len(told.read_text().splitlines()) == len(wanted)

    with _running(gateway, command):
        until(is_done, f"{cycles} cycles", seconds=120 + cycles * 0.5)
    page = os.sysconf("SC_PAGE_SIZE") / 2**20
    first, last = (int(line) * page for line in told.read_text().splitlines())
    return first, last
