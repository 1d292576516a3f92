"""Law: what Podman itself is told to allow (containers-policy.json(5)) is what policy.yaml allows, and nothing else.

The agent asks for allowed images alone; this closes the rest of the machine too: a person at a shell, another program.
Registries by their name as it is asked for, so a mirror counts by its own. Archives and other transports are rejected.
Images that are on the machine already stay usable: the engine judges what it fetches.
"""

import json
from collections.abc import Iterable

_ALLOWED = [{"type": "insecureAcceptAnything"}]  # its digest is pinned by the manifest, its signature is Git's


def image_policy_text(registries: Iterable[str]) -> str:
    """A policy.json that rejects by default and allows these registries, or what is below a path of them."""
    scopes = sorted({registry.rstrip("/") for registry in registries} - {""})
    tree = {"default": [{"type": "reject"}], "transports": {"docker": dict.fromkeys(scopes, _ALLOWED)}}
    return json.dumps(tree, indent=2) + "\n"
