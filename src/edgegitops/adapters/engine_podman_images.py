"""Law: an image is on the node under the name that the manifest has, wherever it was fetched from.

What is there is not asked for again. Mirrors are asked in order, then the registry itself, whose words are told where
nobody had it. Errors of a pull come inside of an answer that says 200, so the answer is read to its end. An image that
a container uses is not removed, and that is no error.
"""

import json
from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote

from edgegitops.adapters.engine_podman_wire import NOT_FOUND, Answer, Wire, judged
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.steps import PullImage, RemoveImage
from edgegitops.errors import OutsideError

PULL_WITHIN = timedelta(minutes=30)
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
    status, body = 0, b""
    params = {"reference": image, "policy": "missing"}
    for status, chunk in wire.stream("POST /images/pull", params=params, within=PULL_WITHIN.total_seconds() / 2):  # noqa: B007
        body += chunk
    answer = Answer(status, body)
    if not answer.is_ok:
        raise judged(action, answer.text(), HoldReason.IMAGE_UNAVAILABLE)
    lines = [json.loads(line) for line in body.splitlines() if line.startswith(b"{")]
    errors = [str(line["error"]) for line in lines if line.get("error")]
    if errors or not any(line.get("id") for line in lines):
        raise judged(action, "; ".join(errors) or "the engine ended without an image", HoldReason.IMAGE_UNAVAILABLE)


def _rename(wire: Wire, mirror: str, image: str) -> None:
    """Give what came from a mirror a tag under the name of the manifest: then its digest is found there too."""
    name, _, digest = image.partition("@")
    tag = f"mirrored-{digest.rpartition(':')[2][:_SHORT]}"
    answer = wire.ask("POST", f"{_path(mirror)}/tag", params={"repo": name, "tag": tag})
    if not answer.is_ok or not _is_there(wire, image):
        raise judged(f"tag {mirror} as {image}", answer.text(), HoldReason.IMAGE_UNAVAILABLE)
