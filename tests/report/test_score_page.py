import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rnalm.errors import RnalmError
from rnalm.report.score_page import MISSING, STEPS, STRONGEST, choose, pack, write_page
from rnalm.scoring import merge as merging

NASTY = "</script><script>alert('<b>')</script> & \"co\""
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def scores(sequence: str, tokens: str | list[str], loo: list[float], first: int = 0, **columns) -> pd.DataFrame:
    """Make the rows of a sequence whose tokens take one position each."""
    starts = np.arange(first, first + len(tokens))
    frame = pd.DataFrame({"sequence": sequence, "token": list(tokens), "label": 1.0, "pred": 2.0})
    return frame.assign(start_offset=starts, end_offset=starts + 1, loo=loo).assign(**columns)


@pytest.fixture
def write(tmp_path) -> Callable[..., str]:
    """Write scores as they are merged, and a page of them."""

    def make(*frames: pd.DataFrame, method: str = "remove", **options) -> str:
        pd.concat(frames).to_parquet(tmp_path / "loo_scores.parquet", index=False)
        write_page(tmp_path / "loo_scores.parquet", tmp_path / "page.html", method, **options)
        return (tmp_path / "page.html").read_text("utf-8")

    return make


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def records(page: str) -> list[dict]:
    """Read what the page draws, as strictly as a browser."""
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(data, parse_constant=refuse)


def text_of(page: str) -> str:
    """Read what stands above the list."""
    head = page[page.index("<h1>") : page.index("<noscript>")]
    return re.sub(r"\s+", " ", unescape(re.sub("<[^>]*>", "", head)))


def integers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def numbers(text: str, scale: float) -> np.ndarray:
    steps = integers(text, "<i2")
    return np.where(steps == MISSING, np.nan, steps * scale / STEPS)


def indices(text: str, count: int) -> np.ndarray:
    data = base64.b64decode(text)
    return np.frombuffer(data, f"<u{len(data) // count}")


def unpack(record: dict) -> pd.DataFrame:
    """Restore the rows from what the page draws: classes one after the other."""
    packed, count = record["drawn"], record["tokens"]
    tokens = np.array(packed["alphabet"], dtype=object)[indices(packed["tokens"], count)]
    starts = integers(packed["starts"], "<i4") if "starts" in packed else packed["first"] + np.arange(count)
    ends = integers(packed["ends"], "<i4") if "ends" in packed else starts + 1
    counts = integers(packed["counts"], "<i4") if "counts" in packed else np.ones(count, int)
    frame = pd.DataFrame({"token": tokens, "start_offset": starts, "end_offset": ends}).loc[np.repeat(np.arange(count), counts)]
    if "replacements" in packed:
        frame["replacement"] = [packed["alphabet"][index] for index in indices(packed["replacements"], len(frame))]
    classes = packed.get("classes", [""])
    frame = pd.concat([frame.assign(**{"class": name}) for name in classes], ignore_index=True)
    frame["loo"] = numbers(packed["values"], packed["scale"])
    if "sd" in packed:
        frame["loo_sd"] = numbers(packed["sd"], packed["sd_scale"])
    return frame


def test_all_sequences_are_listed_in_order_with_label_prediction_and_length(write):
    page = write(scores("two", "acg", [0.1, 0.2, 0.3]), scores("one", "t", [1.0], label=np.nan, pred=-3.14159265))
    listed = [[record[key] for key in ("id", "label", "pred", "tokens")] for record in records(page)]
    assert listed == [["two", 1.0, 2.0, 3], ["one", None, -3.14159, 1]]
    assert "4 scores of 2 sequences." in text_of(page)


@pytest.mark.parametrize(
    ("task", "blue", "orange"), [(1.5, "raises the", "lowers it"), ("late", "points toward", "away from it")]
)
@pytest.mark.parametrize(
    ("method", "sense", "formula"),
    [("remove", -1, "effect is −loo, by"), ("integrated_gradients", 1, "effect is loo.")],
)
def test_what_speaks_for_the_prediction_is_positive_and_blue(write, task, blue, orange, method, sense, formula):
    page = write(scores("s", "ac", [-0.5, 0.25], pred=task, label=task), method=method)
    [record] = records(page)
    assert unpack(record)["loo"].tolist() == pytest.approx([-0.5 * sense, 0.25 * sense], abs=1e-5)
    assert [value for *_, value in record["strongest"]] == [-0.5 * sense, 0.25 * sense]
    assert re.search(f"Blue, up [a-z ]*{blue}[a-z ]*, orange, down {orange}\\.", text_of(page))
    assert formula in text_of(page)


