"""Law: no file system stays mounted under the directory of a lab that ends. A node's own mounts die with its
namespaces; what was mounted from outside, such as a disk that is to fail, does not, and would keep the directory from
being removed.
"""

from pathlib import Path

from edgegitops.lab.commands import attempt

_MOUNT_POINT = 4  # the field of a line of mountinfo, counted from 0 (man 5 proc)


def detach(place: Path) -> None:
    """Unmount all that is mounted under a directory in this namespace, whatever is open on it, the newest first."""
    for target in reversed(_under(place)):
        attempt(["umount", "--lazy", target])


def _under(place: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    targets = [_unescaped(line.split(" ")[_MOUNT_POINT]) for line in lines]
    return [target for target in targets if target.startswith(f"{place}/")]


def _unescaped(word: str) -> str:
    r"""A path as it is; mountinfo writes space, tab, newline and backslash as `\040` and the like."""
    for code in ("040", "011", "012", "134"):
        word = word.replace(f"\\{code}", chr(int(code, 8)))
    return word
