"""Files are written as Selene writes them, and say what it says of the same model and variants, but for deletions."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnalm.config import OwnModel, Variants
from rnalm.labels.labels import Labels
from rnalm.models.bring import bring
from rnalm.prediction.panel import Panel
from rnalm.scoring import selene
from rnalm.scoring.effects import columns
from rnalm.scoring.variants import Job, score_shard
from rnalm.sequences.alleles import list_file
from rnalm.sequences.contigs import Reference
from rnalm.sequences.edited import Change, windows
from rnalm.sequences.records import Record
from rnalm.sequences.strands import reverse_complement
from rnalm.sequences.vcf import read

DATA = Path("data/genome")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the genomes in data/")
#: Of each file of Selene's: how its name goes on.
ENDS = ("_diffs", "_abs_diffs", "_logits", ".ref_predictions", ".alt_predictions")
LABELS = ["chrom", "pos", "name", "ref", "alt", "strand", "ref_match", "contains_unk"]
#: What tells an allele from others.
KEY = ["chrom", "pos", "name", "ref", "alt"]


@pytest.fixture(scope="module", params=[100, 101])
def golden(request, tmp_path_factory) -> tuple[int, Variants, Path, Path]:
    """Score the variants of which there are Selene's files: the length, the section, the model and the folder."""
    length, folder = request.param, tmp_path_factory.mktemp("golden")
    given = {"name": "file", "path": str(DATA / "golden/tiny_model.py"), "class": "Tiny"}
    args = {"sequence_length": length, "n_genomic_features": 3}
    section = OwnModel(**given, args=args, outputs="probabilities", weights=str(DATA / f"golden/tiny_{length}.pth"))
    bring(section, ["f0", "f1", "f2"], folder / "model", length)
    options = Variants(
        **{"path": str(DATA / "golden/variants.vcf"), "genome": str(DATA / "human20/z.fa.gz"), "index": str(folder / "ix")},
        **{"length": length, "scores": ["diffs", "abs_diffs", "logits", "predictions"]},
        formats=["parquet", "tsv", "hdf5"],
    )
    list_file(options, folder / "alleles.parquet")
    job = Job(model_folders=[str(folder / "model")], alleles=str(folder / "alleles.parquet"), options=options, trust=True)
    score_shard(job, folder / "part.parquet")
    for name, asked in options.files.items():
        selene.write([folder / "part.parquet"], asked["path"], asked["kind"], asked["column"], folder / name)
    return length, options, folder / "model", folder


def rows_of(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False).set_index(KEY)


def matrix(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        assert list(file) == ["data"]
        return file["data"][:]


def kinds_of(rows: pd.DataFrame) -> np.ndarray:
    """Say of alleles, as they are written, what they are."""

    def kind(ref: str, alt: str) -> str:
        if alt.startswith("<"):
            return "symbolic"
        return "same" if len(ref) == len(alt) else "insertion" if len(ref) < len(alt) else "deletion"

    return np.array([kind(ref, alt) for *_, ref, alt in rows.index])


@needs_data
def test_there_are_the_files_of_selene_with_its_columns(golden):
    length, _, _, folder = golden
    theirs = DATA / f"golden/selene_L{length}_single"
    names = {path.name for kind in ("tsv", "hdf5") for path in (theirs / kind).iterdir()}
    assert {path.name for path in (folder / "selene").iterdir()} == names
    for name in names:
        kind = "tsv" if name.endswith(("tsv", "NA")) else "hdf5"
        if name.endswith((".tsv", ".txt")):
            ours, other = ((place / name).read_text().splitlines()[0] for place in (folder / "selene", theirs / kind))
            assert ours == other
    # What Selene cannot score, we cannot either; of symbolic alleles it does what has no meaning.
    ours, other = ((place / "variants.NA").read_text().splitlines() for place in (folder / "selene", theirs / "tsv"))
    assert [line for line in ours if "<" not in line] == other
    assert len([line for line in ours if "<" in line]) == 2


@needs_data
@pytest.mark.parametrize("end", ENDS)
def test_substitutions_are_as_in_the_files_of_selene(golden, end):
    length, _, _, folder = golden
    place = DATA / f"golden/selene_L{length}_single"
    theirs, ours = (rows_of(path / "variants_row_labels.txt") for path in (place / "hdf5", folder / "selene"))
    assert ours.index.is_unique
    known = theirs.index.get_indexer(ours.index)
    assert (known >= 0).all()
    # The order is theirs, and so is what is told of alleles.
    assert (np.diff(known) > 0).all()
    pd.testing.assert_frame_equal(ours, theirs.iloc[known])
    same = kinds_of(ours) == "same"
    assert same.sum() >= 50
    numbers = matrix(folder / f"selene/variants{end}.h5")
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers[same], matrix(place / f"hdf5/variants{end}.h5")[known][same], atol=1e-6)
    # Text has the digits of the matrix, and Selene's has three of them.
    text, other = (rows_of(path / f"variants{end}.tsv") for path in (folder / "selene", place / "tsv"))
    names = ["f0", "f1", "f2"]
    np.testing.assert_array_equal(text[names].to_numpy(np.float32), numbers)
    pd.testing.assert_frame_equal(text[LABELS[len(KEY) :]], ours)
    wanted = other.loc[ours.index][names].to_numpy(float)
    half = 0.5 * 10.0 ** (np.floor(np.log10(np.abs(wanted))) - 2)
    assert (np.abs(numbers - wanted)[same] <= (half + 1e-6)[same]).all()