def test_the_strongest_tokens_are_listed_with_their_positions(write):
    [record] = records(write(scores("s", "acgtn", [0.1, -0.4, 0.3, -0.2, 0.0], first=7)))
    assert record["strongest"] == [["c", 8, 0.4], ["g", 9, -0.3], ["t", 10, 0.2]]
    assert len(record["strongest"]) == STRONGEST


def test_of_replacements_the_mean_is_listed_and_each_is_in_the_page(write):
    columns = {"start_offset": [4, 4, 5], "end_offset": [5, 5, 6], "replacement": ["c", "g", "t"]}
    [record] = records(write(scores("s", "aac", [-0.9, 0.1, -0.3], **columns), method="replace"))
    assert record["strongest"] == [["a", 4, 0.4], ["c", 5, 0.3]]
    assert record["drawn"]["limit"] == 0.4
    found = unpack(record)
    assert list(zip(found["token"], found["start_offset"], found["replacement"], strict=True)) == [
        ("a", 4, "c"),
        ("a", 4, "g"),
        ("c", 5, "t"),
    ]
    assert found["loo"].tolist() == pytest.approx([0.9, -0.1, 0.3], abs=2e-5)


def test_of_several_classes_each_is_drawn_and_the_predicted_one_is_listed(write):
    columns = {"start_offset": [0, 0, 1, 1], "end_offset": [1, 1, 2, 2], "class": ["no", "yes"] * 2, "pred": "yes"}
    [record] = records(write(scores("s", "aacc", [-0.1, 0.1, -0.4, 0.2], **columns)))
    assert record["explained"] == "yes"
    assert record["strongest"] == [["c", 1, -0.2], ["a", 0, -0.1]]
    assert record["drawn"]["classes"] == ["no", "yes"]
    assert unpack(record)["loo"].tolist() == pytest.approx([0.1, 0.4, -0.1, -0.2], abs=1e-5)


def test_of_several_targets_the_page_speaks_of_predictions(write, tmp_path):
    classes = {"class": ["liver", "brain"] * 2, "pred": [1.5, 2.0] * 2, "label": [None, 3.0] * 2}
    write(scores("s", "aacc", [-0.1, 0.1, 0.3, 0.2], start_offset=[0, 0, 1, 1], end_offset=[1, 1, 2, 2], **classes))
    write_page(tmp_path / "loo_scores.parquet", tmp_path / "targets.html", "remove", of="target")
    page = (tmp_path / "targets.html").read_text("utf-8")
    [record] = records(page)
    assert (record["explained"], record["label"], record["pred"]) == ("liver", None, 1.5)
    assert (record["drawn"]["label"], record["drawn"]["pred"]) == ([None, 3.0], [1.5, 2.0])
    assert "The list is of the target liver" in page
    assert "Effects on target <select" in page
    assert "raises the prediction" in page
    assert "toward the class" not in page


@pytest.mark.parametrize(("columns", "expected"), [({}, "yes"), ({"class": "no"}, "no")])
def test_the_class_that_is_explained_is_named(write, columns, expected):
    [record] = records(write(scores("s", "ac", [0.1, 0.2], pred="yes", label="yes", **columns)))
    assert record["explained"] == expected
    assert "classes" not in record["drawn"]


def test_tokens_of_several_letters_have_offsets_and_keep_their_marks(write):
    columns = {"start_offset": [3, 6, 10], "end_offset": [6, 7, 300000]}
    [record] = records(write(scores("s", ["▁gat", "t", "[UNK]"], [0.1, 0.2, 0.3], **columns)))
    found = unpack(record)
    assert found["token"].tolist() == ["▁gat", "t", "[UNK]"]
    assert found[["start_offset", "end_offset"]].to_numpy().tolist() == [[3, 6], [6, 7], [10, 300000]]


