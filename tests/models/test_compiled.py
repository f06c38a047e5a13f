"""Kernels that cannot be compiled are done without, and it is said why, once."""

from types import SimpleNamespace

import pytest
import torch

from rnalm.models import compiled

CARD = torch.device("cuda")


def broken(error: Exception):
    """Make what imports kernels whose trial fails with an error."""

    def try_out(device: torch.device) -> None:
        raise error

    return lambda: SimpleNamespace(try_out=try_out)


def test_where_triton_compiles_nothing_the_reason_is_told_once(caplog):
    module = broken(RuntimeError("no C compiler\nand a trace"))
    assert compiled.kernels(module, CARD) is None
    assert compiled.kernels(module, CARD) is None
    told = "Triton compiles nothing for this GPU (no C compiler): it takes several times as long"
    assert [record.message for record in caplog.records] == [told]


def test_memory_that_runs_out_says_nothing_of_triton(caplog):
    with pytest.raises(torch.OutOfMemoryError):
        compiled.kernels(broken(torch.OutOfMemoryError("CUDA out of memory")), CARD)
    assert not caplog.records


def test_a_cpu_needs_none():
    assert compiled.kernels(broken(RuntimeError("was tried")), torch.device("cpu")) is None
