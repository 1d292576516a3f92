"""Which files a revision gives to the reader of manifests, and what manifest folders may hold."""

import pytest

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import TrustLimits
from edgegitops.core.trust.listing import list_manifests

FILES = {
    "fleet.yaml": b"kind: Fleet\n",
    "apps/broker/app.yaml": b"kind: App\n",
    "apps/broker/files/Config_1.conf": b"x",
    "sites/plant-a/n1.yaml": b"kind: Site\n",
    "deployments/broker.yaml": b"x",
    "policies/p.yaml": b"x",
    "secrets/db.1.age": b"x",
    "trust/root/000001.json": b"{}",
}


def listed(store, files, **limits):
    return list_manifests(store, store.tree(files), limits=TrustLimits(**limits))


def test_manifest_paths_come_with_their_blobs_in_order(forge):
    found = listed(forge.store, FILES)
    assert list(found) == sorted(FILES)
    assert all(forge.store.kept[found[path]].data == data for path, data in FILES.items())


def test_no_blob_is_read_for_it(forge):
    tree = forge.store.tree(FILES)
    forge.store.reads.clear()
    list_manifests(forge.store, tree)
    assert {forge.store.kept[oid].kind for oid in forge.store.reads} == {"tree"}


def test_rest_of_the_repository_is_as_it_likes_and_is_not_walked(forge):
    odd = {
        "README.md": b"x",
        "docs/Été & co/über.md": b"x",
        ".github/workflows/x.yml": b"x",
        "link": ("120000", "1" * 40),
        "vendor": ("160000", "2" * 40),
        "gone": ("40000", "3" * 40),
        "APPS/a.yaml": b"x",
        "d/" * 40 + "f": b"x",
    }
    assert listed(forge.store, FILES | odd) == listed(forge.store, FILES)


def test_tree_without_manifests_lists_nothing(forge):
    assert listed(forge.store, {"README.md": b"x"}) == {}


def test_executable_file_is_taken_as_a_file(forge):
    blob = forge.store.put("blob", b"x")
    assert listed(forge.store, {"apps/run.sh": ("100755", blob)}) == {"apps/run.sh": blob}


@pytest.mark.parametrize("folder", ["apps", "sites", "deployments", "secrets", "policies", "trust"])
@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("link", ("120000", "1" * 40)),
        ("sub", ("160000", "1" * 40)),
        ("old-mode", ("100664", "1" * 40)),
        (".hidden", b"x"),
        ("-rf", b"x"),
        ("a b", b"x"),
        ("ä", b"x"),
        ("a\x1b[2J", b"x"),
        ("a\\b", b"x"),
        ("a\nb", b"x"),
        ("a" * 101, b"x"),
        (".gitmodules", b"x"),
        ("..a", b"x"),
        ("%2e%2e", b"x"),
    ],
)
def test_odd_entry_in_a_manifest_folder_is_refused_by_name(forge, folder, name, entry):
    for path in (f"{folder}/{name}", f"{folder}/x/y/{name}"):
        found = listed(forge.store, FILES | {path: entry})
        assert (found.doubt, found.subject) == (Doubt.TREE_REFUSED, path)
        assert "\x1b" not in found.detail


def test_name_of_100_characters_is_allowed(forge):
    assert f"apps/{'a' * 100}" in listed(forge.store, {f"apps/{'a' * 100}": b"x"})


@pytest.mark.parametrize(("one", "two"), [("a", "A"), ("broker.yaml", "Broker.yaml"), ("x/f", "X/f"), ("x/f", "X")])
def test_names_that_differ_only_by_case_are_refused(forge, one, two):
    found = listed(forge.store, {f"apps/{one}": b"1", f"apps/{two}": b"2"})
    assert found.doubt is Doubt.TREE_REFUSED
    assert "case" in found.detail


def test_same_name_in_two_folders_is_no_clash(forge):
    assert len(listed(forge.store, {"apps/a/f": b"1", "apps/b/F": b"2"})) == 2


@pytest.mark.parametrize(
    "files",
    [
        {"fleet.yaml/x": b"x"},
        {"apps": b"x"},
        {"sites": ("120000", "1" * 40)},
        {"trust": ("160000", "1" * 40)},
    ],
)
def test_manifest_folder_that_is_no_folder_is_refused(forge, files):
    assert listed(forge.store, files).doubt is Doubt.TREE_REFUSED


def test_fleet_file_that_is_a_symlink_is_refused(forge):
    assert listed(forge.store, {"fleet.yaml": ("120000", "1" * 40)}).doubt is Doubt.TREE_REFUSED


def test_path_may_have_12_parts_and_no_more(forge):
    deep = "apps/" + "/".join("d" * 11)
    assert deep.count("/") == 11
    assert list(listed(forge.store, {deep: b"x"})) == [deep]
    found = listed(forge.store, {deep + "/e": b"x"})
    assert (found.doubt, "12" in found.detail) == (Doubt.LIMIT_EXCEEDED, True)


def test_file_may_be_of_1_mib_and_no_more(forge):
    assert "apps/f" in listed(forge.store, {"apps/f": b"x" * 1024 * 1024})
    found = listed(forge.store, {"apps/f": b"x" * (1024 * 1024 + 1)})
    assert (found.doubt, found.subject) == (Doubt.OBJECT_TOO_LARGE, "apps/f")


def test_number_of_files_is_bounded(forge):
    files = {f"apps/f{n}": b"x" for n in range(10)}
    assert len(listed(forge.store, files, entries=10)) == 10
    assert listed(forge.store, files, entries=9).doubt is Doubt.LIMIT_EXCEEDED


def test_folders_that_multiply_are_stopped_by_the_limit(forge):
    oid = forge.store.tree({"f": b"x"})
    for _ in range(8):
        oid = forge.store.raw_tree([("40000", f"d{n}", oid) for n in range(10)])
    assert listed(forge.store, {"apps": ("40000", oid)}, entries=1000).doubt is Doubt.LIMIT_EXCEEDED


@pytest.mark.parametrize("missing", ["apps/broker/app.yaml", "apps"])
def test_missing_object_is_named_with_its_path(forge, missing):
    tree = forge.store.tree(FILES)
    blob = forge.store.put("blob", FILES["apps/broker/app.yaml"])
    if missing == "apps":
        blob = forge.store.tree({name[5:]: data for name, data in FILES.items() if name.startswith("apps/")})
    del forge.store.kept[blob]
    found = list_manifests(forge.store, tree)
    assert (found.doubt, found.subject) == (Doubt.OBJECT_MISSING, missing)


def test_malformed_tree_in_a_manifest_folder_is_refused_with_its_path(forge):
    blob = forge.store.put("blob", b"x")
    odd = forge.store.raw_tree([("100644", "b", blob), ("100644", "a", blob)], is_sorted=False)
    found = list_manifests(forge.store, forge.store.tree({"apps/x": ("40000", odd)}))
    assert (found.doubt, found.subject) == (Doubt.MALFORMED_OBJECT, "apps/x")


def test_missing_top_tree_is_named(forge):
    assert list_manifests(forge.store, "1" * 40).doubt is Doubt.OBJECT_MISSING


def test_folder_under_the_mode_of_a_file_is_no_file(forge):
    tree = forge.store.tree({"apps/a": ("100644", forge.store.tree({"f": b"x"}))})
    assert list_manifests(forge.store, tree).doubt is Doubt.OBJECT_MISSING
