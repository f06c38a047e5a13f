"""What models read is found in files: of letters and other tokens, of classes, and the same in whatever shards scores came."""

import csv

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnalm import config
from rnalm.config.contract import PATTERNS
from rnalm.scoring.lines import Reader, spelled, survey
from rnalm.scoring.patterns import find_patterns
from rnalm.tokens import learn
from rnalm.tokens.tokenizer import save_tokenizer

TEXT = pa.string()


def rows(sequence: str, tokens, loo, **columns) -> pd.DataFrame:
    """Make rows of scores; tokens stand one after the other, each as long as it is written."""
    ends = np.cumsum([len(token) for token in tokens])
    frame = pd.DataFrame({"sequence": sequence, "token": list(tokens), "label": 1.0, "pred": 2.0})
    return frame.assign(start_offset=np.r_[0, ends[:-1]], end_offset=ends, loo=loo).assign(**columns)


@pytest.fixture
def reader(tmp_path, tokenizer, encode_rows):
    """Read scores beside their sequences."""

    def make(frames, sequences, using=tokenizer, sense=-1, **options) -> Reader:
        number = len(list(tmp_path.iterdir()))
        scores, vocabulary = tmp_path / f"scores{number}.parquet", tmp_path / f"tokenizer{number}.json"
        pd.concat(frames).to_parquet(scores, index=False)
        save_tokenizer(using, vocabulary)
        return Reader(scores, encode_rows(sequences, using, **options), vocabulary, sense)

    return make


def lines(reader: Reader):
    return list(reader.lines())


def test_an_effect_is_the_opposite_of_loo_but_for_integrated_gradients(reader):
    frames, sequences = [rows("s", "acg", [0.5, -1.0, 0.0])], [("s", "acg")]
    (one,) = lines(reader(frames, sequences))
    assert one.effects.tolist() == [-0.5, 1, 0]
    assert not np.signbit(one.effects[2])
    (other,) = lines(reader(frames, sequences, sense=1))
    assert other.effects.tolist() == [0.5, -1, 0]


def test_sequences_without_scores_are_passed_over(reader):
    sequences = [("r", "ggg"), ("s", "acg"), ("t", "ttt"), ("u", "cc")]
    found = lines(reader([rows("s", "acg", [1] * 3), rows("u", "cc", [2] * 2)], sequences))
    assert [(one.sequence, one.effects.tolist()) for one in found] == [("s", [-1] * 3), ("u", [-2] * 2)]


def test_scores_of_other_sequences_are_refused_in_one_line(reader, refusal):
    own = reader([rows("s", "acg", [1] * 3)], [("other", "acg")])
    assert refusal(lines, own) == f"{own.encoded}: expected 's', which {own.scores} has scores of, in its place"


def test_of_replacements_the_mean_counts_and_what_is_not_scored_is_a_gap(reader):
    frame = rows("s", "aacg", [1.0, 3.0, np.nan, 5.0], replacement=list("cgta"))
    frame[["start_offset", "end_offset"]] = [[0, 1], [0, 1], [1, 2], [2, 3]]
    (one,) = lines(reader([frame], [("s", "acg")]))
    assert one.effects.tolist() == [-2, -5]
    assert one.starts.tolist() == [0, 2]
    assert one.runs.tolist() == [0, 1]


def test_pairs_of_positions_count_by_the_mean_of_each(reader):
    frame = rows("s", ["a", "a"], [1.0, 3.0], token=["a;c", "a;g"], replacement=["c;g", "c;t"], positions=["0;1", "0;2"])
    own = reader([frame], [("s", "acg")])
    (one,) = lines(own)
    assert one.effects.tolist() == [-2, -1, -3]
    assert own.survey.tokens == {"a": 2, "c": 1, "g": 1}


def test_capitals_that_begin_codons_are_letters_and_say_the_frame(reader, tmp_path):
    text = "cAcgGtaTgcaa"
    (tmp_path / "t.tsv").write_text(f"id\tsequence\ns\t{text * 3}\n")
    using = learn.learn(config.Table(path=str(tmp_path / "t.tsv"), columns={"id": "id", "sequence": "sequence"}))
    own = reader([rows("s", text, [1] * 12)], [("s", text)], using)
    (one,) = lines(own)
    assert own.marked
    assert "".join(own.survey.symbols[number] for number in one.symbols) == text.lower()
    assert one.frames.tolist() == [-1, 0, 1, 2, 0, 1, 2, 0, 1, 2, -1, -1]


def test_modifiers_that_begin_codons_say_the_frame(reader, field_tokenizer):
    fields = [f"{letter}#{int(k % 3 == 1 and k < 7)}" for k, letter in enumerate("cacggtatgc")]
    sequences = [("s", ",".join(fields))]
    own = reader([rows("s", "cacggtatgc", [1] * 10)], sequences, field_tokenizer, token_sep=",", modifier_sep="#")
    (one,) = lines(own)
    assert one.frames.tolist() == [-1, 0, 1, 2, 0, 1, 2, -1, -1, -1]


