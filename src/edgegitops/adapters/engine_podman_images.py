"""Law: an image is on the node under the name that the manifest has, wherever it was fetched from.

What is there is not asked for again. Mirrors are asked in order, then the registry itself, whose words are told where
nobody had it. Errors of a pull come inside of an answer that says 200, so the answer is read to its end. An image that
a container uses is not removed, and that is no error.

This is the one door to podman-py, which is loaded by the first pull: where nothing is fetched, nobody pays for it.
"""

import json
import time
from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote

from edgegitops.adapters.engine_podman_wire import NOT_FOUND, Answer, Wire, judged, unavailable
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.steps import PullImage, RemoveImage
from edgegitops.errors import OutsideError

PULL_WITHIN = timedelta(minutes=30)
API_VERSION = "4.0.0"
_SHORT = 12


def pull(wire: Wire, step: PullImage) -> None:
    """Make the image present. OutsideError: neither a mirror nor the registry gave it."""
    if _is_there(wire, step.subject):
        return
    for mirror in step.mirrors:
        with suppress(OutsideError):
            _fetch(wire, mirror)
            _rename(wire, mirror, step.subject)
            return
    _fetch(wire, step.subject)


def remove_image(wire: Wire, step: RemoveImage) -> None:
    """Remove it under every name, unless a container uses it."""
    answer = wire.ask("DELETE", _path(step.subject))
    is_in_use = "in use" in answer.text() or "used by" in answer.text()
    if not answer.is_ok and answer.status != NOT_FOUND and not is_in_use:
        raise judged(f"remove image {step.subject}", answer.text(), HoldReason.ENGINE_UNAVAILABLE)


def _path(image: str) -> str:
    return f"/images/{quote(image, safe='')}"


def _is_there(wire: Wire, image: str) -> bool:
    return wire.ask("GET", f"{_path(image)}/exists").is_ok


def _fetch(wire: Wire, image: str) -> None:
    action = f"POST /images/pull of {image}"
    answer = _pulled(wire, action, image)
    if not answer.is_ok:
        raise judged(action, answer.text(), HoldReason.IMAGE_UNAVAILABLE)
    lines = [json.loads(line) for line in answer.body.splitlines() if line.startswith(b"{")]
    errors = [str(line["error"]) for line in lines if line.get("error")]
    if errors or not any(line.get("id") for line in lines):
        raise judged(action, "; ".join(errors) or "the engine ended without an image", HoldReason.IMAGE_UNAVAILABLE)


def _pulled(wire: Wire, action: str, image: str) -> Answer:
    """The whole answer of a pull, which tells of its progress until it ends."""
    from podman import PodmanClient
    from podman.errors import PodmanError

    wire.ask("GET", "/_ping")  # podman-py leaks a socket where nobody listens
    most, body = PULL_WITHIN.total_seconds(), b""
    ends_at = time.monotonic() + most
    params = {"reference": image, "policy": "missing"}
    try:
        with PodmanClient(base_url=wire.url, version=API_VERSION) as client:
            answer = client.api.post("/images/pull", params=params, timeout=most / 2, stream=True)
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
    name, _, digest = image.partition("@")
    tag = f"mirrored-{digest.rpartition(':')[2][:_SHORT]}"
    answer = wire.ask("POST", f"{_path(mirror)}/tag", params={"repo": name, "tag": tag})
    if not answer.is_ok or not _is_there(wire, image):
        raise judged(f"tag {mirror} as {image}", answer.text(), HoldReason.IMAGE_UNAVAILABLE)
