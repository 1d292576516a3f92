"""A Git server that lies, drips, floods or falls silent: running agents heal their containers throughout, name what is
wrong in the journal, stay small, and go on when the server does.

One node speaks http, the other the git protocol. Both look every second, and may load 32 MiB in a process of 512 MiB.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from tests.contracts.git_server import ENDLESS_PACK, GitServer, HttpServer, bare_commit, git, pack_of
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, Wish, eventually, planted, side_by_side

from edgegitops.adapters.repository_memory import object_id
from edgegitops.core.model.reasons import Alarm
from edgegitops.lab import enrolment
from edgegitops.lab.commands import run
from edgegitops.lab.images import App
from edgegitops.lab.lab import SITE
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

MEMORY, DISK = 512 * 1024 * 1024, 32 * 1024 * 1024
RESIDENT_MOST = 64 * 1024 * 1024
SECONDS = 15.0
PROTOCOLS = ("http", "git")
PARTS = [f"part-{number}" for number in range(20)]
WISH = Wish("app", ("node-1", "node-2"), {part: App("plant/app", "1.0.0") for part in PARTS})


class Besieged:
    """Two nodes, each with a hostile server of its own before one honest repository."""

    def __init__(self, plant: Plant, servers: dict[str, HttpServer | GitServer]) -> None:
        self.plant = plant
        self.servers = servers
        self.nodes = dict(zip(PROTOCOLS, plant.nodes, strict=True))
        self.turns = dict.fromkeys(PROTOCOLS, 0)
        self.bare = plant.lab.directory / "git" / "fleet.git"

    def told(self, protocol: str, words: str, code: str = Alarm.FETCH_FAILED) -> None:
        """The journal names it, and meanwhile a killed container comes back."""
        node = self.nodes[protocol]
        self.heals(protocol)
        eventually(lambda: words in detail(node, code), f"{code}: {words}", node, SECONDS)

    def heals(self, protocol: str) -> None:
        """A container is killed, and runs again as another process. Each has its turn: after a second end in a short
        time a container waits before it is started, whatever the server does.
        """
        node = self.nodes[protocol]
        name = look.only(node, "app", PARTS[self.turns[protocol] % len(PARTS)])
        self.turns[protocol] += 1
        before = pid(node, name)
        node.run(["kill", "-9", str(before)])
        eventually(lambda: pid(node, name) not in {0, before}, f"{name} runs again", node, SECONDS)

    def makes_up(self, protocol: str) -> None:
        """The server serves again; the node follows it, and has no complaint."""
        self.servers[protocol].behave()
        node, tip = self.nodes[protocol], self.plant.lab.fleet.tip()
        eventually(lambda: look.ledger(node).floor.commit == tip, f"at {tip}", node, SECONDS)
        eventually(lambda: not look.ledger(node).alarms, "no complaint", node, SECONDS)
        for process in (look.agent_of(node), look.worker_of(node)):
            assert process is None or peak(process.pid) < RESIDENT_MOST

    def news(self, text: str) -> str:
        """An honest commit."""
        return self.plant.commit(text, "engineer", {"apps/app/README.md": f"{text}\n"})


@pytest.fixture(scope="module")
def besieged() -> Iterator[Besieged]:
    """Both at 1.0.0, healthy, through servers that are honest so far."""
    with ExitStack() as stack:
        plant = stack.enter_context(planted(2, WISH))
        lab, host = plant.lab, plant.lab.wiring.address
        made = Besieged(
            plant,
            {
                "http": stack.enter_context(HttpServer(lab.directory / "git", host=host)),
                "git": stack.enter_context(GitServer(lab.directory / "git", host=host)),
            },
        )
        for protocol, node in made.nodes.items():
            seat = enrolment.Seat(SITE, node.name, made.servers[protocol].url, lab.fleet.pin(), "1s")
            enrolment.write(node, seat, (lab.registry.name, lab.registry.address))
            with (node.home / "node.yaml").open("a") as file:
                file.write(f'  resources: {{memory: "{MEMORY}", disk: "{DISK}"}}\n')
            node.start_agent()
        for node in plant.nodes:
            eventually(lambda node=node: look.is_serving(node, "app", "1.0.0"), "the first release", node, 120)
        yield made


def detail(node: VirtualNode, code: str) -> str:
    """What the standing alarms of a code say."""
    return " ".join(one.detail for one in look.ledger(node).alarms.values() if one.code == code)


def pid(node: VirtualNode, name: str) -> int:
    """The process of a container; 0 where it does not run."""
    return int(node.engine.get(f"/containers/{name}/json")["State"]["Pid"])


def peak(process: int) -> int:
    """The most memory that a process had in RAM, in bytes."""
    try:
        rows = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(row.split()[1]) * 1024 for row in rows if row.startswith("VmHWM")), 0)


def fetchers(node: VirtualNode) -> list[int]:
    """The fetch children that live on a node."""
    found = []
    worker = look.worker_of(node)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if worker and parent == worker.pid and b"repository_fetch" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def bomb() -> dict[str, object]:
    """A tree of 48 MiB in a pack of some kilobytes."""
    tree = bytes(48 * 1024 * 1024)
    data = bare_commit(object_id("tree", tree))
    return {"tip": object_id("commit", data), "pack": pack_of((1, data), (2, tree))}


def hole() -> dict[str, object]:
    """A commit without its tree."""
    data = bare_commit("5" * 40)
    return {"tip": object_id("commit", data), "pack": pack_of((1, data))}


LIES: dict[str, tuple[Callable[[], dict[str, object]], str]] = {
    "endless pack": (lambda: {"tip": "6" * 40, "pack": ENDLESS_PACK, "is_endless": True}, "more"),
    "pack bomb": (bomb, "limit"),
    "hole": (hole, "left out"),
    "truncated pack": (lambda: {"tip": "7" * 40, "pack": pack_of((2, b""))[:-8]}, "broke off"),
    "no pack": (lambda: {"tip": "8" * 40, "pack": b"<html>"}, "fetch-failed"),
}


def by_both(scene: Callable[[str], None]) -> None:
    """Play a scene with each protocol, at once."""
    side_by_side(*(partial(scene, protocol) for protocol in PROTOCOLS))


@pytest.mark.parametrize("lie", LIES)
def test_lie_about_the_tip_is_named_and_costs_nothing_else(besieged: Besieged, lie: str) -> None:
    fields, words = LIES[lie]

    def told(protocol: str) -> None:
        floor = look.ledger(besieged.nodes[protocol]).floor
        besieged.servers[protocol].behave(**fields())
        besieged.told(protocol, words)
        assert look.ledger(besieged.nodes[protocol]).floor == floor
        besieged.makes_up(protocol)

    by_both(told)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"html": True}, "not Git"),
        ({"redirect": "http://127.0.0.2:9"}, "redirect"),
        ({"status": 500}, "500"),
        ({"status": 403}, "403"),
    ],
    ids=["html", "redirect", "failing", "forbidden"],
)
def test_answer_that_is_not_git_is_named(besieged: Besieged, behaviour: dict[str, object], words: str) -> None:
    besieged.servers["http"].behave(**behaviour)
    besieged.told("http", words, Alarm.CREDENTIAL_DENIED if words == "403" else Alarm.FETCH_FAILED)
    besieged.makes_up("http")


def test_answer_that_breaks_off_is_named(besieged: Besieged) -> None:
    for server in besieged.servers.values():
        server.behave(cut_after=60)
    besieged.news("cut")

    def told(protocol: str) -> None:
        besieged.told(protocol, "fetch-failed")
        besieged.makes_up(protocol)

    by_both(told)


@pytest.mark.parametrize("sin", ["hang", "drip"])
def test_containers_are_healed_while_the_server_is_slow(besieged: Besieged, sin: str) -> None:
    for server in besieged.servers.values():
        server.behave(**{sin: True})
    besieged.news(sin)

    def heals(protocol: str) -> None:
        besieged.heals(protocol)
        besieged.makes_up(protocol)

    by_both(heals)


def test_fetch_is_confined_and_containers_are_healed_while_it_lasts(besieged: Besieged) -> None:
    server, node = besieged.servers["http"], besieged.nodes["http"]
    assert isinstance(server, HttpServer)
    server.behave(hold_pack=True)
    besieged.news(os.urandom(2000).hex())
    server.wait_until_held()
    besieged.heals("http")
    (child,) = fetchers(node)
    limits = Path(f"/proc/{child}/limits").read_text()
    words = {row[:25].strip(): row[25:].split()[1] for row in limits.splitlines()}
    assert words["Max address space"] == str(MEMORY)
    assert int(words["Max file size"]) <= 2 * DISK
    assert int(words["Max cpu time"]) <= 120
    assert words["Max core file size"] == "0"
    assert peak(child) < MEMORY
    besieged.makes_up("http")


def test_million_refs_hide_no_news(besieged: Besieged) -> None:
    good = git(besieged.bare, "rev-parse", "refs/heads/main")
    refs = besieged.bare / "packed-refs"
    before = refs.read_bytes() if refs.exists() else None
    head = "# pack-refs with: peeled fully-peeled sorted \n"
    refs.write_text(head + "".join(f"{good} refs/reports/n{number:07}\n" for number in range(1_000_000)))
    try:
        by_both(besieged.heals)
        tip = besieged.news("a million refs")
        for node in besieged.nodes.values():
            eventually(lambda node=node: look.ledger(node).floor.commit == tip, "the news", node, 60)
    finally:
        refs.unlink()
        if before is not None:
            refs.write_bytes(before)
    by_both(besieged.makes_up)


def point(besieged: Besieged, revision: str) -> str:
    """The server shows this commit as its branch, whatever anybody pushed."""
    git(besieged.bare, "update-ref", "refs/heads/main", revision)
    return revision


@pytest.mark.parametrize("how", ["rewound", "forked"])
def test_history_without_the_last_believed_commit_is_not_followed(besieged: Besieged, how: str) -> None:
    good = besieged.news(f"before {how}")
    node = besieged.nodes["http"]
    eventually(lambda: look.ledger(node).floor.commit == good, "the good commit", node, SECONDS)
    back = git(besieged.bare, "rev-parse", f"{good}~1")
    if how == "forked":
        tree = git(besieged.bare, "rev-parse", f"{back}^{{tree}}")
        back = git(besieged.bare, "commit-tree", tree, "-p", back, stdin=b"forked")
    point(besieged, back)
    besieged.told("http", "first-parent history", Alarm.HISTORY_DIVERGED)
    assert look.ledger(node).floor.commit == good
    point(besieged, good)
    besieged.makes_up("http")


def test_signature_that_was_wrapped_anew_wedges_nobody(besieged: Besieged) -> None:
    """The same signed content is shown under another commit id, and the honest branch goes on from the first one."""
    good, node = besieged.news("wrapped"), besieged.nodes["http"]
    fleet = besieged.plant.lab.fleet
    data = git(besieged.bare, "cat-file", "commit", good) + "\n"
    head, _, rest = data.partition("gpgsig ")
    payload = head + rest.partition("-----END SSH SIGNATURE-----\n")[2]
    program = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-O", "hashalg=sha256", "-f"]
    armor = run([*program, str(fleet.key("engineer").path)], data=payload.encode()).decode()
    cut = payload.index("\n\n") + 1
    armor = armor.rstrip("\n").replace("\n", "\n ")
    other = f"{payload[:cut]}gpgsig {armor}\n{payload[cut:]}"
    twin = git(besieged.bare, "hash-object", "-w", "-t", "commit", "--stdin", stdin=other.encode())
    eventually(lambda: look.ledger(node).floor.commit == good, "the good commit", node, SECONDS)
    point(besieged, twin)
    besieged.heals("http")
    assert not look.ledger(node).alarms
    point(besieged, good)
    besieged.news("after it")
    besieged.makes_up("http")


TAG = "refs/tags/rollout/app/000001"
HALT = "halt app\n\nRepository: urn:edgegitops:lab\nKind: halt\nDeployment: app\nPrevious: none\nReason: noise\n"


def test_control_tag_stays_whatever_the_server_makes_of_it(besieged: Besieged) -> None:
    """A signed halt is believed once; then it is moved, nested, deleted, and drowned in thousands of others."""
    node, fleet = besieged.nodes["http"], besieged.plant.lab.fleet
    signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={fleet.key('release-manager').path}"]
    fleet.git(*signing, "-c", "user.name=m", "-c", "user.email=m@lab.example", "tag", "-s", TAG[10:], "-m", HALT)
    fleet.git("push", "-q", "origin", TAG)
    eventually(lambda: bool(look.ledger(node).controls), "the halt is believed", node, SECONDS)
    kept = look.ledger(node).controls
    genuine = git(besieged.bare, "rev-parse", TAG)
    main = git(besieged.bare, "rev-parse", "refs/heads/main")
    nested = f"object {genuine}\ntype tag\ntag {TAG[10:]}\ntagger A <a@example.org> 0 +0000\n\nx\n".encode()
    for target in (main, git(besieged.bare, "mktag", stdin=nested)):
        git(besieged.bare, "update-ref", TAG, target)
        besieged.told("http", "was moved", Alarm.CONTROL_TAG_MOVED)
        git(besieged.bare, "update-ref", TAG, genuine)
        besieged.makes_up("http")
    git(besieged.bare, "update-ref", "-d", TAG)
    besieged.told("http", "was deleted", Alarm.CONTROL_TAG_MOVED)
    lines = "".join(f"{main} refs/tags/rollout/app/{number:06}\n" for number in range(1, 11_000))
    (besieged.bare / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + lines)
    news = besieged.news("drowned")
    eventually(lambda: look.ledger(node).floor.commit == news, "the branch comes all the same", node, 30)
    besieged.told("http", "control tags", Alarm.CONTROL_TAGS_FAILED)
    (besieged.bare / "packed-refs").unlink()
    git(besieged.bare, "update-ref", TAG, genuine)
    besieged.makes_up("http")
    assert look.ledger(node).controls == kept
