"""Alleles of a haplotype are applied together, and windows are of the chromosome that they edit."""

from itertools import pairwise
from pathlib import Path

import pysam
import pysam.bcftools
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from rnalm.sequences import edited
from rnalm.sequences.edited import Change, NoWindow, normalized
from rnalm.sequences.haplotypes import Haplotype, applied, windows
from rnalm.sequences.vcf import Allele, lines, read

CONSENSUS = Path("data/genome/consensus")
needs_data = pytest.mark.skipif(not CONSENSUS.is_dir(), reason="needs the genomes in data/")

#: Of two letters, so that indels can be moved.
genomes = st.text("AC", min_size=20, max_size=60)


def letters_of(genome: str):
    return lambda first, after: genome[first:after]


def by_hand(genome: str, changes: list[Change]) -> str:
    """Apply changes to the text of a chromosome, from right to left."""
    for change in sorted(changes, key=lambda one: (one.start, one.end))[::-1]:
        assert genome[change.start : change.end] == change.ref
        genome = genome[: change.start] + change.alt + genome[change.end :]
    return genome


@st.composite
def written(draw) -> tuple[str, list[tuple[int, str, str]]]:
    """Draw a genome, and alleles as a file has them, by where they begin."""
    genome = draw(genomes)
    starts = sorted(draw(st.lists(st.integers(0, len(genome) - 1), min_size=1, max_size=8)))
    sizes = [draw(st.integers(1, 5)) for _ in starts]
    return genome, [
        (start, genome[start : start + size], draw(st.text("ACG", min_size=1, max_size=5)))
        for start, size in zip(starts, sizes, strict=True)
    ]


def placed(genome: str, alleles: list[tuple[int, str, str]]) -> tuple[list[Change], list[Change]]:
    """Put alleles on a haplotype: as they are written, but for a first base that indels share, and as they are moved."""
    haplotype, kept, moved = Haplotype(), [], []
    for start, ref, alt in alleles:
        if (own := haplotype.place(start, ref, alt, letters_of(genome))) is not None:
            shared = len(ref) != len(alt) and ref[0] == alt[0]
            kept.append(Change(start + shared, ref[shared:], alt[shared:]))
            moved.append(own)
    return kept, moved


@given(written())
@example(("AAAAACCAAAAAAAAAAAAA", [(5, "C", "CA"), (6, "C", "CC")]))  # both come to stand at one place
def test_alleles_that_are_moved_to_the_left_give_the_same_chromosome(drawn):
    genome, alleles = drawn
    own, moved = placed(genome, alleles)
    assert all(one.end <= other.start for one, other in pairwise(moved))
    assert all(one.end <= other.end for one, other in zip(moved, own, strict=True))
    assert applied(moved, 0, len(genome), letters_of(genome)) == by_hand(genome, moved) == by_hand(genome, own)


@given(written())
def test_a_single_allele_stands_where_it_stands_by_itself(drawn):
    genome, [allele, *_] = drawn
    assert placed(genome, [allele])[1] == [normalized(*allele, letters_of(genome))]


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((3, "A", "C"), (3, "A", "G"), False),
        ((3, "A", "C"), (4, "A", "G"), True),
        ((3, "A", "C"), (3, "A", "AG"), True),
        ((3, "A", "C"), (3, "AA", "A"), True),
        ((3, "AA", "A"), (4, "A", "G"), False),
        ((3, "AA", "A"), (4, "A", "AG"), True),
        ((3, "A", "AG"), (3, "A", "C"), False),
        ((3, "A", "AG"), (3, "AA", "A"), False),
        ((3, "AAA", "A"), (4, "AA", "A"), False),
    ],
)
def test_of_alleles_that_overlap_the_first_is_taken(first, second, both):
    haplotype = Haplotype()
    assert haplotype.place(*first, letters_of("A" * 9)) is not None
    assert (haplotype.place(*second, letters_of("A" * 9)) is not None) == both


