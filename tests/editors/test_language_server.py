"""A real YAML language server, as editors run it, completes and explains the files of a new fleet from our schemas.

It is Red Hat's, in the versions of package-lock.json beside this file, spoken to over its standard streams. It is told
nothing but what `init` wrote: the first line of each manifest, or the mapping of `.vscode/settings.json`.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SCHEMAS = HERE.parents[1] / "schemas"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgegitops"


@pytest.fixture(scope="session")
def program() -> Path:
    """The server's entry, installed once for each lock."""
    lock = (HERE / "package-lock.json").read_bytes()
    home = CACHE / f"editors-{hashlib.sha256(lock).hexdigest()[:12]}"
    entry = home / "node_modules/yaml-language-server/bin/yaml-language-server"
    if not entry.exists():
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, home / name)
        argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(argv, cwd=home, check=True, timeout=240)
    return entry


class Server:
    """One running server and the fleet that it was opened on."""

    def __init__(self, program: Path, fleet: Path, settings: dict[str, Any]) -> None:
        self.fleet = fleet
        self.settings = settings
        self.diagnostics: dict[str, list[dict[str, Any]]] = {}
        self._number = 0
        self._is_configured = False
        self._process = subprocess.Popen(
            ["node", str(program), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=fleet
        )
        workspace = {"workspace": {"configuration": True}}
        folders = [{"uri": fleet.as_uri(), "name": "fleet"}]
        self.ask(
            "initialize",
            processId=os.getpid(),
            rootUri=fleet.as_uri(),
            capabilities=workspace,
            workspaceFolders=folders,
        )
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": settings})
        while not self._is_configured:
            self._listen(self._read())

    def end(self) -> None:
        self.ask("shutdown")
        self._tell("exit", {})
        self._process.communicate(timeout=10)

    def open(self, file: str, text: str) -> "Page":
        """A file of the fleet with this text in the editor; `|` is where the cursor stands."""
        before, _, after = text.partition("|")
        uri = (self.fleet / file).as_uri()
        item = {"uri": uri, "languageId": "yaml", "version": 1, "text": before + after}
        self._tell("textDocument/didOpen", {"textDocument": item})
        line = before.count("\n")
        return Page(self, uri, {"line": line, "character": len(before) - before.rfind("\n") - 1})

    def ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": parameters})
        while True:
            said = self._read()
            if said.get("id") == self._number and "method" not in said:
                assert "error" not in said, said
                return said.get("result")
            self._listen(said)

    def wait_for_diagnostics(self, uri: str) -> list[dict[str, Any]]:
        while uri not in self.diagnostics:
            self._listen(self._read())
        return self.diagnostics[uri]

    def _listen(self, said: dict[str, Any]) -> None:
        if said.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[said["params"]["uri"]] = said["params"]["diagnostics"]
        elif "id" in said:
            items = said.get("params", {}).get("items", []) if said["method"] == "workspace/configuration" else None
            found = None if items is None else [self._setting(item.get("section", "")) for item in items]
            self._send({"id": said["id"], "result": found})
            self._is_configured = self._is_configured or found is not None

    def _setting(self, section: str) -> Any:
        return self.settings.get(section, {})

    def _tell(self, method: str, parameters: dict[str, Any]) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the server ended"
        answer: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return answer


class Page:
    """An open file with a cursor."""

    def __init__(self, server: Server, uri: str, cursor: dict[str, int]) -> None:
        self.server, self.uri, self.cursor = server, uri, cursor

    def completions(self) -> dict[str, str]:
        """Label -> what is said of it."""
        place = {"textDocument": {"uri": self.uri}, "position": self.cursor}
        items = self.server.ask("textDocument/completion", **place)["items"]
        return {item["label"]: str(item.get("documentation", "")) for item in items}

    def hover(self) -> str:
        place = {"textDocument": {"uri": self.uri}, "position": self.cursor}
        return str((self.server.ask("textDocument/hover", **place) or {}).get("contents", {}).get("value", ""))

    def problems(self) -> list[str]:
        return [one["message"] for one in self.server.wait_for_diagnostics(self.uri)]


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    environment = {**os.environ, "HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": os.devnull}
    argv = [sys.executable, "-m", "edgegitops", "init", "fleet"]
    subprocess.run(argv, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    return tmp_path / "fleet"


QUIET = {"yaml": {"schemaStore": {"enable": False}, "completion": True, "hover": True, "validate": True}}


@pytest.fixture
def by_first_line(program: Path, fleet: Path) -> Iterator[Server]:
    """An editor that reads nothing but the files themselves."""
    server = Server(program, fleet, QUIET)
    yield server
    server.end()


@pytest.fixture
def by_mapping(program: Path, fleet: Path) -> Iterator[Server]:
    """Visual Studio Code: the settings of the fleet, relative names seen from the fleet, as that editor does it."""
    written = json.loads((fleet / ".vscode/settings.json").read_text())
    schemas = {(fleet / name).as_uri(): pattern for name, pattern in written["yaml.schemas"].items()}
    server = Server(program, fleet, {"yaml": {**QUIET["yaml"], "schemas": schemas}})
    yield server
    server.end()


def described(kind: str, *path: str) -> str:
    """The description that a schema has at a path of properties; `*` is any name of a map."""
    root = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    node = root
    for step in path:
        node = node["additionalProperties"] if step == "*" else node["properties"][step]
        while "$ref" in node:
            target: Any = root
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    text: str = node["description"]
    return text


def words(text: str) -> str:
    """Without what markdown and line breaks put between the words."""
    return " ".join("".join(char for char in text if char.isalnum() or char.isspace()).split())


APP = "apps/hello/app.yaml"


def application(fleet: Path, line: str) -> str:
    """The application that `init` wrote, with a line put in before `resources` of its container."""
    return (fleet / APP).read_text().replace("      resources:\n", f"{line}\n      resources:\n")


def test_fields_of_a_container_are_offered_with_the_words_of_the_schema(by_first_line: Server, fleet: Path) -> None:
    offered = by_first_line.open(APP, application(fleet, "      |")).completions()
    assert {"env", "user", "hostNetwork", "dependsOn", "stop"} <= offered.keys()
    assert "image" not in offered  # it stands there already
    assert words(described("application", "spec", "containers", "*", "stop")) in words(offered["stop"])


def test_words_of_a_choice_are_offered(by_first_line: Server, fleet: Path) -> None:
    offered = by_first_line.open(APP, application(fleet, "      restart: |")).completions()
    assert {"always", "on-failure", "never"} <= offered.keys()


def test_a_field_is_explained_where_the_cursor_rests_on_it(by_first_line: Server, fleet: Path) -> None:
    text = (fleet / "deployments/hello.yaml").read_text().replace("    deadline:", "    dead|line:")
    said = by_first_line.open("deployments/hello.yaml", text).hover()
    assert words(described("deployment", "spec", "rollback", "deadline")) in words(said)


def test_a_site_and_the_fleet_are_explained_too(by_first_line: Server, fleet: Path) -> None:
    site = (fleet / "sites/site-1.yaml").read_text().replace("timeZone", "time|Zone")
    assert words(described("site", "spec", "timeZone")) in words(by_first_line.open("sites/site-1.yaml", site).hover())
    text = (fleet / "fleet.yaml").read_text().replace("resolver:", "reso|lver:")
    assert words(described("fleet", "spec", "resolver")) in words(by_first_line.open("fleet.yaml", text).hover())


def test_the_mapping_of_the_settings_serves_files_without_a_first_line(by_mapping: Server, fleet: Path) -> None:
    _, _, text = (fleet / "deployments/hello.yaml").read_text().partition("\n")
    page = by_mapping.open("deployments/new.yaml", text.replace("  drift:", "  dr|ift:"))
    assert page.problems() == []
    assert words(described("deployment", "spec", "drift")) in words(page.hover())


@pytest.mark.parametrize("file", ["fleet.yaml", "sites/site-1.yaml", APP, "deployments/hello.yaml"])
def test_what_init_wrote_has_no_problem_in_an_editor(by_first_line: Server, fleet: Path, file: str) -> None:
    assert by_first_line.open(file, (fleet / file).read_text()).problems() == []


def test_a_misspelt_field_is_marked_while_it_is_written(by_first_line: Server, fleet: Path) -> None:
    problems = by_first_line.open(APP, application(fleet, "      enviroment: {}")).problems()
    assert any("enviroment" in problem for problem in problems)
