"""Law: a probe asks in exactly one way, from outside of the engine; what is left out has the published default."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.quantities import parse_duration
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Probe

_WAYS = ("http", "tcp", "grpc", "exec")
_COUNTS = (("failureThreshold", "failure_threshold"), ("successThreshold", "success_threshold"))
_SPANS = (("interval", "interval"), ("timeout", "timeout"), ("startPeriod", "start_period"))
_KEYS = Keys(
    frozenset({*_WAYS, *(key for key, _ in (*_COUNTS, *_SPANS))}),
    frozenset(),
    (
        ("httpGet", "http"),
        ("tcpSocket", "tcp"),
        ("periodSeconds", "interval"),
        ("timeoutSeconds", "timeout"),
        ("initialDelaySeconds", "startPeriod"),
        ("test", "exec"),
        ("retries", "failureThreshold"),
    ),
)
_HTTP_KEYS = Keys(frozenset({"port", "path", "scheme", "headers", "status", "bodyContains", "tlsVerify"}))
_GRPC_KEYS = Keys(frozenset({"port", "service"}))
_TCP_KEYS = Keys(frozenset({"port"}))
_HIGHEST_PORT = 65535
_LONGEST_COUNT = 1000
_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599


class Scheme(StrEnum):
    """How HTTP is spoken."""

    HTTP = "http"
    HTTPS = "https"


def read_span(spot: Cursor) -> timedelta:
    """A duration; zero where a fault was noted."""
    parse: Callable[[Tree], timedelta] = lambda tree: parse_duration(str(tree))  # noqa: E731 - the parser wants a text
    return spot.quantity(parse, timedelta())


def read_probe(spot: Cursor) -> Probe | None:
    """The probe; None where a fault was noted."""
    before = len(spot.scope.faults)
    fields = spot.fields(_KEYS)
    ways = [way for way in _WAYS if way in fields]
    if len(ways) != 1 and len(spot.scope.faults) == before:
        spot.note(FaultCode.MISSING_FIELD, f"{len(ways)} ways to ask", f"exactly one of {', '.join(_WAYS)}")
    told: dict[str, Tree] = {}
    if "http" in fields:
        told |= _http(fields["http"])
    if "tcp" in fields:
        told["tcp_port"] = _port(fields["tcp"], fields["tcp"].fields(_TCP_KEYS))
    if "grpc" in fields:
        told |= _grpc(fields["grpc"])
    if "exec" in fields:
        told["exec"] = fields["exec"].texts()
        if not told["exec"]:
            fields["exec"].note(FaultCode.MISSING_FIELD, "no command", "a program and its arguments")
    for key, name in _COUNTS:
        if key in fields:
            told[name] = fields[key].whole(1, _LONGEST_COUNT)
    for key, name in _SPANS:
        if key in fields:
            told[name] = read_span(fields[key])
            if key != "startPeriod" and not told[name] and len(spot.scope.faults) == before:
                fields[key].note(FaultCode.WRONG_VALUE, "it cannot be zero", "1s or longer")
    return Probe(**told) if len(spot.scope.faults) == before else None


def _http(spot: Cursor) -> dict[str, Tree]:
    fields = spot.fields(_HTTP_KEYS)
    told: dict[str, Tree] = {"http_port": _port(spot, fields)}
    if "path" in fields:
        told["http_path"] = fields["path"].text()
    if "scheme" in fields:
        told["http_scheme"] = fields["scheme"].choice(Scheme, default=Scheme.HTTP).value
    if "headers" in fields:
        told["http_headers"] = fields["headers"].text_map()
    if "status" in fields:
        listed = fields["status"].items() if isinstance(fields["status"].tree, list) else [fields["status"]]
        told["http_status"] = tuple(sorted({item.whole(_LOWEST_STATUS, _HIGHEST_STATUS) for item in listed}))
    if "bodyContains" in fields:
        told["http_body_contains"] = fields["bodyContains"].text()
    if "tlsVerify" in fields:
        told["http_tls_verify"] = fields["tlsVerify"].flag()
        if told["http_tls_verify"] and told.get("http_scheme") != "https":
            fields["tlsVerify"].note(FaultCode.WRONG_VALUE, "there is no certificate over http", "scheme: https")
    return told


def _grpc(spot: Cursor) -> dict[str, Tree]:
    fields = spot.fields(_GRPC_KEYS)
    told: dict[str, Tree] = {"grpc_port": _port(spot, fields)}
    if "service" in fields:
        told["grpc_service"] = fields["service"].text()
    return told


def _port(spot: Cursor, fields: dict[str, Cursor]) -> int:
    if "port" not in fields:
        spot.note(FaultCode.MISSING_FIELD, "no port", "port: 8080")
        return 1
    return fields["port"].whole(1, _HIGHEST_PORT)
