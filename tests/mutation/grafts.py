"""Mutants that are put into a process that has collected its tests already: functions get other code, constants others.

What that does not reach (defaults of fields, what was computed while loading) is left to a process that loads the
mutant; so is everything that survives here.
"""

import importlib.abc
import importlib.util
import os
import resource
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NoReturn

import pytest

MEMORY = 1024**3
PACKAGE = "edgegitops.core.rollout"


class Mutant(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Loads one module from mutated source."""

    def __init__(self, file: Path, source: str) -> None:
        self.name = f"{PACKAGE}.{file.stem}"
        self._file = file
        self._source = source

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> Any:
        """That module alone."""
        del path, target
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def get_filename(self, fullname: str) -> str:
        """As if it were whole."""
        del fullname
        return str(self._file)

    def get_data(self, path: str) -> bytes:
        """The mutated source."""
        del path
        return self._source.encode()

    def graft(self) -> None:
        """Put it into the module that is loaded, wherever its parts are used."""
        spec = importlib.util.spec_from_loader(self.name, self)
        assert spec is not None
        fresh, module = importlib.util.module_from_spec(spec), sys.modules[self.name]
        self.exec_module(fresh)
        for name, new in vars(fresh).items():
            old = vars(module).get(name)
            if isinstance(new, type) and isinstance(old, type) and new.__module__ == self.name:
                for attribute, value in vars(new).items():
                    _graft(vars(old).get(attribute), value)
            elif isinstance(new, FunctionType):
                _graft(old, new)
            elif not name.startswith("__") and not isinstance(new, ModuleType | type) and new != old:
                _replace(old, new)


def _graft(old: object, new: object) -> None:
    for one, other in zip(_functions(old), _functions(new), strict=False):
        if one.__module__ == other.__module__ and len(one.__code__.co_freevars) == len(other.__code__.co_freevars):
            one.__code__, one.__defaults__, one.__kwdefaults__ = (
                other.__code__,
                other.__defaults__,
                other.__kwdefaults__,
            )


def _functions(value: object) -> Iterator[FunctionType]:
    parts = (value.fget,) if isinstance(value, property) else (value,)
    for one in parts:
        found = one.func if isinstance(one, cached_property) else one
        if isinstance(found, FunctionType):
            yield found


def _replace(old: object, new: object) -> None:
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is old and module.__name__.startswith(("edgegitops.", "tests.")):
                setattr(module, name, new)


class Stable:
    """A pytest plugin: once the tests are collected, `trial` asks them as often as it likes, each time in a fork."""

    def __init__(self, trial: Callable[[Callable[[Mutant | None, int], bool]], None]) -> None:
        self._trial = trial
        self._is_fork = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests once."""
        assert not session.testsfailed, "the tests cannot be collected"
        self._trial(lambda mutant, seconds: self._is_seen(session, mutant, seconds))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The first red test is enough."""
        if self._is_fork and report.failed:
            os._exit(1)

    def _is_seen(self, session: pytest.Session, mutant: Mutant | None, seconds: int) -> bool:
        child = os.fork()
        if not child:
            self._live(session, mutant, seconds)
        _, status = os.waitpid(child, 0)
        return bool(status)

    def _live(self, session: pytest.Session, mutant: Mutant | None, seconds: int) -> NoReturn:
        code = 70
        try:
            bounded(seconds)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            self._is_fork = True
            if mutant is not None:
                mutant.graft()
            for at, item in enumerate(session.items):
                later = session.items[at + 1] if at + 1 < len(session.items) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=later)
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may leave a fork
            traceback.print_exc()
        finally:
            os._exit(code)


def bounded(seconds: int) -> None:
    """A mutant that does not end, or eats everything, is ended by the kernel, and was seen."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
