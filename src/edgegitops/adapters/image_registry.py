"""A registry, asked what a tag means now, and for manifests and blobs: the Docker Registry HTTP API V2, which is OCI
distribution too.

The digest is the SHA-256 of the manifest's own bytes; a header that says otherwise is a broken registry. An index of
several architectures is taken as it is, so each node finds its own. A registry that asks who we are gets a token, with
the login that `podman login` or `docker login` keeps for it, or as nobody. The token service gets that login only over
https, and only where it has the registry's own host, one above or below it in its domain, or one that the caller
names: a registry does not choose who learns a password. A manifest has the digest that it was asked for by; the bytes
of a blob are for the caller to judge.

TLS is verified with the system's certificates (or those of a file that the caller names), save for registries that the
caller names as plain HTTP.
UnavailableError: no answer, or one that may change. DeniedError: no such image, or not for us.
"""

import hashlib
import json
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse

from edgegitops.adapters.registry_logins import HUB, basic, login_of
from edgegitops.core.model.reasons import Refusal
from edgegitops.errors import DeniedError, UnavailableError

_PORT = "registry"
_TIMEOUT = 30.0
_LARGEST = 4 * 1024 * 1024
_SMALL_WITHIN = 120.0
_PIECE = 256 * 1024
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_PARAMETER = re.compile(r'(?P<key>[a-z]+)="(?P<value>[^"]*)"', re.IGNORECASE)
_HUB_HOST = "registry-1.docker.io"


