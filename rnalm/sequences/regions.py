"""Regions of a BED file ─► what their windows are called, in the order of the file."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from rnalm.config.genome import Genome
from rnalm.sequences import intervals
from rnalm.sequences.contigs import Reference
from rnalm.sequences.features import strands
from rnalm.sequences.genome import called
from rnalm.sequences.intervals import PASSED_OVER, Union
from rnalm.sequences.sample import around
from rnalm.sequences.text import open_text

#: How a window is called, by :func:`rnalm.sequences.genome.called`.
CALLED = re.compile(r"(.+):(\d+)-(\d+)(\(-\))?")


class Unknown:
    """Tells which windows of a genome have an unknown letter.

    Parameters
    ----------
    reference : Reference
        The genome.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.unions: dict[str, Union] = {}

    def __call__(self, windows: pd.DataFrame) -> np.ndarray:
        """Tell it of windows with ``contig``, ``first`` and ``after``: bool ``(windows,)``."""
        found = np.zeros(len(windows), dtype=bool)
        contigs = windows["contig"].astype(str).to_numpy()
        for contig in np.unique(contigs):
            if contig not in self.unions:
                self.unions[contig] = self.reference.unknown(contig)
            own = contigs == contig
            places = (windows[key].to_numpy()[own] for key in ("first", "after"))
            found[own] = self.unions[contig].covered(*places) > 0
        return found


def rows(source: Genome, reference: Reference) -> pd.DataFrame:
    """List the windows of regions, those that are left out, too.

    Parameters
    ----------
    source : Genome
        With ``sample.method: regions``; of ``strand`` both or random, a region has a window on each.
    reference : Reference
        Its genome.

    Returns
    -------
    pandas.DataFrame
        ``index``, the number of the region from 0; ``chrom``, ``start``, ``end`` and ``strand``, as they stand in the file, or
        the strand that is read; ``id``, as predictions have it; and ``contig``, ``first`` and ``after``, where the window is.
    """
    written = intervals.read(str(source.sample.path), 6)
    named = reference.named(written, str(source.sample.path))
    first, after = around(named["start"].to_numpy(), named["end"].to_numpy(), source.length or 0)
    given, contig = strands(written.loc[named.index]), named["contig"].astype(str)
    frame = pd.DataFrame({"index": named.index, "contig": contig.to_numpy(), "first": first, "after": after})
    frame = frame.assign(chrom=written["contig"].astype(str).loc[named.index].to_numpy())
    frame = frame.assign(start=named["start"].to_numpy(), end=named["end"].to_numpy())
    if source.strand is None:
        frame = frame.assign(strand=np.where(given == "", "+", given))
    elif source.strand in ("both", "random"):
        frame = pd.concat([frame.assign(strand=strand) for strand in "+-"]).sort_values("index", kind="stable")
    else:
        frame = frame.assign(strand=source.strand)
    places = zip(*(frame[key] for key in ("contig", "first", "after", "strand")), strict=True)
    names = [called(contig, first, after, strand == "-") for contig, first, after, strand in places]
    return frame.assign(id=names).reset_index(drop=True)


def count(path: str) -> int:
    """Count the regions of a BED file.

    Parameters
    ----------
    path : str
        The file.
    """
    return len(intervals.read(path, 3))


def of_ids(ids: Sequence[str]) -> pd.DataFrame:
    """List windows by what they are called.

    Parameters
    ----------
    ids : sequence of str
        As predictions have them.

    Returns
    -------
    pandas.DataFrame
        ``chrom``, ``start``, ``end`` and ``strand`` of each, and ``contig``, ``first`` and ``after``, which are the same.

    Examples
    --------
    >>> of_ids(["chrIV:100-200(-)"])[["chrom", "start", "end", "strand"]].to_numpy().tolist()
    [['chrIV', 100, 200, '-']]
    """
    found = [CALLED.fullmatch(name) for name in ids]
    rows = [(one[1], int(one[2]), int(one[3]), "-" if one[4] else "+") for one in found if one]
    frame = pd.DataFrame(rows, columns=["chrom", "start", "end", "strand"])
    return frame.assign(contig=frame["chrom"], first=frame["start"], after=frame["end"])


def lines(path: str, numbers: Sequence[int]) -> Iterator[str]:
    """Read the lines of some regions of a BED file.

    Parameters
    ----------
    path : str
        The file.
    numbers : sequence of int
        Those of the regions, from 0, ascending; lines that are no regions are not counted.

    Yields
    ------
    str
        The line, without its end.
    """
    wanted = iter(numbers)
    next_one = next(wanted, None)
    with open_text(path) as text:
        regions = (line for line in text if line.strip() and not line.startswith(PASSED_OVER))
        for number, line in enumerate(regions if next_one is not None else ()):
            if number == next_one:
                yield line.rstrip("\r\n")
                next_one = next(wanted, None)