@needs_data
def test_insertions_are_those_of_selene_if_their_windows_are_centred_on_what_comes(golden):
    length, options, model, _ = golden
    place = DATA / f"golden/selene_L{length}_single/hdf5"
    theirs = rows_of(place / "variants_row_labels.txt")
    wanted = dict(zip(theirs.index, matrix(place / "variants.alt_predictions.h5"), strict=True))
    genome, panel, told = Reference(options), Panel([str(model)], trust=True), 0
    for allele in read(options.path[0]):
        key = (allele.chrom, allele.pos, allele.name, allele.ref, allele.alt)
        if key not in wanted or allele.problem or len(allele.ref) >= len(allele.alt):
            continue
        letters = lambda first, after: genome.letters("z", first, after).upper()  # noqa: E731
        window = windows(Change(*allele.change), length, genome.lengths["z"], "center")[1].text(letters)
        window = reverse_complement(window, rna=False) if allele.strand == "-" else window
        encoded = panel.encode(Record("a window", "", window, None, None, None, None, None))[2]
        np.testing.assert_allclose(panel.read(panel.outputs([encoded]))[0], wanted[key], atol=1e-6)
        told += 1
    assert told == 15


@needs_data
def test_deletions_are_those_of_the_edited_chromosome_which_selenes_are_not(golden):
    length, options, _, folder = golden
    place = DATA / f"golden/selene_L{length}_single/hdf5"
    theirs, ours = (rows_of(path / "variants_row_labels.txt") for path in (place, folder / "selene"))
    both = matrix(place / "variants.alt_predictions.h5"), matrix(folder / "selene/variants.alt_predictions.h5")
    gone = kinds_of(ours) == "deletion"
    far = np.abs(both[0][theirs.index.get_indexer(ours.index)] - both[1]).max(axis=1)
    assert gone.sum() == 13
    assert (far[gone] > 1e-6).all(), "by design"
    genome, listed = Reference(options), pq.read_table(folder / "alleles.parquet").to_pylist()
    chromosome = genome.letters("z", 0, genome.lengths["z"]).upper()
    for allele in (row for row in listed if row["kind"] == "deletion"):
        change = Change(allele["start"], allele["goes"], allele["comes"])
        edited = chromosome[: change.start] + chromosome[change.end :]
        read_letters = lambda first, after: chromosome[first:after]  # noqa: E731
        _, *found = (own.text(read_letters) for own in windows(change, length, len(chromosome), "both"))
        assert len(found) == 2
        near = edited[change.start - length : change.start + length]
        assert all(text in near and len(text) == length for text in found)


def test_rows_without_scores_and_those_of_other_files_are_in_none(tmp_path):

    schema = columns(Labels("regression"), ["diffs"])
    path, other = str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")
    for name in (path, other):
        Path(name).write_text('chrom\tpos\tref\talt\n1\t1\tA\tC,T\n1\t2\tA\tC,G\n1\t3\tA\t"\n')

    def row(file: str, line: int, alt: str, number: float | None, strand: str = ".") -> dict:
        place = {"place": f"{file}, line {line}", "chrom": "1", "pos": line - 1, "name": '"x"', "ref": "A", "alt": alt}
        told = {"reason": "why" if number is None else None, "ref_match": True, "contains_unk": False, "diff": number}
        return dict.fromkeys(schema.names) | place | told | {"strand": strand}

    rows = [row(path, 2, "C", 0.1, "-"), row(path, 2, "T", None), row(path, 3, "C", None), row(path, 3, "G", None)]
    rows += [row(path, 4, '"', 1e-30), row(other, 2, "C", 3.0)]
    parts = [tmp_path / f"{part}.parquet" for part in range(3)]
    for part, file in enumerate(parts):
        pq.write_table(pa.Table.from_pylist(rows[2 * part : 2 * part + 2], schema), file)
    selene.write(parts, path, "tsv", "diff", tmp_path / "a_diffs.tsv")
    assert (tmp_path / "a_diffs.tsv").read_text().splitlines() == [
        "\t".join([*LABELS, "prediction"]),
        '1\t1\t"x"\tA\tC\t-\tTrue\tFalse\t0.1',
        '1\t3\t"x"\tA\t"\t+\tTrue\tFalse\t1e-30',
    ]
    selene.write(parts, path, "hdf5", "diff", tmp_path / "a_diffs.h5")
    assert matrix(tmp_path / "a_diffs.h5").tolist() == [[np.float32(0.1)], [np.float32(1e-30)]]
    selene.write(parts, path, "missing", "", tmp_path / "a.NA")
    assert (tmp_path / "a.NA").read_text() == "1\t1\tA\tC,T\n1\t2\tA\tC,G\n"
    selene.write(parts, other, "missing", "", tmp_path / "b.NA")
    assert (tmp_path / "b.NA").read_text() == ""
