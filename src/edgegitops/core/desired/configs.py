"""Law: a config is one file or one folder of files, known by the SHA-256 of what the container will read.

Sources: `file` and `directory` beside the application, found by Git blob id in a lookup that is handed in, or `inline`
text. With `template: true` the references in it are replaced first; `binary: true` says that the content is no text and
never will be a template. A template may use the `secrets` that it lists: where they belong it has marks, which are
filled in on the node, in memory. Paths cannot leave the application's folder. The sizes are asked for before the bytes
are; all configs of an application together are bounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgegitops.core.desired.places import did_you_mean
from edgegitops.core.desired.reading import Cursor, Keys, unknown
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.manifests import Application
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.secrets import SecretRef, has_other_nul

LARGEST_TOTAL = 64 * 1024 * 1024
_KEYS = Keys(
    frozenset({"file", "directory", "inline", "template", "secrets", "binary", "description"}),
)
_SOURCES = ("file", "directory", "inline")


@dataclass(frozen=True, slots=True)
class Config:
    """Contents by relative path; a single file has the empty path. `secrets` (name: version) belong into marks."""

    contents: Mapping[str, bytes]
    is_folder: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of(contents: Mapping[str, bytes], secrets: Mapping[str, int], *, is_folder: bool) -> "Config":
        """The config with the digests worked out."""
        digests = {path: sha256_hex(data) for path, data in sorted(contents.items())}
        return Config(contents, is_folder, digests, secrets)


class ConfigReader:
    """Reads the configs of one application; `left` are the bytes that may still be read."""

    def __init__(
        self, application: Application, objects: Objects, secrets: Mapping[str, SecretRef | None] | None = None
    ) -> None:
        self._secrets = secrets or {}
        self._files = application.files
        self._objects = objects
        self._left = LARGEST_TOTAL

    def read(self, spot: Cursor) -> Config | None:
        """The config declared at `spot`; None where a fault was noted."""
        before = len(spot.scope.faults)
        fields = spot.fields(_KEYS)
        sources = [name for name in _SOURCES if name in fields]
        if len(sources) != 1:
            spot.note(FaultCode.MISSING_FIELD, f"{len(sources)} sources", "exactly one of file, directory, inline")
            return None
        is_template = "template" in fields and fields["template"].flag()
        source = fields[sources[0]]
        if "binary" in fields and fields["binary"].flag() and (is_template or sources[0] == "inline"):
            fields["binary"].note(FaultCode.WRONG_VALUE, "a template and inline text are text", "a file or directory")
        contents = self._contents(sources[0], source, is_template=is_template)
        listed = self._listed(fields["secrets"], is_template=is_template) if "secrets" in fields else {}
        used: set[str] = set()
        if is_template:
            contents = {path: _rendered(source, path, data, (listed, used)) for path, data in contents.items()}
        secrets = {name: ref.version for name, ref in listed.items() if ref and name in used}
        is_fine = len(spot.scope.faults) == before
        return Config.of(contents, secrets, is_folder=sources[0] == "directory") if is_fine else None

    def _listed(self, spot: Cursor, *, is_template: bool) -> dict[str, SecretRef | None]:
        """The secrets that the template may use; None: it is faulty, which is told already."""
        if not is_template:
            spot.note(FaultCode.WRONG_VALUE, "secrets are for templates", "template: true")
        names = {item.text(): item for item in spot.items()}
        for name, item in names.items():
            if name not in self._secrets:
                unknown(item, "secret", name, self._secrets)
        return {name: self._secrets.get(name) for name in sorted(names)}

    def _contents(self, kind: str, source: Cursor, *, is_template: bool) -> dict[str, bytes]:
        if kind == "inline":
            text = source.tree if is_template and isinstance(source.tree, str) else source.text()
            return {"": text.encode()}
        path = _inside(source)
        if not path:
            return {}
        if kind == "file":
            return self._file(source, path)
        return self._folder(source, path)

    def _file(self, source: Cursor, path: str) -> dict[str, bytes]:
        if path not in self._files:
            near = did_you_mean(path, self._files)
            source.note(FaultCode.FILE_MISSING, f"no file {path!r} beside the application", suggestion=near)
            return {}
        return {"": self._blob(source, path)}

    def _folder(self, source: Cursor, path: str) -> dict[str, bytes]:
        prefix = f"{path}/"
        found = [name for name in sorted(self._files) if name.startswith(prefix)]
        if not found:
            folders = {name.rpartition("/")[0] for name in self._files}
            near = did_you_mean(path, folders - {""})
            source.note(FaultCode.FILE_MISSING, f"no files under {path!r} beside the application", suggestion=near)
        return {name.removeprefix(prefix): self._blob(source, name) for name in found}

    def _blob(self, source: Cursor, path: str) -> bytes:
        header = self._objects.header(self._files[path])
        if header is None or header.kind != "blob":
            source.note(FaultCode.FILE_MISSING, f"the content of {path!r} is not in the repository's objects")
            return b""
        if header.size > self._left:
            source.note(FaultCode.TOO_LARGE, f"{path!r}: too much config", f"{LARGEST_TOTAL} bytes an application")
            return b""
        self._left -= header.size
        found = self._objects.read(self._files[path])
        if found is None:
            source.note(FaultCode.FILE_MISSING, f"the content of {path!r} is not in the repository's objects")
            return b""
        return found.data


def _rendered(
    source: Cursor, path: str, data: bytes, secrets: tuple[Mapping[str, SecretRef | None], set[str]]
) -> bytes:
    """The text with its references replaced, and with marks where secrets belong; notes which are used."""
    listed, used = secrets
    try:
        text = data.decode()
    except UnicodeDecodeError:
        source.note(FaultCode.NOT_UTF8, f"{path or source.tree!r} is a template and no UTF-8 text")
        return data
    if listed and "\0" in text:
        source.note(FaultCode.WRONG_FORMAT, f"{path or 'the text'} holds a NUL, and secrets", "a text without NUL")
        return data
    made = source.scope.values.expand(text, source.place, listed, used)
    if used and has_other_nul(made):
        source.note(FaultCode.WRONG_VALUE, f"a value brings a NUL into {path or 'a text'} with secrets", "no NUL in it")
    return made.encode()


def _inside(source: Cursor) -> str:
    """The path without `.` parts and slashes at its end; empty where it is faulty."""
    text = source.text()
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if text.startswith("/") or ".." in parts or not parts:
        source.note(FaultCode.PATH_ESCAPES, f"{text!r} leaves the application's folder", "a relative path inside it")
        return ""
    return "/".join(parts)
