"""Which device a job computes on, how exactly, and with how much memory."""

import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

log = logging.getLogger(__name__)

#: The share of free memory for the batches of one scorer; the rest is left to shared passes, other models and other jobs.
SHARE = 1 / 4

#: Items that a GPU works on while the host prepares more and takes in others: twice as many as are launched together.
IN_FLIGHT = 16

#: Numbers after which the next array of several in one copy may begin: kernels read fastest from multiples of 16 bytes.
ALIGNED = 16

Item = TypeVar("Item")
Launched = TypeVar("Launched")


def choose(gpus: int = 1) -> torch.device:
    """Take the first visible GPU, or the CPU where there is none or none is wanted.

    Parameters
    ----------
    gpus : int
        How many GPUs the job may use; 0: none.
    """
    exact()
    _tell(gpus)
    return torch.device("cuda" if count(gpus) else "cpu")


@cache
def _tell(gpus: int) -> None:
    """Log once what computes."""
    if found := count(gpus):
        log.info("computing on %s", ", ".join(torch.cuda.get_device_name(number) for number in range(found)))
    elif not gpus:
        log.info("computing on the CPU")
    elif os.environ.get("CUDA_VISIBLE_DEVICES"):
        problem = (
            "but torch finds none of those that this job has" if torch.version.cuda else "but torch was installed without CUDA"
        )
        log.warning("gpus: %d, %s: computing on the CPU", gpus, problem)
    else:
        log.info("gpus: %d, but there is none here: computing on the CPU", gpus)


def count(wanted: int) -> int:
    """Say how many of the wanted GPUs there are.

    Parameters
    ----------
    wanted : int
        GPUs that the job may use.
    """
    return min(wanted, torch.cuda.device_count())


def exact() -> None:
    """Compute in true float32, the same way each time; to be called before CUDA starts, and whenever others have set the same.

    By default cuDNN multiplies in TensorFloat-32, whose error of about 1e-3 is as large as many leave-one-out scores. On a GPU,
    an operation of which there is no deterministic form warns.
    """
    # Of the two ways to set precisions, which must not be mixed, the one of torch 2.9: for all, then for each part.
    torch.backends.fp32_precision = "ieee"  # pyright: ignore[reportAttributeAccessIssue]
    _multiply_in("ieee")
    torch.backends.cudnn.deterministic = True
    if torch.cuda.device_count():
        # https://docs.nvidia.com/cuda/cublas/#results-reproducibility
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling takes time, and nothing here reads what was not written.
        torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


def _parts() -> tuple[Any, ...]:
    """List the parts of torch that multiply float32, each in a precision of its own."""
    cudnn: Any = torch.backends.cudnn
    return torch.backends.cuda.matmul, cudnn, cudnn.conv, cudnn.rnn


def _multiply_in(*precisions: str) -> None:
    """Set the precision of each part, or of all."""
    for part, precision in zip(_parts(), precisions if len(precisions) > 1 else precisions * len(_parts()), strict=True):
        part.fp32_precision = precision


@contextmanager
def multiplying(precision: str) -> Iterator[None]:
    """Multiply float32 matrices of a GPU in TensorFloat-32, or exactly, for as long as the block lasts.

    Parameters
    ----------
    precision : str
        ``tf32`` for TensorFloat-32; with any other, as with ``float32``, products are exact.
    """
    before = [part.fp32_precision for part in _parts()]
    _multiply_in("tf32" if precision == "tf32" else "ieee")
    try:
        yield
    finally:
        _multiply_in(*before)


@contextmanager
def without_cudnn() -> Iterator[None]:
    """Do without cuDNN for as long as the block lasts.

    What torch has for this, ``torch.backends.cudnn.flags``, sets precisions in the old way too, and raises.
    """
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


#: What libraries of a GPU say when they cannot allocate memory, where torch has no error of its own for it.
OUT_OF_MEMORY = ("_STATUS_ALLOC_FAILED", "DEVICE_ALLOCATION_FAILED", "CUDA error: out of memory")


@contextmanager
def allocating() -> Iterator[None]:
    """Raise what torch raises when memory runs out also where it runs out in another library.

    Raises
    ------
    torch.OutOfMemoryError
        If an error inside says that memory could not be allocated.
    """
    try:
        yield
    except RuntimeError as error:
        if any(sign in str(error) for sign in OUT_OF_MEMORY):
            raise torch.OutOfMemoryError(str(error)) from error
        raise


