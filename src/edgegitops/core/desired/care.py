"""Law: what the agent does around a container is read here: probes, restarts, order, stopping."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from edgegitops.core.desired.probes import read_probe, read_span
from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Care, Condition, OnUnhealthy, Restart, RestartLimit

CARE_FIELDS = frozenset({"probes", "restart", "restartLimit", "dependsOn", "stop", "onConfigChange"})
NOT_OF_JOBS = frozenset({"probes", "restart", "restartLimit", "onConfigChange"})
_PROBE_KEYS = Keys(
    frozenset({"ready", "live", "startup", "onUnhealthy"}),
    hints=(("readiness", "ready"), ("liveness", "live"), ("readinessProbe", "ready"), ("livenessProbe", "live")),
)
_STOP_KEYS = Keys(frozenset({"signal", "timeout", "pre"}), hints=(("preStop", "pre"), ("grace", "timeout")))
_PRE_KEYS = Keys(frozenset({"exec"}))
_LIMIT_KEYS = Keys(frozenset({"attempts", "within"}))
_MOST_ATTEMPTS = 1000
_LONGEST_LIMIT = timedelta(minutes=10)
"""Ends are remembered for so long."""
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9+-]{1,15}\Z")


def read_care(fields: Mapping[str, Cursor]) -> Care:
    """How a container is cared for."""
    care = Care()
    if "probes" in fields:
        care = _with_probes(care, fields["probes"].fields(_PROBE_KEYS))
    if "restart" in fields:
        aliases = {"unless-stopped": Restart.ALWAYS}
        care = replace(care, restart=fields["restart"].choice(Restart, default=care.restart, aliases=aliases))
    if "dependsOn" in fields:
        care = replace(care, depends_on=read_depends_on(fields["dependsOn"]))
    if "stop" in fields:
        stop = fields["stop"].fields(_STOP_KEYS)
        if "timeout" in stop:
            care = replace(care, stop_timeout=read_span(stop["timeout"]))
        if "pre" in stop:
            care = replace(care, stop_pre=_pre(stop["pre"]))
    if "restartLimit" in fields:
        care = replace(care, restart_limit=_restart_limit(fields["restartLimit"]))
    if "onConfigChange" in fields:
        care = replace(care, config_signal=_config_signal(fields["onConfigChange"]))
    return care


def _config_signal(spot: Cursor) -> str:
    """The signal that tells of changed configs, with its SIG; empty where the container is made anew."""
    text = spot.text()
    if text == "recreate":
        return ""
    kind, _, name = text.partition(":")
    if kind != "signal" or not _SIGNAL.match(name):
        spot.note(FaultCode.WRONG_VALUE, f"{text!r} is nothing that can be done", "recreate, or signal:HUP")
        return ""
    return f"SIG{name.removeprefix('SIG')}"


def _pre(spot: Cursor) -> tuple[str, ...]:
    fields = spot.fields(_PRE_KEYS)
    argv = fields["exec"].texts() if "exec" in fields else ()
    if not argv:
        spot.note(FaultCode.MISSING_FIELD, "no command", "exec: a program and its arguments")
    return argv


def _restart_limit(spot: Cursor) -> RestartLimit | None:
    fields = spot.fields(_LIMIT_KEYS)
    for key in sorted(_LIMIT_KEYS.known - set(fields)):
        spot.note(FaultCode.MISSING_FIELD, f"no {key}", "attempts and within, such as {attempts: 5, within: 10m}")
    if set(fields) != _LIMIT_KEYS.known:
        return None
    within = read_span(fields["within"])
    if not timedelta() < within <= _LONGEST_LIMIT:
        fields["within"].note(FaultCode.WRONG_VALUE, "ends are remembered for 10m", "1s to 10m")
    return RestartLimit(fields["attempts"].whole(1, _MOST_ATTEMPTS), within)


def read_stop_signal(stop: Cursor) -> str:
    """The signal that asks for the end, with its SIG; empty for the image's own. The rest of `stop` is care."""
    if not isinstance(stop.tree, dict) or "signal" not in stop.tree:
        return ""
    name = stop.below("signal", stop.tree["signal"]).text(_SIGNAL, "a signal such as SIGTERM")
    return f"SIG{name.removeprefix('SIG')}" if name else ""


def read_depends_on(spot: Cursor) -> dict[str, Condition]:
    """What is waited for, by name."""
    if isinstance(spot.tree, list):
        spot.note(FaultCode.WRONG_TYPE, "a list stands here", "a map: {db: ready}")
        return {}
    return {name: entry.choice(Condition, default=Condition.STARTED) for name, entry in spot.entries().items()}


def _with_probes(care: Care, fields: Mapping[str, Cursor]) -> Care:
    probes = {name: read_probe(fields[name]) for name in ("ready", "live", "startup") if name in fields}
    if "onUnhealthy" in fields:
        care = replace(care, on_unhealthy=fields["onUnhealthy"].choice(OnUnhealthy, default=care.on_unhealthy))
    return replace(care, ready=probes.get("ready"), live=probes.get("live"), startup=probes.get("startup"))
