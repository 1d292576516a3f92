"""Law: `make demo` tells the main job as it happens on virtual nodes, and judges it from outside.

Every claim is observed through Podman, HTTP, the nodes' journals or the command's own answer, never believed from the
story that is being told (`looks`). The story is made of chapters: how a release goes through the waves (`waves`), and
what a plant does to it meanwhile (`plant`). The table at the end holds one row a claim; the exit code is 0 only if
every one of them was observed. Whatever happens, the lab is taken down.
"""
