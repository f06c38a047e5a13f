"""A logo is a small picture by itself in which heights are effects."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from rnalm.report.figures import DOWN, UP
from rnalm.report.logo import HEIGHT, SIDE, WIDTH, logo, outline

SVG = "{http://www.w3.org/2000/svg}"


def drawn(effects, letters: str = "acgt", **options):
    text = logo(np.array(effects, float), list(letters), "own", "Effects: <a> & c.", **({"limit": 0.0} | options))
    return text, ElementTree.fromstring(text)


def boxes(root) -> list[tuple[str, str, float, float, float]]:
    """List letters: id, colour, left, top, height."""
    found = []
    for use in root.iter(f"{SVG}use"):
        _, _, _, scale, left, top = map(float, re.match(r"matrix\((.*)\)", use.get("transform")).group(1).split())
        found.append((use.get("href").removeprefix("#own-"), use.get("fill"), left, top, scale * SIDE))
    return found


def test_heights_are_effects_up_is_blue_and_down_is_orange():
    _, root = drawn([[2, 0, 0, 0], [0, -1, 0, 0], [0.5, 0.25, 0, -0.5]])
    found = boxes(root)
    by_letter = {(letter, left): (colour, top, height) for letter, colour, left, top, height in found}
    lefts = sorted({left for _, left in by_letter})
    assert lefts[1] - lefts[0] == WIDTH
    (up, top, tall), (down, zero, low) = by_letter["0", lefts[0]], by_letter["1", lefts[1]]
    assert (up, down) == (UP, DOWN)
    assert tall == pytest.approx(2 * low, rel=0.01)
    assert top + tall == pytest.approx(zero, abs=0.2), "both stand on the line of no effect"
    assert by_letter["1", lefts[2]][1] > by_letter["0", lefts[2]][1], "the strongest letter is farthest from the line"
    assert all(top >= 0 and top + height <= HEIGHT for _, _, _, top, height in found)


def test_a_logo_has_its_letters_once_and_only_those_it_shows():
    text, root = drawn([[1, 0, 0, 0], [1, 1e-6, 0, 0], [0, 0, 0, -1]])
    assert [path.get("id") for path in root.iter(f"{SVG}path") if path.get("id")] == ["own-0", "own-3"]
    assert len(text) < 4000


def test_a_logo_says_in_words_what_it_shows():
    text, root = drawn([[1, 0, 0, 0]])
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Effects: <a> & c."
    assert "<a>" not in text


def test_places_are_numbered_from_the_first():
    _, root = drawn([[1, 0, 0, 0]] * 12, starts=range(113, 125))
    numbers = [text.text for text in root.iter(f"{SVG}text") if text.text.isdigit() and text.text != "0"]
    assert numbers == ["113", "120"]


@pytest.mark.parametrize("effects", [np.zeros((0, 4)), np.zeros((3, 4)), np.full((2, 4), np.nan)])
def test_where_nothing_has_an_effect_nothing_is_drawn(effects):
    _, root = drawn(effects)
    assert boxes(root) == []


@pytest.mark.parametrize("text", ["a", "T", "m6A", "é"])
def test_outlines_fill_their_square(text):
    numbers = [int(number) for number in re.findall(r"\d+", outline(text))]
    assert (min(numbers), max(numbers)) == (0, SIDE)
    assert outline(text).count("M") == outline(text).count("Z")


def test_logos_on_one_scale_can_be_compared():
    """The same effect is as high in each, and a larger one than the scale has still fits."""
    heights = {}
    for limit in (0.0, 1.0, 4.0):
        _, root = drawn([[1, 0, 0, 0]] * 3, limit=limit)
        heights[limit] = boxes(root)[0][4]
    assert heights[0.0] == heights[1.0]
    assert heights[4.0] == pytest.approx(heights[1.0] / 4, rel=0.01)
