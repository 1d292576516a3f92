"""Law: a value is what the highest level says that gives it, and may refer only to lower levels.

Levels, low to high: application default, fleet, site, node, deployment, override. Each level replaces the whole value;
an override is a merge patch over the deployment's own values, and its null takes back what the deployment gave. So
every expansion ends: it goes down a level at each reference, and the characters of all of them are counted.

A string that is one reference and nothing else keeps the type of what it refers to. Fields and templates of the
application see only the values that it declares; a declared value that nobody gives, or that does not fit its JSON
Schema, is a fault. What nobody uses is not looked at. The judge of JSON Schema is handed in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edgegitops.core.desired.merge import merge_patch
from edgegitops.core.desired.places import Place, Problem, did_you_mean
from edgegitops.core.desired.selectors import matches, node_tags
from edgegitops.core.desired.substitution import Budget, Found, Sealed, expand, whole_reference
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Application, DeploymentManifest, Fleet, NodeEntry, Site
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.secrets import SecretRef

Judge: TypeAlias = Callable[[Tree, Tree], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Target:
    """The node that is resolved for."""

    fleet: Fleet
    site: Site
    node: NodeEntry

    @property
    def tags(self) -> dict[str, str]:
        """What selectors see."""
        return node_tags(self.site, self.node)


@dataclass(frozen=True, slots=True)
class Level:
    """The values that one level gives, and where each stands."""

    name: str
    values: Mapping[str, Tree]
    places: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Given:
    """A declared value: who gives it, as what, and what that means with its references replaced."""

    name: str
    level: str
    place: Place
    written: Tree
    value: Tree


class Values:
    """The values of one deployment on one node; `faults` grows as they are asked for. `is_own`: a name or tag was asked
    for, which may be another one on each node.
    """

    def __init__(self, levels: Sequence[Level], facts: Mapping[str, str], schemas: Mapping[str, Tree]) -> None:
        self._levels = levels
        self._facts = facts
        self._schemas = schemas
        self._made: dict[tuple[int, str], Found | None] = {}
        self._budget = Budget()
        self.faults: list[Fault] = []
        self.is_own = False

    def expand(
        self,
        source: str,
        place: Place,
        secrets: Mapping[str, SecretRef | None] | None = None,
        used: set[str] | None = None,
    ) -> str:
        """A field or template of the application at `place`, with its references replaced. Only a template may have
        `secrets`; marks stand where they belong, and `used` is told their names.
        """

        def find(name: str) -> Found | Problem | None:
            first, _, key = name.removeprefix("secrets.").partition(".")
            if secrets is None or used is None or not name.startswith("secrets.") or first not in secrets:
                return self.find(name)
            used.add(first)
            return Sealed(first, key)

        text, problems = expand(source, find, self._budget)
        self.faults += [place.fault(problem) for problem in problems]
        return text

    def find(self, name: str) -> Found | Problem | None:
        """What a dotted name means to the application."""
        root, _, rest = name.partition(".")
        if root != "values":
            return self._fact(name)
        first = rest.partition(".")[0]
        if first not in self._schemas:
            return Problem(
                FaultCode.UNKNOWN_VALUE,
                f"the application declares no value {first!r}",
                "a name under spec.values of the application",
                did_you_mean(first, self._schemas),
            )
        if self._giver(first, len(self._levels)) is None:
            return None
        return self._value(rest, len(self._levels))

    def check(self, judge: Judge, declared: Place) -> None:
        """Every declared value is given and fits its schema; `declared` is where the application declares them."""
        for name, schema in sorted(self._schemas.items()):
            number = self._giver(name, len(self._levels))
            if number is None:
                problem = Problem(
                    FaultCode.VALUE_INVALID,
                    f"the value {name!r} has no default, and nothing gives it",
                    "a value from the fleet, the site, the node, the deployment or an override",
                )
                self.faults.append(declared.below(name).fault(problem))
                continue
            found = self._made_at(number, name)
            messages = judge(schema, found.tree) if found is not None else ()
            place = self._levels[number].places[name]
            self.faults += [
                place.fault(Problem(FaultCode.VALUE_INVALID, f"the value {name!r}: {message}")) for message in messages
            ]

    def given(self) -> list[Given]:
        """Every declared value that somebody gives and that can be worked out, by name."""
        found = []
        for name in sorted(self._schemas):
            number = self._giver(name, len(self._levels))
            made = self._made_at(number, name) if number is not None else None
            if number is not None and made is not None:
                level = self._levels[number]
                found.append(Given(name, level.name, level.places[name], level.values[name], made.tree))
        return found

    def _fact(self, name: str) -> Found | Problem:
        self.is_own = True
        if name in self._facts:
            return Found(self._facts[name])
        if name.startswith("secrets."):
            return Problem(
                FaultCode.UNKNOWN_VALUE,
                f"{name}: a secret can stand in no text but a template that lists it",
                "secrets: […] of the config, env: {NAME: {secret: …}}, or mounts: {/path: {secret: …}}",
            )
        if name in _OPTIONAL:
            return Problem(FaultCode.UNKNOWN_VALUE, f"{name} is not given here", _OPTIONAL[name])
        return Problem(
            FaultCode.UNKNOWN_VALUE,
            f"nothing is called {name!r} here",
            "values.…, site.…, node.…, tags.… or deployment.name; $${ writes a plain ${",
            did_you_mean(name, self._facts),
        )

    def _giver(self, name: str, below: int) -> int | None:
        """The highest level under `below` that gives the name."""
        return next((number for number in reversed(range(below)) if name in self._levels[number].values), None)

    def _value(self, path: str, below: int) -> Found | Problem | None:
        first, *rest = path.split(".")
        number = self._giver(first, below)
        if number is None:
            return self._not_below(first, below)
        found = self._made_at(number, first)
        for part in rest:
            if found is None:
                return None
            if not isinstance(found.tree, dict) or part not in found.tree:
                known = found.tree if isinstance(found.tree, dict) else ()
                return Problem(
                    FaultCode.UNKNOWN_VALUE,
                    f"values.{path}: there is no {part!r} in it",
                    suggestion=did_you_mean(part, known),
                )
            found = Found(found.tree[part])
        return found

    def _not_below(self, name: str, below: int) -> Problem:
        if any(name in level.values for level in self._levels[below:]):
            return Problem(
                FaultCode.VALUE_CYCLE,
                f"values.{name} is not given below the level {self._levels[below].name!r}",
                "a reference to a lower level: default < fleet < site < node < deployment < override",
            )
        known = {name for level in self._levels for name in level.values}
        return Problem(
            FaultCode.UNKNOWN_VALUE,
            f"nothing gives a value {name!r}",
            "a value of a lower level",
            did_you_mean(name, known),
        )

    def _made_at(self, number: int, name: str) -> Found | None:
        """The value that a level gives, expanded once; None where its fault is told already."""
        key = (number, name)
        if key not in self._made:
            level = self._levels[number]
            problems: list[Problem] = []
            tree = self._expanded(level.values[name], number, problems)
            self.faults += [level.places[name].fault(problem) for problem in problems]
            self._made[key] = None if problems or tree is _BROKEN else Found(tree)
        return self._made[key]

    def _expanded(self, tree: Tree, level: int, problems: list[Problem]) -> Tree:
        if isinstance(tree, dict):
            made = {key: self._expanded(value, level, problems) for key, value in tree.items()}
            return _BROKEN if any(value is _BROKEN for value in made.values()) else made
        if isinstance(tree, list):
            items = [self._expanded(item, level, problems) for item in tree]
            return _BROKEN if any(item is _BROKEN for item in items) else items
        return self._expanded_text(tree, level, problems) if isinstance(tree, str) else tree

    def _expanded_text(self, text: str, level: int, problems: list[Problem]) -> Tree:
        is_broken = False

        def find(name: str) -> Found | Problem | None:
            nonlocal is_broken
            found = self._value(name.removeprefix("values."), level) if name.startswith("values.") else self._fact(name)
            is_broken = is_broken or found is None
            return found

        if name := whole_reference(text):
            return self._taken_over(find(name), problems)
        made, wrong = expand(text, find, self._budget)
        problems += wrong
        return _BROKEN if is_broken or self._budget.left < 0 else made

    def _taken_over(self, found: Found | Problem | None, problems: list[Problem]) -> Tree:
        """The referred value with its type; its size counts, else lists of lists would multiply."""
        if isinstance(found, Problem):
            problems.append(found)
        if not isinstance(found, Found):
            return _BROKEN
        problems += self._budget.spend(_weight(found.tree))
        return _BROKEN if self._budget.left < 0 else found.tree


_BROKEN = object()
_OPTIONAL = {"site.timeZone": "spec.timeZone of the site", "node.address": "the address of the node in its site"}


def _weight(tree: Tree) -> int:
    """About how many characters a tree has."""
    if isinstance(tree, dict):
        return sum(len(key) + _weight(value) for key, value in tree.items()) + 1
    if isinstance(tree, list):
        return sum(map(_weight, tree)) + 1
    return len(tree) if isinstance(tree, str) else 1


def values_of(application: Application, deployment: DeploymentManifest, target: Target) -> Values:
    """The levels of values of a deployment of an application on a node."""
    schemas = _mapping(application.spec.get("values"))
    return Values(_levels(application, deployment, target), _facts(deployment, target), schemas)


def _facts(deployment: DeploymentManifest, target: Target) -> dict[str, str]:
    facts = {f"tags.{key}": value for key, value in target.tags.items()}
    facts |= {"site.name": target.site.name, "node.name": target.node.name, "deployment.name": deployment.name}
    if target.site.time_zone:
        facts["site.timeZone"] = target.site.time_zone
    if target.node.address:
        facts["node.address"] = target.node.address
    return facts


def _levels(application: Application, deployment: DeploymentManifest, target: Target) -> list[Level]:
    declared = _mapping(application.spec.get("values"))
    defaults = {
        name: schema["default"] for name, schema in declared.items() if isinstance(schema, dict) and "default" in schema
    }
    home = Place(application.origin, ("spec", "values"))
    fleet, site, node = target.fleet, target.site, target.node
    below = [
        Level("default", defaults, {name: home.below(name, "default") for name in defaults}),
        _level("fleet", fleet.values, Place(fleet.origin, ("spec", "values"))),
        _level("site", site.values, Place(site.origin, ("spec", "values"))),
        _level("node", node.values, Place(site.origin, ("spec", "nodes", node.name, "values"))),
    ]
    return [*below, *_deployment_levels(deployment, target.tags)]


def _deployment_levels(deployment: DeploymentManifest, tags: Mapping[str, str]) -> list[Level]:
    given: dict[str, Tree] = dict(deployment.values)
    own = Place(deployment.origin, ("spec", "values"))
    places: dict[str, Place] = {}
    for number, override in enumerate(deployment.overrides):
        patch = override.patch.get("values")
        if isinstance(patch, dict) and matches(override.selector, tags):
            given = merge_patch(given, patch)
            home = Place(deployment.origin, ("spec", "overrides", str(number), "patch", "values"))
            places |= {name: home.below(name) for name in patch}
    kept = {name: value for name, value in deployment.values.items() if name in given}
    patched = {name: given[name] for name in places if name in given}
    return [_level("deployment", kept, own), Level("override", patched, places)]


def _level(name: str, values: Mapping[str, Tree], home: Place) -> Level:
    return Level(name, values, {key: home.below(key) for key in values})


def _mapping(tree: Tree) -> Mapping[str, Tree]:
    return tree if isinstance(tree, dict) else {}