class ImageRegistry:
    """Asks registries; `insecure` are those (host or host:port) that speak plain HTTP. `auth_file` holds logins; where
    it is empty, the user's own files do. `ca_file` are the authorities that certificates are verified with; `trusted`
    are hosts (as in `registries` of policy.yaml, paths are cut off) whose token services may see any login.
    """

    def __init__(
        self,
        insecure: Collection[str] = (),
        *,
        auth_file: str = "",
        ca_file: str = "",
        trusted: Collection[str] = (),
    ) -> None:
        self._insecure = frozenset(insecure)
        self._trusted = frozenset(_host(one.partition("/")[0]) for one in trusted)
        self._auth_file = auth_file
        self._ca_file = ca_file
        self._tokens: dict[tuple[str, str], str] = {}
        self._withheld: dict[str, str] = {}

    def digest(self, image: str) -> str:
        """`sha256:…` of `registry/name:tag`; the tag is `latest` where none is written."""
        headers, data = self._whole(image, "manifests", _parts(image)[2])
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        claimed = headers.get("docker-content-digest", found)
        if claimed.startswith("sha256:") and claimed != found:
            words = f"the registry says {claimed}, but its bytes are {found}"
            raise UnavailableError(_PORT, f"ask for {image}", words)
        return found

    def manifest(self, reference: str, digest: str) -> bytes:
        """The manifest `sha256:…` of `registry/name`. DeniedError (digest-mismatch): its bytes have another digest.
        What is no manifest at all is the word of something on the way, such as a proxy.
        """
        headers, data = self._whole(reference, "manifests", digest)
        kind = headers.get("content-type", "").partition(";")[0]
        if kind not in _MANIFESTS:
            raise UnavailableError(_PORT, f"ask for {reference}", f"the answer is no manifest, but {kind or 'nothing'}")
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            words = f"these bytes are not {digest}"
            raise DeniedError(_PORT, f"ask for {reference}", words, reason=Refusal.DIGEST_MISMATCH)
        return data

    @contextmanager
    def blob(self, reference: str, digest: str, begin: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The bytes of the blob `sha256:…` of `registry/name`, from `begin` on where the registry can, else from 0:
        where they begin, and the pieces. They are nobody's word until they are hashed.
        """
        with self._opened(reference, "blobs", digest, begin) as answer:
            is_part = answer.status == HTTPStatus.PARTIAL_CONTENT
            start = _first_of(answer.headers.get("Content-Range", "")) if is_part else 0
            yield start, _pieces(answer, reference)

    def _whole(self, reference: str, kind: str, which: str) -> tuple[Mapping[str, str], bytes]:
        """Headers in lower case and the body of a small answer."""
        with self._opened(reference, kind, which) as answer:
            data = b"".join(_pieces(answer, reference, at_most=_LARGEST))
            return {name.lower(): value for name, value in answer.headers.items()}, data

    def _opened(self, reference: str, kind: str, which: str, begin: int = 0) -> HTTPResponse:
        """The open answer for `/v2/<repository>/<kind>/<which>`, after saying who we are where that is asked."""
        registry, repository, _ = _parts(reference)
        name = f"{registry}/{repository}"
        host = _HUB_HOST if registry == HUB else registry
        url = f"{'http' if registry in self._insecure else 'https'}://{host}/v2/{repository}/{kind}/{which}"
        headers = {"Accept": ", ".join(_MANIFESTS)} if kind == "manifests" else {}
        if begin:
            headers["Range"] = f"bytes={begin}-"
        try:
            return self._fetch(url, self._tokens.get((registry, repository), ""), headers)
        except urllib.error.HTTPError as refusal:
            challenge = refusal.headers.get("WWW-Authenticate", "")
            refusal.close()
            if refusal.code != HTTPStatus.UNAUTHORIZED or not challenge:
                raise _told(refusal, reference) from refusal
        except (OSError, HTTPException, ValueError) as error:
            raise _unanswered(error, reference, url) from error
        try:
            token = self._tokens[registry, repository] = self._authorization(challenge, name)
            return self._fetch(url, token, headers)
        except urllib.error.HTTPError as refusal:
            self._tokens.pop((registry, repository), None)
            refusal.close()
            raise _told(refusal, reference, self._withheld.get(name, "")) from refusal
        except (OSError, HTTPException, ValueError) as error:
            raise _unanswered(error, reference, url) from error

    def _fetch(self, url: str, authorization: str, headers: Mapping[str, str]) -> HTTPResponse:
        request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - https, or asked for
        if authorization:
            request.add_unredirected_header("Authorization", authorization)  # a redirect may lead to somebody else
        context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else None
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT, context=context)  # noqa: S310 - the same
        return answer

    def _authorization(self, challenge: str, name: str) -> str:
        """The header that answers a challenge of `registry/repository`."""
        login = basic(login_of(name, self._auth_file))
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            return login
        asked = {match["key"].lower(): match["value"] for match in _PARAMETER.finditer(rest)}
        realm = asked.get("realm", "")
        if kind.lower() != "bearer" or not realm.startswith(("https://", "http://")):
            raise ValueError(f"it asks for {kind or 'nothing'}, which is not known here")
        scope = asked.get("scope") or f"repository:{name.partition('/')[2]}:pull"
        query = {"scope": scope, **({"service": asked["service"]} if "service" in asked else {})}
        url = f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}"
        self._withheld[name] = urllib.parse.urlsplit(realm).netloc if login and not self._may_see(realm, name) else ""
        with self._fetch(url, "" if self._withheld[name] else login, {}) as answer:
            said = json.loads(b"".join(_pieces(answer, name, at_most=_LARGEST)))
        token = said.get("token") or said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token:
            raise ValueError("its token service gave no token")
        return f"Bearer {token}"

    def _may_see(self, realm: str, name: str) -> bool:
        """Whether a token service may see the login of `registry/repository`."""
        ours, its = _host(name.partition("/")[0]), _host(urllib.parse.urlsplit(realm).netloc)
        is_of_domain = min(_depth(ours), _depth(its)) > 1 and (ours.endswith(f".{its}") or its.endswith(f".{ours}"))
        return realm.startswith("https://") and (its == ours or its in self._trusted or is_of_domain)


def _host(place: str) -> str:
    """The name of `[user@]host[:port]`."""
    return urllib.parse.urlsplit(f"//{place}").hostname or ""


def _depth(host: str) -> int:
    """How many parts the name of a host has; 0: it is an address."""
    parts = host.split(".")
    return 0 if ":" in host or parts[-1].isdigit() else len(parts)


def _parts(image: str) -> tuple[str, str, str]:
    """Registry, repository and tag."""
    registry, slash, rest = image.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        raise DeniedError(_PORT, f"ask for {image}", f"the image does not name its registry; write {HUB}/{image}?")
    name, _, tag = rest.partition(":")
    if registry == HUB and "/" not in name:
        name = f"library/{name}"
    return registry, name, tag or "latest"


def _pieces(answer: HTTPResponse, reference: str, at_most: int | None = None) -> Iterator[bytes]:
    """The body in pieces. UnavailableError: it broke off, or is larger than it may be."""
    got, told = 0, answer.headers.get("Content-Length") or ""
    ends_at = time.monotonic() + _SMALL_WITHIN
    while piece := _piece(answer, reference):
        got += len(piece)
        if at_most is not None and time.monotonic() > ends_at:
            raise UnavailableError(_PORT, f"ask for {reference}", "its answer takes too long")
        if at_most is not None and got > at_most:
            raise UnavailableError(_PORT, f"ask for {reference}", f"the answer has more than {at_most} bytes")
        yield piece
    if told.isdigit() and got < int(told):
        raise UnavailableError(_PORT, f"ask for {reference}", f"the answer broke off after {got} of {told} bytes")


def _piece(answer: HTTPResponse, reference: str) -> bytes:
    try:
        return answer.read1(_PIECE)  # what is there: one that waits for a whole piece waits as long as a server likes
    except (OSError, HTTPException, ValueError) as error:
        raise _unanswered(error, reference, answer.url) from error


def _first_of(content_range: str) -> int:
    """`bytes 5-9/10` -> 5."""
    first = content_range.removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else 0


def _told(refusal: urllib.error.HTTPError, image: str, withheld: str = "") -> DeniedError | UnavailableError:
    """What a refusal is to us; `withheld` is the token service that was not shown our login."""
    action = f"ask for {image}"
    match refusal.code:
        case HTTPStatus.NOT_FOUND:
            return DeniedError(_PORT, action, "there is no such name or tag", reason="image-unknown")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            words = f"it is not for us ({refusal.code}); run `podman login {image.partition('/')[0]}`"
            if withheld:
                words = (
                    f"it is not for us ({refusal.code}): its token service {withheld} is another's and was not shown"
                    " the login; where that is right, name the service under registries of policy.yaml"
                )
            return DeniedError(_PORT, action, words, reason="credential-denied")
        case _:
            return UnavailableError(_PORT, action, f"the registry answers {refusal.code} {refusal.reason}")


def _unanswered(error: Exception, image: str, url: str) -> UnavailableError:
    cause = getattr(error, "reason", None) or error
    words = getattr(cause, "strerror", None) or str(cause)  # the system's words, without its number
    hint = ""
    if "SSL" in words or "TLS" in words:
        hint = f"; is it plain HTTP? then add --insecure {urllib.parse.urlsplit(url).netloc}"
    return UnavailableError(_PORT, f"ask for {image}", f"{words}{hint}")
