"""Labels of tokens: out of a list, positions or a BED file, and what is refused."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from rnalm.config import Encode, Fasta, Labels, Table
from rnalm.tokens import dataset, encode, learn

TOKENS = Labels(per="token")


@pytest.fixture
def encoded(tmp_path):
    """Encode a table, or FASTA with a BED file; give the labels of each sequence as they are read back."""

    def make(rows: dict[str, tuple], task: str = "classification", bed: str | None = None, fasta: bool = False, **options):
        names = ["id", "sequence", *(["sites"] if options.pop("sites", False) else ["label"])]
        lines = ["\t".join(names), *("\t".join([name, *row]) for name, row in rows.items())]
        (tmp_path / "table.tsv").write_text("\n".join(lines) + "\n")
        columns: dict = {name: name for name in names if bed is None or name != "label"}
        columns |= {"label": ["label"]} if options.pop("several", False) else {}
        if bed is not None:
            (tmp_path / "known.bed").write_text(bed)
        known = {"sites": str(tmp_path / "known.bed")} if bed is not None else {}
        if fasta:
            (tmp_path / "a.fa").write_text("".join(f">{name}\n{row[0]}\n" for name, row in rows.items()))
            source = Fasta(path=str(tmp_path / "a.fa"), **known)
        else:
            source = Table(path=str(tmp_path / "table.tsv"), columns=columns, **known, **options.pop("source", {}))
        labels = Labels(per="token", **options.pop("labels", {}))
        path, cuts = tmp_path / "encoded.parquet", options.pop("encode", {"block_size": 4})
        encode.encode(source, learn.learn(source), path, Encode(**cuts), task, labels, **options)
        return [one.label for group in dataset.read(path) for one in group]

    return make


def shown(labels: list) -> list:
    return [None if label is None else label.tolist() for label in labels]


def test_numbers_are_one_for_each_token_and_an_empty_one_is_unknown(encoded):
    labels = encoded({"a": ("ACG", "1.5,,-2"), "b": ("AC", "0,1")}, task="regression")
    np.testing.assert_array_equal(labels[0], np.array([1.5, np.nan, -2], np.float32))
    assert labels[1].tolist() == [0, 1]


def test_classes_are_one_for_each_token_and_no_sequence_is_cut(encoded, tmp_path):
    long = {"a": ("ACGTACGTA", "H H E E . . H H H".replace(" ", ";"))}
    labels = encoded(long, labels={"sep": ";"}, source={"missing": ["."]})
    assert shown(labels) == [["H", "H", "E", "E", "", "", "H", "H", "H"]]
    stored = pq.read_table(tmp_path / "encoded.parquet")["label"].to_pylist()
    assert stored == [["H", "H", "E", "E", None, None, "H", "H", "H"]]
    known = encode.metadata(tmp_path / "encoded.parquet")
    assert {key: known[key] for key in ("per", "positions", "labelled", "truncated", "longest")} == {
        **{"per": "token", "positions": 7, "labelled": 1, "truncated": 0, "longest": 9}
    }


def test_sites_are_0_based_positions_and_an_empty_field_has_none(encoded):
    labels = encoded({"a": ("ACGT", "0, 3"), "b": ("ACG", "")}, sites=True)
    assert shown(labels) == [["1", "0", "0", "1"], ["0", "0", "0"]]


@pytest.mark.parametrize("fasta", [False, True])
def test_sites_of_a_bed_file_have_names_and_may_be_long(encoded, fasta):
    bed = "a\t1\t3\tdonor\nb\t0\t1\na\t3\t4\tacceptor\n"
    rows = {"a": ("ACGT", ""), "b": ("ACG", ""), "c": ("AC", "")}
    labels = encoded(rows, bed=bed, fasta=fasta)
    assert shown(labels) == [["0", "donor", "donor", "acceptor"], ["1", "0", "0"], ["0", "0"]]


SEVERAL = {
    "lists": {"label": ["x", "y"]},
    "columns": {"sites": ["x", "y"]},
    "bed": {},
}


@pytest.mark.parametrize("how", SEVERAL)
def test_a_token_may_have_several_classes(tmp_path, how):
    rows = {"lists": "a\tACGT\t0,1,1,0\t0,0,1,\nb\tAC\t\t,1", "columns": "a\tACGT\t1,2\t2\nb\tAC\t\t1", "bed": "a\tACGT\nb\tAC"}
    header = "id\tsequence" + ("\tx\ty" if how != "bed" else "")
    (tmp_path / "t.tsv").write_text(f"{header}\n{rows[how]}\n")
    (tmp_path / "k.bed").write_text("a\t1\t3\tx\na\t2\t3\ty\nb\t1\t2\ty\n")
    columns = {"id": "id", "sequence": "sequence"} | SEVERAL[how]
    source = Table(path=str(tmp_path / "t.tsv"), columns=columns, sites=str(tmp_path / "k.bed") if how == "bed" else None)
    labels = Labels(per="token", classes=["x", "y"] if how == "bed" else None)
    encode.encode(source, learn.learn(source), tmp_path / "e.parquet", task="multilabel", labels=labels)
    first, second = [one.label for group in dataset.read(tmp_path / "e.parquet") for one in group]
    none = np.nan if how == "lists" else 0
    np.testing.assert_array_equal(first, np.array([[0, 0], [1, 0], [1, 1], [0, none]], np.float32))
    np.testing.assert_array_equal(second, np.array([[none, none], [none, 1]], np.float32))
    about = encode.metadata(tmp_path / "e.parquet")
    assert (about["classes"], about["positions"]) == (["x", "y"], 5 if how == "lists" else 6)


def test_columns_of_sites_are_classes_where_a_position_has_one(tmp_path, refusal):
    (tmp_path / "t.tsv").write_text("id\tsequence\tx\ty\na\tACGT\t0\t2,3\n")
    source = Table(path=str(tmp_path / "t.tsv"), columns={"id": "id", "sequence": "sequence", "sites": ["x", "y"]})
    encode.encode(source, learn.learn(source), tmp_path / "e.parquet", task="classification", labels=TOKENS)
    assert shown([one.label for group in dataset.read(tmp_path / "e.parquet") for one in group]) == [["x", "0", "y", "y"]]
    (tmp_path / "t.tsv").write_text("id\tsequence\tx\ty\na\tACGT\t0\t0\n")
    message = refusal(encode.encode, source, learn.learn(source), tmp_path / "e", task="classification", labels=TOKENS)
    assert message.endswith("position 0 of 'a' is a site called x and one called y; expected one class a position")


def test_attributes_of_fasta_have_labels_or_sites_too(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACG\n>b\nAC\n>c\nGT\n")
    (tmp_path / "t.tsv").write_text("id\tsites\na\t2\nb\t\n")
    source = Fasta(
        path=str(tmp_path / "a.fa"), attributes={"path": str(tmp_path / "t.tsv"), "columns": {"id": "id", "sites": 2}}
    )
    encode.encode(source, learn.learn(source), tmp_path / "e.parquet", task="classification", labels=TOKENS)
    # Of c the table says nothing: what is not told is not known.
    read = [one.label for group in dataset.read(tmp_path / "e.parquet") for one in group]
    assert shown(read) == [["0", "0", "1"], ["0", "0"], None]


def test_sequences_of_which_nothing_is_known_are_refused_or_left_out(encoded, refusal):
    rows = {"a": ("ACG", "1,2,3"), "b": ("AC", ","), "c": ("AC", "")}
    message = refusal(encoded, rows, task="regression", require_labels=True)
    assert "line 3: 'b' has labels of which none is known, but training needs one; to leave such rows out, set" in message
    assert "(and 1 more, see the log)" in message
    assert len(encoded(rows, task="regression", require_labels=True, source={"unlabelled": "drop"})) == 1
    assert shown(encoded(rows, task="regression"))[1:] == [None, None]


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        (("ACG", "1,2"), {"task": "regression"}, "'a' has 2 labels and 3 tokens; expected one for each, separated by ','"),
        (
            ("ACG", "1,x,2"),
            {"task": "regression"},
            "label 2 of 'a' is 'x', expected a number or, where it is not known,",
        ),
        (("ACG", "1;3"), {"sites": True}, "the site '1;3' is no position; expected 0-based numbers, separated by commas"),
        (("ACG", "3"), {"sites": True}, "'a' has 3 tokens, but a site at 3; positions begin at 0"),
        (("ACG", ""), {"bed": "a\t1\t9\n"}, "'a' has 3 tokens, but a site at 1-9; positions begin at 0"),
        (("ACG", ""), {"bed": "a\t1\t2\t0\n"}, "a site of 'a' is called '0', as positions without one are"),
        (
            ("ACG", ""),
            {"bed": "a\t1\t2\tdoner\n", "task": "multilabel", "labels": {"classes": ["donor", "acceptor"]}},
            "a site of 'a' is called 'doner', which is none of labels.classes; did you mean 'donor'?",
        ),
        (
            ("ACG", "1,0,2"),
            {"task": "multilabel", "several": True},
            "label 3 of 'a' is '2', expected 1, 0 or, where it is not known, nothing",
        ),
        (("ACG", "1,0"), {"task": "multilabel", "several": True}, "'a' has 2 labels and 3 tokens; expected one for each,"),
        (
            ("ACG", ""),
            {"bed": "a\t0\t2\tx\na\t1\t3\ty\n"},
            "position 1 of 'a' is a site called x and one called y; expected one class a position",
        ),
    ],
)
def test_what_does_not_fit_the_tokens_is_told_with_its_line(encoded, refusal, row, options, message):
    assert f"table.tsv, line 2: {message}" in refusal(encoded, {"a": row}, **options)


def test_a_bed_file_of_other_sequences_is_refused(encoded, refusal):
    message = refusal(encoded, {"a": ("ACG", "")}, bed="a\t1\t2\nb\t1\t2\nc\t1\t2\n")
    assert message.endswith("table.tsv is called so")
    assert "known.bed: has sites of 'b' (and 1 more), but no sequence of " in message


def test_tokens_must_be_positions(tmp_path, refusal, learned, write_rows):
    source = write_rows("ACGTACGTACGT", "ACGTTT")
    message = refusal(encode.encode, source, learned("ACGTACGT", type="kmer", k=3), tmp_path / "e", labels=TOKENS)
    assert message.startswith("labels.per: token: a token must be a position")
