"""Which device a job computes on, how exactly, and with how much memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch


def choose(gpus: int = 1) -> torch.device:
    """Take the first visible GPU, or the CPU where there is none or none is wanted.

    Parameters
    ----------
    gpus : int
        How many GPUs the job may use.
    """
    exact()
    return torch.device("cuda" if count(gpus) else "cpu")


def count(wanted: int) -> int:
    """Say how many of the wanted GPUs there are."""
    return min(wanted, torch.cuda.device_count())


def exact() -> None:
    """Compute in true float32, the same way each time.

    By default cuDNN multiplies in TensorFloat-32, whose error of about 1e-3 is as large as many leave-one-out scores.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


@contextmanager
def multiplying(precision: str) -> Iterator[None]:
    """Multiply float32 matrices of a GPU in TensorFloat-32 for a while, if ``precision`` is ``tf32``, or exactly."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def free_memory(device: torch.device) -> int:
    """Say how many bytes of a device's memory a job may still take."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    limits = [_available(), *(_cgroup(*names) for names in (("memory.max", "memory.current"), V1))]
    return min((limit for limit in limits if limit is not None), default=2**32)


#: Files of the memory limit and use of version 1 of Linux' control groups.
V1 = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")


def _available() -> int | None:
    """Read what Linux can give without swapping, in bytes."""
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def _cgroup(limit: str, used: str, root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Read what is left to a container or a Slurm job, in bytes; None: no limit."""
    try:
        return max(0, int((root / limit).read_text()) - int((root / used).read_text()))
    except (OSError, ValueError):  # there is no such file, or it says max
        return None


def send(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy an array to a device, without waiting for what a GPU is doing."""
    tensor = torch.from_numpy(array)
    # Only from pinned memory does a copy take its turn behind the work in flight; any other waits for it.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def fetch(tensor: torch.Tensor) -> Callable[[], np.ndarray]:
    """Begin to copy a tensor to the host; the function returned waits for it and gives the array."""
    if tensor.device.type != "cuda":
        return tensor.numpy
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()

    def wait() -> np.ndarray:
        arrived.synchronize()
        return host.numpy()

    return wait
