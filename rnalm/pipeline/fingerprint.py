"""What a script's results depend on beside its inputs: the code that it reaches, wherever in the library."""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

from rnalm.files import write_json
from rnalm.pipeline.references import Reference, files, is_text, module_of, parsed, references

PACKAGE = Path(__file__).parents[1]

#: The frame of a job: logs, leases, receipts. It computes nothing of what a job computes.
FRAME = {"rnalm.pipeline.jobs"}


class Codes:
    """Fingerprints of the scripts of a workflow, noted so that a library which has not changed is not read again.

    Parameters
    ----------
    ledger : path
        JSON file of what was noted.
    package : path
        Folder of the package.

    Attributes
    ----------
    asked : dict of str to str
        The fingerprints given so far, by the names of scripts.
    """

    def __init__(self, ledger: str | Path, package: str | Path = PACKAGE) -> None:
        self.ledger, self.package = Path(ledger), Path(package)
        self.key = _contents(self.package)
        try:
            noted = json.loads(self.ledger.read_text(encoding="utf-8"))
            self.noted: dict[str, str] = dict(noted["scripts"]) if noted["key"] == self.key else {}
        except (OSError, ValueError, TypeError, KeyError):
            self.noted = {}
        self.new, self.asked = False, {}

    def of(self, script: str | Path) -> str:
        """Give the fingerprint of a script, as :func:`code` finds it.

        Parameters
        ----------
        script : path
            The script.
        """
        # By its content, too: of one that was fetched, the place says little.
        place = f"{Path(script).name} {_content(Path(script))}"
        if place not in self.noted:
            self.noted[place] = code(script, self.package)
            self.new = True
        self.asked[Path(script).name] = self.noted[place]
        return self.noted[place]

    def save(self) -> None:
        """Write the ledger if there is anything new."""
        if self.new:
            write_json(self.ledger, {"key": self.key, "scripts": self.noted})


def _contents(folder: Path) -> str:
    """Hash all files in a folder, with their paths, but for what Python compiles."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if "__pycache__" not in path.parts and path.is_file():
            digest.update(f"{path.relative_to(folder)}\0{_content(path)}\0".encode())
    return digest.hexdigest()


def code(script: str | Path, package: str | Path = PACKAGE) -> str:
    """Hash a script with every definition of the package that it reaches through imports.

    Comments, docstrings and layout do not count, nor does what the script never refers to: an edit in one function changes
    the fingerprints of those scripts that can come to call it. What a text names counts as well: a file beside the modules,
    such as a template, by its path, and an entry of a registry, such as ``"rnalm.models.saluki:create"``, by its place.

    Parameters
    ----------
    script : path
        A script of the workflow.
    package : path
        Folder of the package.

    Returns
    -------
    str
        Short enough to read.
    """
    digest = hashlib.sha256()
    for name, content in sorted(reached(script, package).items()):
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()[:16]


def reached(script: str | Path, package: str | Path = PACKAGE) -> dict[str, str]:
    """Collect what :func:`code` hashes.

    Parameters
    ----------
    script : path
        A script of the workflow.
    package : path
        Folder of the package.

    Returns
    -------
    dict
        Canonical code by place: ``module:definition``, ``module:`` for what runs at import, or ``file:name``.
    """
    package = Path(package)
    start = module_of(Path(script), package)
    places = {f":{name}": _all(statements) for name, statements in {**start.definitions, "": start.loose}.items()}
    waiting: list[Reference] = [(name, "") for name in start.imported]
    for statement in (*start.loose, *(statement for group in start.definitions.values() for statement in group)):
        waiting += references(statement, "", start, package)
    seen: set[Reference] = set()
    while waiting:
        reference = waiting.pop()
        if reference in seen or reference[0] in FRAME:
            continue
        seen.add(reference)
        here, further = _look(reference, package)
        places |= here
        waiting += further
    return places


@cache
def _look(reference: Reference, package: Path) -> tuple[dict[str, str], set[Reference]]:
    """Read what is referred to, and what it refers to in turn."""
    name, wanted = reference
    module = parsed(name, package)
    further: set[Reference] = {(imported, "") for imported in module.imported}
    if wanted is None:
        return {}, further | {(name, ""), *((name, definition) for definition in module.definitions)}
    statements = module.definitions.get(wanted, []) if wanted else module.loose
    places = {f"{name}:{wanted}": _all(statements)} if statements else {}
    for statement in statements:
        further |= {*references(statement, name, module, package)}
        places |= {f"file:{path.relative_to(package)}": _content(path) for path in files(statement, package)}
    return places, further


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _all(statements: list[ast.stmt]) -> str:
    """Write the statements of a definition."""
    return f"[{','.join(map(_once, statements))}]"


@cache
def _once(statement: ast.stmt) -> str:
    """Write a statement at the top of a module once, wherever it lies."""
    return _canonical(statement)


def _canonical(node: object) -> str:
    """Write code without its layout and docstrings, the same in every version of Python that can parse it."""
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields)
        shown = (f"{name}={_canonical(value)}" for name, value in fields if value not in (None, []))
        return f"{type(node).__name__}({','.join(shown)})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in node if not is_text(item))}]"
    return repr(node)
