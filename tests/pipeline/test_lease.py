import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnalm.files import is_at
from rnalm.pipeline import lease as lease_module
from rnalm.pipeline.lease import VISIBLE, Lease, lease

GPUS = ["GPU-aaaaaaaa-0001-4bcd-8000-000000000000", "GPU-aabbbbbb-0002-4bcd-8000-000000000001"]
MIGS = ["MIG-cccccccc-0003-5bcd-8000-000000000002", "MIG-GPU-dddddddd-0004-5bcd-8000-000000000003/7/0"]

TWO_GPUS = f"""\
GPU 0: NVIDIA RTX A6000 (UUID: {GPUS[0]})
GPU 1: Some (other) GPU (UUID: {GPUS[1]})
"""

#: The second one is in instances, called in the new and in the old way.
WITH_MIG = f"""\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: {GPUS[0]})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {GPUS[1]})
  MIG 1g.5gb      Device  0: (UUID: {MIGS[0]})
  MIG 3g.20gb     Device  1: (UUID: {MIGS[1]})
"""

#: A job that tells what it got, and holds it until its standard input ends, but not for ever.
JOB = """
import signal, sys
from pathlib import Path
from rnalm.pipeline import lease
signal.alarm(60)
lease = lease.lease(int(sys.argv[1]), Path(sys.argv[2]), interval=0.02)
{then}
print(*lease.devices, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Callable[..., None]:
    """Make a machine: what its ``nvidia-smi`` says, if it has one, and what the user has set."""
    search = os.environ["PATH"]

    def make(listing: str | None = TWO_GPUS, visible: str | None = None, allocation: str | None = None) -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        if listing is None:
            monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        else:
            monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{search}")
            (tmp_path / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\n[ $1 = -L ] && cat <<END\n{listing}END\n")
            (tmp_path / "bin" / "nvidia-smi").chmod(0o755)
        for name, value in ((VISIBLE, visible), ("SLURM_JOB_ID", allocation)):
            monkeypatch.setenv(name, value or "")  # in any case, so that what it was before comes back
            if value is None:
                monkeypatch.delenv(name)

    make()
    return make


@pytest.fixture
def locks(tmp_path, machine) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def start(locks) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start jobs that want some devices."""
    started = []

    def job(n: int, then: str = "", **variables: str) -> subprocess.Popen:
        command = [sys.executable, "-c", JOB.format(then=then), str(n), str(locks)]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **variables})
        )
        return started[-1]

    yield job
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def free(locks, caplog) -> Callable[[int], list[str]]:
    """Take devices that are free, and give them back at once."""

    def take(n: int) -> list[str]:
        with lease(n, locks, interval=1) as found:
            assert "waiting" not in caplog.text
            return list(found.devices)

    return take


def got(job: subprocess.Popen) -> list[str]:
    """Wait for a job to have its devices."""
    return job.stdout.readline().split()


def waits(job: subprocess.Popen) -> str:
    """Wait for a job to say that it waits."""
    return job.stderr.readline()


def test_two_jobs_get_different_devices(start):
    jobs = [start(1), start(1)]
    assert sorted(got(job)[0] for job in jobs) == GPUS


def test_a_job_sees_the_devices_that_it_leased_and_no_other(start, caplog, locks):
    with start(1) as job:
        [other] = got(job)
        with caplog.at_level(logging.INFO), lease(1, locks) as found:
            assert [os.environ[VISIBLE]] == list(found.devices) == [name for name in GPUS if name != other]
            assert f"GPUs leased: {found.devices[0]}" in caplog.text
        job.communicate()


def test_who_wants_more_than_is_free_says_so_and_waits(start):
    first = start(2)
    assert got(first) == GPUS
    waiting = start(1)
    assert waits(waiting) == f"waiting for 1 of the GPUs {', '.join(GPUS)}, which other jobs use\n"
    first.communicate()
    assert len(got(waiting)) == 1
    assert waiting.communicate() == ("", "")


def test_the_devices_of_a_killed_job_are_free_at_once(start):
    first = start(2)
    got(first)
    waiting = start(2)
    waits(waiting)
    first.kill()
    assert got(waiting) == GPUS


def test_a_killed_job_that_waited_leaves_nothing(start, free):
    first = start(1)
    got(first)
    waiting = start(2)
    waits(waiting)
    waiting.kill()
    waiting.wait()
    assert free(1) == GPUS[1:]