@examples(40)
@given(st.data())
def test_what_is_drawn_equals_the_scores_within_quantization(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    tokens, vocabulary, classes = (data.draw(st.integers(1, most)) for most in (40, 500, 3))
    most = data.draw(st.integers(1, 4))
    counts = random.integers(1, most + 1, tokens)
    position = np.repeat(np.repeat(np.arange(tokens), counts), classes)
    starts = np.cumsum(random.integers(1, data.draw(st.sampled_from([2, 9])), tokens)) + random.integers(0, 99)
    names = [f"n{index}" for index in random.integers(0, vocabulary, tokens)]
    frame = pd.DataFrame({"sequence": "s", "token": np.array(names)[position], "label": "c0", "pred": "c0"})
    frame = frame.assign(start_offset=starts[position], end_offset=starts[position] + 1)
    frame["loo"] = random.normal(size=len(frame)) * 10.0 ** random.integers(-9, 9)
    frame["class"] = np.tile([f"c{index}" for index in range(classes)], counts.sum())
    if most > 1:
        edits = np.concatenate([np.arange(count) for count in counts])
        frame["replacement"] = np.repeat([f"r{edit}" for edit in edits], classes)
    if data.draw(st.booleans()):
        frame["loo_sd"] = np.where(random.random(len(frame)) < 0.1, np.nan, random.gamma(1, 1, len(frame)))
    found = unpack({"drawn": pack(frame), "tokens": tokens})
    wanted = frame.sort_values("class", kind="stable").reset_index(drop=True)
    same = [name for name in ("token", "start_offset", "end_offset", "replacement") if name in wanted]
    pd.testing.assert_frame_equal(found[same], wanted[same], check_dtype=False)
    for name in ("loo", "loo_sd"):
        if name in wanted:
            half_a_step = wanted[name].abs().fillna(0).max() / STEPS / 2
            np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=half_a_step * 1.0001 + 1e-300)


def test_scores_that_are_no_numbers_are_missing_and_the_page_is_still_read(write):
    [record] = records(write(scores("s", "acg", [np.nan, 0.5, np.inf], pred=np.nan, loo_sd=[np.nan, 0.1, 0.2])))
    assert record["pred"] is None
    assert unpack(record)["loo"].tolist() == pytest.approx([np.nan, -0.5, np.nan], nan_ok=True)
    assert unpack(record)["loo_sd"].tolist() == pytest.approx([np.nan, 0.1, 0.2], abs=1e-5, nan_ok=True)
    assert record["strongest"][0] == ["c", 1, -0.5]


