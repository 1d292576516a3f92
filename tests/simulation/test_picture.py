"""The picture of a run: what it shows is what happened, in a form that every viewer reads."""

from datetime import timedelta
from xml.etree import ElementTree as ET

from edgegitops.twin.picture import picture, steps_of
from edgegitops.twin.story import Change, Given, Happening, Mark, Story

MINUTE = timedelta(minutes=1)
CHANGE = Change("a<b", ("1", "2"), (("canary", ("s/one", "s/two")), ("rest", ("s/three",))), {"s/one": "x"})
HAPPENINGS = (
    Happening(MINUTE, "a<b", "s/one", Mark.STARTED),
    Happening(2 * MINUTE, "a<b", "s/two", Mark.STARTED),
    Happening(11 * MINUTE, "a<b", "s/one", Mark.HEALTHY),
    Happening(12 * MINUTE, "a<b", "s/two", Mark.FAILED),
    Happening(12 * MINUTE, "a<b", "s/two", Mark.LEFT),
    Happening(13 * MINUTE, "other", "s/two", Mark.STARTED),
)
STORY = Story(1, (CHANGE,), HAPPENINGS, (), (Given(3 * MINUTE, "a<b", "rest", 1),), (), 12 * MINUTE)


def test_nodes_are_counted_by_state_from_change_to_change() -> None:
    assert steps_of(HAPPENINGS, CHANGE, ("s/one", "s/two")) == [
        (timedelta(), (2, 0, 0, 0)),
        (MINUTE, (1, 1, 0, 0)),
        (2 * MINUTE, (0, 2, 0, 0)),
        (11 * MINUTE, (0, 1, 1, 0)),
        (12 * MINUTE, (0, 0, 1, 1)),
    ]


def test_picture_is_well_formed_names_its_axes_and_loads_nothing() -> None:
    text = picture(STORY, "a<b 1 -> 2", "stops & waits")
    root = ET.fromstring(text)  # noqa: S314 - written by us, one line above
    told = " ".join(root.itertext())
    for word in ("a<b", "wave canary", "wave rest", "2 nodes", "1 node", "10 min", "time since the push", "approved"):
        assert word in told
    areas = [one.get("class") for one in root.iter("{http://www.w3.org/2000/svg}path")]
    assert areas == ["failed", "proven", "proving", "old", "old"]
    assert "href" not in text
    assert "<script" not in text
