"""Keys of nodes: read by site and node, and each belongs to one node only."""

KEYS = "apiVersion: edgegitops/v1\nkind: NodeKeys\nmetadata: {name: %s}\nspec:\n  nodes:\n"
REPORT = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDIhz2GK/XCUj4i6Q5yQJNL1MKcpKMpl7lW+G1Zvjrlt"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHHFGtvbvDu8aSs4OyBYm4y6w3FRGZzGNlH2a0xzpyqC"
AGE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def keys(site, **nodes):
    rows = (f"    {name.replace('_', '-')}: {{{fields}}}\n" for name, fields in nodes.items())
    return {f"trust/nodes/{site}.yaml": KEYS % site + "".join(rows)}


def test_keys_are_read_by_site_and_node(fleet):
    text = keys("goteborg-1", gw_a=f"reportKey: {REPORT} gw-a, ageKey: {AGE}", gw_b="")
    found = fleet.sound(text).keys["goteborg-1"]
    assert (found.nodes["gw-a"].report, found.nodes["gw-a"].age) == (f"{REPORT} gw-a", AGE)
    assert (found.nodes["gw-b"].report, found.nodes["gw-b"].age) == ("", "")


def test_key_of_another_node_is_a_fault_whatever_its_comment_says(fleet):
    text = keys("goteborg-1", gw_a=f"reportKey: {REPORT} one", gw_b=f"reportKey: {REPORT} two")
    (fault,) = fleet.faults(text)
    assert (fault.code, fault.pointer) == ("duplicate-name", "/spec/nodes/gw-b/reportKey")
    assert fault.message == "the reportKey of gw-b is that of goteborg-1/gw-a too"
    assert fault.position is not None


def test_key_of_a_node_of_another_site_is_a_fault(fleet):
    text = keys("goteborg-1", gw_a=f"ageKey: {AGE}") | keys("malmo-1", gw_a=f"ageKey: {AGE}, reportKey: {OTHER}")
    (fault,) = fleet.faults(text)
    assert (fault.file, fault.pointer) == ("trust/nodes/malmo-1.yaml", "/spec/nodes/gw-a/ageKey")


def test_keys_of_a_file_must_be_those_of_its_site(fleet):
    (fault,) = fleet.faults({"trust/nodes/malmo-1.yaml": KEYS % "goteborg-1" + "    {}\n"})
    assert fault.code == "name-mismatch"


def test_unmeasured_staleness_is_none_and_a_written_one_is_a_span(fleet):
    assert fleet.sound({}).fleet.max_staleness is None
