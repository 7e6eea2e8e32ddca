"""A SLURM cluster of one machine: `python slurm_cluster.py COMMAND...` starts it, runs the command in it and ends it.

It has a controller, a munge of its own, and two nodes of two processors. The command finds SLURM_CONF set, and in
QUAGPREDICT_SLURM_CLUSTER the folder with the process id of each node in slurmd-NODE.pid. Needs Debian's `slurm-wlm` and
`munge`, whose slurmd can run more than once on a machine, and to be root.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd")
CONFIG = """\
ClusterName=quagpredict
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdTimeout=10
KillWait=2
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,requeue_delay=1
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def program(name: str) -> str:
    found = shutil.which(name, path=f"/usr/sbin:/usr/local/sbin:{os.environ['PATH']}")
    if found is None:
        sys.exit(f"no '{name}' was found: install slurm-wlm and munge (apt-get) and try again")
    return found


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def start_node(folder: Path, node: str) -> None:
    """Start a node, the first time or again."""
    subprocess.run([program("slurmd"), "-f", str(folder / "slurm.conf"), "-N", node], check=True)


def kill_node(folder: Path, node: str) -> None:
    """Kill a node and all that runs on it, as a power cut would."""
    lost = [int((folder / f"slurmd-{node}.pid").read_text())]
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    parents = {int(line.split()[0]): int(line.split()[1]) for line in listed.splitlines()}
    # A slurmstepd stands alone; it is this node's if its environment says so, and the job's processes are below it.
    for process in parents:
        with contextlib.suppress(OSError):
            if f"SLURMD_NODENAME={node}".encode() in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
                lost += [process, parents[process]]
    for process in dict.fromkeys(lost):
        with contextlib.suppress(ProcessLookupError):
            if process > 1:
                os.kill(process, signal.SIGKILL)


@contextmanager
def cluster() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="quagpredict-slurm-", dir="/tmp"))
    (folder / "state").mkdir()
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o600)
    folder.chmod(0o755)
    host = socket.gethostname().partition(".")[0]
    (folder / "slurm.conf").write_text(CONFIG.format(host=host, folder=folder, ports=free_ports(3)))
    os.environ |= {"SLURM_CONF": str(folder / "slurm.conf"), "QUAGPREDICT_SLURM_CLUSTER": str(folder)}
    munge = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    munge += [f"--key-file={folder}/key", f"--socket={folder}/munge.socket"]
    subprocess.run([program("munged"), "--force", *munge], check=True)
    with (folder / "slurmctld.out").open("ab") as said:
        controller = subprocess.Popen(
            [program("slurmctld"), "-D"], stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    try:
        for node in NODES:
            start_node(folder, node)
        until = time.monotonic() + 60
        while subprocess.run(["sinfo", "-h", "-o", "%t %D"], capture_output=True, text=True).stdout != "idle 2\n":
            if time.monotonic() > until:
                sys.exit(f"the cluster did not start within 60 s, see {folder}")
            time.sleep(0.2)
        yield folder
    finally:
        subprocess.run(["scancel", "--state=PENDING", "--user=root"], check=False)
        subprocess.run(["scancel", "--user=root"], check=False)
        time.sleep(1)
        for node in NODES:
            kill_node(folder, node)
        controller.kill()
        controller.wait()
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / "munge.pid").read_text()), signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    with cluster():
        code = subprocess.run(sys.argv[1:], check=False).returncode
    sys.exit(code)
