"""A fleet of four sites for the rollout commands: a bare repository, a clone with real keys, and signed reports."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema

from edgegitops.adapters.clock_system import SystemClock
from edgegitops.core.model.report import Report, ReportedDeployment, ReportedFailure, ReportedState
from edgegitops.core.model.trust import TrustLimits
from edgegitops.core.trust.lookup import Lookup
from edgegitops.core.trust.reports import NAMESPACE, payload_of, sealed
from edgegitops.core.trust.signing import sign
from edgegitops.lab import enrolment
from edgegitops.lab import fleet as fleets

TOP = Path(__file__).parents[2]
RINGS = {"a": "canary", "b": "pilot", "c": "rest", "d": "rest"}
APP = "line"
SOAKED = timedelta(hours=1)


def document(kind: str, name: str, spec: dict[str, object]) -> str:
    return json.dumps({"apiVersion": "edgegitops/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


class RolloutDesk:
    """A release manager's place of work. `approvals` are those that wave pilot asks for."""

    def __init__(self, home: Path, *, approvals: int = 0) -> None:
        self.home = home
        self.reports = home / "reports"
        self.reports.mkdir()
        self.bare = home / "bare.git"
        subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", str(self.bare)], check=True)
        self.fleet = fleets.found(home, str(self.bare))
        self.keys: dict[str, bytes] = {}
        lines = {site: self.node_key(site) for site in RINGS}
        files = {
            f"trust/nodes/{site}.yaml": enrolment.keys_manifest(site, {"gw": line}) for site, line in lines.items()
        }
        self.fleet.commit("security: keys", key="security", files=files)
        sites = {
            f"sites/{site}.yaml": document(
                "Site", site, {"tags": {"ring": ring}, "timeZone": "UTC", "nodes": {"gw": {"address": "10.0.0.1"}}}
            )
            for site, ring in RINGS.items()
        }
        self.fleet.commit("inventory: four plants", key="inventory", files=sites)
        self.deploy(approvals)
        self.sequences = dict.fromkeys(RINGS, 0)

    def node_key(self, site: str) -> str:
        """A new report key, with which the node of a site signs from now on; its public line."""
        path = self.home / f"node-{site}-{len(self.keys)}"
        path.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", site, "-f", str(path)], check=True)
        self.keys[site] = path.read_bytes()
        kind, key, *_ = path.with_suffix(".pub").read_text(encoding="utf-8").split()
        return f"{kind} {key}"

    def deploy(self, approvals: int) -> None:
        waves: list[dict[str, Any]] = [
            {"name": ring, "selector": {"matchTags": {"ring": ring}}, "gate": {"soak": "10m"}}
            for ring in ("canary", "pilot")
        ]
        if approvals:
            waves[1]["approvals"] = {"count": approvals}
        uses = {"application": APP, "selector": {"all": True}, "rollout": {"waves": waves, "direct": {"maxNodes": 1}}}
        self.fleet.commit("engineer: 1.0.0", key="engineer", files=self._app("1.0.0"))
        deployment = document("Deployment", APP, uses)
        self.fleet.commit(
            "release-manager: deploy", key="release-manager", files={f"deployments/{APP}.yaml": deployment}
        )
        self.first = self.fleet.push()

    def _app(self, version: str) -> dict[str, str | bytes | None]:
        image = f"registry.example/line@sha256:{version.replace('.', '').rjust(64, '0')}"
        spec = {"version": version, "containers": {"web": {"image": image}}}
        return {f"apps/{APP}/app.yaml": document("Application", APP, spec)}

    def release(self, version: str) -> str:
        self.fleet.commit(f"engineer: {version}", key="engineer", files=self._app(version))
        return self.fleet.push()

    def digest(self, revision: str, site: str) -> str:
        """The release digest that a commit gives a node."""
        from edgegitops.adapters.repository_clone import Clone
        from edgegitops.adapters.repository_pygit2 import MirrorObjects
        from edgegitops.bootstrap import load_schemas
        from edgegitops.core.documents.judge import value_judge
        from edgegitops.core.history import Library

        clone = Clone(self.fleet.work)
        objects = MirrorObjects(lambda: clone.odb, "clone")
        library = Library(Lookup(objects, TrustLimits()), load_schemas(), value_judge)
        return library.digest(clone.commit(revision).tree, APP, f"{site}/gw") or ""

    def tell(
        self,
        site: str,
        revision: str,
        *,
        failed: str = "",
        soaked_for: timedelta = SOAKED,
        hold: str = "",
        is_changing: bool = False,
        floor: str = "",
        ago: timedelta = timedelta(),
        heads: dict[str, tuple[str, ...]] | None = None,
        named: str = APP,
    ) -> None:
        """A node reports that it runs what a commit gave it, healthy or on its way, what failed there, and what holds
        it; `floor` is the newest commit that it believes, `heads` the newest control tags; it was said so long `ago`.
        """
        self.sequences[site] += 1
        now = SystemClock().now().replace(microsecond=0) - ago
        failures = (
            (ReportedFailure(failed, self.digest(failed, site), self.sequences[site], "deadline-missed", now),)
            if failed
            else ()
        )
        state = ReportedState.REVERTED if failed else ReportedState.HEALTHY
        state = ReportedState.CHANGING if is_changing else state
        told = ReportedDeployment(
            revision, self.digest(revision, site), state, soaked_for, failures, (hold,) if hold else ()
        )
        report = Report(
            fleets.REPOSITORY,
            site,
            "gw",
            "one",
            "boot",
            self.sequences[site],
            now,
            1,
            floor or revision,
            heads=heads or {},
            deployments={named: told},
        )
        payload = payload_of(report)
        folder = self.reports / site
        folder.mkdir(exist_ok=True)
        (folder / "gw.report").write_bytes(sealed(payload, sign(payload, self.keys[site], NAMESPACE)))

    def run(
        self, *words: str, key: str = "release-manager", code: int = 0, command: str = "rollout", columns: int = 0
    ) -> str:
        """`edgegitops rollout …` by a person with that key, on a screen of so many columns; everything it said."""
        self.fleet.git("config", "user.signingkey", str(self.fleet.key(key).path))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LANG": "C.UTF-8",
        }
        if columns:
            environment["COLUMNS"] = str(columns)
        argv = [sys.executable, "-m", "edgegitops", command, *words]
        done = subprocess.run(
            argv,
            cwd=self.fleet.work,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"{argv}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout if "--json" in words and not code else done.stdout + done.stderr

    def tag(self, kind: str, *words: str, key: str = "release-manager") -> dict[str, Any]:
        """Make a tag and push it; the answer."""
        said = self.run(kind, APP, "--reason", "the line asks for it", *words, "--yes", "--push", "--json", key=key)
        answer: dict[str, Any] = json.loads(said)
        check(answer, "rollout-tag")
        return answer

    def look(self, command: str, *words: str) -> dict[str, Any]:
        """`status` or `history` as JSON."""
        answer: dict[str, Any] = json.loads(self.run(command, APP, *words, "--json"))
        check(answer, f"rollout-{command}")
        return answer


def check(answer: dict[str, Any], schema: str) -> None:
    jsonschema.validate(answer, json.loads((TOP / f"schemas/output/{schema}.schema.json").read_text(encoding="utf-8")))
