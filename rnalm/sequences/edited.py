"""An allele and a genome ─► windows of the genome, and of the chromosome as the allele edits it."""

from collections.abc import Callable
from dataclasses import dataclass

from rnalm.errors import RnalmError

#: Bases that are read at once, where a change is moved to the left.
STEP = 64

#: Reads the letters of a contig between two positions, in capitals.
Letters = Callable[[int, int], str]


class NoWindow(RnalmError):
    """There is no such window; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an allele changes, as short and as far left as it can be written.

    Attributes
    ----------
    start : int
        0-based position of the first base that goes, or before which others come.
    ref, alt : str
        What goes and what comes; they share neither their first nor their last letter, or are the same.
    """

    start: int
    ref: str
    alt: str

    @property
    def end(self) -> int:
        """Behind the last base that goes."""
        return self.start + len(self.ref)

    @property
    def kind(self) -> str:
        """What it is called: ``SNV``, ``MNV``, ``insertion``, ``deletion``, ``indel``, or ``none``."""
        if self.ref == self.alt:
            return "none"
        if len(self.ref) == len(self.alt):
            return "SNV" if len(self.ref) == 1 else "MNV"
        return "insertion" if not self.ref else "deletion" if not self.alt else "indel"


def normalized(start: int, ref: str, alt: str, letters: Letters) -> Change:
    """Write a change so that all ways of writing it become one.

    Shared ends are left off, the last letters first; then letters that only come, or only go, are moved to the left as long as
    that makes no difference (Tan et al., Bioinformatics 31, 2202, 2015).

    Parameters
    ----------
    start : int
        0-based position of the first base of ``ref``.
    ref, alt : str
        In capital letters.
    letters : callable
        Of the contig.

    Examples
    --------
    >>> genome = "GGCACACAT"
    >>> normalized(5, "ACA", "A", lambda first, after: genome[first:after])
    Change(start=2, ref='CA', alt='')
    """
    if ref == alt:
        return Change(start, ref, alt)
    shared = 0
    while shared < min(len(ref), len(alt)) and ref[-1 - shared] == alt[-1 - shared]:
        shared += 1
    ref, alt = ref[: len(ref) - shared], alt[: len(alt) - shared]
    shared = 0
    while shared < min(len(ref), len(alt)) and ref[shared] == alt[shared]:
        shared += 1
    start, ref, alt = start + shared, ref[shared:], alt[shared:]
    if bool(ref) == bool(alt):
        return Change(start, ref, alt)
    moved, unit = 0, ref or alt
    while moved < start:
        before = letters(max(0, start - moved - STEP), start - moved)
        # The letter before is the last of those that move, time and again.
        run = 0
        while run < len(before) and before[-1 - run] == unit[-1 - (moved + run) % len(unit)]:
            run += 1
        moved += run
        if run < STEP:
            break
    turn = -moved % len(unit)
    unit = unit[turn:] + unit[:turn]
    return Change(start - moved, unit if ref else "", unit if alt else "")


@dataclass(frozen=True, slots=True)
class Texts:
    """Letters of windows.

    Attributes
    ----------
    reference : str
        Of the genome, with the REF that the file gives.
    alternatives : tuple of str
        Of the edited chromosome: one, or one that shares the start of the reference and one that shares its end.
    """

    reference: str
    alternatives: tuple[str, ...]


def window_start(change: Change, length: int) -> int:
    """Say where the window around a change begins: an SNV stands at ``(length − 1) // 2``.

    Parameters
    ----------
    change : Change
        Around whose middle, or last base before what only comes.
    length : int
        Of the window.
    """
    center = change.start + len(change.ref) // 2 if change.ref else change.start - 1
    return center - (length - 1) // 2


def texts(change: Change, length: int, size: int, letters: Letters, anchor: str) -> Texts:
    """Write the window of the genome around a change, and those of the edited chromosome.

    Parameters
    ----------
    change : Change
        Normalized or not.
    length : int
        Of a window.
    size : int
        Bases of the contig.
    letters : callable
        Of the contig.
    anchor : {'left', 'right', 'both', 'center', 'whole'}
        Which window of the edited chromosome: one that shares the start of that of the genome, its end, or each of them; one
        that shares as much with either end, as Selene takes for insertions; or what becomes of the window, longer or shorter.

    Raises
    ------
    NoWindow
        If a window leaves the contig, or the change is wider than it.
    """
    first = window_start(change, length)
    after = first + length
    if first > change.start or after < change.end:
        raise NoWindow(f"REF, of {len(change.ref)} bases, is wider than the window of {length}")
    if first < 0 or after > size:
        raise NoWindow("the window leaves the contig")
    left, right = letters(first, change.start), letters(change.end, after)
    own = Texts(left + change.ref + right, ())
    if anchor == "whole":
        return Texts(own.reference, (left + change.alt + right,))
    if len(change.ref) == len(change.alt):
        return Texts(own.reference, (left + change.alt + right,) * (2 if anchor == "both" else 1))

    def beginning_at(start: int) -> str:
        """Read a window of the edited chromosome that begins at a position up to which, or in what comes, nothing has moved."""
        if start < 0:
            raise NoWindow("the window of the edited chromosome leaves the contig")
        head = (letters(min(start, change.start), change.start) + change.alt[max(0, start - change.start) :])[:length]
        missing = length - len(head)
        if change.end + missing > size:
            raise NoWindow("the window of the edited chromosome leaves the contig")
        return head + letters(change.end, change.end + missing)

    def ending_at(end: int) -> str:
        """Read a window of the edited chromosome that ends at a position, of the genome, right of the change."""
        tail = (change.alt + letters(change.end, end))[-length:]
        missing = length - len(tail)
        if change.start < missing:
            raise NoWindow("the window of the edited chromosome leaves the contig")
        return letters(change.start - missing, change.start) + tail

    if anchor == "center":
        return Texts(own.reference, (beginning_at(first + (len(change.alt) - len(change.ref)) // 2),))
    sides = {"left": lambda: beginning_at(first), "right": lambda: ending_at(after)}
    return Texts(own.reference, tuple(sides[side]() for side in (["left", "right"] if anchor == "both" else [anchor])))
