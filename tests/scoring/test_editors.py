"""Edited sequences are those that encoding would make of edited letters."""

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rnalm.config import Encode, Table
from rnalm.config import Tokenizer as Options
from rnalm.errors import RnalmError
from rnalm.scoring import editors
from rnalm.scoring.editors import BaseEditor, TokenEditor
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.material import Material, apply
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.sequences.records import Record
from rnalm.sequences.strands import reverse_complement
from rnalm.tokens import learn
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.ids import make_encoder
from rnalm.tokens.tokenize import RecordTokenizer, kept_range
from rnalm.tokens.tokenizer import SPECIAL_TOKENS

MASK = SPECIAL_TOKENS.index("[MASK]")
A, C, G, T = range(7, 11)
NUMBERS = st.sampled_from([0.0, 0.0, 1.0, -2.5, 0.25])
MODES = st.sampled_from(["remove", "mask", "replace"])
CPU = torch.device("cpu")

KINDS = {
    "bpe": Options(type="bpe", vocab_size=40),
    "unigram": Options(type="unigram", vocab_size=60),
    "3-mers": Options(type="kmer", k=3),
    "3-mers, stride 2": Options(type="kmer", k=3, stride=2),
    "2-mers, stride 3": Options(type="kmer", k=2, stride=3),
}
REPLACEMENTS = {"A": ["C", "G", "T"], "C": ["T"]}
TEXTS = st.text("ACGTN", min_size=1, max_size=40)


def sequence_of(ids, modifiers=None) -> Encoded:
    modifiers = None if modifiers is None else np.array(modifiers, dtype=np.float32).reshape(len(modifiers), len(ids))
    return Encoded(0, "s", np.array(ids, dtype=np.int32), modifiers, None, 1.0, None)


def made(sequence: Encoded, edits, channels: int = 0) -> list[tuple[list[int], list[list[float]]]]:
    """Make each perturbed sequence: ids, and modifiers by channel."""
    material = Material(sequence, edits, channels, CPU, pad=1)
    found = [material.take(apply(material, edits, np.array([number]))) for number in range(len(edits))]
    return [(ids[0].tolist(), modifiers[0].tolist() if channels else []) for ids, modifiers in found]


def ids_made(sequence: Encoded, edits) -> list[list[int]]:
    return [ids for ids, _ in made(sequence, edits)]


# Tokens


@st.composite
def sequences(draw) -> tuple[list[int], list[list[float]] | None]:
    """A sequence of ids, [UNK] among them, with no modifiers or 1 to 3 channels of them."""
    ids = draw(st.lists(st.sampled_from([0, A, C, G, T]), min_size=1, max_size=12))
    channels = draw(st.sampled_from([None, 1, 2, 3]))
    if channels is None:
        return ids, None
    return ids, [draw(st.lists(NUMBERS, min_size=len(ids), max_size=len(ids))) for _ in range(channels)]


@examples(100)
@given(
    sequence=sequences(),
    mode=MODES,
    replacements=st.dictionaries(st.sampled_from("acgt"), st.lists(st.sampled_from("acgt"), max_size=3), max_size=4),
    replace_modifiers=st.booleans(),
)
def test_edits_of_tokens_make_the_sequences_that_plain_lists_make(
    tokenizer, by_hand, sequence, mode, replacements, replace_modifiers
):
    ids, modifiers = sequence
    to_ids = {tokenizer.token_to_id(k): [tokenizer.token_to_id(v) for v in others] for k, others in replacements.items()}
    expected = by_hand(ids, modifiers or [], mode, to_ids, replace_modifiers)

    changes = TokenEditor(mode, tokenizer, replacements, replace_modifiers).perturbations(sequence_of(ids, modifiers))

    assert changes.edits.start.tolist() == [position for position, _, _ in expected]
    assert changes.sites.position.tolist() == [[position, position + 1] for position, _, _ in expected]
    assert changes.twin is None
    found = made(sequence_of(ids, modifiers), changes.edits, len(modifiers or []))
    assert found == [(changed, attached) for _, changed, attached in expected]


def test_replace_lists_edits_by_position_then_in_the_order_of_the_replacements(tokenizer):
    changes = TokenEditor("replace", tokenizer, {"a": ["t", "c"], "g": ["a"]}).perturbations(sequence_of([G, A, C]))
    assert changes.edits.start.tolist() == [0, 1, 1]
    assert changes.edits.token.tolist() == [A, T, C]
    assert changes.sites.token.to_pylist() == ["g", "a", "a"]
    assert changes.sites.replacement.to_pylist() == ["a", "t", "c"]
    none = TokenEditor("replace", tokenizer, {"a": ["t"]}).edits(sequence_of([C, G, 0]))
    assert len(none) == 0
    assert none.start.dtype == none.token.dtype == np.int64


def test_replacements_matter_in_mode_replace_only(tokenizer):
    assert len(TokenEditor("mask", tokenizer, {"no such token": ["a"]}).edits(sequence_of([A, C]))) == 2


