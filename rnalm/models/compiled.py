"""Kernels of our own for GPUs, where Triton can compile them."""

import logging
import os
from collections.abc import Callable
from functools import cache
from types import ModuleType

import torch

log = logging.getLogger(__name__)


@cache
def _load(module: Callable[[], ModuleType], device: torch.device) -> ModuleType | None:
    """Load kernels, if they can be compiled here: for that Triton needs a C compiler, and a folder to write to."""
    try:
        kernels = module()
        kernels.try_out(device)
    except torch.OutOfMemoryError:
        raise  # this says nothing of Triton, and smaller batches may help
    except Exception as error:  # whatever it is, there is another way
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        log.warning("Triton compiles nothing for this GPU (%s): it takes several times as long", reason)
        return None
    return kernels


def kernels(module: Callable[[], ModuleType], device: torch.device) -> ModuleType | None:
    """Give a module of kernels where they can be used, on a GPU with Triton.

    Parameters
    ----------
    module : callable
        Imports the module, which has a function ``try_out`` that runs one of them on a device.
    device : torch.device
        That of all tensors. On the CPU they are used where Triton interprets them (``TRITON_INTERPRET=1``), for tests.
    """
    return _load(module, device) if device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1" else None
