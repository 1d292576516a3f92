"""The converted compose stacks of docs/examples: valid, rendered for their nodes, admitted by the policy beside them,
refused by a closed one where they ask for something of the node; and each page names every key of the compose file that
it came from.
"""

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from edgegitops import bootstrap
from edgegitops.cli.render import render
from edgegitops.cli.validate import validate
from edgegitops.core.desired.admission import admit
from edgegitops.core.documents.node_files import closed_policy_text, read_node_policy
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.release import Release
from edgegitops.workbench import view_directory

TOP = Path(__file__).parents[2]
EXAMPLES = sorted(page.parent for page in (TOP / "docs/examples").glob("*/README.md"))
each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)


def compose(example: Path) -> dict:
    return yaml.safe_load((example / "compose.yaml").read_text(encoding="utf-8"))


def policy(text: str) -> NodePolicy:
    read = read_node_policy(text.encode(), "policy.yaml", bootstrap.load_schemas())
    assert isinstance(read, NodePolicy), read
    return read


def releases(example: Path) -> list[Release]:
    view = view_directory(example)
    return [release for seat in view.seats() for release in view.releases(seat)[0].values()]


def test_there_are_examples() -> None:
    assert EXAMPLES


@each
def test_example_is_valid_strictly_speaking(example: Path) -> None:
    done = CliRunner().invoke(validate, ["--strict", str(example)])
    assert (done.exit_code, done.output) == (0, "no faults\n")


@each
def test_example_is_rendered_for_its_node(example: Path) -> None:
    done = CliRunner().invoke(render, ["--site", "plant-1", str(example)])
    assert done.exit_code == 0, done.output
    assert done.output.count("\ndigest: ") == len(releases(example)) == 1


@each
def test_node_admits_the_example_with_the_policy_beside_it_and_not_with_a_closed_one(example: Path) -> None:
    opened, closed = policy((example / "policy.yaml").read_text(encoding="utf-8")), policy(closed_policy_text())
    (release,) = releases(example)
    assert admit(release.spec, opened) == ()
    refused = admit(release.spec, closed)
    written = yaml.safe_load((example / "policy.yaml").read_text(encoding="utf-8"))["spec"]
    assert bool(refused) is bool(written.keys() & {"hostPaths", "devices", "capabilities", "hostNetwork"})
    assert {fault.pointer.split("/")[2] for fault in refused} <= written.keys()


@each
def test_every_service_of_the_compose_file_became_a_container_or_a_job(example: Path) -> None:
    (app,) = [yaml.safe_load(file.read_text(encoding="utf-8"))["spec"] for file in example.glob("apps/*/app.yaml")]
    assert compose(example)["services"].keys() == app["containers"].keys() | app.get("jobs", {}).keys()


@each
def test_page_of_the_example_names_every_key_of_the_compose_file(example: Path) -> None:
    file = compose(example)
    used = {key for service in file["services"].values() for key in service} | file.keys() - {"services"}
    told = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", (example / "README.md").read_text("utf-8")))))
    assert used <= told