# Bases


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory) -> dict[str, Tokenizer]:
    """A tokenizer of each kind, of the same random sequences, for DNA and RNA."""
    draw = np.random.default_rng(0)
    found = {}
    for letters in ("ACGT", "ACGU"):
        rows = ["".join(draw.choice(list(letters), 60)) for _ in range(40)]
        path = tmp_path_factory.mktemp("vocabularies") / "table.tsv"
        path.write_text("id\tsequence\n" + "".join(f"s{i}\t{row}\n" for i, row in enumerate(rows)))
        source = Table(path=str(path), columns={"id": 1, "sequence": 2})
        kinds = KINDS | {"atomic": Options()} if letters == "ACGT" else {"rna": KINDS["3-mers"]}
        found |= {name: learn.learn(source, options) for name, options in kinds.items()}
    return found


def encoded(tokenizer: Tokenizer, text: str, **options) -> Encoded:
    """Encode letters as a row of an encoded file."""
    found = RecordTokenizer(tokenizer, Encode(**options))(Record("here", "s", text, None, None, None, None, None))
    return Encoded(0, "s", found.input_ids, None, None, 1.0, found.offsets, found.reverse_ids, found.sequence)


def edited_texts(text: str, mode: str, mask: str = "?") -> list[tuple[int, str, str]]:
    """List (place, what comes, the edited text) by hand."""
    come = {"remove": lambda _: [""], "mask": lambda _: [mask], "replace": lambda letter: REPLACEMENTS.get(letter, [])}[mode]
    return [
        (place, came, text[:place] + came + text[place + 1 :]) for place, letter in enumerate(text) for came in come(letter)
    ]


def base_editor(tokenizer: Tokenizer, mode: str, both_strands: bool = False, **options) -> BaseEditor:
    return editors.choose(mode, "base", tokenizer, Encode(**options), REPLACEMENTS, both_strands=both_strands)


@examples(150)
@given(kind=st.sampled_from(sorted(KINDS)), text=TEXTS, mode=st.sampled_from(["remove", "replace"]))
def test_an_edited_base_gives_the_tokens_of_the_edited_text(vocabularies, kind, text, mode):
    tokenizer = vocabularies[kind]
    sequence, edited = encoded(tokenizer, text), edited_texts(text, mode)
    changes = base_editor(tokenizer, mode).perturbations(sequence)
    assert ids_made(sequence, changes.edits) == [make_encoder(tokenizer)(changed)[0].tolist() for _, _, changed in edited]
    assert changes.sites.token.to_pylist() == [text[place] for place, _, _ in edited]
    assert changes.sites.position.tolist() == [[place, place + 1] for place, _, _ in edited]
    if mode == "replace":
        assert changes.sites.replacement.to_pylist() == [came for _, came, _ in edited]
    else:
        assert changes.sites.replacement is None