class Chromosome:
    """What becomes of a genome, and where its bases are, by hand."""

    def __init__(self, genome: str, changes: list[Change]) -> None:
        self.genome, self.changes, self.text = genome, changes, by_hand(genome, changes)

    def begins(self, position: int) -> int:
        """Count the letters left of a base; within a change, its letters stand for bases from the left on."""
        left = [own for own in self.changes if own.start < position]
        if left and left[-1].end > position:
            own = left.pop()
            return len(by_hand(self.genome[: own.start], left)) + min(position - own.start, len(own.alt))
        return len(by_hand(self.genome[:position], left))

    def ends(self, position: int) -> int:
        """Count the letters left of where bases end: the same, seen from the right."""
        turned = [Change(len(self.genome) - own.end, own.ref[::-1], own.alt[::-1]) for own in reversed(self.changes)]
        return len(self.text) - Chromosome(self.genome[::-1], turned).begins(len(self.genome) - position)

    def spans(self) -> list[tuple[int, int]]:
        """Give where each change stands."""
        before = [len(by_hand(self.genome[: own.start], self.changes[:n])) for n, own in enumerate(self.changes)]
        return [(at, at + len(own.alt)) for at, own in zip(before, self.changes, strict=True)]


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(written(), st.data(), st.integers(3, 15), st.sampled_from(["left", "right", "both", "whole"]))
def test_windows_are_of_the_chromosome_that_all_alleles_edit(drawn, data, length, anchor):
    genome, alleles = drawn
    _, changes = placed(genome, alleles)
    assume(all(own.end <= len(genome) for own in changes))
    own = data.draw(st.sampled_from(changes))
    first, size = edited.window_start(own, length), len(genome)
    assume(0 <= first <= own.start <= own.end <= first + length <= size)
    asked = []

    def near(low: int, high: int) -> list[Change]:
        asked.append((low, high))
        return [other for other in changes if other.start <= high and other.end >= low]

    chromosome = Chromosome(genome, changes)
    begin, end = chromosome.begins(first), chromosome.ends(first + length)
    bounds = {"left": (begin, begin + length), "right": (end - length, end), "whole": (begin, end)}
    sides = ["left", "right"] if anchor == "both" else [anchor]
    if any(bounds[side][0] < 0 or bounds[side][1] > len(chromosome.text) for side in sides):
        with pytest.raises(NoWindow, match="the window of the edited chromosome leaves the contig"):
            windows(own, near, length, size, anchor, letters_of(genome))
        return
    found, count = windows(own, near, length, size, anchor, letters_of(genome))
    texts = [window.text(letters_of(genome)) for window in found]
    assert texts == [genome[first : first + length], *(chromosome.text[slice(*bounds[side])] for side in sides)]
    assert [window.length for window in found] == list(map(len, texts))
    seen = set()
    for number, (change, (start, stop)) in enumerate(zip(changes, chromosome.spans(), strict=True)):
        beyond_left, beyond_right = (
            change.start < first and change.end <= first,
            change.end > first + length and change.start >= first + length,
        )
        seen |= {number} if "left" in sides and not beyond_left and start < bounds["left"][1] else set()
        seen |= {number} if "right" in sides and not beyond_right and stop > bounds["right"][0] else set()
        seen |= {number} if anchor == "whole" and not beyond_left and not beyond_right else set()
    assert count == len(seen)
    # What is asked for is near: as far as what deletions bring into the window.
    lost = sum(max(0, len(one.ref) - len(one.alt)) for one in changes)
    assert all(first - lost <= low and high <= first + length + lost for low, high in asked)


@pytest.mark.parametrize(
    ("others", "left", "right", "count"),
    [
        # What comes before its first base, or behind its last one, is in the window that shares that end.
        ([Change(16, "", "cc")], "ccAAAAGAAA", "AAAAGAAAAA", 2),
        ([Change(26, "", "cc")], "AAAAGAAAAA", "AAGAAAAAcc", 2),
        # Deletions bring in what stands beyond it.
        ([Change(22, "AA", ""), Change(26, "AA", ""), Change(29, "A", "t")], "AAAAGAAAAt", "AAAAAAGAAA", 4),
    ],
)
def test_windows_reach_to_what_stands_at_their_ends(others, left, right, count):
    genome, own = "A" * 20 + "C" + "A" * 20, Change(20, "C", "G")
    changes = sorted([own, *others], key=lambda one: (one.start, one.end))

    def near(low: int, high: int) -> list[Change]:
        return [other for other in changes if other.start <= high and other.end >= low]

    found, counted = windows(own, near, 10, len(genome), "both", letters_of(genome))
    assert [window.text(letters_of(genome)) for window in found] == [genome[16:26], left, right]
    assert counted == count


@given(written(), st.integers(3, 11), st.sampled_from(["left", "right", "both", "whole"]))
def test_a_single_allele_has_the_windows_that_it_has_by_itself(drawn, length, anchor):
    genome, [allele, *_] = drawn
    change = normalized(*allele, letters_of(genome))
    assume(change.ref != change.alt)
    try:
        alone = edited.windows(change, length, len(genome), anchor)
    except NoWindow:
        assume(False)
    found, count = windows(change, lambda low, high: [change], length, len(genome), anchor, letters_of(genome))
    assert [window.text(letters_of(genome)) for window in found] == [window.text(letters_of(genome)) for window in alone]
    if change.start < edited.window_start(change, length) + length:
        assert (found, count) == (alone, 1)


