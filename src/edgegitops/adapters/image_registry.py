"""An image registry, asked what a tag means now: the Docker Registry HTTP API V2, which is OCI distribution too.

The digest is the SHA-256 of the manifest's own bytes; a header that says otherwise is a broken registry. An index of
several architectures is taken as it is, so each node finds its own. A registry that asks who we are gets a token, with
the login that `podman login` or `docker login` keeps for it, or as nobody. Nothing is ever pulled.

TLS is verified with the system's certificates, save for registries that the caller names as plain HTTP.
UnavailableError: no answer, or one that may change. DeniedError: no such image, or not for us.
"""

import base64
import hashlib
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Mapping
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any

from edgegitops.errors import DeniedError, UnavailableError

_PORT = "registry"
_TIMEOUT = 30.0
_LARGEST = 4 * 1024 * 1024
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_PARAMETER = re.compile(r'(?P<key>[a-z]+)="(?P<value>[^"]*)"', re.IGNORECASE)
_HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
_HUB_LOGIN = "https://index.docker.io/v1/"


class ImageRegistry:
    """Asks registries; `insecure` are those (host or host:port) that speak plain HTTP."""

    def __init__(self, insecure: Collection[str] = ()) -> None:
        self._insecure = frozenset(insecure)
        self._tokens: dict[tuple[str, str], str] = {}

    def digest(self, image: str) -> str:
        """`sha256:…` of `registry/name:tag`; the tag is `latest` where none is written."""
        registry, repository, tag = _parts(image)
        host = _HUB_HOST if registry == _HUB else registry
        url = f"{'http' if registry in self._insecure else 'https'}://{host}/v2/{repository}/manifests/{tag}"
        headers, data = self._get(url, image, registry, repository)
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        claimed = headers.get("docker-content-digest", found)
        if claimed.startswith("sha256:") and claimed != found:
            words = f"the registry says {claimed}, but its bytes are {found}"
            raise UnavailableError(_PORT, f"ask for {image}", words)
        return found

    def _get(self, url: str, image: str, registry: str, repository: str) -> tuple[Mapping[str, str], bytes]:
        token = self._tokens.get((registry, repository), "")
        try:
            return _fetch(url, token, accept=_MANIFESTS)
        except urllib.error.HTTPError as refusal:
            challenge = refusal.headers.get("WWW-Authenticate", "")
            refusal.close()
            if refusal.code != HTTPStatus.UNAUTHORIZED or token or not challenge:
                raise _told(refusal, image) from refusal
        except (OSError, HTTPException, ValueError) as error:
            raise _unanswered(error, image, url) from error
        try:
            token = self._tokens[registry, repository] = _authorization(challenge, registry, repository)
            return _fetch(url, token, accept=_MANIFESTS)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            raise _told(refusal, image) from refusal
        except (OSError, HTTPException, ValueError) as error:
            raise _unanswered(error, image, url) from error


def _parts(image: str) -> tuple[str, str, str]:
    """Registry, repository and tag."""
    registry, slash, rest = image.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        raise DeniedError(_PORT, f"ask for {image}", f"the image does not name its registry; write {_HUB}/{image}?")
    name, _, tag = rest.partition(":")
    if registry == _HUB and "/" not in name:
        name = f"library/{name}"
    return registry, name, tag or "latest"


def _fetch(url: str, authorization: str, *, accept: tuple[str, ...] = ()) -> tuple[Mapping[str, str], bytes]:
    """Headers in lower case and the body."""
    request = urllib.request.Request(url, headers={"Accept": ", ".join(accept)} if accept else {})  # noqa: S310 - https, or asked for
    if authorization:
        request.add_unredirected_header("Authorization", authorization)  # a redirect may lead to somebody else
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 - the same
        data: bytes = answer.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError(f"more than {_LARGEST} bytes")
        return {name.lower(): value for name, value in answer.headers.items()}, data


def _authorization(challenge: str, registry: str, repository: str) -> str:
    """The header that answers a challenge."""
    login = _login(registry)
    kind, _, rest = challenge.partition(" ")
    if kind.lower() == "basic":
        return f"Basic {login}" if login else ""
    asked = {match["key"].lower(): match["value"] for match in _PARAMETER.finditer(rest)}
    realm = asked.get("realm", "")
    if kind.lower() != "bearer" or not realm.startswith(("https://", "http://")):
        raise ValueError(f"it asks for {kind or 'nothing'}, which is not known here")
    is_open = realm.startswith("http://")
    scope = asked.get("scope") or f"repository:{repository}:pull"
    query = {"scope": scope, **({"service": asked["service"]} if "service" in asked else {})}
    url = f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}"
    # a password never goes over the wire in clear to a place that the registry chose
    _, data = _fetch(url, f"Basic {login}" if login and not is_open else "")
    said = json.loads(data)
    token = said.get("token") or said.get("access_token") if isinstance(said, dict) else None
    if not isinstance(token, str) or not token:
        raise ValueError("its token service gave no token")
    return f"Bearer {token}"


def _login(registry: str) -> str:
    """What `podman login` or `docker login` keeps for a registry, as it goes into a header; empty where nothing."""
    for file in _login_files():
        try:
            tree: Any = json.loads(file.read_text("utf-8"))
            entry = tree["auths"][_HUB_LOGIN if registry == _HUB and "docker" in file.parts[-2] else registry]
            kept = str(entry["auth"])
            base64.b64decode(kept, validate=True)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return kept
    return ""


def _login_files() -> list[Path]:
    named = os.environ.get("REGISTRY_AUTH_FILE")
    if named:
        return [Path(named)]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    home = Path.home()
    files = [Path(runtime) / "containers/auth.json"] if runtime else []
    return [*files, home / ".config/containers/auth.json", home / ".docker/config.json"]


def _told(refusal: urllib.error.HTTPError, image: str) -> DeniedError | UnavailableError:
    action = f"ask for {image}"
    match refusal.code:
        case HTTPStatus.NOT_FOUND:
            return DeniedError(_PORT, action, "there is no such name or tag", reason="image-unknown")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            words = f"it is not for us ({refusal.code}); run `podman login {image.partition('/')[0]}`"
            return DeniedError(_PORT, action, words, reason="credential-denied")
        case _:
            return UnavailableError(_PORT, action, f"the registry answers {refusal.code} {refusal.reason}")


def _unanswered(error: Exception, image: str, url: str) -> UnavailableError:
    words = str(getattr(error, "reason", None) or error)
    hint = ""
    if "SSL" in words or "TLS" in words:
        hint = f"; is it plain HTTP? then add --insecure {urllib.parse.urlsplit(url).netloc}"
    return UnavailableError(_PORT, f"ask for {image}", f"{words}{hint}")
