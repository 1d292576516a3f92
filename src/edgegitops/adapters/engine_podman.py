"""Law: Podman does what a step says, once, whoever asks how often; and never to what is not ours.

1. A look is one list each of containers, networks and volumes. Addresses are asked only for running containers of
   ours, once for each start.
2. A step is done where its outcome is there already. A name that somebody else holds is `name-conflict`, never touched.
3. Create answered by an error: remove the name by force if it is ours or only a ghost in storage, create once more.
   Start answered by an error: remove it by force, create and start it once more; where the step does not say how to
   create it, only what remains of an interrupted start is removed, with "look again" for an answer.
4. What may work later is UnavailableError (registry, disk, engine, something still in use); what will not is
   DeniedError. Pulls are never refused for ever, but for a wrong digest.
5. Every request has a deadline; a silent engine is an unavailable one.

Left to others: which steps, in which order, how often (core.reconcile); words of requests (engine_podman_request),
of answers (engine_podman_look), of errors (engine_podman_wire); whose a thing is, and its end (engine_podman_things);
what "lost" is (engine_podman_process).
Safe for use by several threads at once.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import quote

from edgegitops.adapters import engine_podman_folders as folders
from edgegitops.adapters import engine_podman_live as live
from edgegitops.adapters import engine_podman_secrets as secrets
from edgegitops.adapters import engine_podman_subpath as subpath
from edgegitops.adapters import engine_podman_words as words
from edgegitops.adapters.engine_podman_folders import AwaitedError, MissingError
from edgegitops.adapters.engine_podman_images import is_there, pull, remove_image
from edgegitops.adapters.engine_podman_look import (
    WITH_PROCESS,
    addresses,
    container_seen,
    is_ours,
    labels_by_name,
    log_text,
    subnets_by_name,
)
from edgegitops.adapters.engine_podman_process import own_limits
from edgegitops.adapters.engine_podman_request import (
    LABEL_VOLUME_WORK,
    by_depth,
    container_request,
    network_request,
    volume_request,
    volume_work,
)
from edgegitops.adapters.engine_podman_secrets import Vault
from edgegitops.adapters.engine_podman_things import WOUNDED, Things, conflict, labels_of
from edgegitops.adapters.engine_podman_wire import NOT_FOUND, Answer, Wire, denied, judged, unavailable
from edgegitops.adapters.podman_listing import PodmanListing
from edgegitops.core.model.node_config import RegistryAccess
from edgegitops.core.model.observed import ContainerSeen, ContainerState, Observed
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.steps import (
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DropSnapshot,
    MeasureVolumes,
    PrepareSnapshot,
    PullArtifact,
    PullImage,
    ReloadContainer,
    RemoveArtifact,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    RestoreSnapshot,
    StartContainer,
    Step,
    StopContainer,
    StoreContent,
    StoreSecret,
    TakeSnapshot,
)
from edgegitops.errors import BrokenInvariantError, DeniedError, OutsideError

ANSWER_WITHIN = timedelta(seconds=60)
UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")

# What a runtime says of the remains of a start that was interrupted: no start will work, only a new container.
REMAINS = ("already exists", "container state improper", "is stopping", "stopping state")


class PodmanEngine:
    """The engine port over Podman's API socket.

    `contents_dir` is where config files lie by SHA-256, as Podman's host sees it; `fleet` narrows "ours" to one fleet;
    `proc` is the process table of the engine's pid namespace, worked out where it is not given; `registry` is how
    images are pulled; `vault` is where secrets come from.
    """

    def __init__(  # noqa: PLR0913 - what differs between machines, each by its name
        self,
        url: str = "unix:///run/podman/podman.sock",
        *,
        contents_dir: str,
        fleet: str = "",
        proc: str | None = None,
        answer_within: timedelta = ANSWER_WITHIN,
        registry: RegistryAccess | None = None,
        vault: Vault | None = None,
    ) -> None:
        self._wire = Wire(url, timeout=answer_within)
        self._socket = url.removeprefix("unix://")
        self._listing = PodmanListing(self._socket, fleet=fleet)
        self._contents_dir = contents_dir
        self._registry = registry or RegistryAccess()
        self._vault = vault
        self._fleet = fleet
        self._things = Things(self._wire, self._socket, fleet=fleet, proc=proc)
        self._addresses: dict[str, tuple[object, Mapping[str, str]]] = {}

    def close(self) -> None:
        """Give the connections up."""
        self._wire.close()

    # --- looking

    def observe(self) -> Observed:
        """All containers, networks and volumes; one list call each while nothing changes."""
        at = datetime.fromtimestamp(time.time(), UTC)
        rows = self._things.read("/containers/json", all="true")
        networks = self._things.read("/networks/json")
        volumes = self._things.read("/volumes/json")
        self._forget_all_but({row["Id"] for row in rows})
        return Observed(
            at=at,
            containers=tuple(self._look_closer(container_seen(row), row.get("Networks")) for row in rows),
            networks=labels_by_name(networks),
            volumes=labels_by_name(volumes),
            subnets=subnets_by_name(networks),
        )

    def _look_closer(self, seen: ContainerSeen, networks: object) -> ContainerSeen:
        """What the list does not tell of our containers: whether they live, and where."""
        if not is_ours(seen.labels, self._fleet):
            return seen
        seen = replace(seen, configs=live.told(self._contents_dir, seen.name))
        if seen.state not in WITH_PROCESS:
            return seen
        table = self._things.processes()
        if table and not table.is_running(seen.pid or 0, seen.id) and table.is_lost(seen.id, self._things.inspect):
            return replace(seen, state=ContainerState.LOST, pid=None)
        if seen.state is not ContainerState.RUNNING:
            return seen
        start = (seen.pid, seen.started_at, tuple(networks) if isinstance(networks, list) else ())
        known = self._addresses.get(seen.id)
        if known is None or known[0] != start:
            known = (start, addresses(self._things.inspect(seen.id) or {}))
            self._addresses[seen.id] = known
        return replace(seen, addresses=known[1])

    def _forget_all_but(self, present: set[str]) -> None:
        for gone in set(self._addresses) - present:
            self._addresses.pop(gone, None)

    def place(self, volume: str) -> str:
        """Where the data of a volume lies on the engine's host. UnavailableError: there is no such volume."""
        there = self._things.details("volumes", volume)
        if there is None or not there.get("Mountpoint"):
            raise unavailable(f"inspect volume {volume}", "there is no such volume", HoldReason.DEPENDENCY)
        return str(there["Mountpoint"])

    def has_image(self, image: str) -> bool:
        """Whether the image is in Podman's store under this very name."""
        return is_there(self._wire, image)

    # --- acting

    def perform(self, step: Step) -> None:  # noqa: PLR0912 - one branch a kind of step is the table
        """Do one step. OutsideError: see the law above."""
        match step:
            case PullImage():
                pull(self._wire, step, self._registry)
            case CreateNetwork():
                self._create_network(step)
            case CreateVolume():
                self._things.create("volumes", step.subject, volume_request(step), step.labels)
            case CreateContainer():
                self._create(step)
            case ReloadContainer():
                self._reload(step)
            case StartContainer():
                self._start(step)
            case StopContainer():
                self._stop(step)
            case RemoveContainer():
                present = self._things.ours("containers", step.subject, "remove")
                if present is not None:
                    words.keep(self._contents_dir, labels_of(present), step.subject, self._last_words(step.subject))
                    self._things.delete(step.subject)
                live.forget(self._contents_dir, step.subject)
                secrets.forget(self._vault, self._wire, step.subject)
            case RemoveNetwork():
                self._things.remove("networks", step.subject)
            case RemoveVolume():
                self._things.remove("volumes", step.subject)
            case RemoveImage():
                remove_image(self._wire, step)
            case (
                StoreContent()
                | StoreSecret()
                | PullArtifact()
                | RemoveArtifact()
                | MeasureVolumes()
                | PrepareSnapshot()
                | TakeSnapshot()
                | RestoreSnapshot()
                | DropSnapshot()
            ):
                raise BrokenInvariantError(f"{step.kind} {step.subject} is no step of the engine's")
            case _:
                assert_never(step)

    def _create_network(self, step: CreateNetwork) -> None:
        try:
            self._things.create("networks", step.subject, network_request(step), step.labels)
        except DeniedError as refused:
            if step.is_chosen and "already used" in refused.message:
                raise unavailable(f"create {step.subject}", refused.message, HoldReason.DEPENDENCY) from refused
            raise

    def _create(self, step: CreateContainer) -> None:
        self._demand_volumes(step)
        request = self._request(step)
        self._create_as(step, request)
        if step.configs:
            live.link(self._wire, step.subject, step.create.mounts)
            live.tell(self._contents_dir, step.subject, step.configs_digest)

    def _create_as(self, step: CreateContainer, request: object) -> None:
        first = self._wire.ask("POST", "/containers/create", body=request)
        if first.is_ok:
            self._demand_weight(step, first)
            return
        self._fail_unless(first, f"create container {step.subject}", Refusal.CREATE_FAILED)
        present = self._things.inspect(step.subject)
        if present is not None and not is_ours(labels_of(present), step.labels.get("io.edgegitops.fleet", self._fleet)):
            raise conflict("create container", step.subject)
        self._things.delete(step.subject)
        second = self._wire.ask("POST", "/containers/create", body=request)
        if not second.is_ok:
            raise judged(f"create container {step.subject}", second.text(), Refusal.CREATE_FAILED)

    def _fail_unless(self, answer: Answer, action: str, reason: Refusal) -> None:
        """Raise what an error answer means, unless its words mean nothing more special than `reason`."""
        error = judged(action, answer.text(), reason)
        if error.reason != reason:
            raise error

    def _demand_volumes(self, step: CreateContainer) -> None:
        """Podman would make a missing volume by itself, without our labels, and so take its name away from us."""
        wanted = {step.volumes.get(mount.volume, mount.volume) for mount in step.create.mounts if mount.volume}
        for name in sorted(wanted):
            if not self._wire.ask("GET", f"/volumes/{quote(name, safe='')}/exists").is_ok:
                raise unavailable(f"create {step.subject}", f"volume {name} is not there yet", HoldReason.DEPENDENCY)

    def _request(self, step: CreateContainer) -> dict[str, Any]:
        """The request, after what has to be on the node for it is there."""
        action = f"create container {step.subject}"
        try:
            folders.demand_host_paths(step.create)
            absent = folders.absent_devices(step.create)
            folders.demand_artifacts(step.create, self._contents_dir)
            folders.dress(step.create, self._contents_dir)
            live.put(self._contents_dir, step.subject, step.create.mounts, step.configs)
            work = volume_work(step)
            places = {name: self.place(name) for name in sorted(subpath.volumes_of(work))}
            subpath.make(work, places)
            request = container_request(
                step, self._contents_dir, own_limits(), absent=absent, is_unified=UNIFIED.exists(), places=places
            )
            return self._with_secrets(step, request)
        except (ValueError, MissingError) as impossible:
            raise denied(action, str(impossible), Refusal.CREATE_FAILED) from impossible
        except AwaitedError as awaited:
            raise unavailable(action, str(awaited), HoldReason.DEPENDENCY) from awaited
        except OSError as broken:
            raise judged(action, str(broken), HoldReason.DEPENDENCY) from broken

    def _with_secrets(self, step: CreateContainer, request: dict[str, Any]) -> dict[str, Any]:
        """The request with the secrets that the container is given, which are put in place."""
        work = secrets.secret_work(step.create)
        if not work:
            return request
        variables = secrets.put(work, self._vault, self._wire, step.subject, self._contents_dir)
        shown = secrets.secret_mounts(work, self._vault, step.subject) if self._vault else []
        labels = {**request["labels"], secrets.LABEL_SECRET_WORK: json.dumps(work)}
        mounts = by_depth([*request.get("mounts", ()), *shown])
        return {**request, "labels": labels, "mounts": mounts, "secret_env": variables}

    def _demand_weight(self, step: CreateContainer, created: Answer) -> None:
        """Podman leaves a weight out with a warning where the kernel does not carry it; we do not."""
        warnings = [text for text in created.json().get("Warnings") or () if "weight" in str(text).lower()]
        if warnings and step.create.resources.io_weight is not None:
            self._things.delete(step.subject)
            raise denied(f"create container {step.subject}", "; ".join(warnings), Refusal.CREATE_FAILED)

    def _reload(self, step: ReloadContainer) -> None:
        present = self._things.ours("containers", step.subject, "reload")
        if present is None:
            raise unavailable(f"reload {step.subject}", "there is no such container (any more)", HoldReason.DEPENDENCY)
        try:
            live.put(self._contents_dir, step.subject, step.mounts, step.configs)
        except MissingError as lost:
            raise denied(f"reload {step.subject}", str(lost), Refusal.CONTENT_MISSING) from lost
        except OSError as broken:
            raise judged(f"reload {step.subject}", str(broken), HoldReason.DEPENDENCY) from broken
        if present.get("State", {}).get("Status") == "running":
            live.send(self._wire, step.subject, step.signal)
        else:
            live.link(self._wire, step.subject, step.mounts)
        live.tell(self._contents_dir, step.subject, step.configs_digest)

    def _start(self, step: StartContainer) -> None:
        answer = self._started(step.subject)
        if not answer.is_ok and step.again is not None and self._is_unclear(answer):
            self._things.delete(step.subject)
            self._create(step.again)
            answer = self._started(step.subject)
        if answer.is_ok:
            return
        action = f"start container {step.subject}"
        self._fail_unless(answer, action, Refusal.START_FAILED)
        if any(words in answer.text().lower() for words in REMAINS):
            self._things.delete(step.subject)
            raise unavailable(action, f"removed what an interrupted start left: {answer.text()}", HoldReason.DEPENDENCY)
        raise denied(action, answer.text(), Refusal.START_FAILED)

    @staticmethod
    def _is_unclear(answer: Answer) -> bool:
        """Whether the words of an error tell nothing of its cause."""
        return judged("start", answer.text(), Refusal.START_FAILED).reason == Refusal.START_FAILED

    def _started(self, name: str) -> Answer:
        """The answer to a start, after all that has to be in place for it."""
        action = f"start container {name}"
        present = self._things.ours("containers", name, "start")
        if present is None:
            raise unavailable(action, "there is no such container (any more)", HoldReason.DEPENDENCY)
        if WOUNDED in present or self._things.is_lost(present):
            self._things.delete(name)
            raise unavailable(action, "removed what was lost; it has to be created again", HoldReason.DEPENDENCY)
        self._put_secrets(name, present)
        try:
            folders.demand_no_links(self._by_path(present), self._contents_dir)
        except MissingError as led_away:
            raise denied(action, str(led_away), Refusal.START_FAILED) from led_away
        answer = self._settle(name, present)
        if answer is None or answer.is_ok:
            answer = self._wire.ask("POST", f"/containers/{name}/start")
        return answer

    def _put_secrets(self, name: str, present: Mapping[str, Any]) -> None:
        """What a container is given, put in place anew: a power cut empties the memory."""
        work = labels_of(present).get(secrets.LABEL_SECRET_WORK)
        if not work or present.get("State", {}).get("Status") in {"running", "paused"}:
            return
        try:
            secrets.put(json.loads(work), self._vault, self._wire, name, self._contents_dir)
        except OSError as broken:
            raise judged(f"start container {name}", f"secrets: {broken}", HoldReason.DEPENDENCY) from broken

    def _by_path(self, present: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Mounts of a container that are host paths; folders inside of volumes are looked after by themselves."""
        work = json.loads(labels_of(present).get(LABEL_VOLUME_WORK) or "[]")
        inside = {task["target"] for task in work if "folder" in task}
        return [one for one in present.get("Mounts") or () if one.get("Destination") not in inside]

    def _settle(self, name: str, present: Mapping[str, Any]) -> Answer | None:
        """What is left to do in volumes before and after mounting them, and before the program starts; what `init`
        answered.
        """
        work = json.loads(labels_of(present).get(LABEL_VOLUME_WORK) or "[]")
        if not work or present.get("State", {}).get("Status") in {"running", "paused"}:
            return None
        places = {one.get("Name", ""): one["Source"] for one in present.get("Mounts") or () if one.get("Source")}
        places |= {volume: self.place(volume) for volume in sorted(subpath.volumes_of(work))}
        try:
            subpath.make(work, places)
            answer = self._wire.ask("POST", f"/containers/{name}/init")
            if answer.is_ok:
                self._demand_folders(name, work, places)
                folders.settle(work, places, self._contents_dir)
        except OSError as broken:
            raise judged(f"start container {name}", f"volume: {broken}", Refusal.START_FAILED) from broken
        return answer

    def _demand_folders(self, name: str, work: Sequence[Mapping[str, Any]], places: Mapping[str, str]) -> None:
        """MissingError, and no container any more, where it has other folders than it should."""
        if not subpath.volumes_of(work):
            return
        table, state = self._things.processes(), (self._things.inspect(name) or {}).get("State", {})
        try:
            if table is None:
                raise MissingError("a folder inside a volume needs an agent on the machine of the engine")
            subpath.demand_mounted(work, places, table.folder(state.get("Pid") or 0))
        except OSError:
            self._things.delete(name)
            raise

    def _stop(self, step: StopContainer) -> None:
        present = self._things.ours("containers", step.subject, "stop")
        if present is None or present.get("State", {}).get("Status") in {"created", "configured", "exited", "stopped"}:
            return
        with suppress(OutsideError):  # how it ends changes nothing
            if step.pre:
                self.probe_exec(step.subject, step.pre, step.timeout)
        seconds = max(0, round(step.timeout.total_seconds()))
        within = seconds + ANSWER_WITHIN.total_seconds()
        path = f"/containers/{step.subject}/stop"
        if present.get("State", {}).get("Status") == "paused":  # frozen, it could not even be killed
            self._wire.ask("POST", f"/containers/{step.subject}/unpause")
        answer = self._wire.ask("POST", path, params={"timeout": str(seconds)}, within=within)
        if self._things.is_lost(present):  # its monitor was killed: Podman says it is stopping, and will for ever
            self._things.delete(step.subject)
        elif not answer.is_ok and answer.status != NOT_FOUND and self._things.runs(step.subject):
            raise judged(f"stop container {step.subject}", answer.text(), HoldReason.ENGINE_UNAVAILABLE)

    # --- inside of containers

    def probe_exec(self, container: str, argv: Sequence[str], timeout: timedelta) -> bool:
        """Run argv in a running container: True where it ends with 0 within `timeout`."""
        return self._listing.probe_exec(container, argv, timeout)

    def _last_words(self, container: str) -> str:
        try:
            return self.logs(container, words.LINES)
        except OutsideError:
            return ""

    def keep_words(self, deployments: Collection[str]) -> None:
        """Drop the last words of containers of other deployments."""
        words.keep_only(self._contents_dir, deployments)

    def logs(self, container: str, lines: int) -> str:
        """The last lines of both streams, oldest first."""
        params = {"stdout": "true", "stderr": "true", "tail": str(lines), "follow": "false"}
        answer = self._wire.ask("GET", f"/containers/{container}/logs", params=params)
        if not answer.is_ok:
            raise judged(f"logs of {container}", answer.text(), HoldReason.ENGINE_UNAVAILABLE)
        return log_text(answer.body)
