"""The exception tree. A class is named by what the caller does next; refusals are values, not exceptions.

EdgegitopsError                        exit   what the cycle does
|- InvalidDocumentError                2      a valid document was needed and there was none; keep the last good one
|- InvalidConfigError                  3      refuse to start, name the key and the file
|- OutsideError(port, action)
|  |- UnavailableError(retry_after)    4      back off with jitter; change nothing
|  '- DeniedError                      5      stop retrying this step; report
|- JournalError                        6      stop acting (never act unrecorded); keep workloads running
'- BrokenInvariantError                70     our bug: stop the step, keep workloads, say how to report it

Exit 1 means "asked and the answer is no" and 64 a usage error; neither is an exception of ours.
"""

from datetime import timedelta


class EdgegitopsError(Exception):
    """Root of all errors of this package; `exit_code` is what the command line ends with."""

    exit_code = 70


class InvalidDocumentError(EdgegitopsError):
    """A valid document was needed and there was none."""

    exit_code = 2


class InvalidConfigError(EdgegitopsError):
    """A configuration value makes starting pointless; names the key and the file it came from."""

    exit_code = 3

    def __init__(self, message: str, *, key: str = "", file: str = "") -> None:
        self.key = key
        self.file = file
        where = " ".join(part for part in (file, key) if part)
        super().__init__(f"{where}: {message}" if where else message)


class OutsideError(EdgegitopsError):
    """Something outside could not do its part. `port` is the port's name, `action` what was asked."""

    def __init__(self, port: str, action: str, message: str, *, reason: str = "") -> None:
        self.port = port
        self.action = action
        self.message = message
        self.reason = reason
        super().__init__(f"{port}: {action}: {message}")


class UnavailableError(OutsideError):
    """It may work later: back off with jitter and change nothing. `retry_after` is the outside's own hint."""

    exit_code = 4

    def __init__(
        self, port: str, action: str, message: str, *, reason: str = "", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(port, action, message, reason=reason)
        self.retry_after = retry_after


class DeniedError(OutsideError):
    """It will not work by trying again: stop retrying this step and report."""

    exit_code = 5


class JournalError(EdgegitopsError):
    """The journal cannot be read or written: stop acting, keep workloads running."""

    exit_code = 6


class BrokenInvariantError(EdgegitopsError):
    """A promise of this code to itself is broken: our bug."""

    exit_code = 70
