"""`edgegitops validate`: all faults of a fleet repository at once, for people, scripts and code hosts.

Law: what is found is decided in `core`; here it is only shown. Faults go to stdout, because they are the answer. Exit
0: nothing is wrong; 1: faults were found, or warnings with `--strict`. Colours only on a terminal.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import click

from edgegitops import __version__
from edgegitops.core.model.codec import to_tree
from edgegitops.core.model.faults import Fault

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@click.command(epilog="Example: edgegitops validate --strict --format github fleet")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--strict", is_flag=True, help="Warnings are faults too: a selector that selects nothing.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="For people, for scripts, as annotations of a GitHub workflow, or as a SARIF report.",
)
def validate(path: Path, form: str, *, strict: bool) -> None:
    """Find all faults of the fleet repository at PATH (default: here), as every node would find them."""
    from edgegitops.bootstrap import load_schemas, validate_directory

    faults = validate_directory(path, load_schemas())
    _SHOW[form](faults, path, strict)
    if any(strict or not fault.is_warning for fault in faults):
        sys.exit(1)


def _text(faults: Sequence[Fault], path: Path, strict: bool) -> None:  # noqa: FBT001 - one shape for all forms
    if sys.stdout.isatty():
        _rich_text(faults, path, strict)
        return
    for fault in faults:
        for line in _lines(fault, path, strict):
            click.echo(line)
    click.echo(_summary(faults, strict))


def _rich_text(faults: Sequence[Fault], path: Path, strict: bool) -> None:  # noqa: FBT001 - one shape for all forms
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for fault in faults:
        first, *rest = _lines(fault, path, strict)
        colour = "yellow" if fault.is_warning and not strict else "red"
        told = Text(first)
        told.highlight_words([f" {fault.code}:"], f"bold {colour}")
        console.print(told)
        for line in rest:
            console.print(Text(line, "green" if line.startswith("  try: ") else "dim"))
    is_bad = any(strict or not fault.is_warning for fault in faults)
    console.print(Text(_summary(faults, strict), "bold red" if is_bad else "bold green"))


def _lines(fault: Fault, path: Path, strict: bool) -> list[str]:  # noqa: FBT001 - one shape for all forms
    mild = "warning: " if fault.is_warning and not strict else ""
    lines = [f"{_place(fault, path)}: {mild}{fault.code}: {_plain(fault.message)}"]
    if fault.expected:
        lines.append(f"  expected: {_plain(fault.expected)}")
    if fault.suggestion:
        lines.append(f"  try: {_plain(fault.suggestion)}")
    return lines


def _place(fault: Fault, path: Path) -> str:
    file = _plain(_from_here(fault, path))
    return f"{file}:{fault.position.line}:{fault.position.column}" if fault.position else file


def _from_here(fault: Fault, path: Path) -> str:
    """The file as the caller can open it: the path that was asked for comes first."""
    return str(path / fault.file) if fault.file else str(path)


def _plain(text: str) -> str:
    """Text from a file, safe for a terminal and for one line."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _summary(faults: Sequence[Fault], strict: bool) -> str:  # noqa: FBT001 - one shape for all forms
    warnings = 0 if strict else sum(fault.is_warning for fault in faults)
    bad = [fault for fault in faults if strict or not fault.is_warning]
    files = len({fault.file for fault in bad})
    told = f"{_count(len(bad), 'fault')} in {_count(files, 'file')}" if bad else "no faults"
    return f"{told}, {_count(warnings, 'warning')}" if warnings else told


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _json(faults: Sequence[Fault], path: Path, strict: bool) -> None:  # noqa: FBT001 - one shape for all forms
    bad = sum(strict or not fault.is_warning for fault in faults)
    answer = {"path": str(path), "faults": [to_tree(fault) for fault in faults], "errors": bad, "ok": not bad}
    click.echo(json.dumps(answer, indent=2))


def _github(faults: Sequence[Fault], path: Path, strict: bool) -> None:  # noqa: FBT001 - one shape for all forms
    for fault in faults:
        level = "warning" if fault.is_warning and not strict else "error"
        fields = {"file": _from_here(fault, path), "title": str(fault.code)}
        if fault.position:
            fields |= {"line": str(fault.position.line), "col": str(fault.position.column)}
        told = ",".join(f"{key}={_escaped(value, is_field=True)}" for key, value in fields.items())
        click.echo(f"::{level} {told}::{_escaped(_sentence(fault))}")


def _escaped(text: str, *, is_field: bool = False) -> str:
    """As workflow commands want it: a text from a file must not become a command."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if is_field else text


def _sentence(fault: Fault) -> str:
    lines = [fault.message]
    lines += [f"Expected: {fault.expected}"] if fault.expected else []
    lines += [f"Try: {fault.suggestion}"] if fault.suggestion else []
    return "\n".join(lines)


def _sarif(faults: Sequence[Fault], path: Path, strict: bool) -> None:  # noqa: FBT001 - one shape for all forms
    driver = {
        "name": "edgegitops",
        "version": __version__,
        "rules": [{"id": code} for code in sorted({str(fault.code) for fault in faults})],
    }
    results = [_sarif_result(fault, path, strict) for fault in faults]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    click.echo(json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2))


def _sarif_result(fault: Fault, path: Path, strict: bool) -> dict[str, object]:  # noqa: FBT001 - as above
    place: dict[str, object] = {"artifactLocation": {"uri": PurePosixPath(_from_here(fault, path)).as_posix()}}
    if fault.position:
        place["region"] = {"startLine": fault.position.line, "startColumn": fault.position.column}
    return {
        "ruleId": str(fault.code),
        "level": "warning" if fault.is_warning and not strict else "error",
        "message": {"text": _sentence(fault)},
        "locations": [{"physicalLocation": place}],
    }


_SHOW: dict[str, Callable[[Sequence[Fault], Path, bool], None]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
}