CHILD = """
import subprocess
quiet = subprocess.DEVNULL
print(subprocess.Popen(["sleep", "60"], close_fds={closed}, stdin=quiet, stdout=quiet, stderr=quiet).pid, flush=True)
"""


def killed_with_a_child(start, closed: bool) -> int:
    """Have a job take all devices and start a child; kill it: the child's process id."""
    job = start(2, then=CHILD.format(closed=closed))
    [pid] = got(job)
    job.kill()
    job.wait()
    return int(pid)


def test_what_a_killed_job_started_keeps_its_devices(start):
    child = killed_with_a_child(start, closed=False)
    waiting = start(1)
    assert "waiting for 1 of" in waits(waiting)
    os.kill(child, signal.SIGKILL)
    assert len(got(waiting)) == 1


def test_a_child_that_closes_files_has_no_part_in_the_lease(start, free):
    child = killed_with_a_child(start, closed=True)
    assert free(2) == GPUS
    os.kill(child, signal.SIGKILL)


def test_jobs_that_want_all_devices_come_one_after_the_other(start):
    jobs = [start(2, then="sys.exit(print(*lease.devices))") for _ in range(4)]
    assert [got(job) for job in jobs] == [GPUS] * 4


def test_who_waits_for_all_devices_is_not_overtaken(start):
    first, second = start(1), start(1)
    got(first), got(second)
    large = start(2)
    waits(large)
    small = start(1)
    waits(small)
    second.communicate()  # its device is free, but large came first
    first.communicate()
    assert got(large) == GPUS
    large.communicate()
    assert len(got(small)) == 1


def test_nobody_waits_behind_those_who_may_use_other_devices_only(start, free):
    first = start(1, CUDA_VISIBLE_DEVICES="0")
    got(first)
    waits(start(1, CUDA_VISIBLE_DEVICES="0"))
    assert free(1) == GPUS[1:]


def test_who_has_to_wait_for_its_turn_holds_no_device_meanwhile(start, free):
    first = start(1, CUDA_VISIBLE_DEVICES="1")
    got(first)
    waits(start(1, CUDA_VISIBLE_DEVICES="1"))
    waits(start(2))
    assert free(1) == GPUS[:1]


def test_a_closed_lease_is_free(free, locks):
    found = lease(2, locks)
    found.close()
    found.close()
    assert found.devices == tuple(GPUS)
    assert free(1) == GPUS[:1]


@pytest.mark.parametrize(
    ("visible", "n", "expected"),
    [
        ("1,0", 1, "1"),
        ("1, 0", 2, "1,0"),
        ("0,0,GPU-aaaaaaaa", 2, "0"),
        (GPUS[1], 1, GPUS[1]),
        ("GPU-aabb,GPU-aaaa", 2, "GPU-aabb,GPU-aaaa"),
        (f"{MIGS[1]},{MIGS[0]}", 1, MIGS[1]),
        ("1,-1,0", 2, "1"),
        ("7,GPU-unheard-of", 2, "7,GPU-unheard-of"),
    ],
)
@pytest.mark.parametrize("listing", [WITH_MIG, None], ids=["nvidia-smi", "none"])
def test_of_what_the_user_has_set_a_part_is_taken_in_its_order_and_spelling(machine, free, listing, visible, n, expected):
    machine(listing, visible)
    if visible.startswith("0,0") and listing is None:
        expected = "0,GPU-aaaaaaaa"  # who should know?
    assert ",".join(free(n)) == os.environ[VISIBLE] == expected


@pytest.mark.parametrize("spelling", ["1", GPUS[1], "GPU-aab"])
def test_a_device_is_the_same_however_it_is_spelled(machine, free, locks, spelling):
    free(2)
    files = {path.name for path in locks.iterdir()}
    machine(TWO_GPUS, spelling)
    free(1)
    assert {path.name for path in locks.iterdir()} == files


def test_a_uuid_that_may_be_two_devices_is_none_of_them(machine, free, locks):
    with lease(2, locks):
        machine(TWO_GPUS, "GPU-aa")
        assert free(1) == ["GPU-aa"]


