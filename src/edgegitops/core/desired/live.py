"""Law: with `onConfigChange: signal` the contents of mounted configs are care, not part of what the engine is told.

So a change of them counts in the release digest and replaces no container. Where they are mounted still counts: it
cannot change under a running program. A config that is copied into a volume is not followed, and one with
secrets cannot be. A file is shown through a
link in the container's own file system, for a file that is mounted alone would stay the old one; so it cannot lie
inside of another mount. A folder is mounted whole and hides what the image has in its place.
"""

from dataclasses import replace

from edgegitops.core.desired.reading import Cursor
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Care, CreateSpec

_MADE_BY_THE_ENGINE = ("/dev", "/proc", "/sys", "/run", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")  # noqa: S108 - paths inside a container


def with_live_configs(spot: Cursor, create: CreateSpec, care: Care) -> tuple[CreateSpec, Care]:
    """Both, with the contents of configs moved from the mounts to the care where a signal tells of them."""
    if not care.config_signal:
        return create, care
    configs = {
        mount.target: {"": mount.file} if mount.file else dict(mount.folder)
        for mount in create.mounts
        if (mount.file or mount.folder) and not mount.copy_once
    }
    for mount in create.mounts:
        if mount.secrets:
            words = f"{mount.target} holds secrets, which are exchanged with the container only"
            spot.below("onConfigChange", None).note(FaultCode.WRONG_VALUE, words, "onConfigChange: recreate")
    others = [mount.target for mount in create.mounts if not mount.copy_once]
    for target in sorted(configs):
        places = [*(one for one in others if one != target), *_MADE_BY_THE_ENGINE]
        above = next((one for one in places if f"{target}/".startswith(f"{one}/")), "")
        if above and "" in configs[target]:
            message = f"{target} lies in the mount {above}, where a file cannot be changed under a running program"
            place = spot.below("onConfigChange", None)
            place.note(FaultCode.WRONG_VALUE, message, "mount a folder, or onConfigChange: recreate")
    mounts = tuple(
        replace(mount, file="", folder={}, live="file" if mount.file else "folder")
        if mount.target in configs
        else mount
        for mount in create.mounts
    )
    return replace(create, mounts=mounts), replace(care, configs=configs)
