"""Each key of the node's configuration may be said anew, is judged like the file, and is told with where it is from."""

from datetime import timedelta

import pytest

from edgegitops import bootstrap
from edgegitops.core.documents.node_files import (
    closed_policy_text,
    node_config_text,
    read_node_config,
    read_node_policy,
    read_settings,
)
from edgegitops.core.documents.overrides import DEFAULTS, Setting, keys
from edgegitops.core.model.node_config import NodeConfig, Notify, RegistryAccess, Remote, variable_of
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.trust import Pin

SCHEMAS = bootstrap.load_schemas()
GIVEN = {
    ("site",): "goteborg-1",
    ("node",): "gw-line",
    ("repository", "url"): 'ssh://git@git.example/a "b".git',
    ("pin", "repository"): "urn:edgegitops:lab",
    ("pin", "rootSha256"): "0" * 64,
    ("pin", "checkpoint"): "1" * 40,
}
TEXT = node_config_text(GIVEN).encode()


def read(**said: str) -> NodeConfig:
    config = read_node_config(TEXT, "node.yaml", SCHEMAS, said)
    assert isinstance(config, NodeConfig), config
    return config


def test_written_configuration_reads_back() -> None:
    url = GIVEN["repository", "url"]
    pin = Pin("urn:edgegitops:lab", "0" * 64, "1" * 40)
    assert read() == NodeConfig("goteborg-1", "gw-line", Remote(url), pin)


def test_closed_policy_is_the_default_policy() -> None:
    assert read_node_policy(closed_policy_text().encode(), "p", SCHEMAS) == NodePolicy(file="p")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("site",), "EDGEGITOPS_SITE"),
        (("pin", "rootSha256"), "EDGEGITOPS_PIN_ROOT_SHA256"),
        (("stateDirectory",), "EDGEGITOPS_STATE_DIRECTORY"),
        (("repository", "knownHostsFile"), "EDGEGITOPS_REPOSITORY_KNOWN_HOSTS_FILE"),
    ],
)
def test_variable_is_named_after_its_key(path: tuple[str, ...], name: str) -> None:
    assert variable_of(path) == name


def test_no_two_keys_share_a_variable_and_every_default_is_a_key() -> None:
    known = keys(SCHEMAS)
    assert len({variable_of(path) for path in known}) == len(known) > 20
    assert set(DEFAULTS) <= set(known)


def test_environment_wins_over_the_file_and_fills_what_it_lacks() -> None:
    config = read(EDGEGITOPS_SITE="malmo-2", EDGEGITOPS_ENGINE_SOCKET="/run/p.sock", EDGEGITOPS_SOCKET="/run/c.sock")
    assert (config.site, config.socket, config.control_socket) == ("malmo-2", "/run/p.sock", "/run/c.sock")


def test_numbers_and_lists_are_read_by_their_type() -> None:
    said = {"EDGEGITOPS_ENGINE_CONNECTIONS": "3", "EDGEGITOPS_REGISTRY_INSECURE": "a:1, b:2"}
    found = {one.key: one.value for one in read_settings(TEXT, "f", SCHEMAS, said) if isinstance(one, Setting)}
    assert (found["engine.connections"], found["registry.insecure"]) == ("3", '["a:1", "b:2"]')
    config = read_node_config(TEXT, "f", SCHEMAS, said)
    assert isinstance(config, NodeConfig)
    assert (config.connections, config.registry.insecure) == (3, ("a:1", "b:2"))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("fleet: press", FaultCode.UNKNOWN_FIELD),  # the pin says it
        ("metrics: {listen: 0.0.0.0:9464}", FaultCode.WRONG_FORMAT),  # nothing protects it
        ("metrics: {listen: 'gw.example:9464'}", FaultCode.WRONG_FORMAT),
        ("log: {level: debug}", FaultCode.WRONG_VALUE),
        ("notify: {}", FaultCode.WRONG_VALUE),
        ("notify: {exec: [/etc/edgegitops/hooks/a], webhook: 'http://a/'}", FaultCode.WRONG_VALUE),
        ("notify: {webhook: 'http://user:word@a/'}", FaultCode.WRONG_FORMAT),
    ],
)
def test_what_is_not_obeyed_is_refused_where_it_stands(line: str, code: FaultCode) -> None:
    text = TEXT.rstrip() + f"\n  {line}\n".encode()
    (fault,) = read_node_config(text, "node.yaml", SCHEMAS)
    assert fault.code is code
    assert fault.position is not None
    assert fault.position.line == len(text.splitlines())


