"""Python files of a user's own: gathered as text, kept with a model, and run where that is asked for."""

import hashlib
import importlib.util
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from rnalm.errors import RnalmError, nearest

#: What was run before, by what it is: a module is run once in a process, and its folder stays as long.
_RUN: dict[str, tuple[ModuleType, tempfile.TemporaryDirectory]] = {}


def files(path: str | Path) -> list[Path]:
    """List the files of a module: itself, or all Python files of a package.

    Parameters
    ----------
    path : path
        The Python file, or the folder of a package.

    Raises
    ------
    RnalmError
        If there is no such file, or the folder is no package.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        near = [str(one) for one in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise RnalmError(f"model.path: {path}: no such file; {nearest(path, near)}")
    if not (path / "__init__.py").is_file():
        raise RnalmError(f"model.path: {path}: no package; expected the file __init__.py in it")
    return sorted(path.rglob("*.py"))


def read(path: str | Path) -> dict[str, str]:
    """Read a module as text.

    Parameters
    ----------
    path : path
        The Python file, or the folder of a package.

    Returns
    -------
    dict of str to str
        By name: ``model.py``, or ``package/__init__.py`` and what else the package has.
    """
    path = Path(path).resolve()
    return {str(one.relative_to(path.parent)): one.read_text(encoding="utf-8") for one in files(path)}


def run(code: Mapping[str, str], where: str) -> ModuleType:
    """Run a module.

    Parameters
    ----------
    code : mapping of str to str
        From :func:`read`.
    where : str
        Where it is from, for messages.

    Raises
    ------
    RnalmError
        If it raises anything.
    """
    content = hashlib.sha256(repr(sorted(code.items())).encode()).hexdigest()[:16]
    if content not in _RUN:
        folder = tempfile.TemporaryDirectory(prefix="rnalm-code-")
        for name, text in code.items():
            place = Path(folder.name) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        _RUN[content] = _import(Path(folder.name), min(code, key=len), content, where), folder
    return _RUN[content][0]


def _import(folder: Path, first: str, content: str, where: str) -> ModuleType:
    """Import a file, or the package in which it is, under a name that nothing else has."""
    package = Path(first).parent.name
    entry = folder / package / "__init__.py" if package else folder / first
    name = f"rnalm_code_{content}"
    inside = [str(entry.parent)] if package else None
    spec = importlib.util.spec_from_file_location(name, entry, submodule_search_locations=inside)
    assert spec is not None, "Python files have one"
    assert spec.loader is not None, "Python files have one"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # A package may speak of itself by its own name.
    borrowed = package and package not in sys.modules
    if borrowed:
        sys.modules[package] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        problem = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise RnalmError(f"{where}: cannot be run ({problem})") from error
    finally:
        if borrowed:
            del sys.modules[package]
    return module


def find(module: ModuleType, name: str, where: str) -> Any:
    """Find a class in a module.

    Parameters
    ----------
    module : module
        From :func:`run`.
    name : str
        The class.
    where : str
        Where the module is from, for messages.

    Raises
    ------
    RnalmError
        If it has no such class.
    """
    if not isinstance(found := getattr(module, name, None), type):
        known = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise RnalmError(f"{where}: has no class {name!r}; {nearest(name, known)}")
    return found
