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
LIBRARY = ROOT / "rnalm"
LISTED = re.search(r"```\n(errors.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL).group(1)
#: Packages and modules at the top, in the order in which data flow.
ORDER = [line.split()[0].removesuffix("/").removesuffix(".py") for line in LISTED.splitlines()]
MODULES = {".".join(path.relative_to(LIBRARY).with_suffix("").parts): path for path in LIBRARY.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items() if name != "__init__"}
#: All that ``pipeline`` may know of the library, so that planning stays light.
PLANNED_WITH = {"errors", "files", "config", "sequences", "models.folder", "pipeline"}


def imported(module: str) -> set[str]:
    """Name the modules of the library that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rnalm":
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name.removeprefix("rnalm.") in MODULES else node.module for name in whole}
    return {name.removeprefix("rnalm.") for name in names if name.startswith("rnalm.")} - {module}


def package(module: str) -> str:
    return module.split(".")[0]


def test_the_list_names_every_package():
    assert {package(module) for module in MODULES} == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_a_package_imports_only_from_those_above_it(name):
    above = set(ORDER[: ORDER.index(name) + 1])
    assert {package(other) for module in MODULES if package(module) == name for other in imported(module)} <= above


def test_no_modules_import_each_other_in_a_circle():
    waiting = {module: imported(module) for module in MODULES}
    while free := [module for module, needs in waiting.items() if not needs & set(waiting)]:
        for module in free:
            del waiting[module]
    assert not waiting


def test_planning_knows_little_of_the_library():
    known = {other for module in MODULES if package(module) == "pipeline" for other in imported(module)}
    assert all(other in PLANNED_WITH or package(other) in PLANNED_WITH for other in known)
    assert {package(module) for module in MODULES if "pipeline" in map(package, imported(module))} <= {"pipeline", "api", "cli"}


@pytest.mark.parametrize("module", sorted(module for module, path in MODULES.items() if path.name == "__init__.py"))
def test_an_init_holds_a_docstring_alone(module):
    body = ast.parse(MODULES[module].read_text()).body
    assert ast.get_docstring(ast.Module(body, []))
    assert len(body) == 1 or module == "config"


@pytest.mark.parametrize("module", ["rnalm", "rnalm.cli", "rnalm.config", "rnalm.models.folder"])
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


def test_tests_of_a_file_share_a_process_and_what_they_prepare(request):
    if not request.config.getoption("loadgroup", False):
        pytest.skip("tests run in one process, or are not divided by groups")
    assert request.node.nodeid.endswith(f"@{Path(__file__)}")