def test_instances_stand_for_their_gpu(machine, free, locks):
    machine(WITH_MIG)
    with lease(2, locks) as found:
        assert found.devices == (GPUS[0], MIGS[0])
        machine(WITH_MIG, f"1,{MIGS[1]}")  # CUDA takes the first instance of a GPU
        assert free(1) == [MIGS[1]]


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
def test_where_the_user_allows_no_device_none_is_leased(machine, free, visible, caplog):
    machine(TWO_GPUS, visible)
    assert free(1) == []
    assert os.environ[VISIBLE] == visible
    assert not caplog.records


@pytest.mark.parametrize("listing", [None, "", "NVIDIA-SMI has failed because it couldn't communicate with the driver.\n"])
def test_a_machine_without_gpus_is_left_as_it_is(machine, free, locks, listing, caplog):
    machine(listing)
    assert free(1) == []
    assert VISIBLE not in os.environ
    assert not locks.exists()
    assert not caplog.records


def test_a_job_that_wants_no_gpu_sees_none(locks, start):
    got(start(2))
    assert lease(0, locks) == Lease()
    assert os.environ[VISIBLE] == ""


def test_who_wants_more_than_there_are_gets_all_and_a_warning(free, caplog):
    assert free(3) == GPUS
    assert "3 GPUs are wanted, but there are 2; these are taken" in caplog.text


@pytest.mark.parametrize(
    ("visible", "n"), [(None, 0), (None, 1), ("0", 0), ("0,1", 0), ("0", 1), ("0,1", 2), ("0,1", 4), ("NoDevFiles", 0)]
)
def test_what_slurm_has_chosen_is_left_as_it_is(machine, locks, visible, n):
    machine(TWO_GPUS, visible, allocation="17")
    assert lease(n, locks) == Lease()
    assert os.environ.get(VISIBLE) == visible
    assert not locks.exists()


def test_jobs_in_one_allocation_of_slurm_share_its_devices(machine, free, locks):
    machine(None, "0,1", allocation="17")
    with lease(1, locks) as first:
        machine(None, "0,1", allocation="17")
        with lease(1, locks) as second:
            assert (first.devices, second.devices) == (("0",), ("1",))
            machine(None, "0,1", allocation="18")  # other devices of the same name
            assert free(1) == ["0"]


def test_a_lock_file_that_is_removed_gives_no_device_twice(locks, monkeypatch):
    opened = lease_module._open

    def removed_once(name: str, folder: int) -> int:
        file = opened(name, folder)
        monkeypatch.setattr(lease_module, "_open", opened)
        os.unlink(name, dir_fd=folder)  # between opening and locking, as a cleaner of /tmp may
        return file

    monkeypatch.setattr(lease_module, "_open", removed_once)
    with lease(2, locks) as found:
        assert found.devices == tuple(GPUS)
        assert all(is_at(file, locks / f"{device}.lock") for device, file in found._locks.items())


def test_locks_are_open_to_every_user_whatever_the_umask(free, locks):
    before = os.umask(0o077)
    try:
        free(2)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert locks.stat().st_mode & 0o7777 == 0o1777
    assert {path.stat().st_mode & 0o7777 for path in locks.iterdir()} == {0o666}


def test_a_link_in_place_of_a_lock_is_not_followed(locks, tmp_path, refusal):
    locks.mkdir()
    (tmp_path / "precious").write_text("content")
    for suffix in (".lock", ".turn"):
        (locks / f"{GPUS[0]}{suffix}").symlink_to(tmp_path / "precious")
    assert refusal(lease, 1, locks).startswith(f"{locks}: GPUs cannot be locked here (")
    assert (tmp_path / "precious").read_text() == "content"


def test_a_link_in_place_of_the_folder_is_not_followed(locks, tmp_path, refusal):
    (tmp_path / "home").mkdir()
    locks.symlink_to(tmp_path / "home")
    expected = "GPUs cannot be locked here (Not a directory); expected a folder in which every user may write"
    assert refusal(lease, 1, locks) == f"{locks}: {expected}"
    assert not list((tmp_path / "home").iterdir())


def test_no_spelling_leads_out_of_the_folder(machine, free, locks):
    machine(None, "GPU-/../../../precious,MIG-GPU-x/1/0")
    free(2)
    assert {path.parent for path in locks.parent.rglob("*.lock")} == {locks}
    assert len(list(locks.glob("*.lock"))) == 2


def test_the_module_does_not_import_torch():
    code = "import sys, rnalm.pipeline.lease; sys.exit(' '.join({'torch', 'numpy', 'transformers'} & set(sys.modules)) or 0)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
