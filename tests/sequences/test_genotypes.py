"""Genotypes say on which haplotype an allele stands, or that it is not known."""

import pytest

from rnalm.sequences.genotypes import MISSING, UNPHASED, Call, Carried


@pytest.mark.parametrize(
    ("genotype", "number", "expected"),
    [
        ("0|1", 1, [Carried(2, "7")]),
        ("1|0", 1, [Carried(1, "7")]),
        ("2|1", 1, [Carried(2, "7")]),
        ("2|1", 2, [Carried(1, "7")]),
        ("1|1", 1, [Carried(1), Carried(2)]),
        ("1/1", 1, [Carried(1), Carried(2)]),
        ("0/0", 1, []),
        ("0|0", 1, []),
        ("0/1", 1, [Carried(None, reason=UNPHASED)]),
        ("1/2", 2, [Carried(None, reason=UNPHASED)]),
        ("0/2", 1, []),
        ("./.", 1, [Carried(None, reason=MISSING)]),
        (".", 1, [Carried(None, reason=MISSING)]),
        ("./1", 1, [Carried(None, reason=UNPHASED)]),
        ("./0", 1, [Carried(None, reason=MISSING)]),
        (".|1", 1, [Carried(1, "7", MISSING), Carried(2, "7")]),
        ("1", 1, [Carried(1)]),
        ("0", 1, []),
        ("|1", 1, [Carried(1)]),
        ("|0|1", 1, [Carried(2, "7")]),
        ("0|1|1", 1, [Carried(2, "7"), Carried(3, "7")]),
        ("10|1", 1, [Carried(2, "7")]),
    ],
)
def test_an_allele_stands_where_the_genotype_says(genotype, number, expected):
    assert Call("NA1", genotype, "7").carried(number) == expected
