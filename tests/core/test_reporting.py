"""Where a node's reports go, and how old they may be: node.yaml, the fleet, and the node's own policy."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.core.documents.conftest import FleetTexts

from edgegitops.core.documents.node_files import read_node_config
from edgegitops.core.model.node_config import NodeConfig, Remote, Reports
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.report import Reporting
from edgegitops.core.model.trust import Pin
from edgegitops.core.reporting import server_of, ways_of

URL, OTHER = "https://git.example/reports.git", "https://elsewhere.example/reports.git"
FLEET = Remote("https://git.example/fleet.git", token_file="/etc/t", user="node", ca_file="/etc/ca")  # noqa: S106 - a path
CONFIG = NodeConfig("plant", "press-1", FLEET, Pin("urn:x:y", "0" * 64, "1" * 40))
POLICY = NodePolicy(host_paths=("/mnt",))


def with_reports(**fields):
    return replace(CONFIG, reports=Reports(**fields))


def test_what_nobody_says_is_nowhere():
    ways = ways_of(CONFIG, Reporting(), POLICY)
    assert (ways.git, ways.directory, ways.refused) == (None, "", "")


def test_fleet_says_where_reports_go_that_no_node_says_otherwise():
    said = Reporting(URL, "/mnt/reports")
    ways = ways_of(CONFIG, said, POLICY)
    assert (ways.git.url, ways.directory) == (URL, "/mnt/reports")
    own = ways_of(with_reports(git=OTHER, directory="/srv/reports"), said, POLICY)
    assert (own.git.url, own.directory) == (OTHER, "/srv/reports")
    none = ways_of(with_reports(git="", directory=""), said, POLICY)
    assert (none.git, none.directory, none.refused) == (None, "", "")


@pytest.mark.parametrize("url", ["/srv/reports.git", "file:///srv/reports.git", "FILE:///srv/r.git", "-oX@y:z", "srv"])
def test_what_git_says_writes_into_no_path_of_this_machine(url):
    """Red where core/reporting.py has `if False:` for `if git and not _is_at_a_server(git):`."""
    ways = ways_of(CONFIG, Reporting(url), NodePolicy(host_paths=("/",)))
    assert ways.git is None
    assert "no server's address" in ways.refused
    assert ways_of(with_reports(git=url), Reporting(), POLICY).git.url == url, "node.yaml may say it"


@pytest.mark.parametrize(
    ("directory", "opened"),
    [
        ("/etc/cron.d", ("/mnt",)),
        ("/mnt/../etc/cron.d", ("/mnt",)),
        ("/mnt", ()),
        ("/var/lib/edgegitops/reports", ("/",)),
        ("/var/lib", ("/",)),
    ],
)
def test_folder_that_git_says_is_taken_only_where_the_nodes_own_policy_opens_it(directory, opened):
    """Red where core/reporting.py has `if False:` for `if directory and not _is_allowed(directory, policy):`."""
    ways = ways_of(CONFIG, Reporting(directory=directory), NodePolicy(host_paths=opened))
    assert not ways.directory
    assert "hostPaths" in ways.refused


def test_proofs_of_the_fleets_repository_go_to_its_own_server_only():
    """Red where core/reporting.py has `if is_bare else proofs` for
    `if is_bare and server_of(url) == server_of(fleet.url) else proofs`.
    """
    assert ways_of(CONFIG, Reporting(URL), POLICY).git == replace(FLEET, url=URL)
    assert ways_of(CONFIG, Reporting(OTHER), POLICY).git == Remote(OTHER)
    named = with_reports(git=OTHER, token_file="/etc/r")  # noqa: S106 - a path
    assert ways_of(named, Reporting(), POLICY).git == Remote(OTHER, token_file="/etc/r")  # noqa: S106 - a path


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://git.example/a.git", "https://user@GIT.example/b.git", True),
        ("https://git.example/a.git", "http://git.example/a.git", False),
        ("https://git.example/a.git", "https://git.example:8443/a.git", False),
        ("https://git.example/a.git", "https://git.example.evil.example/a.git", False),
        ("https://git.example/a.git", "https://git.example@evil.example/a.git", False),
        ("git@git.example:a.git", "ssh://git@git.example/b.git", True),
        ("/srv/a.git", "/srv/b.git", False),
    ],
)
def test_same_server_is_same_scheme_host_and_port(one, other, is_same):
    assert (server_of(one) == server_of(other)) is is_same


def test_node_yaml_names_repository_folder_and_proofs():
    data = b"""apiVersion: edgegitops/v1
kind: NodeConfig
spec:
  site: plant
  node: press-1
  repository: {url: 'https://git.example/fleet.git'}
  pin: {repository: 'urn:uuid:1', rootSha256: %b, checkpoint: %b}
  reports:
    git: https://git.example/reports.git
    directory: ""
    signingKeyFile: /k/sign
    keyFile: /k/ssh
    tokenFile: /k/token
    user: press
    knownHostsFile: /k/hosts
    caFile: /k/ca
    proxy: http://proxy.plant:3128/
""" % (b"0" * 64, b"1" * 40)
    config = read_node_config(data, "node.yaml", FleetTexts().schemas)
    assert isinstance(config, NodeConfig), config
    proofs = ("/k/ssh", "/k/token", "press", "/k/hosts", "/k/ca", "http://proxy.plant:3128")
    assert config.reports == Reports("https://git.example/reports.git", "", "/k/sign", *proofs)
    assert config.reports.left_to_fleet == frozenset()
    assert CONFIG.reports.left_to_fleet == {"git", "directory"}


@pytest.mark.parametrize(
    ("reports", "gate", "expected"),
    [
        ("", "", timedelta(minutes=45)),
        ("reports: {heartbeat: 1h}", "", timedelta(hours=3)),
        ("reports: {heartbeat: 1h}", "gate: {maxReportAge: 20m}", timedelta(minutes=20)),
        ("reports: {git: 'ssh://git@git.example/r.git'}", "gate: {soak: 1m}", timedelta(minutes=45)),
    ],
)
def test_reports_count_for_three_heartbeats_where_a_gate_says_nothing(reports, gate, expected):
    fleet = FleetTexts()
    wave = "{name: first, percent: 10" + (f", {gate}" if gate else "") + "}"
    texts = fleet.with_spec("deployment", f"rollout: {{waves: [{wave}]}}")
    snapshot = fleet.sound({**texts, **(fleet.with_spec("fleet", reports) if reports else {})})
    assert snapshot.deployments["shop"].rollout.waves[0].gate.max_report_age == expected
