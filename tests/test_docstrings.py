"""Public functions say what each parameter is, and when they raise what."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "rnalm"
MODULES = {str(path.relative_to(LIBRARY)): path for path in sorted(LIBRARY.rglob("*.py"))}
#: Methods that other libraries call, and describe.
OVERRIDDEN = re.compile(r"on_\w+|forward|compute_loss|evaluate|visit_\w+|save_pretrained|load_state_dict|get_\w+dataloader")
#: Its functions take the experiment, and the wildcards of the rule after which they are called.
ALIKE = {"pipeline/params.py"}


def functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    """Go through public functions, and public methods of public classes."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
            yield from functions(inner)
        if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_") and not OVERRIDDEN.fullmatch(inner.name):
            yield inner


def described(text: str, section: str) -> dict[str, str]:
    """Read what stands below each name of a section of a docstring."""
    found = re.search(rf"^{section}\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL)
    entries: dict[str, str] = {}
    names: list[str] = []
    for line in found[1].splitlines() if found else ():
        if line and not line.startswith(" "):
            names = [name.strip().lstrip("*") for name in line.partition(" : ")[0].split(",")]
            entries |= dict.fromkeys(names, "")
        elif line.strip():
            entries |= dict.fromkeys(names, line.strip())
    return entries


@pytest.mark.parametrize("module", sorted(set(MODULES) - ALIKE))
def test_parameters_and_errors_are_described(module):
    seen: set[str] = set()  # a method need not repeat what that of a class above it says
    for function in functions(ast.parse(MODULES[module].read_text())):
        if function.name in seen:
            continue
        seen.add(function.name)
        text, arguments = ast.get_docstring(function) or "", function.args
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        names = {argument.arg for argument in given if argument and argument.arg not in ("self", "cls", "_")}
        parameters = described(text, "Parameters")
        undescribed = {name for name in names if not parameters.get(name)}
        assert not undescribed, f"{function.name}: {undescribed}"
        assert all(described(text, "Raises").values()), f"{function.name}: an error without its reason"
