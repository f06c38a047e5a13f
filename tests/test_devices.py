import torch

from rnalm import devices


def test_without_a_gpu_or_without_leave_to_use_one_the_cpu_computes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices.choose(1).type == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.choose(0).type == "cpu"
    assert devices.choose(1).type == "cuda"
    assert [devices.count(wanted) for wanted in (0, 1, 2, 4)] == [0, 1, 2, 2]


def test_float32_is_float32():
    devices.choose()
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
