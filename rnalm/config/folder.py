"""One spelling for each folder, however the user wrote it: results lie in the same place, and are known again."""

import os
from pathlib import PurePath

from pydantic_core import PydanticCustomError


def spelled(path: str) -> str:
    """Spell a folder plainly: ``~`` and variables are expanded, and slashes and dots that say nothing are left out.

    Parameters
    ----------
    path : str
        As the user wrote it, relative or absolute.

    Raises
    ------
    PydanticCustomError
        If a user or a variable is not known, or if libraries could take the path for an address, such as ``s3://bucket``.

    Examples
    --------
    >>> spelled("./results//try/")
    'results/try'
    """
    expanded = os.path.expanduser(os.path.expandvars(path))
    if "$" in expanded:
        raise PydanticCustomError("folder", "expected variables that are set, and no other $")
    if expanded.startswith("~"):
        raise PydanticCustomError("folder", "there is no such user; expected ~ alone, or a folder that begins otherwise")
    if ":" in expanded or not expanded.isprintable():
        raise PydanticCustomError("folder", "expected a folder of this machine, in whose name is no ':' and no line break")
    plain = os.path.normpath(expanded)
    # Behind a link, .. leads elsewhere than it seems.
    if os.path.realpath(plain) != os.path.realpath(expanded):
        plain = str(PurePath(expanded))
    if plain.startswith("//"):  # which Python leaves, as POSIX allows it another meaning
        plain = plain[1:]
    if plain == "/":
        raise PydanticCustomError("folder", "expected a folder for the experiment alone")
    # A name of its own, as Snakemake complains of each file called ./file.
    return os.getcwd() if plain == "." else plain
