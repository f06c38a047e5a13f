import os
import re

import numpy as np
import pytest
import torch

from rnalm import compute


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Leave settings of the process as they are found."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    yield
    compute._tell.cache_clear()
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True


def test_without_a_gpu_or_without_leave_to_use_one_the_cpu_computes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert compute.choose(1).type == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert compute.choose(0).type == "cpu"
    monkeypatch.setattr(torch.cuda, "get_device_name", str)
    assert compute.choose(1).type == "cuda"
    assert [compute.count(wanted) for wanted in (0, 1, 2, 4)] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("gpus", "found", "visible", "message"),
    [
        (0, 0, "", "computing on the CPU"),
        (1, 0, "", "gpus: 1, but there is none here: computing on the CPU"),
        (1, 0, "0", "gpus: 1, but torch was installed without CUDA: computing on the CPU"),
        (2, 2, "0,1", "computing on card 0, card 1"),
    ],
)
def test_the_log_names_the_device_once(monkeypatch, caplog, gpus, found, visible, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"card {number}")
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    compute._tell.cache_clear()
    with caplog.at_level("INFO"):
        compute.choose(gpus)
        compute.choose(gpus)
    assert caplog.messages == [message]


def test_float32_is_float32_and_tf32_is_used_inside_its_frame_only():
    def used() -> list[str]:
        return [part.fp32_precision for part in compute._parts()]

    compute.choose()
    assert used() == ["ieee"] * 4
    with compute.multiplying("tf32"):
        assert used() == ["tf32"] * 4
        with compute.multiplying("float32"):
            assert used() == ["ieee"] * 4
    assert used() == ["ieee"] * 4


def test_what_others_have_set_is_exact_again():
    try:
        torch.backends.fp32_precision = "tf32"  # as the arguments of the Trainer do where a model is to be compiled
        for part in compute._parts():
            part.fp32_precision = "tf32"
        compute.exact()
        assert {part.fp32_precision for part in (torch.backends, torch.backends.mkldnn.matmul, *compute._parts())} == {"ieee"}
        with compute.without_cudnn():
            assert not torch.backends.cudnn.enabled
        assert torch.backends.cudnn.enabled
    finally:
        compute.exact()


def test_on_a_gpu_algorithms_are_deterministic(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    compute.exact()
    assert not torch.are_deterministic_algorithms_enabled()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    compute.exact()
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUDA error: out of memory",
    ],
)
def test_memory_that_runs_out_in_a_library_of_the_gpu_counts_as_such(message):
    with pytest.raises(torch.OutOfMemoryError, match=re.escape(message)), compute.allocating():
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match="another") as caught, compute.allocating():
        raise RuntimeError("another")
    assert not isinstance(caught.value, torch.OutOfMemoryError)


def test_arrays_go_to_the_device_and_come_back():
    array = np.arange(6).reshape(2, 3)
    tensor = compute.send(array, torch.device("cpu"))
    assert tensor.tolist() == array.tolist()
    np.testing.assert_array_equal(compute.fetch(tensor)(), array)


def write_group(folder, limit: str, used: int, inactive: int, version: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else compute.V1
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    prefix = "total_" if version == 1 else ""
    (folder / "memory.stat").write_text(f"anon 5\n{prefix}inactive_file {inactive}\n")


def test_free_memory_of_the_cpu_is_the_least_that_the_system_and_any_group_of_the_job_leave(monkeypatch, tmp_path):
    assert 2**20 < compute.free_memory(torch.device("cpu")) < 2**50
    groups, root = tmp_path / "cgroup", tmp_path / "fs"
    write_group(root / "slurm" / "job", "1000", 600, 100)
    write_group(root / "slurm", "max", 10, 0)
    write_group(root / "memory" / "box", "2000", 1900, 50, version=1)
    groups.write_text("0::/slurm/job\n")
    assert compute._cgroup_limits(groups, root) == [500]
    groups.write_text("4:hugetlb,memory:/box\n3:cpu:/other\n")
    assert compute._cgroup_limits(groups, root) == [150]
    assert compute._cgroup_limits(tmp_path / "none", root) == []
    monkeypatch.setattr(compute, "_cgroup_limits", lambda: [700, 900])
    assert compute.free_memory(torch.device("cpu")) == 700
    monkeypatch.setattr(compute, "_cgroup_limits", list)
    monkeypatch.setattr(compute, "_available", lambda: None)
    assert compute.free_memory(torch.device("cpu")) == 2**32


def test_as_many_go_together_as_memory_holds_in_powers_of_two():
    assert compute.fitting(64, 10, 640, "things") == 64
    with pytest.warns(UserWarning, match="memory is short: 32 things at a time, not 64"):
        assert compute.fitting(64, 10, 639, "things") == 32
    with pytest.warns(UserWarning, match="memory is short: 1 things"):
        assert compute.fitting(64, 10, 0, "things") == 1


def test_arrays_that_go_in_one_copy_arrive_whole_and_in_parts():
    whole, parts = np.arange(5), [np.array([7]), np.arange(3)]
    assert [each.tolist() for each in compute.send_all([[whole], parts], torch.device("cpu"))] == [
        [0, 1, 2, 3, 4],
        [7, 0, 1, 2],
    ]


def test_a_gpu_gets_work_ahead_and_a_cpu_does_not():
    launched = []
    for device, most in (("cpu", 1), ("cuda", compute.IN_FLIGHT + 1)):
        launched.clear()
        taken, waiting = [], []
        for item, result in compute.ahead(range(20), lambda item: launched.append(item) or item * 2, torch.device(device)):
            waiting.append(len(launched) - len(taken))
            taken.append(item)
            assert result == item * 2
        assert taken == list(range(20))
        assert max(waiting) == most


def test_free_memory_of_a_gpu_counts_what_torch_holds_unused(monkeypatch):
    for name, value in {"memory_reserved": 50, "memory_allocated": 20, "mem_get_info": (100, 1000)}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    assert compute.free_memory(torch.device("cuda")) == 130