class Elements(HTMLParser):
    """What a browser would make of a page: its elements and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.found.append((tag, dict(attributes)))


def test_names_and_tokens_cannot_become_elements(write):
    plain = write(scores("s", "ac", [0.1, 0.2]))
    page = write(scores(NASTY, ["a", NASTY], [0.1, 0.2], label=NASTY, pred=NASTY), name=NASTY)
    [record] = records(page)
    assert (record["id"], record["label"], record["pred"]) == (NASTY, NASTY, NASTY)
    assert unpack(record)["token"].tolist() == ["a", NASTY]
    assert [tag for tag, _ in Elements(page).found if tag in ("script", "b")] == ["b", "b", "script", "script"]
    assert len(Elements(page).found) <= len(Elements(plain).found)
    assert NASTY in text_of(page)


def test_the_page_needs_no_other_file_and_no_network_and_says_so_much_without_scripts(write):
    page = write(scores("s", "ac", [0.1, 0.2]))
    for _, attributes in Elements(page).found:
        assert not {"src", "srcset", "data", "poster"} & set(attributes)
        assert re.fullmatch("#|loo_scores.(csv|parquet)", attributes.get("href", "#"))
    assert not re.search(r"https?:|url\(|@import|fetch\(|import\(", page)
    [said] = re.findall("<noscript>(.*?)</noscript>", page, re.DOTALL)
    assert "loo_scores.parquet" in said


def test_what_is_too_much_for_a_page_is_left_out_and_said(write):
    frames = [scores(f"s{index}", "acgt", [0.1] * 4, pred=float(index * 7 % 20)) for index in range(20)]
    whole = write(*frames)
    assert all("drawn" in record for record in records(whole))
    assert "too many" not in text_of(whole)

    some = records(page := write(*frames, max_scores=21))
    assert [record["id"] for record in some] == [f"s{index}" for index in range(20)]
    assert sorted(record["pred"] for record in some if "drawn" in record) == [0, 5, 10, 14, 19]
    said = "too many for one page: 5 sequences are coloured token by token, and all are listed, spread evenly over the ranks"
    assert said in text_of(page)

    few = records(page := write(*frames, max_scores=8, max_listed=3))
    assert sorted(record["pred"] for record in few) == [0, 10, 19]
    assert sorted(record["pred"] for record in few if "drawn" in record) == [0, 19]
    assert "2 sequences are coloured token by token, and 3 are listed, spread evenly" in text_of(page)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(0, 500), st.integers(1, 70), st.integers(0, 99))
def test_a_choice_keeps_its_bounds(sizes, max_scores, max_listed, seed):
    random = np.random.default_rng(seed)
    sizes, pred, strength = np.array(sizes), random.normal(size=len(sizes)), random.random(len(sizes))
    listed, drawn = choose(sizes, pred, strength, max_scores, max_listed)
    assert listed.sum() == min(len(sizes), max_listed)
    assert sizes[drawn].sum() <= max_scores
    assert not (drawn & ~listed).any()
    if sizes.sum() <= max_scores:
        assert (drawn == listed).all()
    if drawn.sum() > 1:
        assert {pred.argmin(), pred.argmax()} <= set(np.flatnonzero(drawn))


def test_within_a_class_the_choice_spreads_over_the_strongest_tokens():
    pred, strength = np.array([0.0] * 5 + [1.0] * 5), np.array([5, 1, 4, 2, 3, 50, 10, 40, 20, 30])
    _, drawn = choose(np.ones(10), pred, strength, 4, 10)
    assert sorted(strength[drawn]) == [1, 4, 20, 50]


def test_a_sequence_that_is_too_much_alone_is_listed_and_one_of_zeros_is_drawn(write):
    page = write(scores("s", "acgt", [0.1] * 4), max_scores=3)
    assert ["drawn" in record for record in records(page)] == [False]
    assert "0 sequences are coloured" in text_of(page)
    [record] = records(write(scores("s", "ac", [0.0, 0.0])))
    assert unpack(record)["loo"].tolist() == [0, 0]


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("classes", [["no"], ["no", "yes"]])
def test_the_page_holds_what_was_merged_whatever_the_row_groups(write, tmp_path, monkeypatch, replaced, classes):
    random, frames = np.random.default_rng(0), []
    for index in range(5):
        count, each = 2 + index % 3, len(classes) * (2 if replaced else 1)
        starts, tokens = np.repeat(np.arange(count), each), np.repeat(list("acgt"[:count]), each)
        frame = scores(f"s{index}", tokens, random.normal(size=len(tokens)), pred="no", label="yes")
        frame = frame.assign(start_offset=starts, end_offset=starts + 1, loo_sd=random.random(len(frame)))
        frame["class"] = np.tile(classes, count * each // len(classes))
        if replaced:
            frame["replacement"] = np.tile(np.repeat(["c", "t"], len(classes)), count)
        frames.append(frame)
    page = write(*frames)
    monkeypatch.setattr(merging, "GROUP_ROWS", 3)
    write_page(tmp_path / "loo_scores.parquet", tmp_path / "again.html", "remove")
    assert (tmp_path / "again.html").read_text("utf-8") == page
    for record, frame in zip(records(page), frames, strict=True):
        wanted = frame.sort_values("class", kind="stable")
        assert record["id"] == frame["sequence"].iat[0]
        assert unpack(record)["token"].tolist() == wanted["token"].tolist()
        for name, sign in (("loo", -1), ("loo_sd", 1)):
            error = np.abs(wanted[name]).max() / STEPS
            np.testing.assert_allclose(unpack(record)[name], sign * wanted[name], rtol=0, atol=error)


def test_an_unknown_method_is_an_error(tmp_path):
    with pytest.raises(RnalmError, match="'removed': no such method; did you mean 'remove'"):
        write_page(tmp_path / "none.parquet", tmp_path / "page.html", "removed")


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs a browser")
def test_a_browser_draws_each_token_in_its_colour(write, tmp_path):
    columns = {"start_offset": [4, 4, 5, 8], "end_offset": [5, 5, 6, 9], "replacement": list("cgta"), "loo_sd": 0.01}
    write(scores(NASTY, "aacg", [-0.8, -0.4, 0.3, 0.0], **columns), scores("other", "a", [0.1], replacement="t", loo_sd=0.1))
    drawn = browse(tmp_path, "#" + "".join(f"%{byte:02x}" for byte in NASTY.encode()))
    letters = re.findall(r"<i ([^>]*)>([^<]*)</i>", drawn[drawn.index('id="letters"') : drawn.index('id="more"')])
    assert "".join(text for _, text in letters) == "ac··g"
    styles = [re.search(r"background: rgb\(([^)]*)\); color: ([^;]*);", attributes) for attributes, _ in letters]
    # Full colour is 1; letters on what is not dark are dark.
    dark = "rgb(29, 33, 41)"
    expected = [("122, 163, 205", dark), ("244, 207, 179", dark), None, None, None]
    assert [style and style.groups() for style in styles] == expected
    titles = [unescape(re.search('title="([^"]*)"', attributes)[1]) for attributes, _ in letters]
    assert titles[0].splitlines() == ["4 a: +0.6", "→ c: +0.8 ± 0.01", "→ g: +0.4 ± 0.01"]
    assert titles[2] == "6: not scored"


def browse(folder: Path, address: str) -> str:
    """Open the page, and give what its script has made of it."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}", "--dump-dom"]
    command += ["--virtual-time-budget=3000", (folder / "page.html").as_uri() + address]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("readable", [False, True, None])
