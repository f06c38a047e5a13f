"""Seqlets ─► groups of those that are alike, each at the offset at which it is most alike the others.

From the strongest to the weakest, each seqlet joins the group that it is most alike, or founds one; then each chooses anew
among groups that are complete, so that the order decides no more than where groups begin. How alike two are is the cosine of
the angle between their effects, letter by letter: 1 where one is a multiple of the other, 0 where no letter is the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rnalm.scoring.seqlets import LONGEST

#: How alike a seqlet and its group are, at least.
ALIKE = 0.65
#: How many groups there are at most, and how often seqlets choose anew.
MOST_GROUPS, ROUNDS = 64, 3
#: Places on which seqlets of a group are laid.
CANVAS = 3 * LONGEST


@dataclass
class Group:
    """Seqlets that are alike.

    Attributes
    ----------
    total : numpy.ndarray
        Sum of their weights, laid over each other: float64 ``(CANVAS, symbols)``.
    places : dict of int to int
        By number of a seqlet, where it begins there.
    """

    total: np.ndarray
    places: dict[int, int] = field(default_factory=dict)

    def add(self, number: int, weights: np.ndarray, place: int) -> None:
        """Lay a seqlet on the others.

        Parameters
        ----------
        number : int
            Which one it is.
        weights : numpy.ndarray
            Its effects ``(length, symbols)``.
        place : int
            Where it begins.
        """
        self.total[place : place + len(weights)] += weights
        self.places[number] = place


def groups(weights: Sequence[np.ndarray], symbols: int) -> list[Group]:
    """Group seqlets.

    Parameters
    ----------
    weights : sequence of numpy.ndarray
        Effects of each, of length 1, the strongest first: float64 ``(length, symbols)``.
    symbols : int
        How many letters there are.

    Returns
    -------
    list of Group
        A seqlet that is alike none of them is in none, where there are as many groups as there may be.
    """
    found = _first(weights, symbols)
    for _ in range(ROUNDS):
        found = _without_doubles(weights, _chosen_anew(weights, found))
    return found


def _first(weights: Sequence[np.ndarray], symbols: int) -> list[Group]:
    """Let seqlets, one after the other, join groups or found them."""
    groups: list[Group] = []
    for number, own in enumerate(weights):
        chosen, place, alike = _best(own, [group.total for group in groups])
        if alike < ALIKE:
            if len(groups) == MOST_GROUPS:
                continue
            groups.append(Group(np.zeros((CANVAS, symbols))))
            chosen, place = len(groups) - 1, (CANVAS - len(own)) // 2
        groups[chosen].add(number, own, place)
    return groups


def _chosen_anew(weights: Sequence[np.ndarray], groups: Sequence[Group]) -> list[Group]:
    """Let each seqlet choose among complete groups; those that nobody chooses are gone."""
    totals = [group.total for group in groups]
    anew = [Group(np.zeros_like(total)) for total in totals]
    for number, own in enumerate(weights):
        chosen, place, alike = _best(own, totals)
        if alike >= ALIKE:
            anew[chosen].add(number, own, place)
    return [group for group in anew if group.places]


def _without_doubles(weights: Sequence[np.ndarray], groups: Sequence[Group]) -> list[Group]:
    """Lay groups that are alike over each other, the smaller on the larger."""
    kept: list[Group] = []
    for own in sorted(groups, key=lambda group: -len(group.places)):
        first = min(own.places.values())
        after = max(place + len(weights[number]) for number, place in own.places.items())
        part = own.total[first:after] / max(np.linalg.norm(own.total), 1e-300)
        chosen, place, alike = _best(part, [group.total for group in kept])
        shift = place - first
        if alike < ALIKE:
            kept.append(own)
            continue
        kept[chosen].total[place : place + len(part)] += own.total[first:after]
        kept[chosen].places |= {number: begin + shift for number, begin in own.places.items()}
    return kept


def _best(own: np.ndarray, totals: Sequence[np.ndarray]) -> tuple[int, int, float]:
    """Find the group that something is most alike, and the place on its canvas: number, place, and how alike they are."""
    if not totals:
        return 0, 0, -1.0
    canvases = np.stack(totals)
    windows = np.lib.stride_tricks.sliding_window_view(canvases, len(own), axis=1)  # (groups, places, symbols, length)
    alike = np.einsum("gpsl,ls->gp", windows, own) / np.maximum(np.linalg.norm(canvases, axis=(1, 2)), 1e-300)[:, None]
    chosen, place = divmod(int(alike.argmax()), alike.shape[1])
    return chosen, place, float(alike[chosen, place])
