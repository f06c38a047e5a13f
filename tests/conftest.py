"""What many tests need: a table with the source that describes it, and the message of a refusal."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from warm import Warm

from rnalm.config import Table
from rnalm.errors import RnalmError
from rnalm.pipeline import fingerprint

ROOT = Path(__file__).parents[1]

# Tests share the cores: a thread that waits for others lets them have its core, rather than spin on it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# No test depends on how busy the machine is.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of a file share a process, and with it what they prepare; those of the workflow go one by one."""
    for item in items:
        if "workflow" not in item.path.parts and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    slow = {group(item) for item in items if item.get_closest_marker("slow")}
    first = [item for item in items if "finished" in getattr(item, "fixturenames", ())][:1]

    def place(item: pytest.Item) -> int:
        """Begin with what most others wait for, then what takes long, so that no process ends long after the others."""
        if item in first or group(item) == "language":
            return 0
        return 1 if group(item) in slow else 2 if "workflow" in item.path.parts else 3

    items.sort(key=place)


def group(item: pytest.Item) -> str | None:
    """Name the tests with which a test shares a process."""
    marker = item.get_closest_marker("xdist_group")
    return marker.args[0] if marker else None


@pytest.fixture(scope="session")
def device() -> Any:
    """Give what tests marked gpu compute on: a GPU or, where ``RNALM_DEVICE`` says so, the CPU, to try the tests."""
    import torch

    from rnalm import compute

    compute.exact()
    wanted = torch.device(os.environ.get("RNALM_DEVICE", "cuda"))
    if wanted.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return wanted


@pytest.fixture(scope="session")
def warm(tmp_path_factory) -> Warm:
    """Give a process that runs jobs without their imports."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    return Warm((tmp_path_factory.getbasetemp().parent if parallel else tmp_path_factory.getbasetemp()) / "warm")


@pytest.fixture(scope="session")
def read_code() -> None:
    """Take the library apart once: what plans in copies of this process need not do it again."""
    for script in (ROOT / "workflow" / "scripts").glob("*.py"):
        fingerprint.code(script, ROOT / "rnalm")


@pytest.fixture
def write_source(tmp_path) -> Callable[..., Table]:
    """Write a table (compressed if its name says so) and describe it; columns default to ``id`` and ``sequence``."""

    def write(content: str | bytes, name: str = "table.tsv", **settings: Any) -> Table:
        data = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
        return Table(path=str(path), **({"columns": {"id": "id", "sequence": "sequence"}} | settings))

    return write


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Call a function that must refuse, and give the one line that the user reads."""

    def message(function: Callable, *arguments: Any, **options: Any) -> str:
        with pytest.raises(RnalmError) as caught:
            function(*arguments, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message
