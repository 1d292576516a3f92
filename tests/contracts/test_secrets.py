"""One contract for the store of secrets, on the twin and on age files in a directory; and what errors never tell."""

import contextlib
import traceback
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.adapters.engine_podman_secrets import is_in_memory
from edgegitops.adapters.secrets_memory import MemorySecrets
from edgegitops.adapters.secrets_pyrage import SecretsDirectory, decrypt, encrypt, make_identity
from edgegitops.bootstrap import policy_of
from edgegitops.core.desired.admission import admit
from edgegitops.core.documents.recipients import count_stanzas, read_recipients
from edgegitops.core.model.node_config import NodeConfig, Remote
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.secrets import LARGEST, bind, bytes_of, fill, mark_of, read_pairs, text_of, unbind
from edgegitops.core.model.spec import ContainerSpec, CreateSpec, DeploymentSpec, Mount
from edgegitops.core.model.trust import Pin
from edgegitops.errors import DeniedError, UnavailableError

CANARY = "canary-5512"


class Memory:
    """The twin, and how its files are made."""

    def __init__(self, _: Path) -> None:
        self.store = MemorySecrets()

    def sealed(self, file: str, body: bytes) -> bytes:
        del file
        return body

    def lose_key(self) -> None:
        self.store.has_key = False


class Age:
    """The directory, with a key."""

    def __init__(self, path: Path) -> None:
        self.key = path / "age.key"
        self.recipient = make_identity(self.key)
        self.path = path / "secrets"
        self.store = SecretsDirectory(self.path, self.key)

    def sealed(self, file: str, body: bytes) -> bytes:
        name, _, version = file.rpartition(".")
        return encrypt(bind(name, int(version), body), [self.recipient])

    def lose_key(self) -> None:
        self.key.unlink()


@pytest.fixture(params=[Memory, Age])
def kind(request, tmp_path: Path):
    return request.param(tmp_path)


def test_what_was_put_is_present_and_opens(kind):
    kind.store.put("db.2", kind.sealed("db.2", b"body"))
    kind.store.put("db.2", kind.sealed("db.2", b"body"))
    assert kind.store.present() == {"db.2"}
    assert kind.store.open("db.2") == b"body"


def test_without_its_key_nothing_is_present_opened_or_stored(kind):
    data = kind.sealed("db.2", b"body")
    kind.store.put("db.2", data)
    kind.lose_key()
    assert kind.store.present() == frozenset()
    for act in (lambda: kind.store.open("db.2"), lambda: kind.store.put("db.3", data)):
        with pytest.raises(UnavailableError) as held:
            act()
        assert held.value.reason == HoldReason.SECRET_UNREADABLE


def test_what_was_never_put_does_not_open(kind):
    with pytest.raises(UnavailableError) as held:
        kind.store.open("db.9")
    assert held.value.reason == HoldReason.SECRET_UNREADABLE


def test_only_what_is_kept_stays(kind):
    for file in ("db.1", "db.2", "tls.1"):
        kind.store.put(file, kind.sealed(file, b"x"))
    kind.store.keep(["db.2", "other.1"])
    assert kind.store.present() == {"db.2"}


def test_file_of_another_name_or_version_or_key_or_none_is_not_stored(tmp_path):
    age = Age(tmp_path)
    other = [str(pyrage.x25519.Identity.generate().to_public())]
    for data in (age.sealed("db.1", b"x"), encrypt(bind("db", 2, b"x"), other), encrypt(b"x", [age.recipient]), b"no"):
        with pytest.raises(UnavailableError, match="edgegitops secret rekey"):
            age.store.put("db.2", data)
    assert age.store.present() == frozenset()


def test_file_that_was_damaged_on_disk_is_not_present(tmp_path):
    age = Age(tmp_path)
    age.store.put("db.2", age.sealed("db.2", b"x"))
    assert age.store.present() == {"db.2"}
    (age.path / "db.2.age").write_bytes(b"cut")
    assert age.store.present() == frozenset()


def test_files_and_key_are_for_root_alone(tmp_path):
    age = Age(tmp_path)
    age.store.put("db.2", age.sealed("db.2", CANARY.encode()))
    assert (age.key.stat().st_mode & 0o777, age.path.stat().st_mode & 0o777) == (0o600, 0o700)
    assert make_identity(age.key) == age.recipient, "a key that is there stays"
    assert CANARY.encode() not in (age.path / "db.2.age").read_bytes()


def test_no_error_and_no_traceback_tells_a_part_of_a_secret(tmp_path):
    age = Age(tmp_path)
    body = CANARY.encode()
    broken = tmp_path / "broken"
    broken.write_text(f"AGE-SECRET-KEY-1{CANARY}")
    plain = bind("db", 1, body)
    acts = [
        lambda: text_of(body + b"\xff"),
        lambda: text_of(body + b"\0"),
        lambda: text_of(body, "KEY"),
        lambda: bytes_of(body + b"\xff", "KEY"),
        lambda: fill(mark_of("db", "KEY").encode(), {"db": 1}, lambda _: body),
        lambda: bind("db", 1, body * LARGEST),
        lambda: unbind("db.2", plain),
        lambda: unbind("db.2", body),
        lambda: decrypt(age.sealed("db.1", body), broken),
        lambda: encrypt(body, ["age1nonsense"]),
        lambda: age.store.put("db.2", age.sealed("db.1", body)),
    ]
    for act in acts:
        with pytest.raises((ValueError, DeniedError, UnavailableError)) as error:
            act()
        assert CANARY not in "".join(traceback.format_exception(error.value))


@given(st.binary(max_size=200), st.sampled_from(["db.1", "a-b.20"]))
def test_binding_is_undone_for_the_same_name_and_version_only(body, file):
    name, _, version = file.rpartition(".")
    plain = bind(name, int(version), body)
    assert unbind(file, plain) == body
    with pytest.raises(ValueError, match="another secret or version"):
        unbind("db.2", plain)


@given(st.binary(max_size=300))
def test_readers_answer_a_value_or_an_error_of_ours(data):
    for read in (count_stanzas, lambda data: read_recipients("db.1", data), lambda data: unbind("db.1", data)):
        with contextlib.suppress(ValueError):
            read(data)


@given(st.text(max_size=200))
def test_every_line_is_a_pair_or_empty_or_told(text):
    pairs, bad = read_pairs(text)
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(bad) + len(pairs) <= len(lines)
    assert all("\n" not in value for value in pairs.values())


def test_memory_is_told_from_disk():
    assert is_in_memory("/dev/shm/edgegitops/secrets")  # noqa: S108 - nothing is made there
    assert not is_in_memory(str(Path(__file__)))


@pytest.mark.parametrize("path", ["/run/edgegitops", "/run/edgegitops/secrets/other", "/keys", "/keys/age.key"])
def test_no_policy_lets_a_container_mount_what_others_were_given_or_the_key(tmp_path, path):
    files = {"policy_file": str(tmp_path / "p"), "age_key_file": "/keys/age.key"}
    config = NodeConfig("a", "gw", Remote(""), Pin("", "", ""), **files)
    policy = replace(policy_of(config), host_paths=("/",))
    create = CreateSpec("registry.example/a@sha256:" + "ab" * 32, mounts=(Mount("/host", host=path),))
    faults = admit(DeploymentSpec("line", {"one": ContainerSpec(create)}), policy)
    assert any("belongs to the agent" in f"{one.message} {one.expected}" for one in faults), faults