def test_every_key_reaches_the_configuration() -> None:
    lines = (
        "engine: {connections: 3}",
        "log: {level: warning, format: json}",
        "metrics: {listen: '[::1]:9464'}",
        "resources: {memory: 256Mi, disk: 1K}",
        "notify: {exec: [/etc/edgegitops/hooks/a, x], heldFor: 2h}",
        'registry: {authFile: /a.json, caFile: /ca.pem, insecure: ["10.1.0.5:5000"]}',
    )
    config = read_node_config(TEXT + "".join(f"  {line}\n" for line in lines).encode(), "node.yaml", SCHEMAS)
    assert isinstance(config, NodeConfig), config
    assert config.registry == RegistryAccess("/a.json", "/ca.pem", ("10.1.0.5:5000",))
    assert (config.connections, config.log_level, config.log_format) == (3, "warning", "json")
    assert config.notify == Notify(("/etc/edgegitops/hooks/a", "x"), held_for=timedelta(hours=2))
    assert (config.metrics, config.fetch_memory, config.fetch_bytes) == ("[::1]:9464", 256 * 1024**2, 1000)


def test_proxy_is_for_http_and_nothing_else() -> None:
    proxy = {"EDGEGITOPS_REPOSITORY_PROXY": "http://proxy.plant:3128/"}
    assert (
        read(EDGEGITOPS_REPOSITORY_URL="https://git.example/f.git", **proxy).remote.proxy == "http://proxy.plant:3128"
    )
    (fault,) = read_node_config(TEXT, "node.yaml", SCHEMAS, proxy)  # an ssh address
    assert (fault.code, fault.file) == (FaultCode.WRONG_VALUE, "environment EDGEGITOPS_REPOSITORY_PROXY")


def test_unknown_variables_are_left_alone() -> None:
    assert read(EDGEGITOPS_LAB="/x", HOME="/") == read()


def test_fault_of_a_word_names_its_variable() -> None:
    faults = read_node_config(TEXT, "node.yaml", SCHEMAS, {"EDGEGITOPS_REPOSITORY_INTERVAL": "soon"})
    assert isinstance(faults, tuple)
    assert [fault.file for fault in faults] == ["environment EDGEGITOPS_REPOSITORY_INTERVAL"]


def test_settings_say_where_each_value_comes_from() -> None:
    said = {"EDGEGITOPS_REPOSITORY_BRANCH": "stable"}
    found = {one.key: one for one in read_settings(TEXT, "node.yaml", SCHEMAS, said) if isinstance(one, Setting)}
    assert found["site"] == Setting("site", "goteborg-1", "node.yaml:5")
    assert found["repository.branch"] == Setting("repository.branch", "stable", "EDGEGITOPS_REPOSITORY_BRANCH")
    assert found["repository.interval"] == Setting("repository.interval", "60s", "default")
    assert "repository.keyFile" not in found


@pytest.mark.parametrize("data", [b"", b"[]", b"spec: 3", b"{", b"spec: {repository: 4}"])
def test_words_for_a_broken_file_are_faults_never_exceptions(data: bytes) -> None:
    said = {"EDGEGITOPS_REPOSITORY_URL": "/x"}
    assert isinstance(read_node_config(data, "f", SCHEMAS, said), tuple)
    assert isinstance(read_settings(data, "f", SCHEMAS, said), tuple)
