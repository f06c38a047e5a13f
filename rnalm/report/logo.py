"""Effects of letters ─► a logo, in which the height of each letter is what it does to the prediction, as SVG.

A letter is drawn once in each logo and then only named, so that a page with dozens of logos stays small: logos that matplotlib
writes spell the outline of each letter anew, wherever it stands.
"""

from collections.abc import Sequence
from functools import cache
from html import escape

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from rnalm.report.figures import DOWN, GREY, UP

#: Height of a logo, width of a letter, and room for the scale at its left, in pixels.
HEIGHT, WIDTH, LEFT = 110, 20, 46
#: Room above and below the letters; positions stand below.
ABOVE, BELOW = 8, 18
#: Letters are outlined in a square of this side.
SIDE = 100
#: matplotlib's codes of a path, as SVG writes them.
CODES = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
#: Points of each.
POINTS = {"M": 1, "L": 1, "Q": 2, "C": 3, "Z": 1}
#: Letters of a stack that are lower than this, in pixels, are not drawn.
LOWEST = 0.5


@cache
def outline(text: str) -> str:
    """Outline a letter, or a few, in a square whose corner is 0, as the data of an SVG path.

    Parameters
    ----------
    text : str
        What is outlined, in the letters that come with matplotlib: the same on all machines.
    """
    path = TextPath((0, 0), text, size=SIDE, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    vertices, codes = np.asarray(path.vertices), [] if path.codes is None else path.codes.tolist()
    if not len(vertices):
        return ""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    points = np.rint((vertices - low) / np.maximum(high - low, 1e-9) * SIDE).astype(int)
    points[:, 1] = SIDE - points[:, 1]
    pieces, place = [], 0
    while place < len(codes):
        letter = CODES[codes[place]]
        own = points[place : place + POINTS[letter]]
        pieces.append("Z" if letter == "Z" else letter + " ".join(f"{x} {y}" for x, y in own))
        place += POINTS[letter]
    return "".join(pieces)


def logo(
    effects: np.ndarray, letters: Sequence[str], name: str, told: str, limit: float, starts: Sequence[int] | None = None
) -> str:
    """Draw the effects of letters: those that raise the prediction up and blue, those that lower it down and orange.

    Parameters
    ----------
    effects : numpy.ndarray
        Of each letter at each place ``(places, letters)``; 0 where it does not stand.
    letters : sequence of str
        What they are ``(letters,)``.
    name : str
        Stands in the logo's ids, which must be its own in a page: letters, digits, ``_``, ``-`` and ``.``.
    told : str
        The same in words, for those who cannot see it.
    limit : float
        The effect that fills the height, the same for all logos that are compared; larger ones still fit.
    starts : sequence of int, optional
        Numbers of the places; None: from 0 on.

    Returns
    -------
    str
        An SVG element.
    """
    heights = np.nan_to_num(effects)
    top = max(float(np.maximum(heights, 0).sum(axis=1).max(initial=0)), 0.0)
    bottom = max(float(np.maximum(-heights, 0).sum(axis=1).max(initial=0)), 0.0)
    scale = (HEIGHT - ABOVE - BELOW) / max(top + bottom, limit, 1e-300)
    zero = ABOVE + top * scale
    used = [number for number in range(len(letters)) if np.any(np.abs(heights[:, number]) * scale >= LOWEST)]
    shapes = "".join(f'<path id="{name}-{number}" d="{outline(letters[number])}"/>' for number in used)
    width = LEFT + WIDTH * len(heights)
    drawn = "".join(_stack(row * scale, zero, LEFT + WIDTH * place, name) for place, row in enumerate(heights))
    around = _axes(top, bottom, zero, width) + _ticks(range(len(heights)) if starts is None else starts)
    size = f'width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" class="logo">'
        f"<title>{escape(told)}</title><defs>{shapes}</defs>{drawn}{around}</svg>"
    )


def _stack(heights: np.ndarray, zero: float, left: float, name: str) -> str:
    """Put letters of one place above and below the line, the strongest farthest from it."""
    pieces = []
    for sign, colour in ((1, UP), (-1, DOWN)):
        edge, own = zero, sign * heights
        for number in np.argsort(own, kind="stable"):
            if own[number] < LOWEST:
                continue
            y = edge - own[number] if sign > 0 else edge
            edge -= sign * own[number]
            size = f"{(WIDTH - 1) / SIDE:.4g} 0 0 {own[number] / SIDE:.4g}"
            pieces.append(f'<use href="#{name}-{number}" fill="{colour}" transform="matrix({size} {left:g} {y:.4g})"/>')
    return "".join(pieces)


def _axes(top: float, bottom: float, zero: float, width: float) -> str:
    """Draw the line of no effect, and say how large the largest effects are."""
    labels = [(ABOVE + 4, f"+{top:.2g}", top), (zero + 4, "0", 1), (HEIGHT - BELOW, f"−{bottom:.2g}", bottom)]
    shown = "".join(
        f'<text x="{LEFT - 6}" y="{y:.4g}" text-anchor="end">{text}</text>'
        for y, text, size in labels
        if size and (text == "0" or abs(y - zero - 4) > 9)
    )
    line = f'<path d="M{LEFT} {zero:.4g}H{width:g}" stroke="{GREY}" stroke-width=".7"/>'
    return f'{line}<g font-size="10" fill="{GREY}">{shown}</g>'


def _ticks(starts: Sequence[int]) -> str:
    """Write the number of the first place, and every fifth one."""
    shown = "".join(
        f'<text x="{LEFT + WIDTH * (place + 0.5):g}" y="{HEIGHT - 4}">{start}</text>'
        for place, start in enumerate(starts)
        if place == 0 or (start % 5 == 0 and place > 2)
    )
    return f'<g font-size="10" fill="{GREY}" text-anchor="middle">{shown}</g>'
