import sys
from types import SimpleNamespace

import pytest
import torch

from rnalm.scoring import scorers
from rnalm.scoring.scorers import fused

CARD = torch.device("cuda")


@pytest.fixture
def broken(monkeypatch):
    """Let the trial of our kernels fail with an error."""

    def pretend(error: Exception) -> None:
        def try_out(device: torch.device) -> None:
            raise error

        fake = SimpleNamespace(try_out=try_out)
        monkeypatch.setitem(sys.modules, "rnalm.scoring.scorers.kernels", fake)
        monkeypatch.setattr(scorers, "kernels", fake, raising=False)

    fused._kernels.cache_clear()
    yield pretend
    fused._kernels.cache_clear()


def test_where_triton_compiles_nothing_the_reason_is_told_once(broken, caplog):
    broken(RuntimeError("no C compiler\nand a trace"))
    assert fused.kernels(CARD) is None
    assert fused.kernels(CARD) is None
    told = "Triton compiles nothing for this GPU (no C compiler): scores take several times as long"
    assert [record.message for record in caplog.records] == [told]


def test_memory_that_runs_out_says_nothing_of_triton(broken, caplog):
    broken(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        fused.kernels(CARD)
    assert not caplog.records