def test_without_marks_frames_are_those_of_the_position_and_thirds_those_of_what_the_model_sees(reader):
    (one,) = lines(reader([rows("s", "acgacg", [1] * 6)], [("s", "acgacg")]))
    assert one.frames.tolist() == [0, 1, 2, 0, 1, 2]
    assert one.regions.tolist() == [0, 0, 1, 1, 2, 2]
    part = rows("s", "acg", [1] * 3).assign(start_offset=[3, 4, 5], end_offset=[4, 5, 6])
    (one,) = lines(reader([part], [("s", "acgacg")]))
    assert one.regions.tolist() == [1, 2, 2]


def test_letters_share_the_effect_of_the_tokens_that_cover_them(reader, subwords, kmers):
    own = reader([rows("s", ["ACGT", "AC"], [-4.0, -1.0])], [("s", "ACGTAC")], subwords)
    assert (own.survey.lettered, own.survey.spelled) == (False, True)
    (one,) = lines(own)
    letters = spelled(one, own.survey.symbols, {letter: number for number, letter in enumerate("ACGT")})
    assert letters.effects.tolist() == [1, 1, 1, 1, 0.5, 0.5]
    assert letters.symbols.tolist() == [0, 1, 2, 3, 0, 1]
    frame = rows("s", ["acg", "cgt"], [-3.0, -6.0]).assign(start_offset=[0, 1], end_offset=[3, 4])
    own = reader([frame], [("s", "acgt")], kmers)
    letters = spelled(lines(own)[0], own.survey.symbols, {letter: number for number, letter in enumerate("acgt")})
    assert letters.effects.tolist() == [1, 3, 3, 2]
    assert letters.starts.tolist() == [0, 1, 2, 3]


def test_special_tokens_are_no_letters(reader):
    frame = rows("s", "acg", [1] * 3).assign(token=["a", "[UNK]", "g"])
    own = reader([frame], [("s", "a?g")])
    assert own.survey.lettered
    assert lines(own)[0].symbols.tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("columns", "classes"),
    [({}, [""]), ({"pred": "yes"}, ["yes"]), ({"pred": "yes", "class": "no"}, ["no"])],
    ids=["numbers", "the predicted class", "a named class"],
)
def test_the_class_that_is_explained_is_named(tmp_path, columns, classes):
    rows("s", "acg", [1, -2, 3]).assign(**columns).to_parquet(tmp_path / "s.parquet")
    found = survey(tmp_path / "s.parquet")
    assert (found.classes, found.largest, found.rows) == (classes, 3, 3)


@pytest.fixture
def made(tmp_path, encode_rows, tokenizer):
    """Find patterns in scores of sequences with a planted motif, of which the effects are known."""

    def make(classes=(None,), positions=(None,), n: int = 40):
        draw = np.random.default_rng(0)
        frames, sequences = [], []
        for k in range(n):
            letters, loo = draw.choice(list("acgt"), 60), 0.05 * draw.normal(size=60)
            begin = int(draw.integers(0, 53))
            letters[begin : begin + 8], loo[begin : begin + 8] = list("ttgacatg"), 1.0
            sequences.append((f"s{k}", "".join(letters)))
            for position in positions:
                own = [
                    rows(f"s{k}", letters, loo * (-1) ** number, **({} if name is None else {"pred": "yes", "class": name}))
                    for number, name in enumerate(classes)
                ]
                one = pd.concat(own).sort_values("start_offset", kind="stable")
                frames.append(one if position is None else one.assign(explained_position=position))
        folder = tmp_path / f"made{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        table = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
        pq.write_table(table, folder / "loo.parquet", row_group_size=1000)
        save_tokenizer(tokenizer, folder / "tokenizer.json")
        outputs = [folder / f"loo.{end}" for end in PATTERNS.values()]
        find_patterns(folder / "loo.parquet", encode_rows(sequences), folder / "tokenizer.json", outputs)
        return dict(zip(PATTERNS, outputs, strict=True))

    return make


def test_a_planted_motif_comes_out_on_top_with_the_sign_of_its_effect(made):
    files = made()
    kmers, motifs = pd.read_csv(files["kmers"]), pd.read_csv(files["motifs"])
    assert kmers["kmer"].iloc[0] in "ttgacatg"
    assert kmers["effect"].iloc[0] == pytest.approx(-6, abs=0.1)
    assert kmers["q"].iloc[0] < 0.001
    best = motifs.iloc[0]
    assert (best["motif"], best["consensus"]) == ("down_1", "ttgacatg")
    assert best["sequences"] >= 36
    assert best["effect"] == pytest.approx(-8, abs=0.5)
    assert best[["five_prime", "middle", "three_prime"]].sum() == pytest.approx(1)
    matrices = pd.read_csv(files["matrices"])
    own = matrices[matrices["motif"] == "down_1"]
    assert own["effect"].sum() == pytest.approx(-8, abs=0.5)
    assert own.groupby("position")["share"].sum().tolist() == pytest.approx([1] * 8)
    text = files["meme"].read_text()
    assert "MOTIF down_1 TTGACATG" in text
    assert "ALPHABET= ACGT" in text


