"""A genome ─► records: windows, with the features that they have."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rnalm.config.genome import Genome
from rnalm.errors import RnalmError
from rnalm.sequences import intervals, sample
from rnalm.sequences.contigs import Reference
from rnalm.sequences.features import Labeller, saved_by_selene, strands
from rnalm.sequences.records import Record
from rnalm.sequences.sample import Legal, Part, Windows
from rnalm.sequences.signals import Signals
from rnalm.sequences.strands import reverse_complement

log = logging.getLogger(__name__)

#: Labels that are held at once, and windows.
MOST_LABELS, MOST_WINDOWS = 2**24, 2**14
#: Windows are read with what is between them, if that is not more than so many times as much.
SPARSE = 4


def read(source: Genome) -> Iterator[Record]:
    """Draw the windows of a genome, and read them in its order.

    Parameters
    ----------
    source : Genome
        The genome, its features, and which windows are taken.

    Yields
    ------
    Record
        A window; its label is float32 ``(classes,)``, 1 or 0, or numbers of signals ``(signals,)``, and its description what a
        region is called.

    Raises
    ------
    RnalmError
        If a file cannot be read or does not fit the genome, or there are not as many windows as are asked for.
    """
    reference, path = Reference(source), source.sample.path
    parts = sample.parts(reference.lengths, source.contigs.parts)
    regions = reference.named(intervals.read(path, 6), path).reset_index(names="row") if path else None
    label = None
    if source.features:
        signal = source.features.is_signal
        label = Signals(source, reference, parts) if signal else Labeller(source, reference, parts, regions)
    windows = sample.draw(source, reference, Legal(source, reference, parts, label), regions)
    signs, saved = _strands(source, windows, regions), label.saved if isinstance(label, Labeller) else None
    windows, signs = _once(windows, signs, path, None if regions is None else regions["row"].to_numpy(), saved)
    runs = sample.runs(windows)
    if source.strand == "both":
        signs, runs = np.tile([1, -1], len(windows)), np.repeat(runs, 2)
        windows = windows.take(np.repeat(np.arange(len(windows)), 2))
    names = _names(windows, regions)
    size = max(1, min(MOST_WINDOWS, MOST_LABELS // max(1, len(label.classes)) if label else MOST_WINDOWS))
    for first in range(0, len(windows), size):
        rows = np.arange(first, min(first + size, len(windows)))
        some = windows.take(rows)
        labels = label(some) if label else [None] * len(rows)
        for row, letters, own in zip(rows, _letters(reference, parts, some), labels, strict=True):
            part, minus = parts[windows.part[row]], bool(signs[row] < 0)
            name = called(part.contig, windows.start[row], windows.end[row], minus)
            place = f"{source.genome}, {name}"
            yield Record(
                **{"place": place, "id": name, "modifiers": None, "weight": None},
                **{"sequence": _other_strand(letters, place) if minus else letters, "label": own},
                **{"group": f"{part.name}:{runs[row]}", "split": part.name, "description": names[int(row)]},
            )


def _other_strand(letters: str, place: str) -> str:
    """Write the other strand of a window, or say where no nucleotide stands."""
    try:
        return reverse_complement(letters, rna=False)
    except RnalmError as error:
        raise RnalmError(f"{place}: {error}") from None


def called(contig: str, start: int, end: int, minus: bool) -> str:
    """Name a window.

    Parameters
    ----------
    contig : str
        Where it is.
    start, end : int
        0-based, half-open.
    minus : bool
        Whether the other strand is read.

    Examples
    --------
    >>> called("chrIV", 100, 200, minus=True)
    'chrIV:100-200(-)'
    """
    return f"{contig}:{start}-{end}{'(-)' if minus else ''}"


def _names(windows: Windows, regions: pd.DataFrame | None) -> Sequence[str | None]:
    """Give what the regions of windows are called, None where they have no name."""
    if windows.line is None or regions is None or saved_by_selene(regions):
        return [None] * len(windows)
    return [str(name) or None for name in regions["3"].iloc[windows.line]]


def _strands(source: Genome, windows: Windows, regions: pd.DataFrame | None) -> np.ndarray:
    """Say which strand of each window is read: 1 or -1 ``(windows,)``."""
    if source.strand == "random":
        # Of another stream than the windows, so that these stay where they are.
        return np.random.default_rng([source.sample.seed or 0, 1]).choice([1, -1], len(windows))
    if source.strand is None and windows.line is not None and regions is not None:
        return np.where(strands(regions)[windows.line] == "-", -1, 1)
    return np.full(len(windows), -1 if source.strand == "-" else 1)


def _once(
    windows: Windows, strands: np.ndarray, path: str | None, row: np.ndarray | None, saved: np.ndarray | None
) -> tuple[Windows, np.ndarray]:
    """Keep regions once that are given several times, on the same strand; where labels are saved with them, with the same."""
    if windows.line is None or row is None:
        return windows, strands
    keys = np.stack([windows.part, windows.start, windows.end, strands], axis=1)
    _, first, place = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    kept, before = np.sort(first), first[place.reshape(-1)]
    if saved is not None:
        again = np.flatnonzero(before != np.arange(len(windows)))
        own, other = windows.line[again], windows.line[before[again]]
        if len(wrong := np.flatnonzero((saved[own] != saved[other]).any(axis=1))):
            one, two = sorted((row[own[wrong[0]]] + 1, row[other[wrong[0]]] + 1))
            more = f" (and {len(wrong) - 1} more such regions)" if len(wrong) > 1 else ""
            problem = f"regions {one} and {two} give the same window, with other labels{more}"
            raise RnalmError(f"{path}: {problem}; expected one of them, or the same labels")
    if len(kept) < len(windows):
        log.warning("%s: %d regions give a window that another one gives; each is taken once", path, len(windows) - len(kept))
    return windows.take(kept), strands[kept]


def _letters(reference: Reference, parts: Sequence[Part], windows: Windows) -> Iterator[str]:
    """Read the letters of windows, which are in the order of the genome."""
    for number in np.unique(windows.part):
        own, contig = np.flatnonzero(windows.part == number), parts[number].contig
        places = list(zip(windows.start[own].tolist(), windows.end[own].tolist(), strict=True))
        first, last = places[0][0], max(end for _, end in places)
        if last - first > SPARSE * sum(end - start for start, end in places):
            yield from (reference.letters(contig, start, end) for start, end in places)
        else:
            text = reference.letters(contig, first, last)
            yield from (text[start - first : end - first] for start, end in places)


def count(source: Genome, length: float) -> float:
    """Estimate how many windows there are, without drawing them.

    Parameters
    ----------
    source : Genome
        Which says how many, or from which file.
    length : float
        Of a window; not looked at.

    Raises
    ------
    RnalmError
        If there is no such file.
    """
    own, strands = source.sample, 2 if source.strand == "both" else 1
    if own.n is not None:
        return own.n * strands
    if own.path is not None:
        return len(intervals.read(own.path, 3)) * strands
    if not Path(source.genome).is_file():
        raise RnalmError(f"{source.genome}: no such file")
    # A letter of a packed file takes a quarter of a byte, or more.
    packed = Path(source.genome).stat().st_size * (4 if source.genome.endswith("gz") else 1)
    return packed / (own.step or 1) * strands
