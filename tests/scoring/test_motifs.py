"""Seqlets that are alike are laid over each other, the same way in whatever order they come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import line

from rnalm.scoring import meme
from rnalm.scoring.kmers import FEWEST
from rnalm.scoring.motifs import FLANK, MOST_OF_ONE, MOST_SITES, Sites, group, site
from rnalm.scoring.seqlets import Seqlet

LETTERS = "acgt"


def planted(draw, motif: str, name: str, sign: int = -1, shift: bool = False):
    """Plant a motif in a random sequence: the line, and the seqlet, which may lack a letter at either end."""
    letters, effects = draw.choice(list(LETTERS), 40), 0.01 * draw.normal(size=40)
    begin = int(draw.integers(0, 40 - len(motif) + 1))
    letters[begin : begin + len(motif)], effects[begin : begin + len(motif)] = list(motif), sign * draw.uniform(0.8, 1.2)
    lacks = draw.random(2) < 0.25 if shift else (0, 0)
    first, after = begin + lacks[0], begin + len(motif) - lacks[1]
    own = line("".join(letters), effects, name, LETTERS)
    return own, Seqlet(int(first), int(after), float(effects[first:after].sum()), 0.001)


NAMES = ("a b", "a_b", "a%20b")


def motifs(pairs, classes=("",)):
    sites = Sites(classes)
    for own, seqlet in pairs:
        sites.add(own, [seqlet])
    return sites.motifs(len(LETTERS))


def text(motif) -> str:
    return meme.consensus(motif, list(LETTERS))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_planted_motifs_are_told_apart_whatever_the_order(seed, random):
    draw = np.random.default_rng(seed)
    pairs = [planted(draw, "ttgacatg", f"a{k}", shift=True) for k in range(20)]
    pairs += [planted(draw, "ccgcgg", f"b{k}", shift=True) for k in range(14)]
    pairs += [planted(draw, "gataag", f"c{k}", sign=1) for k in range(8)]
    found = motifs(pairs)
    assert [(one.name, text(one), len(one.sites)) for one in found] == [
        ("down_1", "ttgacatg", 20),
        ("down_2", "ccgcgg", 14),
        ("up_1", "gataag", 8),
    ]
    other = motifs(random.sample(pairs, len(pairs)))
    for one, two in zip(found, other, strict=True):
        assert (one.name, one.counts.tolist()) == (two.name, two.counts.tolist())
        assert one.effects == pytest.approx(two.effects)


def test_a_motif_says_how_often_where_and_how_strong():
    draw = np.random.default_rng(0)
    pairs = [planted(draw, "ttgacatg", f"s{k // 2}") for k in range(20)]
    (found,) = motifs(pairs)
    assert found.sequences == 10
    assert found.effect == pytest.approx(np.mean([seqlet.effect for _, seqlet in pairs]))
    middles = [own.regions[(seqlet.first + seqlet.after - 1) // 2] for own, seqlet in pairs]
    assert found.regions == pytest.approx(np.bincount(middles, minlength=3) / 20)
    assert (found.counts.sum(axis=1) == 20).all()
    assert found.counts.max(axis=1).tolist() == [20] * 8
    assert found.effects.sum() == pytest.approx(found.effect)


def test_what_few_sequences_have_is_no_motif():
    draw = np.random.default_rng(0)
    assert motifs([planted(draw, "ttgacatg", f"s{k}") for k in range(FEWEST - 1)]) == []
    assert motifs([planted(draw, "ttgacatg", "s") for k in range(10)]) == []
    assert motifs([]) == []


def test_one_letter_with_a_large_effect_is_no_motif():
    draw = np.random.default_rng(0)
    pairs = []
    for k in range(30):
        effects = np.r_[0.01, 0.01, 5.0, 0.01, 0.01]
        text_of_it = "".join(draw.choice(list(LETTERS), 2)) + "t" + "".join(draw.choice(list(LETTERS), 2))
        pairs.append((line(text_of_it, effects, f"s{k}", LETTERS), Seqlet(0, 5, 5.04, 0.001)))
    assert motifs(pairs) == []


def test_classes_have_motifs_of_their_own():
    draw = np.random.default_rng(0)
    pairs = []
    for k in range(12):
        own, seqlet = planted(draw, "ttgacatg" if k % 2 else "gataag", f"s{k}", sign=1)
        pairs.append((line_of(own, "yes" if k % 2 else "no"), seqlet))
    found = motifs(pairs, ("no", "yes"))
    assert [(one.explained, one.name, text(one)) for one in found] == [("no", "up_1", "gataag"), ("yes", "up_1", "ttgacatg")]


def line_of(own, explained: str):
    return type(own)(**{**vars(own), "explained": explained})


def test_flanks_end_where_the_sequence_or_a_run_ends():
    own = line("acgtacgt", range(1, 9), symbols=LETTERS, breaks=(6,))
    cut = site(own, Seqlet(1, 5, 14.0, 0.0))
    assert cut.symbols.tolist() == [-1] * (FLANK - 1) + [0, 1, 2, 3, 0, 1] + [-1] * (FLANK - 1)
    assert cut.effects[FLANK : FLANK + 4].tolist() == [2, 3, 4, 5]
    assert len(cut.symbols) == 4 + 2 * FLANK


def test_letters_that_are_not_known_are_no_part_of_a_motif():
    own = [line("??acgt??", [1.0] * 8, f"s{k}", LETTERS) for k in range(FEWEST)]
    (found,) = motifs([(one, Seqlet(0, 8, 8.0, 0.0)) for one in own])
    assert text(found) == "acgt"
    nothing = [site(line("????", [1.0] * 4, f"s{k}", LETTERS), Seqlet(0, 4, 4.0, 0.0)) for k in range(FEWEST)]
    assert group(nothing, 4) == []


def test_of_many_seqlets_the_strongest_are_grouped_and_the_others_counted():
    sites = Sites([""])
    for size in range(MOST_SITES + 7):
        sites.add(line("acgtacgt", [1.0] * 8, f"s{size}", symbols=LETTERS), [Seqlet(0, 4, float(size + 1), 0.0)])
    sites.motifs(len(LETTERS))
    assert sites.passed == 7
    assert min(item[0] for item in sites.kept["", 1]) == 8


def test_no_sequence_has_so_many_seqlets_that_others_have_none():
    sites = Sites([""])
    for name in ("a", "b"):
        for size in range(MOST_OF_ONE + 3):  # as of as many predictions
            sites.add(line("acgtacgt", [1.0] * 8, name, symbols=LETTERS), [Seqlet(0, 4, float(size + 1), 0.0)])
    sites.motifs(len(LETTERS))
    assert sites.passed == 6
    assert sorted(item[0] for item in sites.kept["", 1]) == sorted(2 * [float(size + 4) for size in range(MOST_OF_ONE)])


def parsed(written: str) -> dict[str, np.ndarray]:
    """Read the minimal MEME format as a stranger would."""
    lines = written.splitlines()
    assert lines[0] == "MEME version 4"
    found, place = {}, 0
    while place < len(lines):
        if lines[place].startswith("MOTIF"):
            name = lines[place].split()[1]
            words = lines[place + 1].split()
            assert words[:2] == ["letter-probability", "matrix:"]
            given = dict(zip(words[2::2], words[3::2], strict=True))
            rows = lines[place + 2 : place + 2 + int(given["w="])]
            found[name] = np.array([list(map(float, row.split())) for row in rows])
            assert found[name].shape == (int(given["w="]), int(given["alength="]))
            assert found[name].sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-5)
        place += 1
    return found


@pytest.mark.parametrize(
    ("symbols", "alphabet"),
    [
        ("acgt", "ALPHABET= ACGT"),
        ("acgu", "ALPHABET= ACGU"),
        ("acg", "ALPHABET= ACGT"),
        ("ACDEFGHIKLMNPQRSTVWY", "ALPHABET= ACDEFGHIKLMNPQRSTVWY"),
        ("aBz", 'ALPHABET "letters"'),
    ],
)
def test_what_is_written_for_meme_can_be_read(symbols, alphabet):
    draw = np.random.default_rng(0)
    motif = [symbols[k] for k in draw.integers(0, len(symbols), 8)]
    numbers = "".join(motif)
    pairs = [(line(numbers, [1.0] * 8, f"s{k}", symbols), Seqlet(0, 8, 8.0, 0.0)) for k in range(6)]
    sites = Sites([""])
    for own, seqlet in pairs:
        sites.add(own, [seqlet])
    written = meme.write(sites.motifs(len(symbols)), list(symbols), [1 / len(symbols)] * len(symbols))
    assert alphabet in written.splitlines()
    (matrix,) = parsed(written).values()
    assert len(matrix) == 8
    assert (matrix.max(axis=1) == 1).all()


def test_meme_has_no_letters_for_tokens_of_several():
    assert meme.write([], ["ac", "g"], [0.5, 0.5]) == "MEME version 4\n"
    assert meme.spelling(["a", "A"]) == {"a": "a", "A": "A"}


def test_names_of_classes_stay_apart_for_meme():
    lines = [line_of(line("acgtacgt", [1.0] * 8, f"s{k}", LETTERS), name) for name in NAMES for k in range(6)]
    own = motifs([(one, Seqlet(0, 8, 8.0, 0.0)) for one in lines], NAMES)
    names = list(parsed(meme.write(own, list(LETTERS), [0.25] * 4)))
    assert names == ["up_1:a%20b", "up_1:a_b", "up_1:a%2520b"]
