"""The house is as ARCHITECTURE.md draws it."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LISTED = re.search(r"```\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL).group(1)
ORDER = [line.split()[0] for line in LISTED.splitlines()]


def path_of(module: str) -> Path:
    path = ROOT / "rnalm" / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(module: str) -> set[str]:
    """Name the modules of the library that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("rnalm.")}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rnalm":
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    names = {name.removeprefix("rnalm.") for name in found}
    return {name for name in names if name in ORDER}


def test_every_module_is_in_the_list():
    there = {str(path.relative_to(ROOT / "rnalm").with_suffix("")).replace("/", ".") for path in (ROOT / "rnalm").rglob("*.py")}
    assert {name.removesuffix(".__init__") for name in there} - {"__init__", "perturb", "report"} == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_from_those_above_it(module):
    above = set(ORDER[: ORDER.index(module)])
    assert imported(module) <= above


@pytest.mark.parametrize("module", ["rnalm", "rnalm.cli", "rnalm.config", "rnalm.folder"])
def test_what_every_job_imports_is_light(module):
    code = f"import sys, {module}; sys.exit(' '.join({{'torch', 'transformers', 'pandas', 'pyarrow'}} & set(sys.modules)) or 0)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_the_conda_environment_has_what_the_package_needs():
    conda_names = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [re.match(r"([\w-]+)(.*)", requirement).groups() for requirement in project["dependencies"]]
    environment = yaml.safe_load((ROOT / "workflow" / "envs" / "rnalm.yaml").read_text())["dependencies"]
    found = {entry for part in environment for entry in (part["pip"] if isinstance(part, dict) else [part])}
    assert {f"{conda_names.get(name, name)} {version}" for name, version in needed} <= found


def test_every_pinned_dependency_is_one_that_the_package_allows():
    pinned = dict(line.strip().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    listed = [*project["dependencies"], *optional["workflow"], *optional["dev"]]
    assert {re.match(r"[\w-]+", requirement)[0].lower() for requirement in listed} <= {name.lower() for name in pinned}
