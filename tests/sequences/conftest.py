"""What tests of k-mers compare with: their sets, spelled one by one."""

from collections.abc import Callable

import pytest

from rnalm.sequences.strands import reverse_complement


@pytest.fixture(scope="session")
def kmers_of() -> Callable[..., set[tuple[str, ...]]]:
    """Spell the set of k-mers of a sequence; of nucleotides, those of either strand and case, with U as T."""

    def spell(sequence, k: int, nucleic: bool) -> set[tuple[str, ...]]:
        plain = [letter.upper().replace("U", "T") if nucleic else letter for letter in sequence]
        kmers = {tuple(plain[start : start + k]) for start in range(max(0, len(plain) - k) + 1)}
        return {min(kmer, tuple(reverse_complement("".join(kmer), rna=False))) for kmer in kmers} if nucleic else kmers

    return spell
