"""Note each function of the library that the work of a job's script calls, but for what imports call."""

import builtins
import functools
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

called: set[str] = set()
scripts: set[str] = set()
working: list[int] = []
importing: list[int] = []


def unwatched(function: Callable) -> Callable:
    """Let nobody watch imports, which take ten times as long when watched."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        watching = sys.getprofile()
        sys.setprofile(None)
        try:
            return function(*arguments, **options)
        finally:
            sys.setprofile(watching)

    return call


def note(frame: Any, event: str, _: object) -> None:
    """Note a call of the library, from the beginning of the script's work on."""
    code = frame.f_code
    if event not in ("call", "return"):
        return
    if code.co_name == "<module>":
        if event == "call":
            importing.append(1)
        elif importing:
            importing.pop()
    elif code.co_name == "work" and "/scripts/" in code.co_filename:
        working[:] = [1] if event == "call" else []
        importing.clear()  # the script itself is a module too
        scripts.add(code.co_filename)
    elif working and not importing and "/rnalm/" in code.co_filename:
        called.add(f"{frame.f_globals['__name__']}:{code.co_qualname}")


def watch() -> None:
    """Begin to watch this process."""
    builtins.__import__ = unwatched(builtins.__import__)
    importlib.import_module = unwatched(importlib.import_module)
    sys.setprofile(note)


def write(folder: Path) -> None:
    """Write a file into the folder: the script's name, and the functions that it called."""
    sys.setprofile(None)
    for script in scripts:
        lines = [Path(script).name.split(".")[-2], *sorted(called)]
        (folder / f"{os.getpid()}.txt").write_text("\n".join(lines))
