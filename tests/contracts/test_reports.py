"""Reports in a shared folder that anybody may write to, and in the node's own store on a disk that may be damaged."""

import os
import threading

import pytest

from edgegitops.adapters.reports_directory import SIZE_MOST, ReportsDirectory
from edgegitops.adapters.reports_store import KEPT, ReportsStore
from edgegitops.errors import UnavailableError

NODE, OTHER = "plant/press-1", "plant/press-2"


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


def test_store_keeps_the_newest_of_each_node(tmp_path):
    store = ReportsStore(tmp_path / "reports")
    for at in range(KEPT + 5):
        store.keep({NODE: b"%d" % at})
    assert len(store.stored()[NODE]) == KEPT
    assert b"%d" % (KEPT + 4) in store.stored()[NODE]


def test_what_cannot_be_read_in_the_store_is_not_stored_and_ends_nobody(tmp_path):
    store = ReportsStore(tmp_path / "reports")
    store.keep({NODE: b"said"})
    (tmp_path / "reports/plant/press-1" / ("0" * 64)).mkdir()
    (tmp_path / "reports/stray").write_bytes(b"no folder")
    (tmp_path / "reports/plant/stray").write_bytes(b"no folder")
    assert store.stored()[NODE] == (b"said",)


def test_report_that_a_power_cut_emptied_is_stored_anew(tmp_path):
    store = ReportsStore(tmp_path / "reports")
    store.keep({NODE: b"said"})
    next((tmp_path / "reports/plant/press-1").iterdir()).write_bytes(b"")
    store.keep({NODE: b"said"})
    assert store.stored() == {NODE: (b"said",)}


def test_store_is_read_while_another_thread_keeps(tmp_path):
    store = ReportsStore(tmp_path / "reports")
    store.keep({NODE: b"first"})
    writer = threading.Thread(target=lambda: [store.keep({NODE: b"%d" % at}) for at in range(3 * KEPT)])
    writer.start()
    while writer.is_alive():
        store.stored()
    writer.join()
    assert len(store.stored()[NODE]) == KEPT
