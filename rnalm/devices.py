"""Which device a job computes on."""

import torch


def choose() -> torch.device:
    """Take the first visible GPU, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def count(wanted: int) -> int:
    """Say how many of the wanted GPUs there are."""
    return min(wanted, torch.cuda.device_count())
