"""Elements are found where they were planted, and hardly where there are none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rnalm.config.tracks import Elements
from rnalm.tracks.elements import best, excess, find, find_elements


def noise(draw: np.random.Generator, length: int = 200) -> np.ndarray:
    """Make effects with heavy tails, as scores have them, that know nothing of each other."""
    return draw.standard_t(3, length)


def test_planted_elements_are_found_where_they_are():
    draw, there, whole = np.random.default_rng(0), 0, 0
    for _ in range(100):
        effects = noise(draw)
        first = int(draw.integers(0, 190))
        effects[first : first + 8] += 8 * draw.choice([-1, 1])
        overlapping = [one for one in find(effects, Elements(), draw) if one.first < first + 8 and one.after > first]
        there += bool(overlapping)
        whole += any(abs(one.first - first) <= 1 and abs(one.after - first - 8) <= 1 for one in overlapping)
    assert there >= 95
    assert whole >= 85


def test_several_elements_of_a_sequence_are_found():
    draw = np.random.default_rng(1)
    effects = 0.1 * draw.normal(size=300)
    effects[20:28] += 2
    effects[250:256] -= 3
    assert [(one.first, one.after) for one in find(effects, Elements(), draw)] == [(20, 28), (250, 256)]


@pytest.mark.parametrize("options", [{}, {"threshold": 0.8, "permutations": 19}, {"min_length": 1}])
def test_where_places_mean_nothing_few_sequences_have_an_element(options):
    draw, chosen = np.random.default_rng(2), Elements(**options)
    having = sum(bool(find(noise(draw, 60), chosen, draw)) for _ in range(1000))
    expected = 1 - chosen.threshold
    assert having / 1000 == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 1000))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=12), st.integers(1, 4))
def test_the_best_run_is_that_of_the_greatest_sum(values, least):
    if len(values) < least:
        return
    (first,), (after,), (score,) = best(np.array([values], dtype=float), least)
    bounds = [(start, end) for start in range(len(values)) for end in range(start + least, len(values) + 1)]
    assert score == max(sum(values[start:end]) for start, end in bounds) == sum(values[first:after])
    assert after - first >= least


def test_all_alike_is_no_element_nor_is_what_is_too_short():
    draw = np.random.default_rng(0)
    for effects in (np.ones(50), np.zeros(50), np.ones(2), np.zeros(0)):
        assert find(effects, Elements(), draw) == []


def test_what_exceeds_the_usual_is_negative_in_sum():
    effects = noise(np.random.default_rng(0))
    assert excess(effects).sum() == pytest.approx(-len(effects) * np.abs(effects).std())


def test_too_few_permutations_for_the_threshold_are_refused():
    hint = "permutations: 10 are too few for threshold 0.95; expected 19 or more"
    with pytest.raises(ValidationError, match=hint):
        Elements(threshold=0.95, permutations=10)
    assert Elements(threshold=0.95, permutations=19).rank == 19
    assert Elements().rank == 95


def table(folder, names: list[str], first: int = 40) -> str:
    frames = []
    for name in names:
        effects = 0.1 * np.random.default_rng(0).normal(size=100)
        effects[first : first + 8] = 1.0
        places = np.arange(len(effects))
        columns = {"sequence": name, "token": "a", "label": 1.0, "pred": 2.0, "loo": -effects}
        frames.append(pd.DataFrame(columns | {"start_offset": places, "end_offset": places + 1}))
    pd.concat(frames).to_parquet(folder / "scores.parquet")
    return str(folder / "scores.parquet")


def found(folder, names: list[str], **options) -> list[str]:
    find_elements(table(folder, names), [folder / "e.bed"], "remove", [], Elements(), seed=1, **options)
    return (folder / "e.bed").read_text().splitlines()


def test_elements_are_told_as_bed(tmp_path):
    assert found(tmp_path, ["x", "y"]) == [f"{name}\t40\t48\t{name}:40-48\t1000\t+\t1" for name in "xy"]


@pytest.mark.parametrize(
    ("strand", "blocks"),
    [("+", [(1040, 1044), (2000, 2004)]), ("-", [(2008, 2016)])],
)
def test_an_element_that_spans_an_intron_has_a_line_for_each_exon(tmp_path, strand, blocks):
    (tmp_path / "t.bed").write_text(f"chr1\t1000\t2056\tx\t0\t{strand}\t0\t0\t0\t2\t44,56\t0,1000\n")
    lines = found(tmp_path, ["x", "y"], transcripts=str(tmp_path / "t.bed"))
    assert lines == [f"chr1\t{start}\t{end}\tx:40-48\t1000\t{strand}\t1" for start, end in blocks]


def test_elements_of_a_sequence_do_not_depend_on_others_and_are_the_same_each_time(tmp_path):
    draw = np.random.default_rng(5)
    names = [f"s{number}" for number in range(40)]

    def run(kept: list[str]) -> dict[str, list[str]]:
        frames = []
        for name in kept:
            effects = noise(np.random.default_rng(int(name[1:])), 60)
            places = np.arange(60)
            columns = {"sequence": name, "token": "a", "label": 1.0, "pred": 2.0, "loo": -effects}
            frames.append(pd.DataFrame(columns | {"start_offset": places, "end_offset": places + 1}))
        pd.concat(frames).to_parquet(tmp_path / "s.parquet")
        options = Elements(threshold=0.5, permutations=9)
        find_elements(str(tmp_path / "s.parquet"), [tmp_path / "e.bed"], "remove", [], options, seed=1)
        lines = (tmp_path / "e.bed").read_text().splitlines()
        return {name: [line for line in lines if line.startswith(f"{name}\t")] for name in kept}

    every, kept = run(names), sorted(draw.choice(names, 10, replace=False).tolist())
    assert any(every.values())
    assert run(kept) == {name: every[name] for name in kept}
