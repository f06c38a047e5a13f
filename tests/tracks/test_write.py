"""What genome browsers show is what the tables say, where the transcripts lie, in both formats alike."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pybigtools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.config import contract
from rnalm.tracks import lay
from rnalm.tracks.write import write_tracks

#: Two transcripts that overlap, on either strand, and one elsewhere.
BED = (
    "chr2\t10\t30\tone\t0\t+\t10\t10\t0\t2\t4,6,\t0,14,\n"
    "chr2\t11\t20\ttwo.1\t0\t-\t11\t11\t0\t1\t9,\t0,\n"
    "chr10\t0\t3\tthree\t0\t-\t0\t0\t0\t1\t3,\t0,\n"
)


def table(folder: Path, effects: dict[str, list[float]]) -> Path:
    frames = [
        pd.DataFrame({"sequence": name, "token": "a", "label": 1.0, "pred": 2.0, "loo": -np.array(values)}).assign(
            start_offset=np.arange(len(values)), end_offset=np.arange(len(values)) + 1
        )
        for name, values in effects.items()
    ]
    pd.concat(frames).to_parquet(folder / "scores.parquet")
    return folder / "scores.parquet"


def bedgraph(path: Path) -> dict[tuple[str, int], float]:
    """Read the value of each position; none may have two."""
    lines = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    found = [(name, at, float(value)) for name, start, end, value in lines for at in range(int(start), int(end))]
    assert len({place[:2] for place in found}) == len(found)
    return {(name, at): value for name, at, value in found}


def bigwig(path: Path) -> dict[tuple[str, int], float]:
    file = pybigtools.open(str(path))
    return {(name, at): value for name in file.chroms() for start, end, value in file.records(name) for at in range(start, end)}


def written(folder: Path, path: Path, kind: str = "mask", **options) -> dict[tuple[str, int], float]:
    """Write both formats, which must say the same."""
    outputs = [folder / f"t{end}" for end in contract.browsed([], contract.BROWSED)]
    write_tracks(path, outputs=outputs, **{"kind": kind, "classes": []} | options)
    found = bedgraph(outputs[0])
    assert bigwig(outputs[1]) == {place: np.float32(value) for place, value in found.items()}
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    return found


def test_sequences_are_contigs_where_nothing_lays_them_on_a_genome(tmp_path):
    effects = {"b": [0.5, 0.5, -0.25], "a": [1e-9, float("nan"), 3.0]}
    expected = {("b", 0): 0.5, ("b", 1): 0.5, ("b", 2): -0.25, ("a", 0): 1e-9, ("a", 2): 3.0}
    found = written(tmp_path, table(tmp_path, effects))
    assert found == pytest.approx(expected, rel=1e-7, abs=0)
    assert (tmp_path / "t.bedgraph").read_text() == (
        'track type=bedGraph name="mask"\nb\t0\t2\t0.5\nb\t2\t3\t-0.25\na\t0\t1\t9.99999972e-10\na\t2\t3\t3\n'
    )


@pytest.mark.parametrize("most", [lay.MOST, 1])
@pytest.mark.parametrize("name", ["t.bed", "t.bed.gz"])
def test_transcripts_lie_on_the_genome_and_where_they_overlap_the_mean_is_told(tmp_path, caplog, monkeypatch, name, most):
    monkeypatch.setattr(lay, "MOST", most)  # positions held at once, which must make no difference
    (tmp_path / name).write_bytes(gzip.compress(BED.encode()) if name.endswith("gz") else BED.encode())
    effects = {
        "two.1": [float(value) for value in range(9)],
        "nowhere": [1.0],
        "one": [10.0 * value for value in range(8)],
        "three": [1.0, 2.0, 3.0],
    }
    path = table(tmp_path, effects)
    found = written(tmp_path, path, transcripts=str(tmp_path / name))
    one = dict(zip([*range(10, 14), *range(24, 28)], effects["one"], strict=True))
    two = {19 - value: float(value) for value in range(9)}
    expected = {("chr10", at): 3.0 - at for at in range(3)}
    for at in {*one, *two}:
        values = [transcript[at] for transcript in (one, two) if at in transcript]
        expected["chr2", at] = sum(values) / len(values)
    assert found == expected
    assert caplog.messages == [
        f"{tmp_path / name}: does not tell where 1 of 4 sequences lie, such as nowhere: left out",
        f"{tmp_path / name}: 1 of 4 sequences end before their transcript does, such as one (8 of 10 nucleotides): "
        "laid from its 5′ end",
        f"{tmp_path / name}: at 3 of 17 positions several sequences overlap; their mean is taken",
    ]


def test_what_does_not_fit_its_transcript_is_left_out_and_if_that_is_all_it_is_an_error(tmp_path, caplog, refusal):
    (tmp_path / "t.bed").write_text(BED)
    where = str(tmp_path / "t.bed")
    found = written(tmp_path, table(tmp_path, {"three": [1.0] * 4, "two.1": [2.0] * 9}), transcripts=where)
    assert set(found) == {("chr2", at) for at in range(11, 20)}
    told = f"{where}: 1 of 2 sequences are longer than their transcript there, such as three (4 of 3 nucleotides): left out"
    assert caplog.messages == [told]
    problem = refusal(written, tmp_path, table(tmp_path, {"three": [1.0] * 4}), transcripts=where)
    assert problem == f"{where}: none of the 1 sequences fits there, such as three (4 of 3 nucleotides), which is longer there"
    problem = refusal(written, tmp_path, table(tmp_path, {"x": [1.0], "y": [1.0]}), transcripts=where)
    assert problem == f"{where}: none of the 2 sequences fits there, such as x"


def test_windows_lie_where_their_names_say(tmp_path, caplog):
    effects = {"chr1:5-8": [1.0, 2.0, 3.0], "chr1:7-9(-)": [4.0, 5.0], "HLA:1:0-1": [6.0]}
    found = written(tmp_path, table(tmp_path, effects), windows=True)
    expected = {("chr1", 5): 1.0, ("chr1", 6): 2.0, ("chr1", 7): (3.0 + 5.0) / 2, ("chr1", 8): 4.0, ("HLA:1", 0): 6.0}
    assert found == expected
    assert caplog.messages == [
        f"{tmp_path / 'scores.parquet'}: at 1 of 5 positions several sequences overlap; their mean is taken"
    ]


def test_classes_have_files_of_their_own(tmp_path):
    path = table(tmp_path, {"x": [1.0, 2.0]})
    pd.concat([pd.read_parquet(path).assign(**{"class": name}) for name in ("a/b", "c")]).to_parquet(path)
    ends = contract.browsed(["c", "a/b"], ["bigwig", "bedgraph"])
    assert ends == ["_c.bw", "_c.bedgraph", "_a_b.bw", "_a_b.bedgraph"]
    outputs = [tmp_path / f"mask{end}" for end in ends]
    write_tracks(path, outputs=outputs, kind="mask", classes=["c", "a/b"])
    assert all(output.exists() for output in outputs)
    assert outputs[1].read_text().startswith('track type=bedGraph name="mask c"\n')


def test_no_value_at_all_is_an_error_and_leaves_no_file(tmp_path, refusal):
    path = table(tmp_path, {"x": [float("nan")]})
    assert refusal(written, tmp_path, path) == f"{path}: has no value to write as a track; expected one position or more"
    assert [file.name for file in tmp_path.iterdir()] == ["scores.parquet"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), st.sampled_from([-2.0, -0.5, 0.5, 1.0])), min_size=1))
def test_of_the_alleles_of_a_position_the_one_that_changes_most_is_told(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("v")
    # A letter that stays stands before each, and one allele is no SNV.
    frame = pd.DataFrame(rows, columns=["chrom", "pos", "diff_x"]).assign(ref="aC", alt="AG", kind="SNV", name=".")
    frame.loc[len(frame)] = ["a", 1, 99.0, "A", "AT", "insertion", "."]
    frame.to_parquet(folder / "variants.parquet")
    found = written(folder, folder / "variants.parquet", kind=contract.CHANGED)
    expected: dict[tuple[str, int], float] = {}
    for chrom, pos, value in rows:  # the second letter changes: 0-based, that is where POS is
        before = expected.get((chrom, pos), 0.0)
        expected[chrom, pos] = max(before, value, key=lambda one: (abs(one), one))
    assert found == expected


def test_alleles_that_are_no_snv_are_counted(tmp_path, caplog):
    columns = {"chrom": "a", "pos": [3, 5], "ref": "A", "alt": ["C", "CA"], "kind": ["SNV", "insertion"], "diff": [0.5, 9.0]}
    pd.DataFrame(columns).to_parquet(tmp_path / "variants.parquet")
    assert written(tmp_path, tmp_path / "variants.parquet", kind=contract.CHANGED) == {("a", 2): 0.5}
    assert caplog.messages == [f"{tmp_path / 'variants.parquet'}: 1 alleles are no SNVs, and in no track"]
