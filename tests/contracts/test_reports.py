"""Reports in a shared folder that anybody may write to, and in the node's own store on a disk that may be damaged."""

import errno
import os
import socket
import sqlite3
import threading
from contextlib import closing

import pytest

from edgegitops.adapters import reports_sqlite
from edgegitops.adapters.reports_directory import SIZE_MOST, ReportsDirectory
from edgegitops.adapters.reports_sqlite import ReportsStore
from edgegitops.core.model.report import StoredReport
from edgegitops.errors import UnavailableError

NODE, OTHER = "plant/press-1", "plant/press-2"


@pytest.fixture
def place(tmp_path):
    return tmp_path / "reports.db"


@pytest.fixture
def store(place):
    return ReportsStore(place)


@pytest.fixture
def folder(tmp_path):
    shared = tmp_path / "shared"
    (shared / "plant").mkdir(parents=True)
    return shared


def test_report_that_was_published_is_collected_and_replaced_as_a_whole(folder):
    reports = ReportsDirectory(folder)
    reports.publish(NODE, b"first, and longer")
    reports.publish(NODE, b"second")
    assert reports.collect([NODE, OTHER]) == {NODE: b"second"}
    assert [one.name for one in (folder / "plant").iterdir()] == ["press-1.report"]


def test_what_a_power_cut_left_is_in_nobodys_way(folder):
    (folder / "plant/.press-1.report.new").write_bytes(b"half")
    ReportsDirectory(folder).publish(NODE, b"whole")
    assert ReportsDirectory(folder).collect([NODE]) == {NODE: b"whole"}


def a_folder(place):
    place.mkdir()


def a_pipe(place):
    os.mkfifo(place)


def a_link(place):
    place.symlink_to(place.parent / "press-2.report")


def a_loop(place):
    place.symlink_to(place)


def too_much(place):
    place.write_bytes(b"x" * (SIZE_MOST + 1))


@pytest.mark.parametrize("put", [a_folder, a_pipe, a_link, a_loop, too_much])
def test_what_is_no_plain_file_of_the_right_size_is_not_there_and_hinders_no_other(folder, put):
    """Red where adapters/reports_directory.py has `_READ = os.O_RDONLY | os.O_CLOEXEC` for
    `_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC`.
    """
    (folder / "plant/press-2.report").write_bytes(b"said")
    put(folder / "plant/press-1.report")
    assert ReportsDirectory(folder).collect([NODE, OTHER]) == {OTHER: b"said"}


def test_a_pipe_that_somebody_holds_open_stops_nobody(folder):
    os.mkfifo(folder / "plant/press-1.report")
    holder = os.open(folder / "plant/press-1.report", os.O_RDWR)
    try:
        assert ReportsDirectory(folder).collect([NODE]) == {}
    finally:
        os.close(holder)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("call", ["open", "read"])
def test_what_a_share_cannot_read_is_not_taken_for_nothing(folder, monkeypatch, number, call):
    """A node without a journal would else believe that it never said anything. Red where
    adapters/reports_directory.py has `return None if error.errno else b""` for
    `return None if error.errno in _ABSENT else b""`.
    """
    (folder / "plant/press-1.report").write_bytes(b"said")
    (folder / "plant/press-2.report").write_bytes(b"said")
    real = getattr(os, call)
    bad = (folder / "plant/press-1.report").stat().st_ino

    def failing(what, *more, **named):
        if what == "press-1.report" or (call == "read" and os.fstat(what).st_ino == bad):
            raise OSError(number, os.strerror(number))
        return real(what, *more, **named)

    monkeypatch.setattr(os, call, failing)
    assert ReportsDirectory(folder).collect([NODE, OTHER, "plant/nobody"]) == {NODE: b"", OTHER: b"said"}


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_site_whose_folder_cannot_be_opened_is_not_taken_for_empty(folder, monkeypatch, number):
    (folder / "plant/press-1.report").write_bytes(b"said")
    real = os.open

    def failing(what, *more, **named):
        if what == "plant" or what == folder / "plant":
            raise OSError(number, os.strerror(number))
        return real(what, *more, **named)

    monkeypatch.setattr(os, "open", failing)
    assert ReportsDirectory(folder).collect([NODE, "oslo/gw"]) == {NODE: b""}


def test_folder_that_is_a_file_is_unavailable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError):
        ReportsDirectory(tmp_path / "file").collect([NODE])


