"""Law: what a new fleet repository says, as text. It is valid as it is, small enough to be read in a minute, and signed
content comes first: whoever holds a role signs the files of that role.

1. A role that nobody was named for is held by those of `security`, and the root by the root keys alone. The root asks
   for two signatures where it has two keys.
2. Every manifest names its schema in its first line, and the schemas stand in the repository: editors complete and
   explain without a network. Nodes ignore both.
3. What the fleet runs first is an example whose registry never resolves: nothing starts by accident.

Keys, ids and the repository's name are arguments; the schemas are written beside these texts by the caller.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgegitops.core.model.trust import ROOT_ROLE, PathRule, Role, RootDocument, TrustKey

SECURITY = "security"
FRESHNESS = "freshness"
WORKING_ROLES = (SECURITY, "inventory", "engineer", "release-manager", FRESHNESS)
ROLES = (ROOT_ROLE, *WORKING_ROLES)
ROOT_FILE = "trust/root/000001.json"
SCHEMAS = ".edgegitops/schemas"
PATHS = {
    "trust/freshness/**": (FRESHNESS, SECURITY),
    "trust/**": (SECURITY,),
    "fleet.yaml": (SECURITY,),
    "policies/**": (SECURITY,),
    "secrets/**": (SECURITY, "release-manager"),
    "sites/**": ("inventory",),
    "apps/**": ("engineer",),
    "deployments/**": ("release-manager",),
}
_MAPPING = {
    "fleet": "fleet.yaml",
    "site": "sites/**/*.yaml",
    "application": "apps/*/app.yaml",
    "deployment": "deployments/*.yaml",
    "policy": "policies/*.yaml",
    "nodekeys": "trust/nodes/*.yaml",
}
_QUORUM = 2


@dataclass(frozen=True, slots=True)
class Names:
    """What the new fleet is called; `repository` is its id, `version` that of this program."""

    fleet: str
    repository: str
    site: str
    node: str
    version: str


def root_document(repository: str, holders: Mapping[str, Sequence[TrustKey]]) -> RootDocument:
    """The first root: `holders` are the keys of each role, at least of `security`."""
    held = {role: tuple(dict.fromkeys(key.id for key in holders.get(role) or holders[SECURITY])) for role in ROLES}
    roles = {role: Role(keys) for role, keys in held.items()}
    roles[ROOT_ROLE] = Role(held[ROOT_ROLE], threshold=min(_QUORUM, len(held[ROOT_ROLE])))
    return RootDocument(
        repository=repository,
        version=1,
        keys={key.id: key for keys in holders.values() for key in keys},
        roles=roles,
        paths=tuple(PathRule(path, owners) for path, owners in PATHS.items()),
    )


def role_of(path: str) -> str:
    """The role that signs a file of a new fleet."""
    for rule, roles in PATHS.items():
        if path == rule or (rule.endswith("/**") and path.startswith(rule[:-2])):
            return roles[0]
    return SECURITY


def allowed_signers(keys: Iterable[TrustKey]) -> str:
    """The keys as `git log --show-signature` wants them; for people only, nodes read the root document."""
    rows = sorted(f"{key.owner.split()[0] if key.owner else key.id[:12]} {key.line}\n" for key in keys)
    return "".join(rows)


def fleet_files(names: Names) -> dict[str, str]:
    """Path -> text of everything but trust, schemas and signers."""
    texts = {
        "fleet.yaml": _modeline("fleet", 0) + _FLEET,
        f"sites/{names.site}.yaml": _modeline("site", 1) + _SITE,
        "apps/hello/app.yaml": _modeline("application", 2) + _APPLICATION,
        "apps/hello/config/hello.conf": _CONFIG,
        "deployments/hello.yaml": _modeline("deployment", 1) + _DEPLOYMENT,
        ".github/workflows/fleet.yaml": _GITHUB,
        ".gitlab-ci.yml": _GITLAB,
        ".pre-commit-config.yaml": _PRE_COMMIT,
        ".yamllint": _YAMLLINT,
        ".gitattributes": _ATTRIBUTES,
        "README.md": _README,
    }
    return {**{path: _filled(text, names) for path, text in texts.items()}, **editor_files()}


def editor_files() -> dict[str, str]:
    """Path -> text of what maps manifests to their schemas in editors that read it."""
    mapping = {f"./{SCHEMAS}/{kind}.schema.json": pattern for kind, pattern in _MAPPING.items()}
    settings = {"yaml.schemas": mapping, "yaml.schemaStore.enable": False, "yaml.format.enable": False}
    return {
        ".vscode/settings.json": json.dumps(settings, indent=2) + "\n",
        ".vscode/extensions.json": json.dumps({"recommendations": ["redhat.vscode-yaml"]}, indent=2) + "\n",
    }


def _modeline(kind: str, depth: int) -> str:
    """The comment that language servers for YAML look for; the path is as seen from the file."""
    return f"# yaml-language-server: $schema={'../' * depth}{SCHEMAS}/{kind}.schema.json\n"


def _filled(text: str, names: Names) -> str:
    for mark, value in (
        ("@FLEET@", names.fleet),
        ("@REPOSITORY@", names.repository),
        ("@SITE@", names.site),
        ("@NODE@", names.node),
        ("@VERSION@", names.version),
    ):
        text = text.replace(mark, value)
    return text


_FLEET = """\
# What holds for the whole fleet.
apiVersion: edgegitops/v1
kind: Fleet
metadata:
  name: @FLEET@
