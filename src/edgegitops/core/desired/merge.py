"""Law: JSON merge patch, RFC 7386. Objects merge by key, a null deletes, everything else replaces."""

from edgegitops.core.model.codec import Tree


def merge_patch(target: Tree, patch: Tree) -> Tree:
    """`target` with `patch` applied; neither is changed. Depth is bounded by the reader of the documents."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
