"""Predictions are written as Selene writes them: in the order of the file that was given, with its names and columns."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnalm.config import Genome, OwnModel, read_source
from rnalm.labels.labels import Labels
from rnalm.models.bring import bring
from rnalm.prediction import evaluate, export, selene
from rnalm.prediction.predict import predict_file
from rnalm.sequences import genome
from rnalm.tokens.encode import encode, inherit
from rnalm.tokens.tokenizer import load_tokenizer

DATA = Path("data/genome")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the genomes in data/")
LABELS = Labels("multilabel", classes=("x", "a b"))


def matrix(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file["data"][:]


@pytest.fixture
def predicted(tmp_path):
    """Predict the windows of regions in a genome of two contigs by numbers that tell them apart; some are unknown letters."""
    (tmp_path / "g.fa").write_text(">chr1\n" + "ACGT" * 10 + "N" + "ACGT" * 10 + "\n>chr2\n" + "ACGT" * 10 + "\n")

    def make(bed: str, **options) -> tuple[Genome, Path]:
        (tmp_path / "r.bed").write_text(bed)
        sample = {"method": "regions", "path": str(tmp_path / "r.bed")}
        given = {"genome": str(tmp_path / "g.fa"), "index": str(tmp_path), "sample": sample, "max_unknown": 1.0}
        source = read_source(given | {"length": 10} | options)
        assert isinstance(source, Genome)
        ids = [record.id for record in genome.read(source)]
        columns = {"id": pa.array(ids), "prob_x": np.arange(len(ids)) / 10, "prob_a b": np.arange(len(ids)) / 10 + 1}
        pq.write_table(pa.table(columns), tmp_path / "predictions.parquet", row_group_size=2)
        return source, tmp_path / "predictions.parquet"

    return make


def told(source: Genome, predictions: Path, kind: str = "tsv") -> list[list[str]]:
    export.write(predictions, source, LABELS, kind, predictions.parent / "out")
    return [line.split("\t") for line in (predictions.parent / "out").read_text().splitlines()]


#: Out of order, one window twice, one on the other strand, with an unknown letter, and one that leaves its contig.
BED = "# regions\n2\t20\t21\tr\t0\t+\nchr1\t38\t44\tr\t0\t-\nchr1\t1\t3\tr\t0\t+\n1\t10\t12\tr\t0\t.\nchr1\t11\t12\tr\t0\n"


def test_regions_stand_in_the_order_of_their_file_and_are_called_as_there(predicted, tmp_path):
    source, predictions = predicted(BED)
    ids = pq.read_table(predictions)["id"].to_pylist()
    assert ids == ["chr1:6-16", "chr1:36-46(-)", "chr2:15-25"]
    header, *rows = told(source, predictions)
    assert header == ["index", "chrom", "start", "end", "strand", "contains_unk", "x", "a b"]
    assert rows == [
        ["0", "2", "20", "21", "+", "False", "0.2", "1.2"],
        ["1", "chr1", "38", "44", "-", "True", "0.1", "1.1"],
        ["3", "1", "10", "12", ".", "False", "0", "1"],
        ["4", "chr1", "11", "12", "+", "False", "0", "1"],
    ]
    assert told(source, predictions, "labels") == [row[:6] for row in (header, *rows)]
    export.write(predictions, source, LABELS, "hdf5", tmp_path / "out.h5")
    numbers = matrix(tmp_path / "out.h5")
    assert numbers.dtype == np.float32
    np.testing.assert_array_equal(numbers, np.array([row[6:] for row in rows], np.float32))
    # What has no window stands as it is written.
    export.write_missing(predictions, source, tmp_path / "r.NA")
    assert (tmp_path / "r.NA").read_text() == "chr1\t1\t3\tr\t0\t+\n"


@pytest.mark.parametrize(("strand", "strands"), [("both", ["+", "-", "+", "-"]), ("+", ["+", "+"]), ("-", ["-", "-"])])
def test_strands_that_are_read_are_told(predicted, strand, strands):
    source, predictions = predicted("chr1\t20\t21\tr\t0\t-\nchr2\t20\t21\tr\t0\t.\n", strand=strand)
    _, *rows = told(source, predictions)
    assert [row[4] for row in rows] == strands
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    # Each has its own prediction.
    assert len({row[6] for row in rows}) == len(rows)


def test_a_strand_that_is_drawn_is_that_of_the_window(predicted):
    bed = "".join(f"chr1\t{start}\t{start + 1}\n" for start in range(5, 35))
    source, predictions = predicted(bed, strand="random")
    ids = pq.read_table(predictions)["id"].to_pylist()
    _, *rows = told(source, predictions)
    assert [row[4] for row in rows] == ["-" if name.endswith("(-)") else "+" for name in ids]
    assert {row[4] for row in rows} == {"+", "-"}


def test_contigs_may_be_called_by_numbers(predicted):
    source, predictions = predicted("1\t20\t21\n2\t20\t21\n")
    _, *rows = told(source, predictions)
    assert [row[:5] for row in rows] == [["0", "1", "20", "21", "+"], ["1", "2", "20", "21", "+"]]


def test_windows_that_are_no_regions_are_called_by_where_they_are(predicted, tmp_path):
    sample = {"method": "tiles", "step": 20}
    source, predictions = predicted("", sample=sample)
    _, first, *_ = told(source, predictions)
    assert first == ["0", "chr1", "0", "10", "+", "False", "0", "1"]
    assert [row[5] for row in told(source, predictions)[1:]] == ["False", "False", "True", "False", "False", "False"]


def test_sequences_have_names_and_blocks_do_not_show(tmp_path, monkeypatch):
    values = np.random.default_rng(0).standard_normal(7)
    pq.write_table(pa.table({"id": [f's"{k}' for k in range(7)], "pred": values}), tmp_path / "p.parquet", row_group_size=3)
    made = []
    for rows in (2, 100):
        monkeypatch.setattr(selene, "ROWS", rows)
        export.write(tmp_path / "p.parquet", None, Labels("regression"), "tsv", tmp_path / "a.tsv")
        export.write(tmp_path / "p.parquet", None, Labels("regression"), "hdf5", tmp_path / "a.h5")
        made.append(((tmp_path / "a.tsv").read_bytes(), matrix(tmp_path / "a.h5").tobytes()))
    assert made[0] == made[1]
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t", quoting=3)
    assert table.columns.tolist() == ["index", "name", "prediction"]
    assert table["name"].tolist() == [f's"{k}' for k in range(7)]
    np.testing.assert_array_equal(table["prediction"].to_numpy(np.float32), values.astype(np.float32))


@needs_data
@pytest.mark.parametrize("kind", ["bed", "fasta"])
def test_predictions_are_those_of_selene(tmp_path, kind):
    args = {"sequence_length": 100, "n_genomic_features": 3}
    given = {"name": "file", "path": str(DATA / "golden/tiny_model.py"), "class": "Tiny", "args": args}
    section, model = OwnModel(**given, outputs="probabilities", weights=str(DATA / "golden/tiny_100.pth")), tmp_path / "model"
    bring(section, ["f0", "f1", "f2"], model, 100)
    theirs = DATA / f"golden/selene_L100_single/{kind}"
    if kind == "bed":
        stem, sample = "regions", {"method": "regions", "path": str(DATA / "golden/regions.bed")}
        genome = {"genome": str(DATA / "human20/z.fa.gz"), "index": str(tmp_path / "ix")}
        source, cut = read_source(genome | {"sample": sample, "length": 100, "max_unknown": 1.0}), {}
    else:
        # Sequences that are too short are told here, and filled up there.
        stem, texts = "seqs", (DATA / "golden/seqs.fa").read_text().split(">")[2:]
        (tmp_path / "seqs.fa").write_text("".join(f">{text}" for text in texts))
        source, cut = read_source({"path": str(tmp_path / "seqs.fa")}), {"block_size": 100, "truncate": "both"}
    options, encoded = inherit(cut, [str(model / "config.json")]), tmp_path / "e.parquet"
    encode(source, load_tokenizer(model), encoded, options, task="multilabel", require_labels=False, case="upper")
    predict_file(model, encoded, tmp_path / "part.parquet", trust=True)
    evaluate.merge([tmp_path / "part.parquet"], [model], tmp_path)
    windows, labels = source if isinstance(source, Genome) else None, Labels.load(model / "labels.json")
    for what, end in (("tsv", "_predictions.tsv"), ("hdf5", "_predictions.h5"), ("labels", "_row_labels.txt")):
        export.write(tmp_path / "predictions.parquet", windows, labels, what, tmp_path / f"{stem}{end}")
    first = 0 if kind == "bed" else 1
    wanted = matrix(theirs / f"{stem}_predictions.h5")[first:]
    np.testing.assert_allclose(matrix(tmp_path / f"{stem}_predictions.h5"), wanted, atol=1e-6)
    rows, other = (pd.read_csv(place / f"{stem}_row_labels.txt", sep="\t") for place in (tmp_path, theirs))
    pd.testing.assert_frame_equal(rows, other.iloc[first:].reset_index(drop=True).assign(index=range(len(rows))))
    text = pd.read_csv(tmp_path / f"{stem}_predictions.tsv", sep="\t")
    assert text.columns.tolist() == [*other.columns, "f0", "f1", "f2"]
    np.testing.assert_allclose(text[["f0", "f1", "f2"]].to_numpy(), wanted, atol=1e-6)
    if windows is not None:
        export.write_missing(encoded, windows, tmp_path / "regions.NA")
        assert (tmp_path / "regions.NA").read_text() == (theirs / "regions.NA").read_text()