def unmarked(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer without the mark that SentencePiece puts before a sequence."""
    return Tokenizer.from_str(tokenizer.to_str().replace('"prepend_scheme":"always"', '"prepend_scheme":"never"'))


@examples(100)
@given(kind=st.sampled_from(["bpe", "unigram"]), text=TEXTS)
def test_left_and_right_of_a_masked_base_tokens_are_those_of_either_side_by_itself(vocabularies, kind, text):
    tokenizer = vocabularies[kind]
    sequence, start, go_on = encoded(tokenizer, text), make_encoder(tokenizer), make_encoder(unmarked(tokenizer))
    changes = base_editor(tokenizer, "mask").perturbations(sequence)
    mark = [tokenizer.token_to_id("▁")] if kind == "unigram" else []
    for place, found in enumerate(ids_made(sequence, changes.edits)):
        left = start(text[:place])[0].tolist() if place else mark
        assert found == [*left, MASK, *go_on(text[place + 1 :])[0].tolist()]


@pytest.mark.parametrize("kind", ["3-mers", "3-mers, stride 2", "2-mers, stride 3"])
@given(text=TEXTS)
def test_kmers_that_hold_a_masked_base_are_masked(vocabularies, kind, text):
    sequence = encoded(vocabularies[kind], text)
    changes = base_editor(vocabularies[kind], "mask").perturbations(sequence)
    for place, found in enumerate(ids_made(sequence, changes.edits)):
        holds = (sequence.offsets[:, 0] <= place) & (place < sequence.offsets[:, 1])
        assert found == np.where(holds, MASK, sequence.input_ids).tolist()


CUTS = st.fixed_dictionaries({"block_size": st.integers(1, 12), "truncate": st.sampled_from(["left", "right", "both"])})


@examples(150)
@given(kind=st.sampled_from(sorted(KINDS)), text=TEXTS, mode=MODES, cut=CUTS)
def test_of_a_cut_sequence_only_the_kept_letters_change_and_it_never_grows_beyond_the_cut(vocabularies, kind, text, mode, cut):
    tokenizer = vocabularies[kind]
    sequence = encoded(tokenizer, text, **cut)
    changes = base_editor(tokenizer, mode, **cut).perturbations(sequence)
    kept, first = sequence.sequence, int(sequence.offsets[0, 0])
    assert text[first : first + len(kept)] == kept
    assert changes.sites.position.tolist() == [[first + p, first + p + 1] for p, _, _ in edited_texts(kept, mode)]
    found = ids_made(sequence, changes.edits)
    assert max(map(len, found), default=0) <= cut["block_size"]
    if mode == "mask":
        return
    # What was cut at the left is no sequence that begins there.
    using = tokenizer if first == 0 else unmarked(tokenizer)
    for ids, (_, _, changed) in zip(found, edited_texts(kept, mode), strict=True):
        whole = make_encoder(using)(changed)[0]
        start, stop = kept_range(whole, cut["block_size"], cut["truncate"])
        assert ids == whole[start:stop].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_an_edited_sequence_has_no_more_tokens_than_the_model_takes(vocabularies, kind):
    tokenizer = vocabularies[kind]
    sequence = encoded(tokenizer, "ACGTNACGTACCGGTTACGT")
    most = len(sequence.input_ids)
    free, bounded = (
        editors.choose("replace", "base", tokenizer, Encode(), REPLACEMENTS, most=limit).perturbations(sequence).edits
        for limit in (None, most)
    )
    assert [ids[:most] for ids in ids_made(sequence, free)] == ids_made(sequence, bounded)


def test_where_each_base_is_a_token_levels_are_one(vocabularies):
    sequence = encoded(vocabularies["atomic"], "ACGT")
    editor = editors.choose("remove", "base", vocabularies["atomic"], Encode())
    assert isinstance(editor, TokenEditor)
    assert editor.perturbations(sequence).sites.token.to_pylist() == list("ACGT")


def test_tokens_of_several_letters_are_edited_as_letters(subwords):
    sequence = encoded(subwords, ["A", "gej", "C"])
    editor = editors.choose("replace", "base", subwords, Encode(), {"gej": ["A"], "A": ["gej", "G"]})
    changes = editor.perturbations(sequence)
    assert changes.sites.token.to_pylist() == ["A", "A", "E"]
    assert changes.sites.replacement.to_pylist() == ["E", "G", "A"]
    assert changes.sites.position.tolist() == [[0, 1], [0, 1], [1, 2]]
    expected = [make_encoder(subwords)(text)[0].tolist() for text in ("EEC", "GEC", "AAC")]
    assert ids_made(sequence, changes.edits) == expected


# Both strands


@examples(150)
@given(kind=st.sampled_from([*KINDS, "atomic"]), text=TEXTS, mode=MODES)
def test_edits_of_the_other_strand_are_the_other_strand_of_the_edited_text(vocabularies, kind, text, mode):
    tokenizer = vocabularies[kind]
    both = {"reverse_complement": "average"}
    sequence = encoded(tokenizer, text, **both)
    changes = base_editor(tokenizer, mode, both_strands=True, **both).perturbations(sequence)
    assert len(changes.twin) == len(changes.edits) == len(changes.sites)
    found = ids_made(sequence.twin(), changes.twin)
    if mode == "mask":  # a mask is as good as any letter that is its own complement
        one = encoded(tokenizer, reverse_complement(text, rna=False))
        expected = ids_made(one, base_editor(tokenizer, mode).perturbations(one).edits)[::-1]
    else:
        others = [reverse_complement(changed, rna=False) for _, _, changed in edited_texts(text, mode)]
        expected = [make_encoder(tokenizer)(other)[0].tolist() for other in others]
    assert found == expected


def test_the_other_strand_of_rna_is_rna(vocabularies):
    tokenizer, both = vocabularies["rna"], {"reverse_complement": "average"}
    sequence = encoded(tokenizer, "ACGA", **both)
    changes = editors.choose("replace", "base", tokenizer, Encode(**both), {"G": ["A"]}, both_strands=True).perturbations(
        sequence
    )
    assert ids_made(sequence.twin(), changes.twin) == [make_encoder(tokenizer)("UUGU")[0].tolist()]


def test_long_tokens_are_not_edited_on_both_strands(vocabularies):
    with pytest.raises(RnalmError, match=r"interpret\.level: token cannot be scored on both strands with tokens longer"):
        editors.choose("mask", "token", vocabularies["bpe"], Encode(), both_strands=True)


# Scorers


@examples(15)
@given(kind=st.sampled_from(sorted(KINDS)), text=TEXTS, mode=MODES, seed=st.integers(0, 99))
def test_edits_of_bases_score_as_whole_forward_passes_fast_or_slow(vocabularies, make_model, kind, text, mode, seed):
    tokenizer = vocabularies[kind]
    both = {"reverse_complement": "average"}
    model = make_model(seed, {"filters": 32, "kernel_size": 3, "layers": 2}, tokenizer.get_vocab_size())
    sequence = encoded(tokenizer, text * 3, **both)
    changes = base_editor(tokenizer, mode, both_strands=True, **both).perturbations(sequence)
    for strand, edits in ((sequence, changes.edits), (sequence.twin(), changes.twin)):
        with torch.no_grad():
            expected = [model(input_ids=torch.tensor([ids])).logits[0].numpy() for ids in ids_made(strand, edits)]
        for scorer in (NaiveScorer(model), IncrementalScorer(model)):
            found = scorer.score(strand, edits)[1]
            expected = np.array(expected).reshape(len(edits), 1)
            assert np.all(np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected)))
