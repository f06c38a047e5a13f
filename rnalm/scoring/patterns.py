"""Merged scores ─► what models read in sequences, as tables."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rnalm.files import replacing
from rnalm.scoring.kmers import Kmers
from rnalm.scoring.lines import Reader


def find_patterns(reader: Reader, outputs: Sequence[str | Path]) -> None:
    """Write what models read in sequences, one sequence in memory at a time.

    Parameters
    ----------
    reader : Reader
        Of the scores.
    outputs : sequence of path
        Files in the order of :data:`rnalm.config.contract.PATTERNS`.
    """
    (to_kmers,) = outputs
    kmers = Kmers(reader.survey)
    for _, lines in groupby(reader.lines(), lambda line: line.sequence):
        kmers.add(lines)
    with replacing(to_kmers) as temporary:
        kmers.table().to_csv(temporary, index=False)
