"""What genome browsers are given, from the source to the files, is what the tables say."""

import numpy as np
import pandas as pd
import pybigtools
import pytest
from sites import with_sites

from rnalm.config.load import load
from rnalm.pipeline.plan import Plan

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("tracked")]

#: Where each sequence of the table begins on the chromosome, how long it is, and on which strand it lies.
LYING = {name: (1000 * row, len(text), "+-"[row % 2]) for row, (name, text, _) in enumerate(with_sites(60, seed=0))}


def place(name: str, position: int) -> int:
    """Find a position on the genome, as the file of genes has it."""
    start, length, strand = LYING[name]
    position = position if strand == "+" else length - 1 - position
    return start + position + (100 if position >= length // 2 else 0)


def bigwig(path) -> dict[tuple[str, int], float]:
    file = pybigtools.open(str(path))
    return {(name, at): value for name in file.chroms() for start, end, value in file.records(name) for at in range(start, end)}


def test_every_file_of_the_plan_is_there_and_both_formats_say_the_same(tracked):
    for path in Plan(load(tracked.config)).targets("tracks"):
        assert (tracked.folder / path).exists()
    for name in ("predicted", "remove", "mask"):
        lines = (tracked.output / f"tracks/{name}.bedgraph").read_text().splitlines()[1:]
        told = [(line[0], int(line[1]), int(line[2]), np.float32(line[3])) for line in map(str.split, lines)]
        found = {(contig, at): value for contig, start, end, value in told for at in range(start, end)}
        assert bigwig(tracked.output / f"tracks/{name}.bw") == found


def test_predictions_for_tokens_lie_on_the_genome(tracked):
    frame = pd.read_parquet(tracked.output / "tracks/predictions.parquet")
    expected = {
        ("chr7", place(name, at)): value
        for name, values in zip(frame["id"], frame["prob_1"], strict=True)
        for at, value in enumerate(values)
    }
    assert bigwig(tracked.output / "tracks/predicted.bw") == expected


def test_effects_lie_on_the_genome_with_their_sign(tracked):
    frame = pd.read_parquet(tracked.output / "interpret/loo_scores_mask.parquet")
    mean = frame.groupby(["sequence", "start_offset"])["loo"].mean().dropna()
    expected = {("chr7", place(name, at)): np.float32(-value) for (name, at), value in mean.items()}
    assert bigwig(tracked.output / "tracks/mask.bw") == pytest.approx(expected)


def test_elements_lie_in_exons(tracked):
    lines = (tracked.output / "tracks/elements_mask.bed").read_text().splitlines()
    assert lines, "of half of the sequences there is one"
    for contig, start, end, name, score, strand, _ in map(str.split, lines):
        sequence, _, within = name.rpartition(":")
        first, last = map(int, within.split("-"))
        places = {place(sequence, at) for at in range(first, last)}
        assert (contig, strand) == ("chr7", LYING[sequence][2])
        assert set(range(int(start), int(end))) <= places
        assert 0 < int(score) <= 1000


def test_effects_of_single_nucleotide_variants_have_a_track_for_each_class(several):
    frame = pd.read_parquet(several.output / "variants/cohort/variants.parquet")
    single = frame[frame["kind"] == "SNV"]
    for name in ("GG", "TTA"):
        expected = {("1", pos - 1): np.float32(value) for pos, value in zip(single["pos"], single[f"diff_{name}"], strict=True)}
        assert bigwig(several.output / f"variants/cohort/snv_diffs_{name}.bw") == expected
        assert (several.output / f"tracks/mask_{name}.bw").exists()
