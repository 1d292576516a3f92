"""The command line starts at once: help imports click and nothing heavy, and errors end with their exit code."""

import socket
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from edgegitops.cli import main as cli
from edgegitops.cli.plain import try_plain
from edgegitops.errors import (
    BrokenInvariantError,
    DeniedError,
    EdgegitopsError,
    InvalidConfigError,
    InvalidDocumentError,
    JournalError,
    UnavailableError,
)

HEAVY = (
    "pygit2",
    "yaml",
    "podman",
    "cryptography",
    "jsonschema",
    "nacl",
    "rich",
    "requests",
    "sqlite3",
    "structlog",
)


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "edgegitops", *args], check=False, capture_output=True, text=True)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["-h"]], ids=" ".join)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    program = (
        "import sys\n"
        "from edgegitops.cli.main import main\n"
        "try:\n"
        f"    main({args!r})\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        f"print('HEAVY', sorted(set(sys.modules) & set({HEAVY!r})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    assert all(f"\n  {name} " in text for name in cli.COMMANDS)


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_of_the_table_exists_and_has_an_example(name: str) -> None:
    command = cli.edgegitops.get_command(click.Context(cli.edgegitops), name)
    assert command is not None
    assert command.name == name
    shown = CliRunner().invoke(cli.edgegitops, [name, "--help"])
    assert shown.exit_code == 0
    assert f"edgegitops {name}" in shown.output.partition("Usage:")[2].partition("\n")[2], "help without an example"
    assert not any(line.endswith("...") for line in shown.output.splitlines()[1:]), "a sentence was cut"


@pytest.mark.parametrize("args", [["no-such-command"], ["--no-such-option"], []], ids=str)
def test_wrong_call_ends_with_64(args: list[str]) -> None:
    done = run(*args)
    assert done.returncode == 64
    assert done.stdout == ""
    assert "edgegitops" in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InvalidDocumentError("no fleet.yaml in /fleet"), 2, "invalid-document: no fleet.yaml in /fleet"),
        (
            InvalidConfigError("no such site", key="site", file="node.yaml"),
            3,
            "invalid-config: node.yaml site: no such site",
        ),
        (UnavailableError("engine", "list", "no socket"), 4, "unavailable: engine: list: no socket"),
        (DeniedError("engine", "pull", "401", reason="credential-denied"), 5, "credential-denied: engine: pull: 401"),
        (JournalError("disk full"), 6, "journal: disk full"),
        (BrokenInvariantError("two roots"), 70, "broken-invariant: two roots"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, EdgegitopsError) else "",
)
def test_error_ends_with_its_reason_and_code(
    error: EdgegitopsError, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: click.Command("fails", callback=fail))
    with pytest.raises(SystemExit) as end:
        cli.main(["fails"])
    assert end.value.code == code
    assert capsys.readouterr().err == f"{line}\n"


def test_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: click.Command("waits", callback=interrupt))
    with pytest.raises(SystemExit) as end:
        cli.main(["waits"])
    assert end.value.code == 130


@pytest.mark.parametrize("word", ["read-config", "run", "worker"])
def test_daemon_and_its_children_load_no_reader_of_command_lines(word: str) -> None:
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['edgegitops', 'agent', '{word}', '--config', '/nowhere/node.yaml']\n"
        "try:\n    runpy.run_module('edgegitops', run_name='__main__')\n"
        "except SystemExit as end:\n    print(end.code, 'click' in sys.modules)\n"
    )
    mine, its = socket.socketpair()  # a worker whose standard input ends has lost its parent
    with mine, its:
        done = subprocess.run(
            [sys.executable, "-c", code], stdin=its, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.stdout.split() == ["3", "False"], done.stderr
    assert "invalid-config: /nowhere/node.yaml" in done.stderr


@pytest.mark.parametrize(
    "words", [["--once", "--once"], ["--config"], ["--set", "a=b"], ["--help"], ["--fetch"], ["--config", "--once"]]
)
def test_any_other_spelling_is_for_the_reader_of_command_lines(words: list[str]) -> None:
    assert try_plain(["agent", "run", *words]) is None
    assert try_plain([*words, "agent", "run"]) is None
