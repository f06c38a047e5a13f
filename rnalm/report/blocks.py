"""What a page consists of, and how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment
from matplotlib.figure import Figure

import rnalm
from rnalm.files import replacing
from rnalm.report import figures


@dataclass
class Block:
    """A piece of a section: text, table, picture, coloured letters or code; folded under a title, if it has one."""

    heading: str = ""
    text: str = ""
    table: dict | None = None
    figure: str = ""
    caption: str = ""
    letters: list[dict] = field(default_factory=list)
    code: str = ""
    folded: str = ""


@dataclass
class Section:
    """A part of the report."""

    title: str
    blocks: list[Block]


def render(output: str | Path, title: str, lead: str, cards: Sequence[tuple[str, str]], sections: Sequence[Section]) -> None:
    """Write a page, whole or not at all.

    Parameters
    ----------
    output : path
    title, lead : str
        The lead stands below the title.
    cards : sequence of tuple
        Names and what they amount to.
    sections : sequence of Section
    """
    template = Environment(autoescape=True, trim_blocks=True).from_string(files(rnalm).joinpath("report/page.html").read_text())
    with replacing(output) as temporary:
        temporary.write_text(template.render(title=title, lead=lead, cards=cards, sections=sections), encoding="utf-8")


def picture(folder: str | Path, name: str, figure: Figure, caption: str, **kwargs) -> Block:
    """Save a picture, and show it."""
    path = Path(folder) / f"{name}.svg"
    figures.save(figure, path)
    return Block(figure=svg(path), caption=caption, **kwargs)


def svg(path: str | Path) -> str:
    """Read a saved picture as it can stand in a page."""
    text = Path(path).read_text(encoding="utf-8")
    return text[text.index("<svg") :]


def number(value: float) -> str:
    """Write a number for a table; a dash where there is none."""
    if pd.isna(value):
        return "–"
    if isinstance(value, int | np.integer) or (float(value).is_integer() and abs(value) >= 2):
        return f"{value:,.0f}"
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"
