"""GPU leases: which GPUs of the machine a job gets.

Snakemake only counts GPUs: left to themselves, two jobs of one GPU each would both take the first. A lease takes devices by
file lock and hides all others. It comes before torch, which looks for devices once: nothing here imports it.
"""

import fcntl
import logging
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rnalm.errors import RnalmError
from rnalm.files import is_at

log = logging.getLogger(__name__)

#: What CUDA obeys.
VISIBLE = "CUDA_VISIBLE_DEVICES"

#: Where the jobs of all users of a machine meet; TMPDIR differs from user to user, and is the last resort.
FOLDER = Path("/tmp" if os.access("/tmp", os.W_OK) else tempfile.gettempdir()) / "rnalm-gpus"

#: Seconds after which a broken driver is no longer waited for.
PATIENCE = 60


@dataclass
class Lease:
    """Devices that no other lease has until this one is closed, or its process has ended, however it ends.

    Processes that a job starts with ``close_fds=False`` inherit the lease; the devices are free once all of them have ended.

    Attributes
    ----------
    devices : tuple of str
        As ``CUDA_VISIBLE_DEVICES`` calls them; empty where nothing is leased.
    """

    devices: tuple[str, ...] = ()
    _locks: dict[str, int] = field(default_factory=dict, repr=False)

    def close(self) -> None:
        """Give the devices back."""
        _close(self._locks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def lease(n: int, folder: Path = FOLDER, interval: float = 0.5) -> Lease:
    """Take free GPUs for this process, and hide the others from it; wait while there are too few.

    To be called once, before torch is imported. Where ``CUDA_VISIBLE_DEVICES`` is set, only devices that it names are taken.
    Nothing happens where Slurm has chosen, also a GPU of which Snakemake knows nothing, or where there is no GPU.

    Parameters
    ----------
    n : int
        How many; where there are fewer, all are taken. 0: all are hidden.
    folder : path
        Of the locks.
    interval : float
        Seconds between looks at devices that others hold.

    Raises
    ------
    RnalmError
        If locks cannot be kept in the folder.
    """
    allowed, allocation = os.environ.get(VISIBLE), os.environ.get("SLURM_JOB_ID")
    spellings = None if allowed is None else _spelled(allowed)
    if allocation and (spellings is None or len(spellings) <= n or not n):
        return Lease()
    if not n:
        os.environ[VISIBLE] = ""
        return Lease()
    names = _names()
    # Jobs in one allocation share its devices, which another allocation may number alike.
    prefix = f"{allocation}-" if allocation else ""
    candidates: dict[str, str] = {}
    for spelling in dict.fromkeys(names.values()) if spellings is None else spellings:
        candidates.setdefault(prefix + _identity(spelling, names), spelling)
    if not candidates:
        return Lease()
    if n > len(candidates):
        log.warning("%d GPUs are wanted, but there are %d; these are taken", n, len(candidates))
    try:
        locks = _collect(folder, list(candidates), min(n, len(candidates)), interval)
    except OSError as error:
        expected = "expected a folder in which every user may write"
        raise RnalmError(f"{folder}: GPUs cannot be locked here ({error.strerror}); {expected}") from None
    devices = tuple(spelling for identity, spelling in candidates.items() if identity in locks)
    os.environ[VISIBLE] = ",".join(devices)
    log.info("GPUs leased: %s", os.environ[VISIBLE])
    return Lease(devices, locks)


def _spelled(visible: str) -> list[str]:
    """List the entries of ``CUDA_VISIBLE_DEVICES``; like CUDA, up to the first that names no device, such as -1."""
    entries = []
    for entry in map(str.strip, visible.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-.+", entry):
            break
        entries.append(entry)
    return entries


def _names() -> dict[str, str]:
    """Ask ``nvidia-smi`` for all names of all devices, indices and UUIDs; each with the UUID that the device is locked by.

    Of a GPU in instances (MIG) these are the devices; its own names stand for the first, which CUDA takes then.
    """
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=PATIENCE, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return {}
    names: dict[str, str] = {}
    gpu: tuple[str, ...] = ()
    for line in found.splitlines():
        if whole := re.match(r"GPU (\d+):.*\(UUID: (\S+)\)", line):
            gpu = whole.groups()
            names |= dict.fromkeys(gpu, gpu[1])
        elif instance := re.match(r"\s+MIG .*\(UUID: (\S+)\)", line):
            names |= dict.fromkeys((*gpu, instance[1]), instance[1])
            gpu = ()
    return names


def _identity(spelling: str, names: dict[str, str]) -> str:
    """Find the UUID of a device by an index, a UUID or the beginning of one; what ``nvidia-smi`` does not know stays as it is.

    It counts devices as they sit on the bus, CUDA perhaps the fastest first (``CUDA_DEVICE_ORDER``). That an index then means
    another device here does no harm among jobs that all use indices, as they all err alike.
    """
    if spelling in names:
        return names[spelling]
    found = {names[name] for name in names if "-" in spelling and name.startswith(spelling)}
    return found.pop() if len(found) == 1 else spelling


def _collect(folder: Path, devices: list[str], n: int, interval: float) -> dict[str, int]:
    """Lock ``n`` of some devices: their open lock files.

    A device has a second lock, the turn to wait for it. Whoever collects devices has the turns of at least as many as it wants,
    and keeps them and what it has got. So no two wait for each other, a large lease is not overtaken by small ones, and nobody
    waits behind a job that may use other devices only.
    """
    turns: dict[str, int] = {}
    taken: dict[str, int] = {}
    pause, told = min(0.01, interval), False
    try:
        while True:
            _lock_more(folder, devices, ".turn", turns, len(devices))
            if len(turns) >= n:
                _lock_more(folder, turns, ".lock", taken, n)
            else:
                _close(turns)
            if len(taken) == n:
                break
            # Jobs that start together are in each other's way for a moment only, which is not worth telling.
            if pause == interval and not told:
                others = [device for device in devices if device not in taken]
                log.warning("waiting for %d of the GPUs %s, which other jobs use", n - len(taken), ", ".join(others))
                told = True
            time.sleep(pause)
            pause = min(2 * pause, interval)
    except BaseException:
        _close(taken)
        raise
    finally:
        _close(turns)
    for file in taken.values():
        os.set_inheritable(file, True)
    return taken


def _lock_more(folder: Path, devices: Iterable[str], suffix: str, held: dict[str, int], most: int) -> None:
    """Lock those devices that nobody has, until ``most`` are held."""
    for device in devices:
        if len(held) < most and device not in held:
            file = _lock(folder, re.sub(r"[^\w.-]", "_", device) + suffix)
            if file is not None:
                held[device] = file


def _lock(folder: Path, name: str) -> int | None:
    """Lock a file that everybody may lock, at once: its descriptor, or None if somebody else has it."""
    before = os.umask(0)
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o1777)
        inside = os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            file = _open(name, inside)
        finally:
            os.close(inside)
    finally:
        os.umask(before)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    if not is_at(file, folder / name):
        os.close(file)
        return _lock(folder, name)
    return file


def _open(name: str, folder: int) -> int:
    """Open a file of a folder, made if need be. It may be anybody's: no link is followed, and nothing is written."""
    flags = os.O_RDWR | os.O_NOFOLLOW
    while True:
        with suppress(FileNotFoundError):
            return os.open(name, flags, dir_fd=folder)
        # Only a file that is not there is opened to be made: in such a folder Linux may refuse to where it is another user's.
        with suppress(FileExistsError):
            return os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder)


def _close(held: dict[str, int]) -> None:
    """Close lock files, and forget them."""
    while held:
        os.close(held.popitem()[1])
