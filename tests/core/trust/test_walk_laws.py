"""Laws of the walk over drawn histories: it agrees with the naive reading of the rules, and halves make the whole."""

from hypothesis import given
from hypothesis import strategies as st

MAY = {
    "sara": {"fleet.yaml", "policies/p.yaml", "trust/nodes/a.yaml"},
    "max": {"deployments/d.yaml"},
    "anna": {"apps/a/app.yaml", "apps/b.yaml"},
    "ines": {"sites/s.yaml"},
    "rita": set(),
}
OTHER = {"README.md", "docs/d.md"}
DENIED = {"secrets/x.1.age"}
PATHS = sorted(set().union(*MAY.values()) | OTHER | DENIED)
STEPS = st.lists(
    st.tuples(st.sampled_from([*MAY, "anna", "anna", "mallory"]), st.sets(st.sampled_from(PATHS), max_size=2)),
    max_size=8,
)
HONEST = st.lists(
    st.sampled_from([(who, path) for who, paths in MAY.items() for path in sorted(paths | OTHER)]), max_size=8
)


def history(forge, steps):
    """A new fleet with one commit a step; answers it and the commits."""
    fleet = type(forge)().enrol()
    made = [
        fleet.commit(fleet.signer(who), add={path: b"%d %d" % (at, len(path)) for path in paths})
        for at, (who, paths) in enumerate(steps)
    ]
    return fleet, made


@given(STEPS)
def test_longest_prefix_of_allowed_commits_is_believed(forge_of_module, steps):
    fleet, made = history(forge_of_module, steps)
    bad = [at for at, (who, paths) in enumerate(steps) if who not in MAY or not paths <= MAY[who] | OTHER]
    belief = fleet.walk()
    assert [one.commit for one in belief.accepted] == made[: bad[0] if bad else len(made)]
    assert (belief.refused and belief.refused.subject) == (made[bad[0]] if bad else None)
    assert belief.floor.commit == ([fleet.pin.checkpoint, *made][bad[0]] if bad else fleet.tip)


@given(STEPS, st.data())
def test_walk_in_two_halves_ends_where_one_walk_ends(forge_of_module, steps, data):
    fleet, made = history(forge_of_module, steps)
    whole = fleet.walk()
    half = fleet.walk(tip=data.draw(st.sampled_from([fleet.pin.checkpoint, *made])))
    if half.refused:
        assert half == whole
        return
    rest = fleet.walk(half.floor)
    assert half.accepted + rest.accepted == whole.accepted
    assert (rest.floor, rest.refused) == (whole.floor, whole.refused)


@given(HONEST, st.data())
def test_floor_never_moves_back(forge_of_module, steps, data):
    fleet, made = history(forge_of_module, [(who, {path}) for who, path in steps])
    tips = [fleet.pin.checkpoint, *made]
    floor = None
    for tip in data.draw(st.lists(st.sampled_from(tips), max_size=4)):
        belief = fleet.walk(floor, tip)
        assert floor is None or tips.index(belief.floor.commit) >= tips.index(floor.commit)
        assert (belief.refused is None) == (belief.floor.commit == tip)
        floor = belief.floor