def test_seqlets_say_where_they_are_what_they_are_and_how_sure(made):
    files = made()
    seqlets = pd.read_csv(files["seqlets"])
    assert seqlets.columns.tolist() == ["sequence", "start", "end", "effect", "p", "letters"]
    strong = seqlets[seqlets["effect"] < -6]
    assert len(strong) >= 36
    assert strong["letters"].str.contains("tgaca").all()
    assert (seqlets["end"] - seqlets["start"] == seqlets["letters"].str.len()).all()
    assert (seqlets["p"] <= 0.01).all()


def test_each_class_has_patterns_of_its_own(made):
    files = made(classes=("no", "yes"))
    motifs = pd.read_csv(files["motifs"])
    best = motifs.groupby("class").first()
    assert best["motif"].to_dict() == {"no": "down_1", "yes": "up_1"}
    assert set(best["consensus"]) == {"ttgacatg"}
    kmers = pd.read_csv(files["kmers"]).groupby("class").first()
    assert (np.sign(kmers["effect"]) == [-1, 1]).all()
    assert "MOTIF up_1:yes TTGACATG" in files["meme"].read_text()


def test_explained_positions_are_named(made):
    files = made(positions=(3, 7), n=10)
    with open(files["seqlets"], newline="") as file:
        found = list(csv.DictReader(file))
    assert {row["explained_position"] for row in found} == {"3", "7"}
    assert pd.read_csv(files["kmers"])["sequences"].max() == 10


def test_the_same_scores_give_the_same_bytes(made):
    one, two = made(), made()
    assert all(one[kind].read_bytes() == two[kind].read_bytes() for kind in PATTERNS)


def test_without_scores_there_are_tables_without_rows(tmp_path, encode_rows, tokenizer):
    empty = rows("s", "a", [1.0]).iloc[:0]
    schema = pa.schema([("sequence", TEXT), ("token", TEXT), ("label", pa.float64()), ("pred", pa.float64())])
    for name in ("start_offset", "end_offset"):
        schema = schema.append(pa.field(name, pa.int32()))
    pq.write_table(pa.Table.from_pandas(empty, schema.append(pa.field("loo", pa.float64())), False), tmp_path / "loo.parquet")
    save_tokenizer(tokenizer, tmp_path / "t.json")
    outputs = [tmp_path / f"loo.{end}" for end in PATTERNS.values()]
    find_patterns(tmp_path / "loo.parquet", encode_rows([("s", "acgt")]), tmp_path / "t.json", outputs)
    assert [len(pd.read_csv(path)) for path in outputs[:4]] == [0] * 4
    assert outputs[4].read_text() == "MEME version 4\n"


def test_of_tokens_that_are_no_letters_there_are_seqlets_and_motifs_of_tokens(tmp_path, encode_rows):
    draw = np.random.default_rng(0)
    source = tmp_path / "words.tsv"
    source.write_text("id\tsequence\nall\tAUG,CCG,UAA,m6A\n")
    using = learn.learn(config.Table(path=str(source), token_sep=",", columns={"id": "id", "sequence": "sequence"}))
    frames, sequences = [], []
    for k in range(30):
        tokens, loo = draw.choice(["AUG", "CCG", "UAA"], 40), 0.05 * draw.normal(size=40)
        begin = int(draw.integers(0, 36))
        tokens[begin : begin + 4], loo[begin : begin + 4] = ["m6A", "AUG", "m6A", "CCG"], -1.0
        sequences.append((f"s{k}", ",".join(tokens)))
        frames.append(rows(f"s{k}", tokens, loo).assign(start_offset=range(40), end_offset=range(1, 41)))
    pd.concat(frames).to_parquet(tmp_path / "loo.parquet", index=False)
    save_tokenizer(using, tmp_path / "t.json")
    outputs = [tmp_path / f"loo.{end}" for end in PATTERNS.values()]
    find_patterns(tmp_path / "loo.parquet", encode_rows(sequences, using, token_sep=","), tmp_path / "t.json", outputs)
    assert pd.read_csv(outputs[0])["kmer"].iloc[0] in ("m6A AUG", "AUG m6A", "m6A CCG")
    assert pd.read_csv(outputs[2])["consensus"].iloc[0] == "m6A AUG m6A CCG"
    assert outputs[4].read_text() == "MEME version 4\n"