spec:
  # The fleet's identity: nodes pin it, so that no other repository can take its place. Never change it.
  repository: @REPOSITORY@
  resolver: 1
  minimumProfile: baseline
  # Where nodes leave their signed reports, the evidence for waves: a repository of its own that nodes may push to.
  # reports:
  #   git: ssh://git@git.example/@FLEET@-reports.git
  # Values known everywhere; sites, nodes and deployments may say something nearer.
  values:
    greeting: Hello
"""
_SITE = """\
# A site: one plant, its tags, and its gateways.
apiVersion: edgegitops/v1
kind: Site
metadata:
  name: @SITE@
spec:
  # Deployments choose nodes by tags.
  tags:
    tier: test
    # In which wave of a release its nodes are; see deployments/.
    ring: canary
  timeZone: Etc/UTC
  nodes:
    @NODE@:
      tags:
        role: line
"""
_APPLICATION = """\
# An application: what runs, without saying where.
apiVersion: edgegitops/v1
kind: Application
metadata:
  name: hello
spec:
  version: 1.0.0
  # The values that it knows, each with the JSON Schema of what it may be.
  values:
    greeting:
      type: string
  configs:
    hello:
      file: config/hello.conf
      template: true
  containers:
    web:
      # registry.example never resolves: put your image here, without a digest, and run `edgegitops image pin`.
      image: registry.example/hello/web:1.0.0@sha256:@ZEROS@
      ports:
        - container: 8080
          host: 8080
      mounts:
        /config/app.conf:
          config: hello
          readOnly: true
      resources:
        memory: 128Mi
      probes:
        # A release counts as healthy only while this passes; failing it undoes an update.
        ready:
          http:
            port: 8080
            path: /healthz
          interval: 5s
""".replace("@ZEROS@", "0" * 64)
_CONFIG = """\
# ${…} is filled in for each node.
greeting = "${values.greeting}"
node = "${site.name}/${node.name}"
"""
_DEPLOYMENT = """\
# A deployment: an application, the nodes that get it, and how careful an update is.
apiVersion: edgegitops/v1
kind: Deployment
metadata:
  name: hello
