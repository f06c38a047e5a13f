"""A real Slurm of one node on this machine, with two GPUs that compute nothing; it goes away without a trace."""

import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

#: The only place where commands inside of jobs look, since Snakemake's executor takes SLURM_CONF from them.
ETC = Path("/etc/slurm")

#: Hides what the machine has in ETC, from us and our daemons only.
NAMESPACE = ["unshare", "--mount"]

#: As if the machine had 16 cores, so that several jobs run at once on two. Memory is watched by Slurm itself, each second:
#: control groups may be out of reach. There is no accounting, as on many small clusters.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/prolog
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=1
KillWait=1
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=100000 Gres=gpu:2
PartitionName=main Nodes=ALL Default=YES
"""

#: Notes which GPUs Slurm shows to each job.
PROLOG = """\
#!/bin/sh
echo "$SLURM_JOB_ID $CUDA_VISIBLE_DEVICES" >> {folder}/devices
"""

#: Keeps the daemons until its input ends: when the tests are over, or when their process is no more.
KEEPER = """\
unset SLURM_CONF
[ -z "$HIDDEN" ] || mount -t tmpfs none /etc/slurm || exit
ln -s $PWD/slurm.conf $PWD/gres.conf /etc/slurm || exit
trap 'rm /etc/slurm/slurm.conf /etc/slurm/gres.conf' EXIT
munged --foreground --force --key-file=$PWD/munge.key --socket=$PWD/munge.socket \
    --pid-file=$PWD/munge.pid --seed-file=$PWD/munge.seed --log-file=$PWD/munge.log &
until [ -S munge.socket ]; do kill -0 $! || exit; sleep 0.1; done
slurmctld -D &
slurmd -D &
cat
scancel --user=root
for _ in {1..50}; do [ -n "$(squeue --noheader)" ] || break; sleep 0.2; done
kill $(jobs -p)
wait
"""


def missing() -> str:
    """Say what keeps us from starting a Slurm here; empty: nothing."""
    lacking = [name for name in ("munged", "slurmctld", "slurmd", "srun", "nsenter") if not shutil.which(name)]
    if lacking or not ETC.is_dir():
        return f"there is no {lacking[0] if lacking else ETC}; Debian's slurm-wlm and munge would bring it"
    if os.geteuid():
        return "only root can start a Slurm"
    if not _can_hide() and (ETC / "slurm.conf").exists():
        return "there is a Slurm here, which we cannot hide from ours"
    return ""


def _can_hide() -> bool:
    return subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", ETC], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Job:
    """What Slurm says of a job; ``devices`` is what the job itself sees in ``CUDA_VISIBLE_DEVICES``."""

    number: int
    rule: str
    wildcards: str
    state: str
    start: str
    end: str
    memory: str
    gpus: int
    devices: str

    def overlaps(self, other: "Job") -> bool:
        """Whether both ran at the same time."""
        return self.start < other.end and other.start < self.end


class Slurm:
    """A Slurm whose files are all in one folder. It runs within ``with``.

    Parameters
    ----------
    folder : Path
        Empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hides = _can_hide()

    def __enter__(self) -> Self:
        self._write()
        command = [*(NAMESPACE if self.hides else []), "bash", "-c", KEEPER]
        environment = os.environ | {"HIDDEN": "yes" if self.hides else ""}
        with open(self.folder / "daemons.log", "w") as log:
            # In a session of its own, an interrupt from the keyboard reaches it through us alone.
            self.keeper = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_until_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.keeper.communicate()

    def inside(self, *command: str, folder: Path | None = None) -> list[str]:
        """Give the command that runs a command in a folder where this Slurm is the machine's."""
        # Whoever enters a namespace stands at its root.
        enter = ["nsenter", "--mount", f"--target={self.keeper.pid}"] if self.hides else []
        return [*enter, "env", "--unset=SLURM_CONF", f"--chdir={folder or self.folder}", *command]

    def run(self, *command: str) -> str:
        """Run one of Slurm's commands: its output."""
        return subprocess.run(self.inside(*command), capture_output=True, text=True, check=True).stdout

    def jobs(self) -> list[Job]:
        """List all jobs, also those that have ended, as they were submitted."""
        devices = dict(line.partition(" ")[::2] for line in (self.folder / "devices").read_text().splitlines())
        records = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in self.run("scontrol", "show", "job", "-o").splitlines()]
        return [
            Job(
                number=int(record["JobId"]),
                rule=record["Comment"].removeprefix("rule_").partition("_wildcards_")[0],
                wildcards=record["Comment"].partition("_wildcards_")[2],
                state=record["JobState"],
                start=record["StartTime"],
                end=record["EndTime"],
                memory=record["MinMemoryNode"],
                gpus=int(re.search(r"\d+$", record.get("TresPerJob", "0"))[0]),
                devices=devices.get(record["JobId"], ""),
            )
            for record in records
        ]

    def _write(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        (self.folder / "devices").touch()
        ports = [_free_port() for _ in range(2)]
        host = socket.gethostname().partition(".")[0]
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(folder=self.folder, host=host, ports=ports))
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-1]\n")
        for number in range(2):
            # What /dev/null is.
            os.mknod(self.folder / f"gpu{number}", 0o20666, os.makedev(1, 3))
        (self.folder / "prolog").write_text(PROLOG.format(folder=self.folder))
        (self.folder / "prolog").chmod(0o755)
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)

    def _wait_until_idle(self) -> None:
        deadline = time.time() + 60
        question = self.inside("sinfo", "--noheader", "--format=%T")
        while subprocess.run(question, capture_output=True, text=True, check=False).stdout.strip() != "idle":
            if self.keeper.poll() is not None or time.time() > deadline:
                raise RuntimeError((self.folder / "daemons.log").read_text())
            time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
