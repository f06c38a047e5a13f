"""What a user reads when something is wrong: one line, and the nearest valid name."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

#: Problems of a source that are told one by one; of more only the number is.
MOST = 20


class RnalmError(Exception):
    """A mistake in the user's data or configuration, told in one line."""


@dataclass
class Problems:
    """What is wrong with many rows, to be told at once.

    Attributes
    ----------
    lines : list of str
        One each, the first :data:`MOST`.
    more : int
        Further ones.
    """

    lines: list[str] = field(default_factory=list)
    more: int = 0

    def __len__(self) -> int:
        """Count them all."""
        return len(self.lines) + self.more

    def add(self, problem: object) -> None:
        """Note a problem.

        Parameters
        ----------
        problem : object
            The error, or its line.
        """
        if len(self.lines) < MOST:
            self.lines.append(str(problem))
        else:
            self.more += 1


def nearest(name: object, known: Iterable[object], limit: int = 12) -> str:
    """Say which valid name is closest to a wrong one.

    Parameters
    ----------
    name : object
        The wrong name, as the user gave it; case does not matter.
    known : iterable
        The valid names.
    limit : int
        List all valid names when there are at most this many, and so many of them when none is close.

    Returns
    -------
    str
        The end of a message: a guess, if a name is close, and the valid names.

    Examples
    --------
    >>> nearest("epoch", ["batch_size", "epochs"])
    "did you mean 'epochs'? (valid: batch_size, epochs)"
    >>> nearest("colour", ["batch_size", "epochs"])
    'valid: batch_size, epochs'
    """
    names = [str(k) for k in known]
    folded = {n.casefold(): n for n in reversed(names)}
    close = get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.5)
    guess = f"did you mean {folded[close[0]]!r}?" if close else ""
    if len(names) > limit and guess:
        return guess
    shown = f"valid: {', '.join(names[:limit]) or 'none'}{', …' if len(names) > limit else ''}"
    return f"{guess} ({shown})" if guess else shown
