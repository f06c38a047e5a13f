"""Features of a genome ─► which of them the bins of windows have."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rnalm.config.genome import Features, Genome
from rnalm.errors import RnalmError, nearest
from rnalm.sequences import intervals
from rnalm.sequences.contigs import Reference
from rnalm.sequences.intervals import Stack, Union
from rnalm.sequences.sample import Part, Windows
from rnalm.sequences.text import read_names

log = logging.getLogger(__name__)


class Labeller:
    """Labels windows by the features of their bins.

    Parameters
    ----------
    source : Genome
        With features.
    reference : Reference
        The genome.
    parts : sequence of Part
        Of it.
    regions : pandas.DataFrame or None
        The regions, which may have labels of their own.

    Attributes
    ----------
    classes : list of str
        Their names.

    Raises
    ------
    RnalmError
        If a threshold is for no class, a class has no interval, or a label of a region is none.
    """

    def __init__(self, source: Genome, reference: Reference, parts: Sequence[Part], regions: pd.DataFrame | None) -> None:
        assert source.features is not None, "it has features"
        self.features, self.span, self.parts, self.classes = source.features, source.span, parts, classes(source)
        if odd := next((name for name in self.features.thresholds if name not in self.classes), None):
            raise RnalmError(f"source.features.thresholds: {odd!r} is no class; {nearest(odd, self.classes)}")
        self.saved, self.known = None, {}
        if self.features.path is None:
            assert regions is not None, "the configuration is checked for it"
            self.saved = _saved(regions, self.classes, source.sample.path or "")
        else:
            self.known = _by_class(self.features, reference, self.classes)
        if self.span is not None:
            size = self.span[1] - self.span[0]
            self.least = np.array([self.features.covered(name, size) for name in self.classes])
            self.stacks = {contig: Stack.on(known) for contig, known in self.known.items()}

    def __call__(self, windows: Windows) -> np.ndarray:
        """Label windows: float32 1 or 0 ``(windows, classes)``."""
        if self.saved is not None:
            return self.saved[windows.line]
        labels = np.zeros((len(windows), len(self.classes)), dtype=np.float32)
        for number in np.unique(windows.part):
            own, contig = np.flatnonzero(windows.part == number), self.parts[number].contig
            if self.span is None:
                self._label_any(labels, windows.take(own), own, self.known.get(contig, ()))
            elif contig in self.stacks:
                own = own[np.argsort(windows.start[own], kind="stable")]
                start, end = (windows.start[own] + bound for bound in self.span)
                self._label_alike(labels.reshape(-1), own, self.stacks[contig].overlaps(start, end))
        return labels

    def _label_alike(self, pairs: np.ndarray, rows: np.ndarray, overlaps: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Label bins of one length, by pairs of window and class: most overlaps are enough, and others are summed."""
        window, of, bases = overlaps
        pair, enough = rows[window] * len(self.classes) + of, bases >= self.least[of]
        pairs[pair[enough]] = 1
        pair, bases = pair[~enough], bases[~enough]
        order = np.argsort(pair, kind="stable")
        pair, bases = pair[order], bases[order]
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        pair = pair[first]
        pairs[pair[np.add.reduceat(bases, first) >= self.least[pair % len(self.classes)]]] = 1

    def _label_any(self, labels: np.ndarray, windows: Windows, rows: np.ndarray, known: Sequence[tuple[int, Union]]) -> None:
        """Label windows that are bins themselves, of any lengths."""
        sizes, place = np.unique(windows.end - windows.start, return_inverse=True)
        for index, union in known:
            least = np.array([self.features.covered(self.classes[index], int(size)) for size in sizes])
            labels[rows, index] = union.covered(windows.start, windows.end) >= least[place]


