"""`edgegitops validate`: exit codes, the four forms, and that text from a file stays text."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from edgegitops.cli.validate import validate

TOP = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TOP / "fleet-repo-example", tmp_path / "fleet"))


def run(*argv: str | Path):
    return CliRunner().invoke(validate, [str(word) for word in argv])


def write_deployment(folder: Path, spec: str) -> Path:
    path = folder / "deployments/none.yaml"
    path.write_text(f"apiVersion: edgegitops/v1\nkind: Deployment\nmetadata: {{name: none}}\nspec: {spec}\n")
    return path


def test_sound_fleet_ends_with_zero(folder):
    done = run(folder)
    assert (done.exit_code, done.output) == (0, "no faults\n")


def test_fault_is_told_with_place_code_expectation_and_remedy(folder):
    path = write_deployment(folder, "{application: broker, selector: {all: true}, drift: corect}")
    done = run(folder)
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        f"{path}:4:59: wrong-value: drift cannot be corect",
        "  expected: one of correct, report, pause",
        "  try: correct",
        "1 fault in 1 file",
    ]


def test_emptiness_is_a_warning_and_a_fault_when_it_is_strict(folder):
    write_deployment(folder, "{application: broker, selector: {matchTags: {role: nobody}}}")
    mild, strict = run(folder), run(folder, "--strict")
    assert (mild.exit_code, strict.exit_code) == (0, 1)
    assert "warning: nothing-selected" in mild.output
    assert mild.output.endswith("no faults, 1 warning\n")
    assert "warning:" not in strict.output
    assert strict.output.endswith("1 fault in 1 file\n")


def test_faults_between_documents_are_told_beside_faults_inside_them(folder):
    write_deployment(folder, "{application: brokr, selector: {all: true}}")
    fleet = folder / "fleet.yaml"
    site = folder / "sites/emea/turin-1.yaml"
    site.write_text(site.read_text().replace("nodes:", "node:"))
    done = run(folder)
    assert fleet.exists()
    assert f"{site}:" in done.output
    assert "unknown-application: there is no application 'brokr'" in done.output


def test_unsound_application_brings_no_second_fault_about_its_deployments(folder):
    app = folder / "apps/broker/app.yaml"
    app.write_text(app.read_text().replace("version: 1.0.0", "version: 1.0"))
    done = run(folder, "--strict")
    assert done.output.splitlines()[-1] == "1 fault in 1 file"


def test_unsound_deployment_brings_no_second_fault_about_those_that_wait_for_it(folder):
    path = folder / "deployments/broker.yaml"
    path.write_text(path.read_text().replace("attempt: 1", "attempt: one"))
    done = run(folder, "--strict")
    assert done.output.splitlines()[-1] == "1 fault in 1 file"


def test_json_has_the_published_shape(folder):
    path = write_deployment(folder, "{application: broker, selector: {}}")
    done = run(folder, "--format", "json")
    answer = json.loads(done.output)
    Draft202012Validator(json.loads((TOP / "schemas/output/validate.schema.json").read_text())).validate(answer)
    (fault,) = answer["faults"]
    assert (answer["ok"], answer["errors"], done.exit_code) == (False, 1, 1)
    assert (folder / fault["file"], fault["code"]) == (path, "empty-selector")
    assert fault["position"] == {"line": 4, "column": 29}


def test_json_of_a_sound_fleet_says_ok(folder):
    assert json.loads(run(folder, "--format", "json").output) == {
        "path": str(folder),
        "faults": [],
        "errors": 0,
        "ok": True,
    }


def test_github_form_cannot_be_made_to_speak_by_a_file(folder):
    write_deployment(folder, '{application: "x%0A::error::y\\n::stop-commands::z", selector: {all: true}}')
    done = run(folder, "--format", "github")
    assert all(line.startswith("::error file=") for line in done.output.splitlines())
    assert "%250A::error::y" in done.output


def test_text_form_shows_escapes_of_a_file_as_text(folder):
    (folder / "apps/x").mkdir()
    (folder / "apps/x/\x1b[31mred.yaml").write_text("a: 1")
    done = run(folder)
    assert done.exit_code == 1
    assert "\x1b" not in done.output
    assert r"\x1b[31mred.yaml" in done.output


def test_sarif_names_rule_file_and_region(folder):
    path = write_deployment(folder, "{application: broker, selector: {}}")
    (sarif_run,) = json.loads(run(folder, "--format", "sarif").output)["runs"]
    (result,) = sarif_run["results"]
    assert sarif_run["tool"]["driver"]["rules"] == [{"id": "empty-selector"}]
    assert (result["ruleId"], result["level"]) == ("empty-selector", "error")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith(str(path.relative_to(folder)))
    assert place["region"] == {"startLine": 4, "startColumn": 29}


def test_directory_that_is_no_fleet_is_told_how(tmp_path):
    done = run(tmp_path)
    assert done.exit_code == 1
    assert "file-missing: there is no fleet.yaml at the top of the repository" in done.output


def test_symbolic_link_is_refused_as_a_node_would(folder):
    (folder / "sites/link.yaml").symlink_to("/etc/hostname")
    done = run(folder)
    assert done.exit_code == 1
    assert "sites/link.yaml: unreadable: tree-refused" in done.output


def test_colours_stand_on_a_terminal_and_nowhere_else(folder):
    write_deployment(folder, "{application: broker, selector: {}}")
    assert "\x1b[" not in run(folder).output
    main, side = pty.openpty()
    argv = [sys.executable, "-m", "edgegitops", "validate", str(folder)]
    with subprocess.Popen(argv, stdout=side, env={**os.environ, "TERM": "xterm", "NO_COLOR": ""}) as child:
        os.close(side)
        shown = b""
        while chunk := _read(main):
            shown += chunk
    os.close(main)
    assert child.returncode == 1
    assert b"\x1b[" in shown
    assert b"empty-selector" in shown


def _read(descriptor: int) -> bytes:
    """The next bytes of a terminal; none once its other side is closed, which Linux tells as an error."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


def write_keys(folder: Path, site: str, nodes: str) -> None:
    path = folder / f"trust/nodes/{site}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"apiVersion: edgegitops/v1\nkind: NodeKeys\nmetadata: {{name: {site}}}\nspec:\n  nodes: {{{nodes}}}\n"
    )


def test_keys_of_a_node_that_no_site_names_are_told(folder):
    write_keys(folder, "nowhere-1", "gw-x: {ageKey: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p}")
    done = run(folder)
    assert done.exit_code == 0
    assert "no manifest under sites/ names the node nowhere-1/gw-x" in done.output


def test_report_key_that_nobody_would_believe_is_a_fault(folder):
    write_keys(folder, "nowhere-1", "gw-x: {reportKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG}")
    done = run(folder)
    assert done.exit_code == 1
    assert "the reportKey of gw-x is no key that is believed" in done.output
