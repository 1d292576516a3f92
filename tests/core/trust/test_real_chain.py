"""What `git commit -S` and `ssh-keygen -Y sign` make is believed, from enrolment to a rotated root."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Pin
from edgegitops.core.trust import keys, sshsig
from edgegitops.core.trust.listing import list_manifests
from edgegitops.core.trust.objects import parse_tag
from edgegitops.core.trust.root import trust_state
from edgegitops.core.trust.walk import walk

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def root_of(lines, version=1):
    """A root document over {name: key line}: anna and bert hold the root, anna all else, bert nothing else."""
    ids = {name: keys.read_line(line).id for name, line in lines.items()}
    return json.dumps(
        {
            "repository": "acme",
            "version": version,
            "keys": {ids[name]: {"line": line, "owner": name} for name, line in lines.items()},
            "roles": {
                "root": {"keys": [ids["anna"], ids["bert"]], "threshold": 2},
                "engineer": {"keys": [ids["anna"]]},
            },
            "paths": [{"path": "apps/**", "roles": ["engineer"]}, {"path": "fleet.yaml", "roles": ["engineer"]}],
        }
    ).encode()


@pytest.fixture
def enrolled(workshop):
    anna, anna_path = workshop.key("anna")
    bert, bert_path = workshop.key("bert", "-t", "ecdsa", "-b", "384")
    root = root_of({"anna": anna, "bert": bert})
    workshop.write("trust/root/000001.json", root)
    workshop.write("fleet.yaml", b"kind: Fleet\n")
    checkpoint = workshop.commit(None, "the first, before enrolment")
    pin = Pin("acme", hashlib.sha256(root).hexdigest(), checkpoint)
    return workshop, pin, {"anna": (anna, anna_path), "bert": (bert, bert_path)}


def test_signed_chain_of_real_git_is_believed_to_its_tip(enrolled):
    shop, pin, people = enrolled
    shop.write("apps/broker/app.yaml", b"kind: App\n")
    first = shop.commit(people["anna"][1], "add the broker\n\nwith a body")
    shop.write("README.md", b"read me\n")
    second = shop.commit(people["bert"][1], "outside the manifests any known key will do")
    objects = shop.load()
    belief = walk(pin, None, second, objects, now=NOW)
    assert belief.refused is None
    assert [one.commit for one in belief.accepted] == [first, second]
    assert [one.owner for one in belief.accepted] == ["anna", "bert"]
    assert belief.floor.commit == second
    assert belief.floor.root_version == 1
    assert list(list_manifests(objects, belief.floor.tree)) == [
        "apps/broker/app.yaml",
        "fleet.yaml",
        "trust/root/000001.json",
    ]


def test_real_commit_by_a_key_without_the_role_stops_the_walk_and_keeps_what_was_good(enrolled):
    shop, pin, people = enrolled
    shop.write("apps/a.yaml", b"1\n")
    good = shop.commit(people["anna"][1])
    shop.write("apps/a.yaml", b"2\n")
    bad = shop.commit(people["bert"][1])
    shop.write("apps/a.yaml", b"3\n")
    tip = shop.commit(people["anna"][1])
    belief = walk(pin, None, tip, shop.load(), now=NOW)
    assert belief.floor.commit == good
    assert (belief.refused.subject, belief.refused.doubt) == (bad, Doubt.ROLE_MISSING)


def test_real_merge_is_answered_for_by_its_signer_and_side_branches_need_no_keys(enrolled):
    shop, pin, people = enrolled
    base = shop.head()
    shop.run("git", "checkout", "-q", "-b", "side")
    shop.write("apps/a.yaml", b"1\n")
    shop.commit(None, "an unsigned commit on a side branch")
    shop.run("git", "tag", "-a", "-m", "to merge", "v1")
    shop.run("git", "checkout", "-q", "main")
    shop.run("git", "merge", "-q", "--no-ff", f"-S{people['anna'][1]}", "-m", "merge v1", "v1")
    belief = walk(pin, None, shop.head(), shop.load(), now=NOW)
    assert belief.refused is None
    assert len(belief.accepted) == 1
    assert belief.accepted[0].commit != base


def test_real_root_rotation_signed_with_ssh_keygen_is_followed(enrolled):
    shop, pin, people = enrolled
    carl, carl_path = shop.key("carl")
    lines = {name: line for name, (line, _) in people.items()} | {"carl": carl}
    data = root_of(lines, version=2)
    shop.write("trust/root/000002.json", data)
    for line, path in people.values():
        signature = shop.sign(path, data, "edgegitops-root")
        shop.write(f"trust/root/000002.sig/{keys.read_line(line).id}.sig", signature)
    rotated = shop.commit(people["bert"][1], "no role covers trust/**, the signatures do")
    shop.write("docs/x.md", b"by the newcomer\n")
    tip = shop.commit(carl_path)
    objects = shop.load()
    belief = walk(pin, None, tip, objects, now=NOW)
    assert belief.refused is None
    assert [one.commit for one in belief.accepted] == [rotated, tip]
    assert belief.floor.root_version == 2
    assert trust_state(pin, objects, belief.floor.tree).root.version == 2


def test_real_signed_tag_is_read_and_verified(enrolled):
    shop, _, people = enrolled
    shop.run("git", "tag", f"-u{people['anna'][1]}", "-m", "pause all", "ctl/1")
    raw = shop.load().read(shop.run("git", "rev-parse", "ctl/1").decode().strip())
    tag = parse_tag(raw.data)
    assert (tag.name, tag.kind, tag.object) == ("ctl/1", "commit", shop.head())
    signed = sshsig.verify(tag.signature, tag.payload, "git")
    assert signed.key_id == keys.read_line(people["anna"][0]).id


@pytest.mark.parametrize(
    "options",
    [
        ("-t", "ed25519"),
        ("-t", "ecdsa", "-b", "256"),
        ("-t", "ecdsa", "-b", "384"),
        ("-t", "rsa", "-b", "3072"),
    ],
    ids=" ".join,
)
def test_signature_of_every_allowed_type_made_by_ssh_keygen_verifies(workshop, options):
    line, path = workshop.key("key", *options)
    for namespace in ("git", "edgegitops-root"):
        made = workshop.sign(path, b"some bytes", namespace)
        assert sshsig.verify(made, b"some bytes", namespace).key_id == keys.read_line(line).id
        assert sshsig.verify(made, b"other bytes", namespace).doubt is Doubt.SIGNATURE_MISMATCH
