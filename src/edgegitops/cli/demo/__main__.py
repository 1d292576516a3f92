"""`make demo`: four virtual gateways of four plants, real Podman, real Git over HTTP, no Kubernetes; 0 only if every
claim was observed.
"""

import sys
from pathlib import Path

from edgegitops.cli.demo.board import telling
from edgegitops.cli.demo.pen import Pen, impatient
from edgegitops.cli.demo.plant import heals_offline, refuses
from edgegitops.cli.demo.stage import Screen, Stage
from edgegitops.cli.demo.waves import bad_release, first_release, fixed_release
from edgegitops.lab.lab import Lab

EXAMPLE = Path(__file__).parents[4] / "fleet-repo-example"
SEATS = {
    "goteborg": ("goteborg-1", "gw-vision"),
    "brno": ("brno-1", "gw-vision"),
    "monterrey": ("monterrey-1", "gw-vision"),
    "toledo": ("toledo-1", "gw-vision"),
}
STORY = (first_release, heals_offline, refuses, bad_release, fixed_release)


def main() -> int:
    """Run the story; 0 only if every claim was observed."""
    with Screen() as screen, impatient(EXAMPLE) as source:
        screen.say("edgegitops demo: a signed fleet, four virtual gateways, real Podman, no control plane", "bold")

        def equip(lab: Lab) -> None:
            lab.found_fleet(source, speakers={seat: name for name, seat in SEATS.items()})
            for name, (site, node) in SEATS.items():
                lab.enrol(name, site=site, node=node, reports=True)
                lab.nodes[name].start_agent()

        with Lab.start(list(SEATS), equip=equip) as lab:
            stage = Stage(screen, lab, Pen(lab))
            try:
                with telling(stage):
                    for chapter in STORY:
                        chapter(stage)
            finally:
                screen.table(f"what was observed in {screen.clock().strip()}", stage.observed)
    return 0 if stage.is_all_seen else 1


if __name__ == "__main__":
    sys.exit(main())