spec:
  application: hello
  selector:
    matchTags:
      role: line
  # Nodes of sites with `ring: canary` take a release first. All others wait until these have run it well for the soak,
  # by the signed reports of the nodes in trust/nodes/. Add waves as the fleet grows.
  rollout:
    waves:
      - name: canary
        selector:
          matchTags:
            ring: canary
        gate:
          soak: 30m
  rollback:
    # Ready within `deadline` and so for `soak`; else the node undoes the update by itself, without a network.
    automatic: true
    deadline: 2m
    soak: 10m
  drift: correct
"""
_GITHUB = """\
name: fleet
on:
  pull_request:
  push:
    branches: [main]
permissions:
  contents: read
  pull-requests: write
jobs:
  check:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      # This package is on no public index yet: name yours (--index-url), or a wheel. What a stranger serves is not it.
      - run: pipx install edgegitops==@VERSION@
      - run: edgegitops validate --strict --format github
      - name: What this changes on the nodes
        if: github.event_name == 'pull_request'
        env:
          BASE: ${{ github.base_ref }}
          GH_TOKEN: ${{ github.token }}
          PULL_REQUEST: ${{ github.event.pull_request.html_url }}
        run: |
          edgegitops plan "origin/$BASE...HEAD" --format markdown > plan.md
          cat plan.md >> "$GITHUB_STEP_SUMMARY"
          gh pr comment "$PULL_REQUEST" --edit-last --body-file plan.md ||
            gh pr comment "$PULL_REQUEST" --body-file plan.md || true # a fork may not comment
"""
_GITLAB = """\
default:
  image: python:3.13-slim
  before_script:
    # This package is on no public index yet: name yours (--index-url), or a wheel. What a stranger serves is not it.
    - pip install --quiet edgegitops==@VERSION@

validate:
  script:
    - edgegitops validate --strict

plan:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"
  script:
    - edgegitops plan "$CI_MERGE_REQUEST_DIFF_BASE_SHA..HEAD" --format markdown | tee plan.md
  artifacts:
    paths: [plan.md]
    expose_as: plan
"""
_PRE_COMMIT = """\
# pre-commit install
repos:
  - repo: local
    hooks:
      - id: edgegitops-validate
        name: edgegitops validate
        entry: edgegitops validate --strict
        language: system
        pass_filenames: false
        files: ^(fleet\\.yaml|(apps|deployments|policies|sites|trust)/)
"""
_YAMLLINT = """\
extends: default
ignore: [.edgegitops/]
rules:
  line-length: disable
  document-start: disable
  truthy: {check-keys: false}
  comments: {min-spaces-from-content: 1}
  braces: {max-spaces-inside: 1}
"""
_ATTRIBUTES = """\
# What is signed and what nodes hash keeps its bytes on every machine.
* -text
"""
_README = """\
# @FLEET@

The signed desired state of a fleet of gateways, for edgegitops.

| what | where | who signs |
| --- | --- | --- |
| the fleet, its policies | `fleet.yaml`, `policies/` | security |
| who may sign what | `trust/` | security, and the root keys |
| plants and their gateways | `sites/` | inventory |
| what runs | `apps/` | engineer |
| where, and how carefully | `deployments/` | release-manager |

## Every day

    edgegitops validate --strict        # all faults at once, as every node would find them
    edgegitops plan                     # what this branch changes, on which nodes, with which downtime
    edgegitops match 'role=line'        # which nodes a selector selects
    edgegitops render --site @SITE@ --why   # what a node is told, and where each value came from
    edgegitops image pin                # the digest behind every tag
    edgegitops rollout status           # which wave waits for what
    git commit -S                       # nodes believe signed commits only

## Editors

The first line of each manifest names its schema, so every editor with a YAML language server completes and explains it,
offline. Copy that line into new files. Visual Studio Code also reads `.vscode/settings.json`. After an upgrade of
edgegitops: `edgegitops init --editor .`

## A new clone

    git config gpg.format ssh
    git config user.signingkey <your key>
    git config gpg.ssh.allowedSignersFile .edgegitops/allowed_signers
    git log --show-signature
"""
