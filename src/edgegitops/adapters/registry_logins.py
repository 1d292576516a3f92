"""Law: a login is shown only to the registry that it was kept for; nothing here is ever logged or put into an error.

Files are those of `podman login` and `docker login` (containers-auth.json(5)): `auths` by registry, or by registry and
the beginning of a path, of which the longest counts. A file that the node names is the only one that is asked, and one
that cannot be read is an error; without a name the user's own files are looked for.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

from edgegitops.core.model.reasons import HoldReason
from edgegitops.errors import UnavailableError

PORT = "registry"
HUB = "docker.io"
_HUB_LOGIN = "https://index.docker.io/v1/"


def login_of(name: str, file: str = "") -> tuple[str, str] | None:
    """User and password for an image or artifact (`registry/path…`, without tag); None where none is kept.

    UnavailableError (credential-denied): the named file cannot be read, or is no such file.
    """
    if file:
        try:
            return _find(name, json.loads(Path(file).read_text("utf-8")), is_docker=False)
        except OSError as error:
            raise _unread(file, error.strerror or type(error).__name__) from error
        except (ValueError, TypeError, AttributeError) as error:
            raise _unread(file, "it does not look like a file of `podman login`") from error
    for one in _own_files():
        try:
            found = _find(name, json.loads(one.read_text("utf-8")), is_docker=one.parts[-2] == ".docker")
        except (OSError, ValueError, TypeError, AttributeError):
            continue
        if found:
            return found
    return None


def basic(login: tuple[str, str] | None) -> str:
    """A login as it goes into a header; empty where there is none."""
    return f"Basic {base64.b64encode(':'.join(login).encode()).decode()}" if login else ""


def pull_header(login: tuple[str, str] | None) -> dict[str, str]:
    """The header that hands a login to Podman for one pull."""
    if login is None:
        return {}
    said = json.dumps({"username": login[0], "password": login[1]})
    return {"X-Registry-Auth": base64.urlsafe_b64encode(said.encode()).decode()}


def _find(name: str, tree: Any, *, is_docker: bool) -> tuple[str, str] | None:  # noqa: ANN401 - JSON is what it is
    kept = tree.get("auths") or {}
    parts = name.split("/")
    for count in range(len(parts), 0, -1):
        key = "/".join(parts[:count])
        entry = kept.get(_HUB_LOGIN if is_docker and key == HUB else key)
        if isinstance(entry, dict) and entry.get("auth"):
            user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
            return user, password
    return None


def _unread(file: str, words: str) -> UnavailableError:
    text = f"the login file {file} (registry.authFile of node.yaml) cannot be read: {words}"
    return UnavailableError(PORT, "log in", text, reason=HoldReason.CREDENTIAL_DENIED)


def _own_files() -> list[Path]:
    named = os.environ.get("REGISTRY_AUTH_FILE")
    if named:
        return [Path(named)]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    files = [Path(runtime) / "containers/auth.json"] if runtime else []
    try:
        home = Path.home()
    except RuntimeError:
        return files
    return [*files, home / ".config/containers/auth.json", home / ".docker/config.json"]