def a_socket(place):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))


def nothing_in_it(place):
    place.write_bytes(b"")


@pytest.mark.parametrize("put", [a_socket, nothing_in_it])
def test_socket_or_empty_file_is_no_report(folder, put):
    put(folder / "plant/press-1.report")
    assert ReportsDirectory(folder).collect([NODE]) == {}


def test_site_folder_that_is_a_link_leads_nowhere(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / "oslo").symlink_to(outside)
    reports = ReportsDirectory(folder)
    with pytest.raises(UnavailableError):
        reports.publish("oslo/gw", b"said")
    (outside / "gw.report").write_bytes(b"planted")
    assert reports.collect(["oslo/gw"]) == {}
    assert [one.name for one in outside.iterdir()] == ["gw.report"]


def test_folder_that_is_not_there_is_unavailable(tmp_path):
    reports = ReportsDirectory(tmp_path / "unmounted")
    with pytest.raises(UnavailableError):
        reports.publish(NODE, b"said")
    with pytest.raises(UnavailableError):
        reports.collect([NODE])


def stored(data, *, key="k1", is_noted=True):
    return StoredReport(data, key, is_noted, is_accusing=False)


def test_store_has_what_was_kept_last_of_each_node_and_nothing_of_the_bytes_is_changed(store):
    first, second = stored(b"first\x00"), stored(b"second", key="k2")
    store.keep({NODE: (first, second), OTHER: (second,)})
    assert store.stored() == {NODE: (first, second), OTHER: (second,)}
    store.keep({NODE: (second,)})
    assert store.stored() == {NODE: (second,), OTHER: (second,)}
    assert store.stored(NODE) == {NODE: (second,)}
    assert store.stored("plant/nobody") == {}


def test_what_is_kept_outlives_the_process_and_is_for_root_alone(store, place):
    store.keep({NODE: (stored(b"said"),)})
    assert ReportsStore(place).stored() == {NODE: (stored(b"said"),)}
    assert place.stat().st_mode & 0o077 == 0


def test_what_another_version_noted_is_not_noted(store, monkeypatch):
    store.keep({NODE: (stored(b"said"),)})
    monkeypatch.setattr(reports_sqlite, "__version__", "another")
    assert store.stored() == {NODE: (stored(b"said", is_noted=False),)}


def test_store_is_read_at_the_first_look_and_not_again(store):
    told = store.stored()
    store.keep({NODE: (stored(b"said"),)})
    assert told == {NODE: (stored(b"said"),)}
    store.keep({NODE: (stored(b"more"),)})
    assert told == {NODE: (stored(b"said"),)}


@pytest.mark.parametrize("column", ["data", "key", "version", "accusing", "node"])
def test_row_that_was_changed_is_not_stored(store, place, column):
    """Red where adapters/reports_sqlite.py has `if digest:` for `if _digest(node, key, version, accusing, data) ==
    digest:`.
    """
    store.keep({NODE: (stored(b"said"),), OTHER: (stored(b"said"),)})
    with closing(sqlite3.connect(place)) as db, db:
        value = {"accusing": 1, "data": b"sage"}.get(column, "changed")
        db.execute(f"UPDATE reports SET {column} = ? WHERE node = ?", (value, NODE))  # noqa: S608 - our own words
    assert store.stored() == {OTHER: (stored(b"said"),)}


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100])
def test_damaged_store_is_empty_and_is_made_anew_with_what_is_kept_next(store, place, damage):
    store.keep({NODE: (stored(b"said"),)})
    place.write_bytes(damage)
    assert store.stored() == {}
    store.keep({OTHER: (stored(b"more"),)})
    assert store.stored() == {OTHER: (stored(b"more"),)}


def test_store_that_cannot_be_written_is_unavailable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError):
        ReportsStore(tmp_path / "file" / "reports.db").keep({NODE: (stored(b"said"),)})
    assert ReportsStore(tmp_path / "file" / "reports.db").stored() == {}


def test_store_is_read_while_another_thread_keeps(store):
    store.keep({NODE: (stored(b"first"),)})
    writer = threading.Thread(target=lambda: [store.keep({NODE: (stored(b"%d" % at),)}) for at in range(20)])
    writer.start()
    while writer.is_alive():
        assert len(store.stored()[NODE]) == 1
    writer.join()
    assert store.stored() == {NODE: (stored(b"19"),)}