def test_scores_of_models_that_know_nothing_are_grey_below_a_banner(write, tmp_path, readable):
    (tmp_path / "verdict.json").write_text(json.dumps({"readable": readable}))
    page = write(scores("s1", "acgu", [1.0, -1.0, 0.5, 0.0]), verdict=tmp_path / "verdict.json")
    shown = '<p class="banner" role="alert">No better than chance: do not read the letters.</p>' in page
    assert (shown, '<body class="unread">' in page) == (readable is False,) * 2


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs a browser")
@pytest.mark.parametrize(
    ("keys", "part"),
    [("", "0 to 120"), ("Home" + 20 * " >" + " Enter", "0 to 21"), ("Home + +", "0 to 30"), ("Home + Escape", "0 to 120")],
)
def test_a_track_is_zoomed_by_keys_and_tells_what_stands_at_a_token(write, tmp_path, keys, part):
    (tmp_path / "known.bed").write_text("s\t18\t24\tmotif\n")
    page = write(scores("s", "Acg" * 40, [-0.25] * 120, loo_sd=0.01), unit="h", annotations=tmp_path / "known.bed")
    script = """<script>
        for (const key of KEYS.split(" ").filter(Boolean)) {
          const pressed = key === ">" ? {key: "ArrowRight", shiftKey: true} : {key};
          document.getElementById("detail").dispatchEvent(new KeyboardEvent("keydown", pressed));
        }
        track.point(20);
        const told = document.getElementById("told").textContent;
        document.title = `${track.from} to ${track.to}; ${track.frame.length}; ${told}`;
        </script></body>"""
    keyed = script.replace("KEYS.", f"{json.dumps(keys)}.")
    (tmp_path / "page.html").write_text(page.replace("</body>", keyed), encoding="utf-8")
    [title] = re.findall("<title>(.*?)</title>", browse(tmp_path, "#s"), re.DOTALL)
    assert title == f"{part}; 40; 20 g: +0.25 ± 0.01\nin motif"


def test_elements_of_other_sequences_are_not_in_the_page_and_tables_are_led_to(write, tmp_path):
    (tmp_path / "known.bed").write_text("s\t0\t1\tmotif\nother\t0\t2\n")
    page = write(scores("s", "ac", [0.1, 0.2]), scores("t", "ac", [0.1, 0.2]), unit="h", annotations=tmp_path / "known.bed")
    assert [record.get("elements") for record in records(page)] == [[[0, 1, "motif"]], None]
    assert re.findall('<a href="([^"]*)" download>', page) == ["loo_scores.csv", "loo_scores.parquet"]
    assert "label (h)" in page
    assert page.count("function sortable(") == 1
