"""Law: a test's Podman is a machine of its own: mount, pid, net, uts and ipc namespaces, its own storage and socket.

Nothing of the host's Podman is read but its programs and `/etc/containers/policy.json`. Everything that the node does
dies with its first process: the kernel kills the pid namespace, and with it go its mounts, its links and its tmpfs.
That first process dies with the test process too (parent-death signal), so a killed test run leaves no processes.
What a pid namespace cannot hold (the storage directory, empty cgroups of its containers) is removed by `close`.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from podman import PodmanClient
from podman.errors import APIError

API = "4.0.0"
BOX = "localhost/box:1"
REGISTRY = "127.0.0.1:5055"
CGROUPS = Path("/sys/fs/cgroup")

# A disk that is mounted for a lab's node stays with that node.
# crun refuses the hybrid hierarchy while `unified` is mounted; without udev a bridge changes its address with each
# container, and only gratuitous ARP keeps the neighbours' gateway entry (and with it DNS) alive.
BOOT = """
for place in $(grep -o ' [^ ]*/eglab-[^ ]*/n/[^ ]*' /proc/self/mounts); do umount -l "$(printf %b "$place")"; done
mount -t tmpfs -o mode=755 tmpfs /run; mount -t tmpfs -o mode=1777 tmpfs /dev/shm; mkdir -p /run/netns /run/lock
umount /sys/fs/cgroup/unified 2>/dev/null
hostname node; ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_notify=1 net.ipv4.conf.default.arp_notify=1
exec catatonit -P
"""

CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "{runtime}"
lock_type = "shm"
tmp_dir = "/run/libpod"
image_copy_tmp_dir = "storage"
[network]
network_backend = "netavark"
network_config_dir = "{top}/net"
"""

STORAGE_CONF = """
[storage]
driver = "overlay"
runroot = "/run/cs"
graphroot = "{top}/root"
"""

REGISTRIES_CONF = f"""
unqualified-search-registries = []
[[registry]]
location = "{REGISTRY}"
insecure = true
"""

REGISTRY_CONF = """
version: 0.1
storage:
  filesystem:
    rootdirectory: {top}/registry
http:
  addr: {address}
"""


def _wait_for(condition, seconds: float = 20.0):
    """The first true answer of `condition`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s in vain for {condition.__qualname__}")


def docker_registry() -> Path:
    """Debian's registry binary, unpacked once into the user's cache; nothing is installed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgegitops"
    binary = cache / "docker-registry"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            Path(scratch).chmod(0o755)
            subprocess.run(["apt-get", "download", "-q", "docker-registry"], cwd=scratch, check=True, timeout=120)
            package = next(Path(scratch).glob("*.deb"))
            subprocess.run(["dpkg", "-x", package, scratch], check=True, timeout=60)
            (Path(scratch) / "usr/bin/docker-registry").replace(binary)
    return binary


