"""A signal along a genome is a number for each bin."""

from pathlib import Path

import numpy as np
import pybigtools
import pytest

from rnalm.config import Encode
from rnalm.config.load import load
from rnalm.config.parts import read_source
from rnalm.sequences.read import read_records
from rnalm.tokens import dataset, encode, learn

LENGTHS = {"chr1": 300, "chr2": 130}


def signal() -> dict[str, np.ndarray]:
    """Draw a value for each base of two contigs, and none for stretches of them."""
    draw, found = np.random.default_rng(0), {}
    for name, length in LENGTHS.items():
        values = draw.normal(size=length).round(2)
        values[draw.random(length) < 0.3] = np.nan
        values[50:80] = np.nan
        found[name] = values
    return found


@pytest.fixture
def genome(tmp_path):
    draw = np.random.default_rng(1)
    texts = {name: "".join(draw.choice(list("ACGT"), length)) for name, length in LENGTHS.items()}
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))

    def write(name: str = "s.bw", lengths: dict[str, int] | None = None, prefix: str = "chr") -> str:
        given = {contig.replace("chr", prefix): length for contig, length in (lengths or LENGTHS).items()}
        rows = [
            (contig.replace("chr", prefix), place, place + 1, float(value))
            for contig, values in signal().items()
            for place, value in enumerate(values)
            if not np.isnan(value)
        ]
        file = pybigtools.open(str(tmp_path / name), "w")
        file.write(given, rows)
        return str(tmp_path / name)

    return write


def source(path: str, **features):
    sample = {"sample": {"method": "tiles", "step": 7}, "length": 30, "bin": 10}
    folder = Path(path).parent
    own = {"genome": str(folder / "g.fa"), "index": str(folder / "index"), "features": {"path": path, **features}}
    return read_source(own | sample)


def bases(record) -> np.ndarray:
    """Give the values of the ten bases in the middle of a window."""
    contig, _, rest = record.id.rpartition(":")
    start = int(rest.partition("-")[0])
    return signal()[contig][start + 10 : start + 20]


@pytest.mark.parametrize("statistic", ["mean", "max"])
@pytest.mark.parametrize("uncovered", [0.0, -2.5, None])
@pytest.mark.parametrize("prefix", ["chr", ""])
def test_a_bin_has_the_mean_or_the_greatest_value_of_its_bases(genome, statistic, uncovered, prefix):
    records = list(read_records(source(genome(prefix=prefix), statistic=statistic, uncovered=uncovered)))
    assert len(records) > 40
    for record in records:
        own = bases(record)
        own = own[~np.isnan(own)] if uncovered is None else np.where(np.isnan(own), uncovered, own)
        expected = getattr(own, statistic)() if len(own) else np.nan
        np.testing.assert_allclose(record.label, [expected], rtol=1e-5, atol=1e-6)


def test_bins_of_which_nothing_is_known_are_left_out_of_training(genome, tmp_path):
    own = source(genome(), uncovered=None)
    expected = [record.label[0] for record in read_records(own) if not np.isnan(record.label[0])]
    summary = encode.encode(own, learn.learn(own), tmp_path / "e.parquet", Encode(), require_labels=True)
    found = [sequence.label for group in dataset.read(tmp_path / "e.parquet") for sequence in group]
    np.testing.assert_allclose(found, expected)
    assert summary.dropped > 0


def test_several_signals_are_several_targets(genome, tmp_path):
    one, other = genome("a.bw"), genome("b.bw", prefix="")
    features = {"signals": {"max": other, "same": one}, "statistic": "max", "uncovered": None}
    own = read_source(source(one).model_dump() | {"features": features})
    alone = [record.label[0] for record in read_records(source(one, statistic="max", uncovered=None))]
    records = list(read_records(own))
    np.testing.assert_array_equal(np.array([record.label for record in records]), np.stack([alone, alone], axis=1))
    encode.encode(own, learn.learn(own), tmp_path / "e.parquet", Encode(), require_labels=True)
    assert encode.metadata(tmp_path / "e.parquet")["classes"] == ["max", "same"]


def test_a_contig_that_the_signal_lacks_is_uncovered(genome, tmp_path):
    file = pybigtools.open(str(tmp_path / "one.bw"), "w")
    file.write({"chr1": 300}, [("chr1", 0, 300, 1.5)])
    labels = {record.split: record.label[0] for record in read_records(source(str(tmp_path / "one.bw")))} if genome() else {}
    assert labels == {"chr1": 1.5, "chr2": 0.0}


def test_files_that_do_not_fit_are_refused(genome, tmp_path, refusal):
    read = lambda path: list(read_records(source(path)))  # noqa: E731
    other = refusal(read, genome("other.bw", LENGTHS | {"chr1": 301}))
    assert other.endswith(
        "other.bw: chr1 has 301 bases, in " + str(tmp_path / "g.fa") + " 300; is it of another version of the genome?"
    )
    file = pybigtools.open(str(tmp_path / "foreign.bw"), "w")
    file.write({"X": 50}, [("X", 0, 50, 1.0)])
    assert "has none of the contigs of" in refusal(read, str(tmp_path / "foreign.bw"))
    (tmp_path / "text.bw").write_text("chr1\t0\t10\n")
    assert f"{tmp_path / 'text.bw'}: cannot be read as bigWig (" in refusal(read, str(tmp_path / "text.bw"))
    assert refusal(read, str(tmp_path / "none.bw")).endswith("none.bw: no such file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"task": "multilabel"},
            "a signal is a number for each bin; expected task: regression, found multilabel",
        ),
        (
            {"features": {"path": "s.bw", "threshold": 0.3}},
            "threshold is for intervals of classes, found a signal",
        ),
        ({"features": {"path": "s.bw", "signals": {"a": "b.bw"}}}, "expected no path beside them, found s.bw"),
        ({"features": {"signals": {"a": "b.bed"}}}, "signals: found b.bed; expected bigWig files (.bw, .bigWig)"),
        (
            {"features": {"path": "s.bed", "statistic": "max"}},
            "statistic is for signals (.bw), found no such file",
        ),
        (
            {"sample": {"method": "tiles", "step": 9, "negatives": False}},
            "negatives: windows of a signal have no classes",
        ),
    ],
)
def test_what_a_signal_cannot_have_is_refused(refusal, changes, message):
    own = {"genome": "g.fa", "features": {"path": "s.bigWig"}, "sample": {"method": "tiles", "step": 9}, "length": 30}
    task = {"task": changes.pop("task")} if "task" in changes else {}
    assert message in refusal(load, {"output": "o", "source": own | changes, **task})
