"""Which device a job computes on, and how exactly."""

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
