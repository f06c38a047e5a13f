"""What a module of the package defines, and what each of its definitions refers to, by reading it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

#: Definitions that compute nothing: a new version number alone changes no result.
IGNORED = {"__version__"}

#: What has a scope of its own.
INNER_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)

#: A reference: module, and name in it; the empty name: what runs at import; None: all of the module.
Reference = tuple[str, str | None]


@dataclass
class Module:
    """A module taken apart.

    Attributes
    ----------
    definitions : dict
        Functions, classes and constants by name.
    imports : dict
        Names that imports bind, wherever in the module, and what they refer to.
    loose : list
        Other statements, which run when the module is imported.
    imported : set
        Modules of the package that it imports.
    """

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, Reference] = field(default_factory=dict)
    loose: list[ast.stmt] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)


@cache
def parsed(name: str, package: Path) -> Module:
    """Take a module of the package apart.

    Parameters
    ----------
    name : str
        With dots.
    package : path
        Folder of the package.

    Returns
    -------
    Module
        An empty one if there is none of that name.
    """
    path = path_of(name, package)
    return module_of(path, package) if path else Module()


def path_of(name: str, package: Path) -> Path | None:
    """Find the file of a module.

    Parameters
    ----------
    name : str
        With dots.
    package : path
        Folder of the package.

    Returns
    -------
    path or None
        None if the package has no such module.
    """
    parts = name.split(".")
    if parts[0] != package.name:
        return None
    place = package.joinpath(*parts[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def module_of(path: Path, package: Path) -> Module:
    """Take a file of Python apart.

    Parameters
    ----------
    path : path
        The file, in the package or elsewhere.
    package : path
        Folder of the package, whose imports count.
    """
    tree = _tree(path.read_text(encoding="utf-8"))
    module = Module()
    for statement in _statements(tree):
        names = _defined(statement)
        for name in names:
            if name not in IGNORED:
                module.definitions.setdefault(name, []).append(statement)
        if not names and not isinstance(statement, ast.Import | ast.ImportFrom) and not is_text(statement):
            module.loose.append(statement)
    for statement in _nested(tree):
        for bound, reference in _bindings(statement, package):
            module.imports[bound] = reference
            parts = reference[0].split(".")
            module.imported.update(".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return module


@cache
def _tree(text: str) -> ast.Module:
    """Parse a text once, wherever copies of it lie: what is found out about its statements holds for all of them."""
    return ast.parse(text)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Go through what stands at the top of a module; of what is there for type checkers alone, only what others see."""
    for statement in tree.body:
        if isinstance(statement, ast.If) and isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING":
            yield from statement.orelse
        else:
            yield statement


def _nested(node: ast.AST) -> Iterator[ast.stmt]:
    """Go through the statements of a module at every depth, but not through their expressions, which hold no statements."""
    for kind in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(node, kind, None)
        for statement in inner if isinstance(inner, list) else []:
            yield statement
            yield from _nested(statement)


def _defined(statement: ast.stmt) -> list[str]:
    """Name what a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _bindings(node: ast.stmt, package: Path) -> Iterator[tuple[str, Reference]]:
    """Say which names an import of the package binds, and to what."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == package.name:
                # ``import a.b`` binds a; attributes lead on from there.
                yield (alias.asname, (alias.name, None)) if alias.asname else (package.name, (package.name, None))
                if not alias.asname:
                    yield alias.name, (alias.name, None)
    elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package.name:
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield alias.asname or alias.name, (whole, None) if path_of(whole, package) else (node.module, alias.name)


class _Names(ast.NodeVisitor):
    """Collects the names that a statement takes from its module, with the attributes that follow, and its short texts."""

    def __init__(self) -> None:
        self.names: set[tuple[str, ...]] = set()
        self.texts: set[str] = set()
        self.local: list[set[str]] = []

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Take ``a.b.c`` as a whole."""
        chain = [node.attr]
        inner = node.value
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._add(inner.id, *reversed(chain))
        else:
            self.visit(inner)

    def visit_Name(self, node: ast.Name) -> None:
        """Take a name that stands alone."""
        self._add(node.id)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Take a text that may be the name of something."""
        if isinstance(node.value, str) and len(node.value) < 100:
            self.texts.add(node.value)

    def _add(self, name: str, *attributes: str) -> None:
        if not any(name in names for names in self.local):
            self.names.add((name, *attributes))

    def _scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        body = node.body if isinstance(node.body, list) else [node.body]
        names = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
        inside = [inner for statement in body for inner in _own(statement)]
        names |= {inner.id for inner in inside if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)}
        names -= {name for inner in inside if isinstance(inner, ast.Global) for name in inner.names}
        for outer in (*getattr(node, "decorator_list", []), getattr(node, "returns", None), node.args):
            if outer is not None:
                self.visit(outer)
        self.local.append(names)
        for statement in body:
            self.visit(statement)
        self.local.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _scope


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a function's own scope: what comprehensions and functions inside it bind is not bound in it."""
    yield node
    if not isinstance(node, INNER_SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from _own(child)


@cache
def _names(statement: ast.stmt) -> _Names:
    """Look through a statement once."""
    visitor = _Names()
    visitor.visit(statement)
    return visitor


def references(statement: ast.stmt, name: str, module: Module, package: Path) -> Iterator[Reference]:
    """Find the definitions of the package that a statement refers to.

    Parameters
    ----------
    statement : ast.stmt
        Where names and texts stand.
    name : str
        The module in which it stands.
    module : Module
        That module, taken apart.
    package : path
        Folder of the package.
    """
    for first, *attributes in _names(statement).names:
        if first in module.definitions:
            yield name, first
        if first in module.imports:
            yield from _follow(module.imports[first], attributes, package)
    for text in _names(statement).texts:
        if place := re.fullmatch(rf"({package.name}(?:\.\w+)+):(\w+)", text):
            yield from _follow((place[1], place[2]), [], package)


def _follow(reference: Reference, attributes: list[str], package: Path) -> Iterator[Reference]:
    """Go along attributes of modules, and through modules that pass on what they import, to a definition."""
    name, wanted = reference
    if wanted is None and attributes:
        inner = f"{name}.{attributes[0]}"
        if path_of(inner, package):
            yield from _follow((inner, None), attributes[1:], package)
        else:
            yield from _follow((name, attributes[0]), attributes[1:], package)
        return
    yield reference
    module = parsed(name, package)
    if wanted not in module.definitions and wanted in module.imports:
        yield from _follow(module.imports[wanted], attributes, package)


def files(statement: ast.stmt, package: Path) -> Iterator[Path]:
    """Find files of the package that a statement names.

    Parameters
    ----------
    statement : ast.stmt
        Whose texts may be paths.
    package : path
        Folder of the package.
    """
    for text in _names(statement).texts:
        path = package / text
        if "." in text and path.suffix != ".py" and path.is_file():
            yield path


def is_text(node: ast.AST) -> bool:
    """Whether a statement is only a string, such as a docstring.

    Parameters
    ----------
    node : ast.AST
        Of a module.
    """
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