def box_rootfs() -> bytes:
    """A tar of a root file system with a static busybox, enough to run a shell."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "run", "var"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        data = Path("/bin/busybox").read_bytes()
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(data), 0o755
        tar.addfile(entry, io.BytesIO(data))
        for applet in ("sh", "sleep", "cat", "env", "ls", "mount", "nslookup", "true", "false", "id", "touch", "grep"):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()


class PodmanNode:
    """One isolated node. `socket` is its Podman service, `proc` its process table as the host sees it."""

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.top = Path(tempfile.mkdtemp(prefix="egn-", dir="/tmp"))
        self.socket = self.top / "podman.sock"
        self._unshare: subprocess.Popen | None = None
        self._service: subprocess.Popen | None = None
        self._registry: subprocess.Popen | None = None
        self._init = 0
        self._seen: set[str] = set()
        self.box = ""
        try:
            self._write_config()
            self.boot()
        except BaseException:
            self.close()
            raise

    @property
    def proc(self) -> str:
        return f"/proc/{self._init}/root/proc"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def _write_config(self) -> None:
        for name in ("root", "net", "tmp", "registry", "contents"):
            (self.top / name).mkdir()
        for name, text in (("containers", CONTAINERS_CONF), ("storage", STORAGE_CONF), ("registries", REGISTRIES_CONF)):
            filled = text.format(top=self.top, runtime=self.runtime, files=4096, processes=16384)
            (self.top / f"{name}.conf").write_text(filled)
        (self.top / "registry.yaml").write_text(REGISTRY_CONF.format(top=self.top, address=REGISTRY))

    def _env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        files = {
            "CONTAINERS_CONF": str(self.top / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.top / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.top / "registries.conf"),
        }
        return {**kept, **files, "TMPDIR": str(self.top / "tmp"), "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}

    def _spawn(self, *argv: str, log: str) -> subprocess.Popen:
        with (self.top / f"{log}.log").open("ab") as sink:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=self._env(),
                start_new_session=True,
            )

    def inside(self, *argv: str) -> tuple[str, ...]:
        """The command line that runs argv in the node's namespaces."""
        return ("nsenter", "-t", str(self._init), "-m", "-n", "-p", "-u", "-i", *argv)

    def run(self, *argv: str) -> str:
        """Run a program in the node's namespaces; its output."""
        done = subprocess.run(self.inside(*argv), env=self._env(), check=True, capture_output=True, timeout=60)
        return done.stdout.decode()

    def boot(self) -> None:
        """Power on: namespaces, first process, Podman service."""
        flags = ("-m", "-n", "-p", "-u", "-i", "--fork", "--kill-child=SIGKILL", "--mount-proc")
        self._unshare = self._spawn("unshare", *flags, "--propagation", "private", "sh", "-c", BOOT, log="init")
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")

        def first_process() -> int:
            for child in children.read_text().split():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text().strip() == "catatonit":
                        return int(child)
            return 0

        self._init = _wait_for(first_process)
        self.start_service()

    def start_service(self) -> None:
        """Start the Podman service and wait until it answers."""
        self.socket.unlink(missing_ok=True)
        argv = self.inside("podman", "system", "service", "-t", "0", self.url)
        self._service = self._spawn(*argv, log="service")

        def is_answering() -> bool:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.connect(str(self.socket))
                return True
            return False

        _wait_for(is_answering)

    def service_pid(self) -> int:
        """The service's process id as the host sees it (nsenter forks for a pid namespace)."""
        assert self._service is not None
        return self._child_of(self._service)

    @staticmethod
    def _child_of(process: subprocess.Popen) -> int:
        return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])

    def power_cut(self) -> None:
        """Every process of the node dies at once; what was in memory is gone, what is on disk stays."""
        self.note_containers()
        if self._init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)
        for process in (self._service, self._registry, self._unshare):
            if process is not None:
                process.kill()
                process.wait(30)
        self._init, self._service, self._registry, self._unshare = 0, None, None, None

    def close(self) -> None:
        """Remove everything, also after a failure half way."""
        self.power_cut()
        shutil.rmtree(self.top, ignore_errors=True)
        self._remove_cgroups()

    def note_containers(self) -> None:
        """Remember whose cgroups may stay behind: those of containers that a power cut or a killed monitor ended."""
        for kind in ("overlay-containers/containers.json",):
            with contextlib.suppress(OSError, ValueError):
                rows = json.loads((self.top / "root" / kind).read_text())
                self._seen |= {row["id"] for row in rows}

    def _remove_cgroups(self) -> None:
        """Empty cgroups that Podman made for this node's containers: a pid namespace does not own them."""
        for parent in (*CGROUPS.glob("libpod_parent"), *CGROUPS.glob("*/libpod_parent")):
            for group in (*parent.glob("libpod-*"), *parent.glob("libpod-*/*")):
                if any(seen in group.name for seen in self._seen):
                    with contextlib.suppress(OSError):
                        group.rmdir()

    def client(self) -> PodmanClient:
        return PodmanClient(base_url=self.url, version=API, timeout=60)

    def api(self, method: str, path: str, *, body: object = None, **kwargs) -> object:
        """One raw request; the JSON of its answer."""
        if body is not None:
            kwargs |= {"data": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        with self.client() as client:
            answer = getattr(client.api, method)(path, **kwargs)
            answer.raise_for_status()
            return answer.json() if answer.content else None

    def import_box(self) -> str:
        """Put the test image into local storage and answer its id."""
        answer = self.api(
            "post",
            "/images/import",
            params={"reference": BOX},
            data=box_rootfs(),
            headers={"Content-Type": "application/x-tar"},
        )
        return str(answer["Id"])

    def start_registry(self) -> None:
        """A registry on the node's own loopback."""
        binary = str(docker_registry())
        argv = self.inside(binary, "serve", str(self.top / "registry.yaml"))
        self._registry = self._spawn(*argv, log="registry")

        def is_listening() -> bool:
            return f":{int(REGISTRY.rpartition(':')[2]):04X}" in self.run("cat", "/proc/net/tcp")

        _wait_for(is_listening)

    def stop_registry(self) -> None:
        """From now on the registry refuses connections."""
        assert self._registry is not None
        os.kill(self._child_of(self._registry), signal.SIGKILL)
        self._registry.wait(30)
        self._registry = None

    def restart_service(self) -> None:
        """The Podman service is killed and started again; containers go on."""
        assert self._service is not None
        os.kill(self.service_pid(), signal.SIGKILL)
        self._service.wait(30)
        self.start_service()

    @contextlib.contextmanager
    def silent_service(self) -> Iterator[None]:
        """The service hangs while inside. nsenter stops with its child, so both are woken."""
        assert self._service is not None
        pid = self.service_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in (pid, self._service.pid):
                os.kill(process, signal.SIGCONT)

    def wait_until(self, condition) -> None:
        """Wait until something that a test asked for has happened."""
        _wait_for(condition)

    def cgroup_values(self, container: str) -> dict[str, str]:
        """Memory, process and CPU limits of a container, as the kernel holds them (cgroup v1 or v2)."""
        if (CGROUPS / "cgroup.controllers").exists():
            group = next(CGROUPS.rglob(f"libpod-{container}*"))
            names = {"memory": "memory.max", "pids": "pids.max", "cpu": "cpu.max"}
            return {key: (group / name).read_text().strip() for key, name in names.items()}
        groups = {kind: next((CGROUPS / kind).rglob(f"libpod-{container}")) for kind in ("memory", "pids", "cpu")}
        quota = (groups["cpu"] / "cpu.cfs_quota_us").read_text().strip()
        period = (groups["cpu"] / "cpu.cfs_period_us").read_text().strip()
        return {
            "memory": (groups["memory"] / "memory.limit_in_bytes").read_text().strip(),
            "pids": (groups["pids"] / "pids.max").read_text().strip(),
            "cpu": f"{quota} {period}",
        }

    def wait_gone(self, pid: int) -> None:
        """Wait until the node's process `pid` is no more."""

        def is_gone() -> bool:
            return not Path(self.proc, str(pid)).exists()

        _wait_for(is_gone)

    def clean(self) -> None:
        """Remove all containers, networks and volumes; images stay."""
        self.note_containers()
        force = {"force": "true", "v": "true", "timeout": "0"}
        for row in self.api("get", "/containers/json", params={"all": "true"}):
            try:
                self.api("delete", f"/containers/{row['Id']}", params=force)
            except APIError:  # gone by itself meanwhile; or Podman 5, which refuses once where the monitor was killed
                self.api("delete", f"/containers/{row['Id']}", params={**force, "ignore": "true"})
        for row in self.api("get", "/volumes/json"):
            self.api("delete", f"/volumes/{row['Name']}", params={"force": "true"})
        for row in self.api("get", "/networks/json"):
            if row["name"] != "podman":
                self.api("delete", f"/networks/{row['name']}", params={"force": "true"})
        if self._registry is None:
            self.start_registry()

    def publish(self, name: str) -> str:
        """Push the imported image as `name`; its pinned reference. No local copy is left, so that the digest is the
        registry's own: what Podman imported has another manifest than what it pushes.
        """
        tagged = f"{REGISTRY}/{name}:1"
        self._talk(f"/images/{BOX}/push", destination=tagged, tlsVerify="false")
        self.api("delete", f"/images/{BOX}")
        self._talk("/images/pull", reference=tagged, tlsVerify="false")
        digest = self.api("get", f"/images/{tagged}/json")["Digest"]
        self.api("delete", f"/images/{tagged}")
        return f"{REGISTRY}/{name}@{digest}"

    def _talk(self, path: str, **params: str) -> None:
        """A request whose answer is 200 even where it fails."""
        with self.client() as client:
            answer = client.api.post(path, params=params)
            assert answer.ok, answer.text
            assert '"error":' not in answer.text, answer.text
