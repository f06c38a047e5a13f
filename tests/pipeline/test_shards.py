"""The number of shards follows from the size of the data, before anything has run."""

import pytest

from rnalm.config import Fasta, Interpret
from rnalm.pipeline import shards
from rnalm.sequences.size import size


def table(rows: int, length: int) -> str:
    return "id\tsequence\n" + "".join(f"s{row:07}\t{'ACGT' * (length // 4)}\n" for row in range(rows))


def count(
    source, models: float = 1, block_size: int = 12288, architecture: str = "saluki", mode: str = "mask", **options
) -> int:
    asked = {"method": mode} if mode == "integrated_gradients" else {"modes": [mode]}
    return shards.count(source, Interpret(**asked | options), mode, block_size, models, architecture)


@pytest.mark.parametrize("name", ["table.tsv", "table.tsv.gz"])
@pytest.mark.parametrize(("rows", "length"), [(1, 8), (30, 100), (2000, 1000)])
def test_the_size_of_a_source_is_estimated(write_source, name, rows, length):
    sequences, mean = size(write_source(table(rows, length), name))
    assert sequences == pytest.approx(rows, rel=0.1, abs=0.5)
    assert mean == length


def test_small_data_need_one_shard(write_source):
    assert count(write_source(table(100, 200))) == 1


def test_more_work_makes_more_shards(write_source):
    large = write_source(table(2000, 2000))
    one = count(large, architecture="other")
    assert 8 < one < 30
    assert count(large) == 1, "a local architecture is scored incrementally"
    assert count(large, scorer="naive") == one
    assert count(large, models=3, architecture="other") == pytest.approx(3 * one, abs=3)
    thrice = count(large, architecture="other", mode="replace", replacements={"A": ["C", "G", "T"], "C": ["A", "G", "T"]})
    assert thrice == pytest.approx(3 * one, abs=3)


def test_integrated_gradients_need_as_many_passes_as_there_are_steps(write_source):
    large = write_source(table(2000, 2000))
    fifty, hundred = (count(large, mode="integrated_gradients", models=20, steps=steps) for steps in (50, 100))
    assert 8 < fifty < count(large, architecture="other", models=20)
    assert hundred == pytest.approx(2 * fifty, abs=2)
    assert fifty == count(large, mode="integrated_gradients", models=20, architecture="other"), "no method is incremental"


def test_what_is_not_scored_does_not_count(write_source):
    large = write_source(table(2000, 2000))
    assert count(large, architecture="other", sample_size=1) == 1
    assert count(large, architecture="other", block_size=100) == 1


def test_there_are_never_more_shards_than_sequences_or_than_is_sensible(write_source):
    assert count(write_source(table(3, 100_000)), architecture="other", block_size=100_000) == 3
    assert count(write_source(table(2000, 2000)), models=1000, architecture="other") == shards.MOST


def test_a_number_that_is_set_is_kept(write_source):
    assert count(write_source(table(3, 8)), shards=7) == 7


def test_a_file_that_cannot_be_read_is_left_to_the_job_that_reads_it(write_source):
    assert count(write_source("id\tsequences\n")) == 1


def test_an_empty_file_is_left_to_the_job_that_reads_it(tmp_path):
    (tmp_path / "a.fa").write_text("".join(f">s{row}\nACGT\n" for row in range(80)))
    (tmp_path / "b.fa").write_text("")
    assert size(Fasta(path=[str(tmp_path / "a.fa"), str(tmp_path / "b.fa")])) == (80.0, 4.0)
