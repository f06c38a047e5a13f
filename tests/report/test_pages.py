"""What all pages have in common: style, sorting, and what those who do not see or use a mouse are given."""

import re
import shutil
import subprocess

import pytest

from rnalm.report import figures
from rnalm.report.blocks import Block, Section, drawn, render

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TABLE = {"columns": ["name", "value"], "rows": [["b", "1,000"], ["a10", "−2.5 ± 0.1"], ["a9", "–"], ["c", "30"]]}


@pytest.fixture
def page(tmp_path) -> str:
    figure, _ = figures.canvas(2, 2)
    blocks = [Block(table=TABLE), Block(table=TABLE, heading="Again"), drawn(figure, 'What "it" shows <here>.')]
    render(tmp_path / "page.html", "Title", "Lead.", [("rows", "4")], [Section("First", blocks), Section("Second", [])])
    return (tmp_path / "page.html").read_text("utf-8")


def test_sorting_and_style_stand_in_a_page_once_and_nothing_is_fetched(page):
    assert (page.count("function sortable("), page.count("<style>")) == (1, 1)
    assert page.count('document.querySelectorAll("table").forEach(sortRows)') == 1
    bare = re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert not re.search(r"https?:|@import|url\(", bare)


def test_a_page_can_be_read_in_the_dark_and_on_paper(page):
    assert "@media screen and (prefers-color-scheme: dark)" in page
    assert "@media print" in page
    assert "color-scheme: light dark" in page


def test_what_is_wider_than_a_phone_is_scrolled_in_its_own_frame_also_by_keyboard(page):
    framed = re.findall(r'<div class="wide" tabindex="0" role="region" aria-label="[^"]+">(<table|<svg)', page)
    assert framed == ["<table", "<table", "<svg"]
    assert len(re.findall("<table|<svg", page)) == len(framed)
    assert ".wide { overflow-x: auto; }" in page
    assert 'content="width=device-width, initial-scale=1"' in page


def test_each_picture_says_what_it_shows(page):
    assert re.findall(r'<svg role="([^"]*)" aria-label="([^"]*)"', page) == [("img", "What &quot;it&quot; shows &lt;here&gt;.")]


def test_every_place_in_the_page_that_is_led_to_is_there(page):
    led = set(re.findall(r'href="#([^"]+)"', re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)))
    assert led == {"main", "section-1", "section-2"}
    assert led <= set(re.findall(r' id="([^"]*)"', page))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs a browser")
@pytest.mark.parametrize(
    ("column", "clicks", "expected"),
    [(0, 1, "a9 a10 b c"), (0, 2, "c b a10 a9"), (1, 1, "a10 c b a9"), (1, 2, "b c a10 a9")],
)
def test_tables_are_sorted_by_numbers_and_names_and_what_is_missing_is_last(page, tmp_path, column, clicks, expected):
    script = f"<script>for (let n = 0; n < {clicks}; n++) document.querySelectorAll('th button')[{column}].click()</script>"
    (tmp_path / "clicked.html").write_text(page.replace("</body>", f"{script}</body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom"]
    command += [(tmp_path / "clicked.html").as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    body = seen[seen.index("<tbody>") : seen.index("</tbody>")]
    assert re.findall("<tr><td>([^<]*)</td>", body) == expected.split()
    assert re.findall('<th aria-sort="([a-z]*)"', seen) == [("ascending", "descending")[clicks - 1]]
