"""The examples in docstrings give what they show."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "rnalm"
SHOWING = [path.relative_to(LIBRARY.parent) for path in sorted(LIBRARY.rglob("*.py")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("module", [".".join(path.with_suffix("").parts) for path in SHOWING])
def test_examples_give_what_they_show(module):
    failed, attempted = doctest.testmod(import_module(module))
    assert attempted
    assert not failed
