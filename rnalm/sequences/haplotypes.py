"""Alleles of a haplotype ─► what becomes of a stretch of the genome, and windows of the chromosome that they edit together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rnalm.sequences import edited
from rnalm.sequences.edited import Change, Letters, Window, normalized

#: Finds the changes of a haplotype that touch a stretch between two positions, in order.
Near = Callable[[int, int], Sequence[Change]]


class Haplotype:
    """Puts the alleles of a haplotype on a contig one after the other; of those that overlap the first is taken.

    An allele takes all bases of REF, but where it is an indel for a first one that is also that of ALT; there, one may begin
    behind another that ends, unless that has inserted something. This is what ``bcftools consensus`` does (Danecek et al.,
    GigaScience 10, giab008, 2021).
    """

    def __init__(self) -> None:
        self.end, self.inserted = 0, False  # where the last REF ends, and whether something came there
        self.floor = 0  # where its change ends, wherever it was moved

    def place(self, start: int, ref: str, alt: str, letters: Letters) -> Change | None:
        """Put a further allele on it, and write its change as far left as what is there already allows.

        Parameters
        ----------
        start : int
            0-based position of the first base of ``ref``; none is smaller than that of an allele before.
        ref, alt : str
            In capital letters.
        letters : callable
            Of the contig.

        Returns
        -------
        Change or None
            None: it overlaps an allele that is there.

        Examples
        --------
        >>> genome, own = "GGCACACAT", Haplotype()
        >>> own.place(3, "A", "G", lambda first, after: genome[first:after])
        Change(start=3, ref='A', alt='G')
        >>> own.place(5, "ACA", "A", lambda first, after: genome[first:after])
        Change(start=4, ref='CA', alt='')
        """
        anchored = len(ref) != len(alt) and ref[:1] == alt[:1]
        if start < self.end and not (anchored and start == self.end - 1 and not self.inserted):
            return None
        self.end, self.inserted = start + len(ref), len(alt) > len(ref)
        floor, behind = self.floor, start + anchored
        change = normalized(
            behind - floor, ref[anchored:], alt[anchored:], lambda first, after: letters(floor + first, floor + after)
        )
        change = replace(change, start=change.start + floor)
        self.floor = change.end
        return change


def applied(changes: Sequence[Change], first: int, after: int, letters: Letters) -> str:
    """Write what becomes of a stretch of a contig.

    Parameters
    ----------
    changes : sequence of Change
        In order, none of which overlaps another or leaves the stretch.
    first, after : int
        The stretch, half-open, 0-based.
    letters : callable
        Of the contig.

    Examples
    --------
    >>> applied([Change(1, "C", "T"), Change(2, "", "AA")], 0, 4, lambda first, after: "ACGT"[first:after])
    'ATAAGT'
    """
    parts, at = [], first
    for change in changes:
        parts += [letters(at, change.start) if at < change.start else "", change.alt]
        at = change.end
    return "".join([*parts, letters(at, after) if at < after else ""])


def windows(change: Change, near: Near, length: int, size: int, anchor: str, letters: Letters) -> tuple[list[Window], int]:
    """Find the window of a contig around a change, and those of the contig that a haplotype edits with all of its alleles.

    The chromosome of the haplotype has a window that shares the start of that of the contig (``left``), its end (``right``),
    or both (``whole``); with a single change, they are those of :func:`rnalm.sequences.edited.windows`. Where another change
    replaces bases on both sides of an end that is shared, its letters stand for them one by one, counted from outside.

    Parameters
    ----------
    change : Change
        Around which, one of the haplotype.
    near : callable
        Finds all changes of the haplotype that touch a stretch.
    length : int
        Of a window.
    size : int
        Bases of the contig.
    anchor : {'left', 'right', 'both', 'whole'}
        Which windows.
    letters : callable
        Of the contig.

    Returns
    -------
    windows : list of Window
        That with the REF that the file gives; then those of the edited contig.
    alleles : int
        How many changes of the haplotype are in these, at least in part.

    Raises
    ------
    NoWindow
        If a window leaves the contig, or the change is wider than it.
    """
    # As the change itself would have it, which says whether there is such a window of the contig.
    reference, _ = edited.windows(change, length, size, "whole")
    sides = _Sides(_reached(near, reference.left, reference.left + length), reference.left, length, size, letters)
    found = [getattr(sides, side)() for side in (("left", "right") if anchor == "both" else (anchor,))]
    return [reference, *(window for window, _ in found)], len({number for _, used in found for number in used})


def _reached(near: Near, first: int, after: int) -> list[Change]:
    """Find the changes that a window may reach: deletions within it bring others into it."""
    lost = 0
    while True:
        found = near(first - lost, after + lost)
        if (now := sum(max(0, len(change.ref) - len(change.alt)) for change in found)) <= lost:
            return list(found)
        lost = now


@dataclass(frozen=True)
class _Sides:
    """Windows of the chromosome of a haplotype, each with the numbers of the changes in it."""

    changes: list[Change]
    first: int
    length: int
    size: int
    letters: Letters

    def left(self) -> tuple[Window, range]:
        """Give that which shares the start of the window of the contig."""
        spans = [(change.start, change.end, len(change.alt)) for change in self.changes]
        used, begin = _walk(spans, self.first, self.length)
        return self._window(used, begin, self.length), used

    def right(self) -> tuple[Window, range]:
        """Give that which shares its end: what is the left one, seen from the other strand."""
        used, end = self._from_right(self.length)
        return self._window(used, end - self.length + self._growth(used), self.length), used

    def whole(self) -> tuple[Window, range]:
        """Give that which shares both."""
        spans = [(change.start, change.end, len(change.alt)) for change in self.changes]
        from_left, begin = _walk(spans, self.first, None)
        from_right, end = self._from_right(None)
        used = range(from_left.start, from_right.stop)
        return self._window(used, begin, end - begin + self._growth(used)), used

    def _from_right(self, length: int | None) -> tuple[range, int]:
        """Walk from the end of the window to the left: the changes, and where it would end, counted behind the last of them."""
        count = len(self.changes)
        spans = [(self.size - own.end, self.size - own.start, len(own.alt)) for own in reversed(self.changes)]
        used, begin = _walk(spans, self.size - self.first - self.length, length)
        return range(count - used.stop, count - used.start), self.size - begin

    def _growth(self, used: range) -> int:
        return sum(len(self.changes[number].alt) - len(self.changes[number].ref) for number in used)

    def _window(self, used: range, begin: int, length: int) -> Window:
        """Join changes, and what stands between them, to a single one, and give the window of it."""
        if not used:
            return edited.beginning(Change(begin, "", ""), begin, length, self.size)
        own = self.changes[used.start : used.stop]
        first, after = own[0].start, own[-1].end
        joined = Change(first, self.letters(first, after) if first < after else "", applied(own, first, after, self.letters))
        return edited.beginning(joined, begin, length, self.size)


def _walk(spans: Sequence[tuple[int, int, int]], first: int, length: int | None) -> tuple[range, int]:
    """Walk along an edited contig, from a position of the contig on.

    Parameters
    ----------
    spans : sequence of tuple
        Start and end of each change, and how many letters come.
    first : int
        The position.
    length : int or None
        How many letters to walk; None: to the end.

    Returns
    -------
    met : range
        Numbers of the changes that were met.
    begin : int
        The position; or, within a change that began before, as many bases behind its start as are walked past of what comes.
    """
    start = next((number for number, (begin, end, _) in enumerate(spans) if begin >= first or end > first), len(spans))
    if start == len(spans):
        return range(start, start), first
    begin, _, comes = spans[start]
    cursor = at = begin + min(first - begin, comes) if begin < first else first
    walked, stop = 0, start
    for begin, end, comes in spans[start:]:
        if length is not None and walked + begin - cursor >= length:
            break
        walked, cursor, stop = walked + begin - cursor + comes, end, stop + 1
    return range(start, stop), at
