"""Law: a fork of this process answers lines of text until nobody is there to ask, and touches nothing else.

It knows what this process knew, so nothing is handed to it. It ends with this process, however that ends (the kernel
sees to it). Ctrl-C, which both hear, is the business of this process, which then ends the fork. A fork that fails says
so in its answer, and one that was killed does by the end of its answers: nobody waits in vain.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from typing import IO, NoReturn

from edgegitops.errors import BrokenInvariantError, UnavailableError

DONE, FAILED = "=", "!"
LINE_END = "\n"
_PR_SET_PDEATHSIG = 1  # prctl(2)


class ForkedLine:
    """A line to a fork that answers by `answer`, which takes and gives text without line breaks. Only for a process
    that has no other threads.
    """

    def __init__(self, answer: Callable[[str], str]) -> None:
        (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
        usual = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        asker = os.getpid()
        try:
            self.pid = os.fork()
            if self.pid == 0:  # it keeps SIGINT blocked
                os.close(our_in)
                os.close(our_out)
                _live(answer, their_in, their_out, asker)
        except OSError as error:
            raise UnavailableError("fork", "start", f"no second process can be made: {error.strerror}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, usual)
        os.close(their_in)
        os.close(their_out)
        self._questions: IO[str] = os.fdopen(our_out, "w", encoding="utf-8", newline="\n")
        self._answers: IO[str] = os.fdopen(our_in, encoding="utf-8", newline="\n")
        self._is_open = True

    def send(self, line: str) -> None:
        """Ask. UnavailableError: it is gone."""
        try:
            self._questions.write(f"{line}{LINE_END}")
            self._questions.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def receive(self) -> str:
        """Its answer. UnavailableError: it is gone; BrokenInvariantError: it met a bug of ours."""
        line = self._answers.readline()
        if not line.endswith(LINE_END):
            raise self._gone()
        if not line.startswith(DONE):
            raise BrokenInvariantError(line[len(FAILED) :].removesuffix(LINE_END))
        return line[len(DONE) :].removesuffix(LINE_END)

    def close(self) -> None:
        """It ends at once; it has nothing that is worth to be kept."""
        if self._is_open:
            self._end()

    def _end(self) -> int:
        """How it ended: the negative number of the signal, or its exit code."""
        self._is_open = False
        os.kill(self.pid, signal.SIGKILL)  # it is ours until it is waited for
        _, status = os.waitpid(self.pid, 0)
        with contextlib.suppress(BrokenPipeError):
            self._questions.close()
        self._answers.close()
        return os.waitstatus_to_exitcode(status)

    def _gone(self) -> UnavailableError:
        code = self._end()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        words = f"the second process {how}; is there enough memory? Please run it again"
        return UnavailableError("fork", "answer", words)


def _live(answer: Callable[[str], str], asked: int, told: int, asker: int) -> NoReturn:
    """The life of the fork. Whatever happens, it never returns to what this process was about to do."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        is_asked = os.getppid() == asker  # else it was gone before the kernel knew
        with (
            os.fdopen(asked, encoding="utf-8", newline="\n") as questions,
            os.fdopen(told, "w", encoding="utf-8", newline="\n") as answers,
        ):
            for line in questions if is_asked else ():
                answers.write(f"{_said(answer, line.removesuffix(LINE_END))}{LINE_END}")
                answers.flush()
        code = 0
    finally:
        os._exit(code)


def _said(answer: Callable[[str], str], line: str) -> str:
    try:
        return f"{DONE}{answer(line)}"
    except Exception as error:  # noqa: BLE001 - whatever it is, who asked has to hear it
        return f"{FAILED}{type(error).__name__}: {error}".replace(LINE_END, " ")
