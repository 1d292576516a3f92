"""What gateways install: the unit is one that systemd understands, completions are those of the command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
MOST_EXPOSED = 32  # tenths; it has the network, Podman's socket, and volumes of others to look into
UNIT = TOP / "packaging" / "systemd" / "edgegitops.service"


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "edgegitops"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in ("podman.socket", "podman.service"):  # what the unit needs, wherever the tests run
        section = (
            "[Socket]\nListenStream=/run/podman.sock" if name.endswith("socket") else "[Service]\nExecStart=/bin/true"
        )
        (tmp_path / name).write_text(f"[Unit]\nDescription=stand-in\n{section}\n")
    text = UNIT.read_text().replace("/opt/edgegitops/bin/edgegitops", str(program))
    (tmp_path / UNIT.name).write_text(text)
    judged = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


def test_the_unit_is_as_closed_as_it_was() -> None:
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-600:]
    assert "Overall exposure level for edgegitops.service" in judged.stdout


def test_the_unit_keeps_containers_and_never_gives_up() -> None:
    lines = set(UNIT.read_text().splitlines())
    assert {"Type=notify", "Restart=always", "StartLimitIntervalSec=0", "KillMode=mixed"} <= lines


def test_the_watchdog_waits_longer_than_the_loop_sleeps() -> None:
    seconds = int(re.search(r"(?m)^WatchdogSec=(\d+)$", UNIT.read_text()).group(1))
    assert seconds >= 30  # the resident sleeps at most 10 s


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_those_of_the_command(shell: str) -> None:
    program = Path(sys.executable).parent / "edgegitops"
    made = subprocess.run(
        [program],
        env={**os.environ, "_EDGEGITOPS_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    shipped = (TOP / "packaging" / "completions" / f"edgegitops.{shell}").read_text()
    assert shipped.strip() == made.stdout.strip()
