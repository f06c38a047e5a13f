"""What each k-mer does is what a plain recount says, however the sequences are ordered."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import line
from scipy import stats

from rnalm.scoring import kmers
from rnalm.scoring.kmers import CONTEXTS, FEWEST, MOST, Kmers, Words, t_test, words
from rnalm.scoring.lines import Line, Survey


def found(symbols: str = "acg", classes=("",)) -> Survey:
    return Survey(dict.fromkeys(symbols, 1), list(classes), 1.0, 1, True)


def table(lines, survey=None) -> pd.DataFrame:
    kmers = Kmers(survey or found())
    for one in lines:
        kmers.add([one])
    return kmers.table().set_index("kmer")


def recount(lines: list[Line], kmer: str, symbols: str = "acg") -> tuple[int, list[float], list[float]]:
    """Count a k-mer in plain loops: occurrences, and the means of sequences, of effects and beyond the usual."""
    occurrences, means, beyond = 0, [], []
    for one in lines:
        text = "".join(symbols[number] if number >= 0 else "?" for number in one.symbols)
        own = [sum(one.effects[k : k + len(kmer)]) for k in range(len(text) - len(kmer) + 1) if text[k:].startswith(kmer)]
        occurrences += len(own)
        if own:
            means.append(np.mean(own))
            beyond.append(np.mean(own) - len(kmer) * one.effects.mean())
    return occurrences, means, beyond


TEXTS = st.lists(st.text("acg?", min_size=1, max_size=10), min_size=FEWEST, max_size=12)


@settings(max_examples=40)
@given(TEXTS, st.integers(0, 2**32 - 1))
def test_counts_and_means_equal_a_plain_recount(texts, seed):
    draw = np.random.default_rng(seed)
    lines = [line(text, draw.normal(size=len(text)), f"s{k}") for k, text in enumerate(texts)]
    made = table(lines)
    expected = {}
    for k in (1, 2, 3):
        for kmer in map("".join, product("acg", repeat=k)):
            occurrences, means, beyond = recount(lines, kmer)
            if len(means) >= FEWEST:
                expected[kmer] = (occurrences, len(means), np.mean(means), np.std(means, ddof=1), np.mean(beyond))
    short = made[made["k"] <= 3]
    assert set(short.index) == set(expected)
    for kmer, values in expected.items():
        row = short.loc[kmer, ["occurrences", "sequences", "effect", "sd", "excess"]].tolist()
        assert row == pytest.approx(values, abs=1e-9)


@settings(max_examples=25)
@given(TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_sequences_does_not_matter(texts, random):
    draw = np.random.default_rng(0)
    lines = [line(text, draw.normal(size=len(text)), f"s{k}") for k, text in enumerate(texts)]
    other = random.sample(lines, len(lines))
    one, two = table(lines).sort_index(), table(other).sort_index()
    pd.testing.assert_frame_equal(one, two, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("buffer", [0, 30])
def test_lines_of_a_sequence_count_together_however_few_are_kept(buffer, monkeypatch):
    draw = np.random.default_rng(2)
    own = [[line("acgacg?ca", draw.normal(size=9), f"s{k}") for _ in range(4)] for k in range(FEWEST)]

    def made() -> pd.DataFrame:
        counted = Kmers(found())
        for lines in own:
            counted.add(iter(lines))
        return counted.table().set_index("kmer")

    expected = made()
    assert expected.loc["acg", ["occurrences", "sequences"]].tolist() == [8 * FEWEST, FEWEST]
    assert expected.loc["a", "five_prime"] == pytest.approx(np.mean([np.mean([o.effects[0] for o in lines]) for lines in own]))
    monkeypatch.setattr(kmers, "BUFFER", buffer)
    pd.testing.assert_frame_equal(made(), expected, rtol=1e-9)


def test_significance_is_that_of_scipy_over_sequences():
    draw = np.random.default_rng(1)
    texts = ["".join(draw.choice(list("acg"), 30)) for _ in range(20)]
    lines = [line(text, draw.normal(size=30), f"s{k}") for k, text in enumerate(texts)]
    made = table(lines)
    for kmer in made.index[:50]:
        expected = stats.ttest_1samp(recount(lines, kmer)[2], 0)
        assert made.loc[kmer, ["t", "p"]].tolist() == pytest.approx([expected.statistic, expected.pvalue])
    assert made["q"].to_numpy() == pytest.approx(stats.false_discovery_control(made["p"], method="bh"))


def test_where_nothing_varies_nothing_is_sure():
    t, p = t_test(np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]), np.array([5, 5, 5]))
    assert t[:2].tolist() == [0, 0]
    assert p[:2].tolist() == [1, 1]
    assert t[2] == pytest.approx(np.sqrt(5))


def test_effects_in_random_order_are_rarely_sure_even_where_all_raise_the_prediction():
    draw = np.random.default_rng(2)
    texts = ["".join(draw.choice(list("acgt"), 100)) for _ in range(40)]
    made = table([line(text, 1 + draw.normal(size=100), f"s{k}", "acgt") for k, text in enumerate(texts)], found("acgt"))
    assert (made["effect"] > 0).all()
    assert (made["q"] < 0.05).mean() < 0.01
    assert (made.loc[made["sequences"] >= 20, "p"] < 0.05).mean() < 0.08


def test_a_planted_motif_is_on_top():
    draw = np.random.default_rng(3)
    lines = []
    for k in range(30):
        letters, effects = draw.choice(list("acgt"), 60), 0.1 * draw.normal(size=60)
        begin = int(draw.integers(40, 54))
        letters[begin : begin + 6], effects[begin : begin + 6] = list("tgcatg"), -1
        lines.append(line("".join(letters), effects, f"s{k}", "acgt"))
    made = table(lines, found("acgt"))
    assert made.index[0] == "tgcatg"
    assert made["effect"].iloc[0] == pytest.approx(-6, abs=0.3)
    assert made["q"].iloc[0] < 1e-10
    assert made["three_prime"].iloc[0] == pytest.approx(-6, abs=0.3)
    assert np.isnan(made["five_prime"].iloc[0]), "where too few sequences have it, no mean is told"


def test_contexts_are_means_over_sequences_of_what_stands_there():
    lines = [line("acacacaca", [1, 0, 2, 0, 3, 0, 4, 0, 5], f"s{k}") for k in range(FEWEST)]
    row = table(lines).loc["a"]
    assert row["effect"] == 3
    assert [row[name] for name in CONTEXTS[1:4]] == [1.5, 3, 4.5]
    assert [row[name] for name in CONTEXTS[4:]] == [2.5, 3, 3.5]


def test_frames_are_those_of_the_line_and_minus_one_is_none():
    lines = [line("acg", [1, 2, 3], f"s{k}") for k in range(FEWEST)]
    lines = [Line(**{**vars(one), "frames": np.array([-1, 0, 1])}) for one in lines]
    made = table(lines)
    assert np.isnan(made.loc["a", ["frame_0", "frame_1", "frame_2"]].astype(float)).all()
    assert made.loc["cg", "frame_0"] == 5


def test_k_mers_do_not_run_across_a_gap_or_an_unknown_letter():
    lines = [line("ac?gca", [1] * 6, f"s{k}", breaks=(5,)) for k in range(FEWEST)]
    assert set(table(lines).index) == {"a", "c", "g", "ac", "gc"}


def test_rare_k_mers_are_left_out_and_counted(caplog):
    caplog.set_level("INFO")
    made = table([line("ac" if k else "ag", [1, 2], f"s{k}") for k in range(FEWEST)])
    assert made.index.tolist() == ["a"]
    assert "1 k-mers are told of; 4 are left out, as fewer than 5 sequences have them" in caplog.text


def test_explained_positions_of_a_sequence_count_as_one_sequence():
    kmers = Kmers(found())
    for k in range(FEWEST):
        kmers.add([line("ac", [1, 0], f"s{k}"), line("ac", [3, 0], f"s{k}")])
    row = kmers.table().set_index("kmer").loc["a"]
    assert row[["occurrences", "sequences", "effect"]].tolist() == [2 * FEWEST, FEWEST, 2]


def test_classes_are_told_one_after_the_other_and_tested_by_themselves():
    kmers = Kmers(found(classes=("no", "yes")))
    for k in range(FEWEST):
        kmers.add([line("ac", [-1, k], f"s{k}", explained="no"), line("ac", [1, k], f"s{k}", explained="yes")])
    made = kmers.table()
    assert made["class"].tolist() == ["no"] * 3 + ["yes"] * 3
    assert made.set_index(["class", "kmer"])["effect"][[("no", "a"), ("yes", "a")]].tolist() == [-1, 1]


def test_the_longest_k_mers_are_those_of_which_there_are_not_too_many():
    assert len(words(found("acgt")).sizes) == 6
    proteins = words(found("ACDEFGHIKLMNPQRSTVWY"))
    assert len(proteins.sizes) == 4
    assert proteins.sizes[-1] ** 4 <= MOST
    assert len(words(found("acgt", tuple(map(str, range(919))))).sizes) == 4, "of many classes, shorter ones"


def test_of_tokens_of_several_letters_pairs_are_counted_of_the_most_frequent(caplog):
    caplog.set_level("INFO")
    many = Survey({f"t{k}": 1 for k in range(1000)}, [""], 1.0, 1, True)
    own = words(many)
    assert (own.sizes, own.joint) == ((1000, 512), " ")
    assert "k-mers of 2 tokens are counted of the 512 most frequent ones, of 1000" in caplog.text
    number = own.numbers(np.array([3, 511, 512]), np.array([0]), 2)
    assert own.written(int(number[0])) == "t3 t511"
    assert own.numbers(np.array([3, 512]), np.array([0]), 2).tolist() == [-1]


@given(st.text("acg", min_size=1, max_size=4))
def test_k_mers_have_numbers_of_their_own(kmer):
    own = Words(tuple("acg"), (3, 3, 3, 3))
    (number,) = own.numbers(np.array(["acg".index(letter) for letter in kmer]), np.array([0]), len(kmer))
    assert own.written(int(number)) == kmer


def test_without_scores_there_is_a_table_without_rows():
    made = Kmers(Survey({}, [""], 0.0, 0, True)).table()
    assert len(made) == 0
    assert "effect" in made
