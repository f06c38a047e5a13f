"""A fingerprint changes with the code that a script can come to run, and with nothing else."""

import ast
from pathlib import Path

import pytest

from rnalm.pipeline import fingerprint, references

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))

LIBRARY = {
    "__init__.py": '__version__ = "1"\n',
    "table.py": """
        '''Tables.'''
        import csv
        from library.texts import strip as clean

        LIMIT = 3

        def read(path):
            '''Read.'''
            # with a limit
            return [clean(row) for row in csv.reader(path)][:LIMIT]

        def write(path):
            return path

        if __name__ == "__main__":
            write("x")
        """,
    "texts.py": """
        from . import nothing  # replaced below

        class Base:
            width = 1

        class Line(Base):
            '''A line.'''
            height: int = 2
            '''Its height.'''

            def draw(self):
                return self.width

        def strip(text):
            return Line().draw()

        def page():
            return files("library").joinpath("page.html")
        """.replace("from . import nothing  # replaced below", ""),
    "inner/__init__.py": "from library.inner.deep import answer\n",
    "inner/deep.py": "def answer():\n    return 42\n\ndef question():\n    return 6 * 9\n",
    "registry.py": 'ENTRIES = {"deep": "library.inner.deep:question"}\n',
    "page.html": "<p>",
}

USES = {
    "read": "from library.table import read\nread('x')",
    "module": "from library import table\ntable.read('x')",
    "whole": "import library.table\nlibrary.table.read('x')",
    "renamed": "import library.table as t\nt.read('x')",
    "local": "def work():\n    from library.table import read\n    read('x')\nwork()",
    "handed": "from library import table\nprint(table)",
    "passed on": "from library.inner import answer\nanswer()",
    "through a package": "import library\nlibrary.inner.answer()",
    "template": "from library.texts import page\npage()",
    "entry": "from library.registry import ENTRIES\nENTRIES",
}


def dedent(text: str) -> str:
    lines = text.split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Write a small package and scripts that use it; the function returned gives the fingerprint of one."""
    for name, content in LIBRARY.items():
        path = tmp_path / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(content))

    def of(use: str) -> str:
        references.parsed.cache_clear()
        fingerprint._look.cache_clear()
        script = tmp_path / "script.py"
        script.write_text(f'"""A script."""\n{USES[use]}\n')
        return fingerprint.code(script, tmp_path / "library")

    return of


def change(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / "library" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


READERS = ("read", "module", "whole", "renamed", "local", "handed")

#: File, an edit in it, and whose fingerprints change.
EDITS = {
    "a comment": ("table.py", "# with a limit", "# with no more than a limit", ()),
    "a docstring": ("table.py", "'''Read.'''", "'''Read it.'''", ()),
    "a docstring less": ("table.py", "'''Read.'''", "", ()),
    "a docstring of a field": ("texts.py", "'''Its height.'''", "'''How high.'''", ()),
    "layout": ("table.py", "LIMIT = 3", "LIMIT = (\n    3\n)", ()),
    "the version": ("__init__.py", '"1"', '"2"', ()),
    "the body": ("table.py", "[:LIMIT]", "[1:LIMIT]", READERS),
    "a constant": ("table.py", "LIMIT = 3", "LIMIT = 4", READERS),
    "a function that it calls": ("texts.py", "return Line().draw()", "return Line()", READERS),
    "a class that it uses": ("texts.py", "return self.width", "return self.height", READERS),
    "the parent of that class": ("texts.py", "width = 1", "width = 2", READERS),
    "what runs at import": ("table.py", 'write("x")', 'write("y")', READERS),
    "what nobody else calls": ("table.py", "return path", "return None", READERS),  # ``__main__`` does
    "what a registry alone names": ("inner/deep.py", "6 * 9", "6 * 7", ("entry",)),
    "a function in a package": ("inner/deep.py", "return 42", "return 41", ("passed on", "through a package")),
    "a template": ("page.html", "<p>", "<b>", ("template",)),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_the_fingerprints_of_those_that_reach_it(library, tmp_path, edit):
    *what, changed = EDITS[edit]
    before = {use: library(use) for use in USES}
    change(tmp_path, *what)
    after = {use: library(use) for use in USES}
    assert {use for use in USES if before[use] != after[use]} == set(changed)


def test_a_script_counts_itself_but_for_its_comments(library, monkeypatch):
    before = library("read")
    monkeypatch.setitem(USES, "read", USES["read"] + "  # now")
    assert library("read") == before
    monkeypatch.setitem(USES, "read", USES["read"].replace("'x'", "'y'"))
    assert library("read") != before


def test_no_code_escapes():
    """Names that are not written out, such as those of relative and star imports, would not be followed."""
    for path in (*(ROOT / "rnalm").rglob("*.py"), *SCRIPTS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}:{node.lineno}"
                assert "*" not in {alias.name for alias in node.names}, f"{path}:{node.lineno}"
            elif isinstance(node, ast.Name):
                assert node.id not in ("__import__", "import_module", "exec", "eval"), f"{path}:{node.lineno}"


#: Places that scripts are there for: if a fingerprint does not reach them, it follows nothing.
HOMES = {
    "encode": ["rnalm.tokens.encode:encode"],
    "finetune": ["rnalm.training.finetune:finetune", "rnalm.models.saluki:Saluki", "rnalm.models.hf:create"],
    "predict": ["rnalm.prediction.predict:predict"],
    "score": ["rnalm.scoring.scorers.recompute:"],
    "report": ["file:report/page.html"],
}


@pytest.mark.parametrize("script", HOMES)
def test_every_script_reaches_what_it_is_for(script):
    places = fingerprint.reached(ROOT / "workflow" / "scripts" / f"{script}.py")
    for home in HOMES[script]:
        assert any(place.startswith(home) for place in places), home


def test_no_job_depends_on_the_plan_or_on_its_frame():
    for script in SCRIPTS:
        modules = {place.partition(":")[0] for place in fingerprint.reached(script)}
        assert not {name for name in modules if name.startswith("rnalm.pipeline")}


def test_what_was_noted_of_a_library_holds_until_one_of_its_files_changes(library, tmp_path, monkeypatch):
    library("read")
    scripts, ledger = tmp_path / "scripts", tmp_path / "kept" / "code.json"
    scripts.mkdir()
    (scripts / "one.py").write_text(USES["read"])

    def codes() -> fingerprint.Codes:
        return fingerprint.Codes(ledger, tmp_path / "library")

    noted = codes()
    first = noted.of(scripts / "one.py")
    assert first == fingerprint.code(scripts / "one.py", tmp_path / "library")
    noted.save()
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "code", lambda *_: pytest.fail("read again"))
        assert codes().of(scripts / "one.py") == first
    (tmp_path / "library" / "page.html").write_text("<b>")
    assert codes().noted == {}, "a file beside the modules is part of the library"
    ledger.write_text("[]")
    assert codes().of(scripts / "one.py") == first
