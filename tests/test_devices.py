import numpy as np
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


def test_tf32_is_used_inside_its_frame_only():
    devices.exact()
    with devices.multiplying("tf32"):
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32
        with devices.multiplying("float32"):
            assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_arrays_go_to_the_device_and_come_back():
    array = np.arange(6).reshape(2, 3)
    tensor = devices.send(array, torch.device("cpu"))
    assert tensor.tolist() == array.tolist()
    np.testing.assert_array_equal(devices.fetch(tensor)(), array)


def test_free_memory_of_the_cpu_is_what_the_system_and_the_job_leave(monkeypatch, tmp_path):
    assert 2**20 < devices.free_memory(torch.device("cpu")) < 2**50
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("300\n")
    assert devices._cgroup("memory.max", "memory.current", tmp_path) == 700
    (tmp_path / "memory.max").write_text("max\n")
    assert devices._cgroup("memory.max", "memory.current", tmp_path) is None
    assert devices._cgroup("no", "such", tmp_path) is None
    monkeypatch.setattr(devices, "_cgroup", lambda *names: 700)
    assert devices.free_memory(torch.device("cpu")) == 700
    monkeypatch.setattr(devices, "_cgroup", lambda *names: None)
    monkeypatch.setattr(devices, "_available", lambda: None)
    assert devices.free_memory(torch.device("cpu")) == 2**32


def test_free_memory_of_a_gpu_counts_what_torch_holds_unused(monkeypatch):
    for name, value in {"memory_reserved": 50, "memory_allocated": 20, "mem_get_info": (100, 1000)}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert devices.free_memory(torch.device("cuda")) == 130
