"""A BED file of genes or other regions ─► the names of those at a place of the genome, or of the nearest."""

from pathlib import Path

import numpy as np

from rnalm.errors import RnalmError
from rnalm.sequences import intervals
from rnalm.sequences.contigs import Reference

#: Names that are told of a place; of more, their number is.
MOST_NAMES = 3


class Regions:
    """Named regions of a genome.

    Parameters
    ----------
    path : path
        BED: contig, start, end (0-based, half-open) and, optionally, name; compressed if its name ends in ``.gz``. Contigs are
        found with ``chr`` and without. Regions on contigs that the genome has not are passed over.
    genome : Reference
        The genome.

    Raises
    ------
    RnalmError
        If the file cannot be read, has no region, or none of its contigs is in the genome.
    """

    def __init__(self, path: str | Path, genome: Reference) -> None:
        frame = intervals.read(str(path))
        if frame.empty:
            raise RnalmError(f"{path}: no regions; expected contig, start and end, separated by tabs")
        given = [str(name) for name in frame["contig"].cat.categories]
        called = {name: own for name in given if (own := genome.call(name)) is not None}
        if not called:
            raise RnalmError(f"{path}: none of its contigs ({', '.join(given[:5])}) is in {genome.path}")
        self.contigs = {}
        for name, own in frame.groupby("contig", observed=True, sort=False):
            if name in called:
                ends = own["start"].to_numpy(), own["end"].to_numpy()
                self.contigs.setdefault(called[str(name)], []).append((*ends, own["3"].to_numpy(dtype=object)))

    def name(self, contig: str, start: int, end: int) -> str:
        """Name the regions at a place, or else the nearest and how far it is; nothing where its contig has none.

        Parameters
        ----------
        contig : str
            As the genome calls it.
        start, end : int
            Half-open; where nothing is between them, the base is meant that begins there.

        Returns
        -------
        str
            Names in the order of the file, each once; a region without a name is told by its bounds.
        """
        if contig not in self.contigs:
            return ""
        starts, ends, names = (np.concatenate(parts) for parts in zip(*self.contigs[contig], strict=True))
        end = max(end, start + 1)
        # Bases to the next base of a region: 1 where it is the neighbour, none where they overlap.
        distance = np.maximum(np.maximum(starts - end + 1, start - ends + 1), 0)
        nearest = distance.min()
        found = dict.fromkeys(
            names[number] or f"{contig}:{starts[number] + 1:,}–{ends[number]:,}"
            for number in np.flatnonzero(distance == nearest)
        )
        more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
        away = f" ({nearest:,} bases away)" if nearest > 1 else " (next to it)" if nearest else ""
        return f"{', '.join(list(found)[:MOST_NAMES])}{more}{away}"