def classes(source: Genome) -> list[str]:
    """Name the classes of a genome's features.

    Parameters
    ----------
    source : Genome
        With a list of them, the file that has one, or all that the features have; or with signals that have names.

    Raises
    ------
    RnalmError
        If a class is listed twice, or there is none.
    """
    features = source.features
    if features is None or features.is_signal:
        return list(features.signals) if features else []
    if features.classes is not None:
        names, where = read_names(features.classes, "source.features.classes")
    else:
        assert features.path is not None, "the configuration is checked for it"
        counts, where = intervals.read(features.path)["3"].value_counts(), features.path
        names = sorted(str(name) for name, count in counts.items() if count >= features.least_intervals and name != "")
    if not names and features.classes is not None:
        raise RnalmError(f"{where}: names no class; expected one or more")
    if not names:
        raise RnalmError(f"{where}: names no class; expected contig, start, end and class, separated by tabs")
    return names


def _by_class(features: Features, reference: Reference, names: list[str]) -> Mapping[str, list[tuple[int, Union]]]:
    """Join the intervals of each class on each contig: by contig, numbers of classes and their unions."""
    assert features.path is not None, "the configuration is checked for it"
    frame = intervals.read(features.path)
    found = {str(name) for name in frame["3"].cat.categories}
    if missing := next((name for name in names if name not in found), None):
        raise RnalmError(f"{features.path}: no interval is of the class {missing!r}; {nearest(missing, sorted(found))}")
    frame = reference.named(frame.loc[frame["3"].isin(names)], features.path)
    frame = frame.assign(start=(frame["start"] - features.widen).clip(lower=0), end=frame["end"] + features.widen)
    known: dict[str, list[tuple[int, Union]]] = {}
    for index, name in enumerate(names):
        for contig, union in intervals.unions(frame.loc[frame["3"] == name]).items():
            known.setdefault(contig, []).append((index, union))
    if nowhere := sorted(set(names) - set(frame["3"].astype(str))):
        shown = ", ".join(nowhere[:5]) + (f" and {len(nowhere) - 5} more" if len(nowhere) > 5 else "")
        problem = f"{features.path}: all intervals of {shown} are on contigs that are passed over (source.contigs)"
        if len(nowhere) == len(names):
            raise RnalmError(f"{problem}; expected some on those that are read")
        log.warning("%s: no window is of these classes", problem)
    return known


def saved_by_selene(regions: pd.DataFrame) -> bool:
    """Tell whether strands stand in the fourth column, where other files have names.

    Parameters
    ----------
    regions : pandas.DataFrame
        From :func:`rnalm.sequences.intervals.read`.
    """
    return {str(text) for text in regions["3"].cat.categories} <= {"+", "-", "."}


def strands(regions: pd.DataFrame) -> np.ndarray:
    """Give the strands of regions, as they are written: text ``(regions,)``, empty where none is.

    Parameters
    ----------
    regions : pandas.DataFrame
        From :func:`rnalm.sequences.intervals.read`, with six columns.
    """
    return regions["3" if saved_by_selene(regions) else "5"].astype(str).to_numpy()


def _saved(regions: pd.DataFrame, names: list[str], path: str) -> np.ndarray:
    """Read the labels that Selene saves with regions, numbers of classes: float32 ``(regions, classes)``."""
    if not saved_by_selene(regions):
        found = next(str(text) for text in regions["3"] if str(text) not in ("+", "-", "."))
        problem = (
            f"found {found!r} in the fourth column, expected a strand, and numbers of classes in the fifth, as Selene saves"
        )
        raise RnalmError(f"{path}: {problem}; or set source.features.path")
    labels = np.zeros((len(regions), len(names)), dtype=np.float32)
    for row, text in enumerate(regions["4"].astype(str)):
        for written in filter(None, text.strip().split(";")):
            if not written.isdecimal() or int(written) >= len(names):
                hint = f"expected numbers from 0 to {len(names) - 1}, separated by ';'"
                raise RnalmError(f"{path}: region {regions['row'].iloc[row] + 1} has the label {written!r}, {hint}")
            labels[row, int(written)] = 1
    return labels
