"""Law: where a node's reports go is said by its node.yaml, else by the fleet, as far as the node's own policy allows.

1. A way that node.yaml names (`reports.git`, `reports.directory`) is taken; an empty word there means: not this way.
2. A Git repository that `fleet.yaml` names is at a server, never a path of this machine: what Git says must not become
   files of root anywhere.
3. A folder that `fleet.yaml` names is taken only inside of what the node's policy opens (`hostPaths`), and never inside
   of what is the agent's own.
4. Proofs are those that node.yaml names for reports. Without any, those of the fleet repository go to the same server,
   and to no other.
What the node does not take is said in words: somebody counts on it.
"""

from dataclasses import dataclass, replace

from edgegitops.core.desired.admission import is_inside
from edgegitops.core.model.node_config import NodeConfig, Remote, Reports
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.report import Reporting

_NETWORK = ("https://", "http://", "ssh://", "git://")


@dataclass(frozen=True, slots=True)
class Ways:
    """Where reports go: a Git repository with the proofs for it, a folder, both or neither, and what was not taken."""

    git: Remote | None = None
    directory: str = ""
    refused: str = ""


def ways_of(config: NodeConfig, said: Reporting, policy: NodePolicy) -> Ways:
    """The ways of a node under what its fleet says."""
    own, refused = config.reports, []
    git, directory = own.git, own.directory
    if git is None:
        git = said.git
        if git and not _is_at_a_server(git):
            refused.append(
                f"fleet.yaml says reports.git: {git!a}, which is no server's address (https, ssh, http, git)"
            )
            git = ""
    if directory is None:
        directory = said.directory
        if directory and not _is_allowed(directory, policy):
            refused.append(f"fleet.yaml says reports.directory: {directory!a}, which {policy.file} does not allow")
            refused[-1] += " (hostPaths); or say it in node.yaml"
            directory = ""
    remote = _with_proofs(git, own, config.remote) if git else None
    return Ways(remote, directory, "; ".join(refused))


def _is_at_a_server(url: str) -> bool:
    return url.startswith(_NETWORK) or ("://" not in url and not url.startswith(("/", "-")) and "@" in url)


def _is_allowed(directory: str, policy: NodePolicy) -> bool:
    is_open = any(is_inside(directory, folder) for folder in policy.host_paths)
    return is_open and not any(is_inside(directory, one) or is_inside(one, directory) for one in policy.sealed)


def _with_proofs(url: str, own: Reports, fleet: Remote) -> Remote:
    proofs = Remote(
        url=url,
        key_file=own.key_file,
        token_file=own.token_file,
        user=own.user,
        known_hosts_file=own.known_hosts_file,
        ca_file=own.ca_file,
        proxy=own.proxy,
    )
    is_bare = proofs == Remote(url=url)
    return replace(fleet, url=url) if is_bare and server_of(url) == server_of(fleet.url) else proofs


def server_of(url: str) -> str:
    """Who is spoken to: scheme, host and port, without a user's name; a path where it is one."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        host, colon, _ = url.partition(":")
        return f"ssh://{host.rpartition('@')[2]}" if colon and not url.startswith("/") else url
    return f"{scheme.lower()}://{rest.partition('/')[0].rpartition('@')[2].lower()}"
