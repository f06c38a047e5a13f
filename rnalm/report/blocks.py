"""What a page consists of, and how it is written."""

import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, Template
from matplotlib.figure import Figure

import rnalm
from rnalm.files import replacing
from rnalm.report import figures


@dataclass
class Block:
    """A piece of a section: text, links, table, picture, coloured letters or code; what is empty is left out.

    Attributes
    ----------
    heading, text : str
        Stand above the rest.
    links : list of tuple
        Names of files, and where they lie beside the page, as a browser takes it.
    linked : str
        What the links lead to.
    table : dict or None
        Names of ``columns`` and, as lists of text, ``rows``.
    figure, caption : str
        A picture as SVG, and what it shows.
    letters : list of dict
        Sequences to be coloured: ``name``, the ``place`` of its page, if it has one, and, as token, colour, whether that is
        dark, and hint, ``tokens``.
    code : str
        Stands as it is written.
    folded : str
        Title under which the piece is folded.
    """

    heading: str = ""
    text: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)
    linked: str = "Tables:"
    table: dict | None = None
    figure: str = ""
    caption: str = ""
    letters: list[dict] = field(default_factory=list)
    code: str = ""
    folded: str = ""


@dataclass
class Section:
    """A part of the report.

    Attributes
    ----------
    title : str
        Its heading.
    blocks : list of Block
        Its pieces, from top to bottom.
    read : bool
        Whether it shows what models read in sequences: grey where that is not to be trusted.
    """

    title: str
    blocks: list[Block]
    read: bool = False


@dataclass
class Verdict:
    """What stands above all else.

    Attributes
    ----------
    sentences : list of str
        How good the models are.
    banner : str
        Why scores are not to be read, and are grey; empty where they may be.
    """

    sentences: list[str] = field(default_factory=list)
    banner: str = ""


def render(
    output: str | Path,
    title: str,
    lead: str,
    cards: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    verdict: Verdict | None = None,
) -> None:
    """Write a page, whole or not at all.

    Parameters
    ----------
    output : path
        The page.
    title, lead : str
        The lead stands below the title.
    cards : sequence of tuple
        Names and what they amount to.
    sections : sequence of Section
        The parts of the page.
    verdict : Verdict, optional
        What the page begins with.
    """
    with replacing(output) as temporary:
        page = template("report/page.html").render(
            title=title, lead=lead, cards=cards, sections=sections, verdict=verdict or Verdict()
        )
        temporary.write_text(page, encoding="utf-8")


def template(path: str, **further: str) -> Template:
    """Read the template of a page: ``style`` and ``sorting`` in it are what all pages have in common.

    Parameters
    ----------
    path : str
        Its place in the library.
    **further : str
        Files that it takes in, too, by the names that it has for them.
    """
    shared = {"style": "report/pages.css", "sorting": "report/sorting.js"}
    environment = Environment(autoescape=True, trim_blocks=True)
    environment.globals |= {name: _written(place) for name, place in (shared | further).items()}
    return environment.from_string(_written(path))


def _written(path: str) -> str:
    return files(rnalm).joinpath(path).read_text(encoding="utf-8")


#: A longer table of classes is folded.
MOST_CLASSES = 20


def by_class(per_class: Mapping[str, Mapping[str, float | None]], kind: str = "class") -> Block:
    """Tabulate what is said of each class, or of each target.

    Parameters
    ----------
    per_class : mapping
        For each class its metrics by name, all the same ones.
    kind : {'class', 'target'}
        What they are.
    """
    names = {"roc_auc": "ROC AUC", "pr_auc": "PR AUC", "f1": "F1"}
    columns = [names.get(key, key) for key in next(iter(per_class.values()))]
    rows = [[name, *(number(value) for value in of_class.values())] for name, of_class in per_class.items()]
    folded = f"Metrics of each of {len(rows)} {'classes' if kind == 'class' else 'targets'}" if len(rows) > MOST_CLASSES else ""
    return Block(table={"columns": [kind, *columns], "rows": rows}, folded=folded)


def picture(folder: str | Path, name: str, figure: Figure, caption: str, heading: str = "", folded: str = "") -> Block:
    """Save a picture, and show it.

    Parameters
    ----------
    folder : path
        Where it is saved.
    name : str
        Name of its file, from :func:`rnalm.config.contract.picture_name`.
    figure : matplotlib.figure.Figure
        The picture.
    caption : str
        What it shows.
    heading, folded : str
        See :class:`Block`.
    """
    path = Path(folder) / name
    figures.save(figure, path)
    return Block(figure=svg(path, caption), caption=caption, heading=heading, folded=folded)


def drawn(figure: Figure, caption: str, heading: str = "") -> Block:
    """Show a picture that is nowhere but in the page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The picture.
    caption, heading : str
        See :class:`Block`.
    """
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return Block(figure=_embedded(text.getvalue(), caption), caption=caption, heading=heading)


def svg(path: str | Path, caption: str) -> str:
    """Read a saved picture as it can stand in a page, which lies beside its folder.

    Parameters
    ----------
    path : path
        An SVG file.
    caption : str
        What it shows, for those who do not see it.
    """
    return _embedded(Path(path).read_text(encoding="utf-8"), caption)


def _embedded(text: str, caption: str) -> str:
    """Take a picture from its file, say what it shows, and let its links start from the page."""
    # What is an image to a screen reader has no links in it.
    role = "group" if "<a " in text else "img"
    body = text[text.index("<svg") + len("<svg") :].replace('xlink:href="../', 'xlink:href="')
    return f'<svg role="{role}" aria-label="{html.escape(caption)}"{body}'


def number(value: float | None) -> str:
    """Write a number for a table; a dash where there is none.

    Parameters
    ----------
    value : float or None
        Whole numbers from 2 on are counts; others keep three places or two digits.

    Examples
    --------
    >>> number(1234.0), number(0.25), number(0.00025), number(None)
    ('1,234', '0.250', '0.00025', '–')
    """
    if value is None or np.isnan(value):
        return "–"
    if isinstance(value, int | np.integer) or (float(value).is_integer() and abs(value) >= 2):
        return f"{value:,.0f}"
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"
