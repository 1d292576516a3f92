"""Law: an image is on the node under the name that the manifest has, wherever it was fetched from, and is that image.

1. What is there is not asked for again. Mirrors are asked in order, then the registry itself, whose words are told
   where nobody had it.
2. Each registry is shown the login that is kept for it, and no other; a login that is not accepted names its file.
3. Errors of a pull come inside of an answer that says 200, so the answer is read to its end. Then the engine is asked
   which digest it has: another one than was asked for is removed and refused.
4. What was fetched is on the disk before anybody is told: Podman does not wait for that, and a power loss within half a
   minute would leave an image of empty files.
5. An image that a container uses, or that somebody gave a name of his own, is not removed, and that is no error.

This is the one door to podman-py, which is loaded by the first pull: where nothing is fetched, nobody pays for it.
"""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgegitops.adapters.engine_podman_wire import NOT_FOUND, Answer, Wire, denied, judged, unavailable
from edgegitops.adapters.registry_logins import login_of, pull_header
from edgegitops.adapters.sync_linux import sync
from edgegitops.core.model.node_config import RegistryAccess
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.steps import PullImage, RemoveImage
from edgegitops.errors import OutsideError

PULL_WITHIN = timedelta(minutes=30)
API_VERSION = "4.0.0"
_SHORT = 12
_STRANGE_AUTHORITY = "x509"


def pull(wire: Wire, step: PullImage, registry: RegistryAccess) -> None:
    """Make the image present. OutsideError: neither a mirror nor the registry gave it."""
    if is_there(wire, step.subject):
        return
    for mirror in step.mirrors:
        with suppress(OutsideError):
            _fetch(wire, mirror, registry)
            _rename(wire, mirror, step.subject)
            _keep(wire)
            return
    _fetch(wire, step.subject, registry)
    _keep(wire)


def _keep(wire: Wire) -> None:
    """Wait until the disk of the images has all that was written to it."""
    try:
        sync(Path(_root_of(wire)))
    except FileNotFoundError:  # its disk is not this machine's
        return
    except OSError as broken:
        raise unavailable("sync the images", str(broken), HoldReason.DISK_FAILED) from broken


@cache
def _root_of(wire: Wire) -> str:
    """Where the engine keeps its images: a long answer, so it is asked for once."""
    store = wire.ask("GET", "/info").json().get("store") or {}
    return str(store.get("graphRoot"))


def remove_image(wire: Wire, step: RemoveImage) -> None:
    """Remove it under every name, unless a container uses it or somebody named it."""
    present = _inspect(wire, step.subject)
    tags = (present or {}).get("RepoTags") or ()
    if present is None or any(not tag.endswith(f":{_mirror_tag(step.subject)}") for tag in tags):
        return
    answer = wire.ask("DELETE", _path(step.subject))
    is_in_use = any(words in answer.text() for words in ("in use", "used by", "dependent child"))
    if not answer.is_ok and answer.status != NOT_FOUND and not is_in_use:
        raise judged(f"remove image {step.subject}", answer.text(), HoldReason.ENGINE_UNAVAILABLE)


def _path(image: str) -> str:
    return f"/images/{quote(image, safe='')}"


def is_there(wire: Wire, image: str) -> bool:
    """Whether the engine has the image under this name."""
    return wire.ask("GET", f"{_path(image)}/exists").is_ok


def _inspect(wire: Wire, image: str) -> Mapping[str, Any] | None:
    answer = wire.ask("GET", f"{_path(image)}/json")
    if answer.status == NOT_FOUND:
        return None
    if not answer.is_ok:
        raise judged(f"inspect image {image}", answer.text(), HoldReason.ENGINE_UNAVAILABLE)
    tree: Mapping[str, Any] = answer.json()
    return tree


def _fetch(wire: Wire, image: str, registry: RegistryAccess) -> None:
    action = f"POST /images/pull of {image}"
    answer = _pulled(wire, action, image, registry)
    if not answer.is_ok:
        raise _told(action, answer.text(), registry)
    lines = [json.loads(line) for line in answer.body.splitlines() if line.startswith(b"{")]
    errors = [str(line["error"]) for line in lines if line.get("error")]
    if errors or not any(line.get("id") for line in lines):
        raise _told(action, "; ".join(errors) or "the engine ended without an image", registry)
    _demand_digest(wire, image)


def _told(action: str, words: str, registry: RegistryAccess) -> OutsideError:
    """What a pull failed of, with the file that a person may have to change."""
    error = judged(action, words, HoldReason.IMAGE_UNAVAILABLE)
    if error.reason == HoldReason.CREDENTIAL_DENIED:
        file = registry.auth_file or "none is named in node.yaml, so Podman's own"
        return unavailable(action, f"{words} (registry.authFile: {file})", HoldReason.CREDENTIAL_DENIED)
    if _STRANGE_AUTHORITY in words:
        hint = "Podman looks for authorities in /etc/containers/certs.d/<registry>/*.crt"
        return unavailable(action, f"{words} ({hint})", HoldReason.IMAGE_UNAVAILABLE)
    return error


def _demand_digest(wire: Wire, image: str) -> None:
    """The engine verifies what it pulls; that it has, is seen here."""
    digest = image.rpartition("@")[2]
    present = _inspect(wire, image) or {}
    known = {present.get("Digest"), *(one.rpartition("@")[2] for one in present.get("RepoDigests") or ())}
    if digest in known:
        return
    with suppress(OutsideError):
        wire.ask("DELETE", _path(image))
    words = f"the engine has {present.get('Digest') or 'nothing'} after a pull of {digest}"
    raise denied(f"pull {image}", words, Refusal.IMAGE_DIGEST_WRONG)


def _mirror_tag(image: str) -> str:
    return f"mirrored-{image.rpartition(':')[2][:_SHORT]}"


def _pulled(wire: Wire, action: str, image: str, registry: RegistryAccess) -> Answer:
    """The whole answer of a pull, which tells of its progress until it ends."""
    from podman import PodmanClient
    from podman.errors import PodmanError

    wire.ask("GET", "/_ping")  # podman-py leaks a socket where nobody listens
    most, body = PULL_WITHIN.total_seconds(), b""
    ends_at = time.monotonic() + most
    name = image.partition("@")[0]
    params = {"reference": image, "policy": "missing"}
    if name.partition("/")[0] in registry.insecure:
        params["tlsVerify"] = "false"
    headers = pull_header(login_of(name, registry.auth_file)) if registry.auth_file else {}
    try:
        with PodmanClient(base_url=wire.url, version=API_VERSION) as client:
            answer = client.api.post("/images/pull", params=params, headers=headers, timeout=most / 2, stream=True)
            for chunk in answer.iter_content(65536):
                body += chunk
                if time.monotonic() > ends_at:
                    raise TimeoutError(f"no end of the answer within {most:.0f} s")
            return Answer(answer.status_code, body)
    except (PodmanError, OSError) as broken:
        raise unavailable(action, f"{wire.url}: {_root(broken)}") from broken


def _root(error: BaseException) -> str:
    """The innermost cause: the outer ones only say that a request failed."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__


def _rename(wire: Wire, mirror: str, image: str) -> None:
    """Give what came from a mirror a tag under the name of the manifest: then its digest is found there too."""
    params = {"repo": image.partition("@")[0], "tag": _mirror_tag(image)}
    answer = wire.ask("POST", f"{_path(mirror)}/tag", params=params)
    if not answer.is_ok or not is_there(wire, image):
        raise judged(f"tag {mirror} as {image}", answer.text(), HoldReason.IMAGE_UNAVAILABLE)