def free_memory(device: torch.device) -> int:
    """Say how many bytes of a device's memory a job may still take.

    Parameters
    ----------
    device : torch.device
        A GPU, where what torch holds unused counts as free; or the CPU, where the least counts that the system and each control
        group of the process leave. 4 GiB where neither says anything.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    limits = [_available(), *_cgroup_limits()]
    return min((limit for limit in limits if limit is not None), default=2**32)


def _available(path: Path = Path("/proc/meminfo")) -> int | None:
    """Read what Linux can give without swapping, in bytes."""
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


#: Files of a memory limit and its use in versions 2 and 1 of Linux' control groups.
V2 = ("memory.max", "memory.current")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def _cgroup_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Read what is left of the memory of each control group that holds this process, such as a container or a Slurm job."""
    limits = []
    for line in groups.read_text().splitlines() if groups.exists() else []:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            place, names = root / path.lstrip("/"), V2
        elif "memory" in controllers.split(","):
            place, names = root / "memory" / path.lstrip("/"), V1
        else:
            continue
        limits += [_left(folder, *names) for folder in (place, *place.parents) if folder.is_relative_to(root)]
    return [limit for limit in limits if limit is not None]


def _left(folder: Path, limit: str, used: str) -> int | None:
    """Read what a control group leaves, in bytes; None: it has no limit. What only caches files is free to take."""
    try:
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        cache = int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))
        return max(0, int((folder / limit).read_text()) - int((folder / used).read_text()) + cache)
    except (OSError, ValueError):  # there is no such file, or it says max
        return None


def fitting(most: int, each: float, memory: float, what: str) -> int:
    """Choose how many go together: ``most`` or, where memory is short, a lower power of two.

    By memory and not by the stopwatch, so that jobs with memory enough come to the same number, and their results to the same
    bits.

    Parameters
    ----------
    most : int
        How many go together where there is memory enough; a power of two.
    each : float
        Bytes that one takes.
    memory : float
        Bytes that all may take.
    what : str
        What they are, in the plural, for the warning that there are fewer.

    Returns
    -------
    int
        A power of two from 1 to ``most``.
    """
    together = most
    while together > 1 and together * each > memory:
        together //= 2
    if together < most:
        warnings.warn(
            f"memory is short: {together} {what} at a time, not {most}; last digits may differ from those of other jobs",
            stacklevel=2,
        )
    return together


def send(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy an array to a device, without waiting for what a GPU is doing.

    Parameters
    ----------
    array : numpy.ndarray
        Numbers of any shape.
    device : torch.device
        Where they are needed. On the CPU the tensor shares the memory of the array.
    """
    tensor = torch.from_numpy(array)
    # Only from pinned memory does a copy take its turn behind the work in flight; any other waits for it.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def send_all(arrays: Sequence[Sequence[np.ndarray]], device: torch.device) -> list[torch.Tensor]:
    """Copy several arrays to a device in one go: to begin a copy takes longer than most of them.

    Parameters
    ----------
    arrays : sequence of sequence of numpy.ndarray
        The parts of each, of int64, which are put one after the other.
    device : torch.device
        Where they are needed. On the CPU the tensors share the memory of arrays that have one part.

    Returns
    -------
    list of Tensor
        int64 ``(numbers,)`` of each.
    """
    if device.type != "cuda":
        return [torch.from_numpy((parts[0] if len(parts) == 1 else np.concatenate(parts)).ravel()) for parts in arrays]
    sizes = [sum(part.size for part in parts) for parts in arrays]
    starts = np.cumsum([0, *(-(-size // ALIGNED) * ALIGNED for size in sizes)]).tolist()
    host = torch.empty(starts[-1], dtype=torch.int64, pin_memory=True)
    place = host.numpy()
    for start, parts in zip(starts, arrays, strict=False):
        for part in parts:
            place[start : start + part.size] = part.ravel()
            start += part.size
    there = host.to(device, non_blocking=True)
    return [there[start : start + size] for start, size in zip(starts, sizes, strict=False)]


def fetch(tensor: torch.Tensor) -> Callable[[], np.ndarray]:
    """Begin to copy a tensor to the host.

    Parameters
    ----------
    tensor : Tensor
        Numbers of any shape, on any device.

    Returns
    -------
    callable
        Waits for the copy and gives it as an array.
    """
    if tensor.device.type != "cuda":
        return tensor.numpy
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record(torch.cuda.current_stream(tensor.device))

    def wait() -> np.ndarray:
        arrived.synchronize()
        return host.numpy()

    return wait


def ahead(items: Iterable[Item], launch: Callable[[Item], Launched], device: torch.device) -> Iterator[tuple[Item, Launched]]:
    """Launch work on items, on a GPU some ahead of what is taken, so that it need not wait for the host.

    Parameters
    ----------
    items : iterable
        What there is to work on.
    launch : callable
        Begins the work on an item, and returns without waiting for its end.
    device : torch.device
        Where the work is done: on a GPU, ``IN_FLIGHT`` items are ahead; on the CPU, none.

    Yields
    ------
    item
        One of ``items``, in their order.
    launched
        What ``launch`` returned for it.
    """
    waiting: deque[tuple[Item, Launched]] = deque()
    for item in items:
        waiting.append((item, launch(item)))
        if len(waiting) > (IN_FLIGHT if device.type == "cuda" else 0):
            yield waiting.popleft()
    yield from waiting
