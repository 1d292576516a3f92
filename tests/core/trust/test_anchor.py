"""Recovery: an operator's anchor begins a new history at a node, and takes back no revocation."""

from dataclasses import replace

from edgegitops.core.model.reasons import Doubt


def rewritten(fleet):
    """The floor on a history that was then rewritten, and the first commit of the new one."""
    start, files = fleet.tip, dict(fleet.files)
    fleet.commit(fleet.signer("anna"), add={"apps/bad": b"1"})
    floor = fleet.walk().floor
    fleet.tip, fleet.files = start, files
    anchor = fleet.commit(fleet.signer("anna"), add={"apps/good": b"1"})
    return floor, anchor


def test_rewritten_history_is_refused_until_an_anchor_is_in_it(fleet):
    floor, anchor = rewritten(fleet)
    tip = fleet.commit(fleet.signer("max"), add={"deployments/a": b"1"})
    assert fleet.walk(floor).refused.doubt is Doubt.HISTORY_DIVERGED
    belief = fleet.walk(floor, anchor=anchor)
    assert (belief.floor.commit, belief.refused, len(belief.accepted)) == (tip, None, 1)


def test_anchor_may_be_the_tip_itself(fleet):
    floor, anchor = rewritten(fleet)
    belief = fleet.walk(floor, anchor=anchor)
    assert (belief.floor.commit, belief.accepted, belief.refused) == (anchor, (), None)


def test_commits_after_the_anchor_are_judged_as_ever(fleet):
    floor, anchor = rewritten(fleet)
    fleet.commit(fleet.signer("anna"), add={"trust/x": b"1"})
    belief = fleet.walk(floor, anchor=anchor)
    assert (belief.floor.commit, belief.refused.doubt) == (anchor, Doubt.ROLE_MISSING)


def test_tip_without_the_anchor_keeps_the_floor(fleet):
    floor, anchor = rewritten(fleet)
    belief = fleet.walk(floor, floor.commit, anchor=anchor)
    assert (belief.floor, belief.refused.doubt) == (floor, Doubt.HISTORY_DIVERGED)
    assert anchor in belief.refused.detail


def test_anchor_that_is_not_here_keeps_the_floor(fleet):
    floor, _ = rewritten(fleet)
    belief = fleet.walk(floor, anchor="0" * 40)
    assert (belief.floor, belief.refused.doubt) == (floor, Doubt.CHECKPOINT_MISSING)


def test_anchor_does_not_bring_an_older_root_back(fleet):
    start, files = fleet.tip, dict(fleet.files)
    fleet.rotate(2, fleet.signer("sara"), [fleet.signer("rita"), fleet.signer("ravi")])
    floor = fleet.walk().floor
    fleet.tip, fleet.files = start, files
    anchor = fleet.commit(fleet.signer("anna"), add={"apps/a": b"1"})
    belief = fleet.walk(floor, anchor=anchor)
    assert (belief.floor, belief.refused.doubt) == (floor, Doubt.ROOT_VERSION)


def test_anchor_does_not_set_the_clock_floor_back(fleet):
    floor, anchor = rewritten(fleet)
    floor = replace(floor, clock=fleet.now)
    assert fleet.walk(floor, anchor=anchor).floor.clock == fleet.now


def test_root_of_the_anchor_is_found_from_the_pin(fleet):
    floor, _ = rewritten(fleet)
    other = type(fleet)(store=fleet.store)
    other.enrol(roles=fleet.staff | {"root": [fleet.signer("thief")]})
    belief = fleet.walk(floor, other.tip, anchor=other.tip)
    assert (belief.floor, belief.refused.doubt) == (floor, Doubt.ROOT_PIN)
