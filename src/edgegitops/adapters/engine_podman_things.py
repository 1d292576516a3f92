"""Law: what Podman has is known by its name, whose it is by its labels, and nothing is removed that is not ours.

Details of one container, network or volume; whether a container's process lives; its end. A container whose layer a
power loss took is known by the list alone: it can be removed, and no more. What is made and started, and when, is told
by engine_podman. Safe for use by several threads at once.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from edgegitops.adapters.engine_podman_look import is_ours
from edgegitops.adapters.engine_podman_process import ProcessTable, is_same_machine
from edgegitops.adapters.engine_podman_wire import NOT_FOUND, Wire, denied, judged, partial_error
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.errors import OutsideError

WOUNDED = "graph driver info"  # Podman's words where files of a container's layer are empty or gone


class Things:
    """Containers, networks and volumes behind one wire; `fleet` narrows "ours" to one fleet, `proc` is as for the
    engine.
    """

    def __init__(self, wire: Wire, socket: str, *, fleet: str, proc: str | None) -> None:
        self._wire = wire
        self._socket = socket
        self._fleet = fleet
        self._proc = proc
        self._processes: ProcessTable | None = None

    def processes(self) -> ProcessTable | None:
        """None where the engine's processes cannot be seen from here. Asked again until it answers yes, because the
        engine may not listen yet.
        """
        if self._processes is None and (self._proc or is_same_machine(self._socket)):
            self._processes = ProcessTable(self._proc or "/proc")
        return self._processes

    def read(self, path: str, **params: str) -> list[dict[str, Any]]:
        """A list, as it is."""
        answer = self._wire.ask("GET", path, params=params)
        if not answer.is_ok:
            raise judged(f"GET {path}", answer.text(), HoldReason.ENGINE_UNAVAILABLE)
        return answer.json() or []

    def inspect(self, name: str) -> Mapping[str, Any] | None:
        """Details of a container; None where there is none."""
        return self.details("containers", name)

    def details(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """Inspect one container, network or volume; None where there is none."""
        path = f"/{kind}/{quote(name, safe='')}/json"
        answer = self._wire.ask("GET", path)
        if answer.status == NOT_FOUND:
            return None
        if not answer.is_ok and kind == "containers" and WOUNDED in answer.text():
            return self._wounded(name)
        if not answer.is_ok:
            raise judged(f"GET {path}", answer.text(), HoldReason.ENGINE_UNAVAILABLE)
        tree: Mapping[str, Any] = answer.json()
        return tree

    def _wounded(self, name: str) -> Mapping[str, Any] | None:
        """What the list still tells of a container whose layer a power loss took: it can be removed, and no more."""
        rows = self.read("/containers/json", all="true")
        row = next((one for one in rows if name in (one["Id"], *(one.get("Names") or ()))), None)
        if row is None:
            return None
        return {"Id": row["Id"], "Config": {"Labels": row.get("Labels")}, "State": {"Status": "exited"}, WOUNDED: True}

    def ours(self, kind: str, name: str, verb: str) -> Mapping[str, Any] | None:
        """Details of the thing; None where there is none; DeniedError where it is somebody else's."""
        present = self.details(kind, name)
        if present is not None and not is_ours(labels_of(present), self._fleet):
            raise conflict(f"{verb} {kind}", name)
        return present

    def create(self, kind: str, name: str, request: object, labels: Mapping[str, str]) -> None:
        """Create a network or volume; done where there is one of ours."""
        answer = self._wire.ask("POST", f"/{kind}/create", body=request)
        if answer.is_ok:
            return
        present = self.details(kind, name)
        if present is None:
            raise judged(f"create {kind} {name}", answer.text(), Refusal.CREATE_FAILED)
        if not is_ours(labels_of(present), labels.get("io.edgegitops.fleet", self._fleet)):
            raise conflict(f"create {kind}", name)

    def remove(self, kind: str, name: str) -> None:
        """Remove a network or volume of ours; done where there is none."""
        if self.ours(kind, name, "remove") is None:
            return
        answer = self._wire.ask("DELETE", f"/{kind}/{quote(name, safe='')}")
        if answer.status != NOT_FOUND and (not answer.is_ok or partial_error(answer)):
            text = partial_error(answer) or answer.text()
            raise judged(f"remove {kind} {name}", text, HoldReason.DEPENDENCY)

    def is_lost(self, present: Mapping[str, Any]) -> bool:
        """Whether Podman will say for ever that this inspected container has a process, and it has none."""
        table, state = self.processes(), present.get("State") or {}
        if table is None or table.is_watched(state.get("ConmonPid") or 0, present["Id"]):
            return False
        return table.is_lost(present["Id"], self.inspect)

    def runs(self, name: str) -> bool:
        """False where it is gone or over: Podman 5 answers a stop by an error where the monitor died, and yet stops."""
        now = self.inspect(name)
        return now is not None and now.get("State", {}).get("Status") not in {"exited", "stopped"}

    def delete(self, name: str) -> None:
        """Remove a container, or what storage still holds of one, by force, with its anonymous volumes.

        On a full disk Podman reports an error and yet removes, and Podman 5 refuses once where the monitor of the
        container died, and has noted its end by then. So a look decides, and what is still there is asked for again.
        """
        params = {"force": "true", "ignore": "true", "v": "true", "timeout": "0"}
        for _ in range(2):
            answer = self._wire.ask("DELETE", f"/containers/{quote(name, safe='')}", params=params)
            error = partial_error(answer) if answer.is_ok else answer.text()
            if not error or answer.status == NOT_FOUND or self.inspect(name) is None:
                return
        raise judged(f"remove container {name}", error, HoldReason.ENGINE_UNAVAILABLE)


def labels_of(details: Mapping[str, Any]) -> Mapping[str, str]:
    """Labels of an inspected container (in its Config), network (lower case) or volume."""
    config = details.get("Config") or {}
    return config.get("Labels") or details.get("Labels") or details.get("labels") or {}


def conflict(action: str, name: str) -> OutsideError:
    """The error where somebody else has the name."""
    message = f"{name} exists and does not carry our labels; remove or rename it, it is not touched"
    return denied(action, message, Refusal.NAME_CONFLICT)
