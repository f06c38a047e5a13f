"""An allele and a genome ─► windows of the genome, and of the chromosome as the allele edits it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rnalm.errors import RnalmError
from rnalm.sequences.strands import reverse_complement

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
    change = trimmed(start, ref, alt)
    start, ref, alt = change.start, change.ref, change.alt
    if bool(ref) == bool(alt):
        return change
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


def trimmed(start: int, ref: str, alt: str) -> Change:
    """Leave off what REF and ALT share at their ends, the last letters first.

    Parameters
    ----------
    start : int
        0-based position of the first base of ``ref``.
    ref, alt : str
        In capital letters.

    Examples
    --------
    >>> trimmed(5, "ACA", "A")
    Change(start=5, ref='AC', alt='')
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
    return Change(start + shared, ref[shared:], alt[shared:])


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an edited contig: letters of the contig, what comes, and letters of the contig again.

    Attributes
    ----------
    left : int
        Where it begins, on the contig.
    right : int
        Where it would begin if all its letters were as far from the last one as on the contig: ``left``, unless it has grown.
    at : int
        How many letters stand before what comes.
    comes : str
        What comes.
    length : int
        Letters of the window.
    """

    left: int
    right: int
    at: int
    comes: str
    length: int

    @property
    def behind(self) -> int:
        """How many letters stand before the second part of the contig."""
        return self.at + len(self.comes)

    @property
    def first(self) -> int:
        """The first base of the contig that is read, if any is."""
        return self.left if self.at or self.behind == self.length else self.right + self.behind

    @property
    def after(self) -> int:
        """Behind the last base of the contig that is read, if any is."""
        return self.right + self.length if self.behind < self.length else self.left + self.at

    @property
    def reach(self) -> tuple[int, int]:
        """The part of the contig that is read or replaced, half-open."""
        gone = self.left + self.at, self.right + self.behind
        return (min(self.first, gone[0]), max(self.after, gone[1])) if gone[0] < gone[1] else (self.first, self.after)

    def text(self, letters: Letters) -> str:
        """Write its letters.

        Parameters
        ----------
        letters : callable
            Of the contig.
        """
        own = letters(self.left, self.left + self.at) if self.at else ""
        return own + self.comes + (letters(self.right + self.behind, self.after) if self.behind < self.length else "")

    def within(self, start: int) -> "Window":
        """Count from a position of the contig on.

        Parameters
        ----------
        start : int
            The position.
        """
        return replace(self, left=self.left - start, right=self.right - start)

    def part(self, first: int, after: int) -> "Window":
        """Leave off what stands before some letter, and from another one on.

        Parameters
        ----------
        first, after : int
            Half-open, counted from the window's own first letter.

        Examples
        --------
        >>> Window(10, 9, 2, "TTG", 8).part(3, 7)
        Window(left=13, right=12, at=0, comes='TG', length=4)
        """
        at = max(0, min(self.at, after) - first)
        comes = self.comes[max(0, first - self.at) : max(0, after - self.at)]
        return Window(self.left + first, self.right + first, at, comes, after - first)

    def turned(self, size: int) -> "Window":
        """Give the same window on the other strand.

        Parameters
        ----------
        size : int
            Letters of the contig.
        """
        comes = reverse_complement(self.comes, rna=False)
        left, right = (size - side - self.length for side in (self.right, self.left))
        return Window(left, right, self.length - self.behind, comes, self.length)


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


def windows(change: Change, length: int, size: int, anchor: str) -> list[Window]:
    """Find the window of a contig around a change, and those of the edited contig.

    Parameters
    ----------
    change : Change
        Normalized or not.
    length : int
        Of a window.
    size : int
        Bases of the contig.
    anchor : {'left', 'right', 'both', 'center', 'whole'}
        Which window of the edited contig: one that shares the start of that of the contig, its end, or each of them; one that
        shares as much with either end, as Selene takes for insertions; or what becomes of the window, longer or shorter.

    Returns
    -------
    list of Window
        That with the REF that the file gives; then that of the edited contig, or the one that shares the start of the first
        and the one that shares its end.

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
    at, growth = change.start - first, len(change.alt) - len(change.ref)
    reference = Window(first, first, at, change.ref, length)
    if anchor == "whole":
        return [reference, Window(first, first - growth, at, change.alt, length + growth)]
    if not growth:
        return [reference, *[Window(first, first, at, change.alt, length)] * (2 if anchor == "both" else 1)]
    starts = {"left": first, "right": first + growth, "center": first + growth // 2}
    sides = ["left", "right"] if anchor == "both" else [anchor]
    return [reference, *(beginning(change, starts[side], length, size) for side in sides)]


def beginning(change: Change, start: int, length: int, size: int) -> Window:
    """Find the window of the edited contig of which all that is left of the change would begin at a position of the contig.

    That position may be right of where the change begins: then the window begins in what comes, or behind it.

    Parameters
    ----------
    change : Change
        What is edited.
    start : int
        Where the window would begin.
    length : int
        Letters of the window.
    size : int
        Bases of the contig.

    Raises
    ------
    NoWindow
        If the window leaves the contig.
    """
    growth = len(change.alt) - len(change.ref)
    at = max(0, change.start - start)
    comes = change.alt[max(0, start - change.start) :][: length - at]
    found = Window(start, start - growth, at, comes, length)
    if found.first < 0 or found.after > size:
        raise NoWindow("the window of the edited chromosome leaves the contig")
    return found
