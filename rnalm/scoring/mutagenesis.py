"""In-silico mutagenesis: letters of regions exchanged for every other letter, one or several at a time."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np

from rnalm.compute import ahead
from rnalm.config.results import Mutate
from rnalm.errors import RnalmError
from rnalm.scoring.editors import Editor, Perturbations
from rnalm.scoring.explain import Contrast
from rnalm.scoring.loo import LeaveOneOut
from rnalm.scoring.positions import AtPositions
from rnalm.scoring.sites import Sites, extent
from rnalm.sequences.bed import Elements, read_bed
from rnalm.tokens import dataset
from rnalm.tokens.dataset import Encoded

log = logging.getLogger(__name__)

#: Perturbations that are made and scored together, at most, and their outputs.
MOST_EDITS, MOST_OUTPUTS = 2**14, 2**18


class Mutator:
    """Exchanges letters of regions of sequences: an :class:`rnalm.scoring.editors.Editor`.

    Parameters
    ----------
    editor : Editor
        Exchanges letters wherever they stand, in mode ``mutate``.
    options : Mutate
        How many at a time, and in which region.
    regions : dict, optional
        From :func:`rnalm.sequences.bed.read_bed`: regions of each sequence, in place of one for all.
    """

    def __init__(self, editor: Editor, options: Mutate, regions: Elements | None = None) -> None:
        self.editor, self.options, self.regions = editor, options, regions

    def asked(self, sequence: Encoded) -> list[tuple[int, int]]:
        """Give the regions of a sequence as they are asked for, sorted; they may leave what is kept of it.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        """
        if self.regions is None:
            return [self.options.within(*extent(sequence))]
        return sorted((start, end) for start, end, _ in self.regions.get(sequence.id, []))

    def kept(self, sequence: Encoded) -> list[tuple[int, int]]:
        """Give the regions of a sequence as far as they are kept, those of too few positions left out.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        """
        first, after = extent(sequence)
        inside = ((max(start, first), min(end, after)) for start, end in self.asked(sequence))
        return [(start, end) for start, end in inside if end - start >= self.options.bases]

    def sites(self, sequence: Encoded) -> Sites:
        """Say what is exchanged, one letter at a time.

        Parameters
        ----------
        sequence : Encoded
            The sequence.
        """
        return self.editor.sites(sequence)

    def perturbations(self, sequence: Encoded, together: np.ndarray | None = None) -> Perturbations:
        """List all perturbations of a sequence.

        Parameters
        ----------
        sequence : Encoded
            The sequence, as an editor needs it.
        together : numpy.ndarray, optional
            Numbers of sites that are exchanged together, as of an editor; None: every combination in the regions.
        """
        if together is None:
            together = np.array([*self._combinations(sequence)], dtype=np.int64).reshape(-1, self.options.bases)
        return self.editor.perturbations(sequence, together)

    def blocks(self, sequence: Encoded, size: int) -> Iterator[Perturbations]:
        """List the perturbations of a sequence, so many at a time.

        Parameters
        ----------
        sequence : Encoded
            The sequence, as an editor needs it.
        size : int
            Perturbations of a block.
        """
        every = self._combinations(sequence)
        while block := [*islice(every, size)]:
            yield self.editor.perturbations(sequence, np.array(block, dtype=np.int64))

    def _combinations(self, sequence: Encoded) -> Iterator[tuple[int, ...]]:
        """Go through numbers of sites that are exchanged together, by their positions; each combination comes once."""
        place, first = np.unique(self.editor.sites(sequence).position[:, 0], return_index=True)
        ends = [*first.tolist(), len(self.editor.sites(sequence))]
        before: list[tuple[int, int]] = []
        for start, end in self.kept(sequence):
            low, high = np.searchsorted(place, [start, end]).tolist()
            before = [region for region in before if region[1] > low]
            for chosen in combinations(range(low, high), self.options.bases):
                if not any(region[0] <= chosen[0] and chosen[-1] < region[1] for region in before):
                    yield from product(*(range(ends[number], ends[number + 1]) for number in chosen))
            before.append((low, high))


@dataclass
class Told:
    """How many sequences something is told of, and the first of them."""

    count: int = 0
    first: str = ""

    def add(self, name: str) -> None:
        """Count a sequence.

        Parameters
        ----------
        name : str
            Its id.
        """
        self.first = self.first if self.count else name
        self.count += 1


class Mutagenesis:
    """Scores the letters of regions by what comes in their place; see :class:`rnalm.scoring.loo.LeaveOneOut`.

    Combinations of several positions are made and scored in blocks, whose sizes depend on the models alone.

    Parameters
    ----------
    method : LeaveOneOut or AtPositions
        Scores the perturbations of a :class:`Mutator`.
    mutator : Mutator
        That one.
    named : numpy.ndarray, optional
        How many combinations a file of regions asks for in each row of the encoded source ``(rows,)``; None: there is none.
    """

    def __init__(self, method: LeaveOneOut | AtPositions, mutator: Mutator, named: np.ndarray | None = None) -> None:
        self.method, self.mutator, self.named = method, mutator, named
        self.subject, self.bases = method.subject, mutator.options.bases
        self.seen, self.leaving, self.short = 0, Told(), Told()

    def cost(self, lengths: np.ndarray) -> np.ndarray:
        """Estimate what scoring sequences costs; 0 where a file names no region of one; see :meth:`LeaveOneOut.cost`.

        Parameters
        ----------
        lengths : numpy.ndarray
            Tokens of each sequence of the encoded source ``(sequences,)``.
        """
        each = self.method.cost(lengths) / np.maximum(1, lengths)
        if self.named is not None:
            return each * self.named
        distinct, where = np.unique(lengths, return_inverse=True)
        return each * np.array([max(1.0, self.mutator.options.count(int(length))) for length in distinct])[where]

    def launch(self, sequence: Encoded, using: Sequence[int]) -> Callable[[], Iterator[tuple[Sites, Contrast]]]:
        """Score a sequence with some of the models.

        Parameters
        ----------
        sequence : Encoded
            The sequence, with its letters where these are edited.
        using : sequence of int
            Numbers of the models.

        Returns
        -------
        callable
            Gives the scores: of several positions at a time in blocks, one after the other.

        Raises
        ------
        RnalmError
            If the sequence does not fit the models, or into a GPU's memory.
        """
        if not self._look(sequence):
            return lambda: iter(())
        if self.bases == 1:
            wait = self.method.launch(sequence, using)
            return lambda: iter(wait())
        return lambda: self._blocks(sequence, list(using))

    def _look(self, sequence: Encoded) -> bool:
        """Note whether the regions of a sequence leave it, and whether anything of them is left."""
        first, after = extent(sequence)
        self.seen += 1
        if any(start < first or end > after for start, end in self.mutator.asked(sequence)):
            self.leaving.add(sequence.id)
        kept = bool(self.mutator.kept(sequence))
        if not kept:
            self.short.add(sequence.id)
        return kept

    def _blocks(self, sequence: Encoded, using: list[int]) -> Iterator[tuple[Sites, Contrast]]:
        """Score combinations, some at a time; what they are compared with is computed once."""
        loo, subject = self.method, self.subject.by(using)
        assert isinstance(loo, LeaveOneOut)  # of several positions, predictions of tokens are not explained
        base: list[np.ndarray] = []

        def begin(changes: Perturbations) -> list[Callable[[], np.ndarray]]:
            if not loo.measured:
                loo.log_error(sequence, changes, using[0])
            return [loo.begin(number, sequence, changes) for number in using]

        blocks = self.mutator.blocks(sequence, max(1, min(MOST_EDITS, MOST_OUTPUTS // self.subject.labels[0].n_outputs)))
        for changes, pending in ahead(blocks, begin, subject.models[0].device):
            outputs = [wait() for wait in pending]
            base = base or [raw[-1] for raw in outputs]
            yield changes.sites, subject.contrast([np.vstack([raw[:-1], own]) for raw, own in zip(outputs, base, strict=True)])

    def omitted(self) -> Iterator[str]:
        """Say of which sequences something, or all, was left out."""
        if self.leaving.count:
            yield (
                f"interpret.mutate: regions of {self.leaving.count} of {self.seen} sequences leave what the models see, "
                f"as of {self.leaving.first!r}, and are cut"
            )
        if self.short.count:
            yield (
                f"interpret.mutate: {self.short.count} of {self.seen} sequences have no scores, as {self.short.first!r}: "
                f"no region has {self.bases} positions that the models see"
            )


def named_rows(encoded: str, regions: Elements, options: Mutate) -> np.ndarray:
    """Count the combinations that a file of regions asks for in each row of an encoded source; float64 ``(rows,)``.

    Parameters
    ----------
    encoded : str
        The encoded source.
    regions : dict
        Regions of sequences by their ids.
    options : Mutate
        How many positions at a time, and where the regions stand.
    """
    sizes = {
        name: float(sum(max(1, options.combinations(end - start)) for start, end, _ in own)) for name, own in regions.items()
    }
    named = np.array([sizes.get(name, 0.0) for ids in dataset.blocks(encoded, "id") for name in ids.to_pylist()])
    found = np.count_nonzero(named)
    if found < len(named) or found < len(sizes):
        others = f", and names {len(sizes) - found} that are not in {encoded}" if found < len(sizes) else ""
        missing = f"{options.regions} names no region of {len(named) - found} of {len(named)} sequences, which have no scores"
        log.warning("interpret.mutate.regions: %s%s", missing, others)
    return named


def read_regions(options: Mutate) -> Elements | None:
    """Read the file of regions, if there is one.

    Parameters
    ----------
    options : Mutate
        Says where it is.

    Raises
    ------
    RnalmError
        If it cannot be read, has no line, or a region has no position.
    """
    if options.regions is None:
        return None
    regions = read_bed(options.regions)
    if not regions:
        raise RnalmError(f"interpret.mutate.regions: {options.regions} names no region")
    for name, own in regions.items():
        for start, end, _ in own:
            if end <= start:
                raise RnalmError(f"{options.regions}: the region of {name!r} from {start} to {end} has no position")
    return regions
