"""Runs of letters are counted where they occur, of whatever tokens."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from rnalm import config
from rnalm.tokens import ngrams
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.learn import of_letters
from rnalm.tokens.tokenizer import KMERS


def encoded(ids, modifiers=None, reverse=None) -> Encoded:
    return Encoded(0, "s", np.array(ids, dtype=np.int32), modifiers, None, 1.0, None, reverse)


def words(*tokens: str) -> Tokenizer:
    names = ["[UNK]", "[PAD]", "[MASK]", *tokens]
    tokenizer = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(names[:3])
    return tokenizer


def shares(text: str, n: int, letters: str, begins=None) -> list[float]:
    """Count runs in a plain loop."""
    runs = [text[i : i + n] for i in range(len(text) - n + 1) if "?" not in text[i : i + n] and (begins is None or i in begins)]
    counted = Counter(runs)
    names = [""]
    for _ in range(n):
        names = [name + letter for name in names for letter in letters]
    return [counted[name] / max(1, len(runs)) for name in names]


@given(st.lists(st.text("acg?", max_size=12), min_size=1, max_size=4))
def test_runs_are_counted_in_each_sequence_by_itself_and_not_across_unknown_letters(texts):
    own = ngrams.of_tokenizer(words("a", "c", "g"))
    blocks = own.blocks([encoded([3 + "acg".index(letter) if letter != "?" else 0 for letter in text]) for text in texts])
    for row, text in enumerate(texts):
        for n in (1, 2, 3, 4):
            assert blocks[f"{n}-grams"][row] == pytest.approx(shares(text, n, "acg"))
        assert blocks["triplets in frame"][row] == pytest.approx(shares(text, 3, "acg", range(0, len(text), 3)))
        assert blocks["length"][row] == pytest.approx(np.log(max(1, len(text))))


def test_letters_in_upper_case_mark_codons_and_are_the_same_letters():
    own = ngrams.of_tokenizer(words("a", "c", "g", "A", "C"))
    assert own.letters == ("a", "c", "g")
    text = "gacAcgCgaAagcc"
    sequence = encoded(["acgAC".index(letter) + 3 for letter in text])
    own = ngrams.look_at(own, iter([[sequence]]))
    assert (own.marks, own.frames, own.length) == ((-1,), (-1,), len(text))
    blocks = own.blocks([sequence])
    assert blocks["capitals: triplets"][0] == pytest.approx(shares(text.lower(), 3, "acg", (3, 6, 9)))
    assert blocks["capitals: regions"][0] == pytest.approx(np.log1p([3, 9, 2]))
    assert blocks["capitals: 1-grams of the 3′ region"][0] == pytest.approx([0, 1, 0])
    assert blocks["capitals: 1-grams of the 5′ region"][0] == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert "triplets in frame" not in blocks


def test_a_modifier_that_does_not_stand_three_apart_is_a_mark_but_no_frame():
    own = ngrams.of_tokenizer(words("a", "c"))
    modifiers = np.array([[1, 0, 0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1, 0, 0]], dtype=np.float32)
    sequence = encoded([3, 4, 3, 4, 4, 4, 3, 3], modifiers)
    own = ngrams.look_at(own, iter([[sequence]]))
    assert (own.marks, own.frames) == ((0, 1), (0,))
    blocks = own.blocks([sequence])
    assert blocks["modifier 2: how many"][0] == pytest.approx([np.log1p(2), 2 / 8])
    assert blocks["modifier 2: triplets"][0] == pytest.approx(shares("acacccaa", 3, "ac", (1, 5)))


def test_overlapping_k_mers_are_read_as_the_letters_that_they_are_of():
    tokenizer = words("aac", "aca", "cac")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(KMERS.format(k=3, stride=1)), "isolated")
    own = ngrams.of_tokenizer(tokenizer)
    ids = [tokenizer.token_to_id(name) for name in ("aac", "aca", "cac")]
    assert own.letters == ("a", "c")
    assert own.blocks([encoded(ids)])["2-grams"][0] == pytest.approx(shares("aacac", 2, "ac"))


def test_runs_by_position_count_half_beside_their_own():
    own = ngrams.look_at(ngrams.of_tokenizer(words("a", "c")), iter([[encoded([3, 4, 4])]]))
    assert own.length == 3
    table = own.placed([encoded([3, 4, 4])]).toarray()[0]
    expected = np.zeros((3, 2))
    for position, letter in enumerate((0, 1, 1)):
        for place, weight in ((position - 1, 0.5), (position, 1), (position + 1, 0.5)):
            if 0 <= place < 3:
                expected[place, letter] += weight
    assert table[:6] == pytest.approx(expected.ravel())
    assert len(own.placed([encoded([3])]).toarray()[0]) == len(table), "another length is no other table"


def test_what_is_counted_comes_back_from_text():
    import json
    from dataclasses import asdict

    own = ngrams.of_tokenizer(of_letters(list("ACGT"), config.Tokenizer()))
    assert ngrams.Ngrams.read(json.loads(json.dumps(asdict(own)))) == own