def consensus(folder: Path, genome: str, alleles: list[tuple[int, str, str]], genotypes: list[str], haplotype: int) -> str:
    """Ask bcftools for a haplotype."""
    (folder / "g.fa").write_text(f">z\n{genome}\n")
    head = f"##fileformat=VCFv4.2\n##contig=<ID=z,length={len(genome)}>\n"
    head += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    head += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tNA1\n"
    records = [
        f"z\t{start + 1}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t{own}\n"
        for (start, ref, alt), own in zip(alleles, genotypes, strict=True)
    ]
    (folder / "v.vcf").write_text(head + "".join(records))
    path = pysam.tabix_index(str(folder / "v.vcf"), preset="vcf", force=True, keep_original=True)
    fasta = pysam.bcftools.consensus("-f", str(folder / "g.fa"), "-s", "NA1", "-H", str(haplotype), path)
    return "".join(str(fasta).split("\n")[1:])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_haplotypes_are_those_of_bcftools(tmp_path, data):
    genome = data.draw(st.text("ACGT", min_size=30, max_size=60))
    alleles, genotypes = [], []
    for start in sorted(data.draw(st.sets(st.integers(1, 25), max_size=8))):
        letter, kind = genome[start], data.draw(st.sampled_from(["SNV", "insertion", "deletion"]))
        ref = genome[start : start + data.draw(st.integers(2, 4))] if kind == "deletion" else letter
        other = data.draw(st.sampled_from(sorted(set("ACGT") - {letter})))
        alt = {"SNV": other, "deletion": letter, "insertion": letter + data.draw(st.text("ACGT", min_size=1, max_size=3))}[kind]
        alleles.append((start, ref, alt))
        genotypes.append(data.draw(st.sampled_from(["0|1", "1|0", "1|1", "0|0"])))
    for haplotype in (1, 2):
        own = [allele for allele, call in zip(alleles, genotypes, strict=True) if call.split("|")[haplotype - 1] == "1"]
        _, changes = placed(genome, own)
        wanted = consensus(tmp_path, genome, alleles, genotypes, haplotype)
        assert applied(changes, 0, len(genome), letters_of(genome)) == wanted


def explicit(allele: Allele, line: str, genome: str, offset: int) -> tuple[int, str, str] | None:
    """Write the letters of an allele, 0-based; of a symbolic deletion, those behind POS, to END or the end of REF."""
    start = allele.pos - offset
    if allele.alt == "<DEL>":
        told = dict(field.split("=") for field in line.split("\t")[7].split(";") if "=" in field)
        end = int(told.get("END", allele.pos + len(allele.ref) - 1)) - offset + 1
        return start, genome[start:end], genome[start]
    if allele.problem or start >= len(genome):
        return None
    _, ref, alt = allele.change
    return start, ref, alt


@needs_data
@pytest.mark.parametrize(
    ("name", "wanted", "kept", "passed"),
    [
        ("consensus6", "consensus6.out", 2, 1),
        ("consensus.12", "consensus.12.out", 12, 1),
        ("consensus.13", "consensus.13.out", 4, 0),
        ("consensus.14", "consensus.14.out", 1, 0),
        ("consensus.beyond", "consensus.beyond.1.out", 0, 0),
    ],
)
def test_edited_sequences_are_those_of_bcftools_own_tests(name, wanted, kept, passed):
    """They are of the first alternative allele of each record, whatever the genotype."""
    at = {f"{CONSENSUS / name}.vcf, line {n}": line for n, line in enumerate(lines(CONSENSUS / f"{name}.vcf"), start=1)}
    alleles = [allele for allele in read(CONSENSUS / f"{name}.vcf") if allele.number == 1]
    texts, expected = (fasta(CONSENSUS / file) for file in (f"{name}.fa", wanted))
    counts = [0, 0]
    for title, genome in texts.items():
        contig, _, bounds = title.partition(":")
        offset = int(bounds.split("-")[0]) if bounds else 1
        haplotype, changes = Haplotype(), []
        for allele in alleles:
            if allele.chrom == contig and (own := explicit(allele, at[allele.place], genome, offset)) is not None:
                changes.append(haplotype.place(*own, letters_of(genome)))
        found = [own for own in changes if own is not None]
        counts = [counts[0] + len(found), counts[1] + changes.count(None)]
        assert applied(found, 0, len(genome), letters_of(genome)) == expected[title]
    assert counts == [kept, passed]


def fasta(path: Path) -> dict[str, str]:
    """Read sequences in capitals, by their title."""
    records = [record.partition("\n") for record in path.read_text().split(">")[1:]]
    return {title.split()[0]: text.replace("\n", "").upper() for title, _, text in records}
