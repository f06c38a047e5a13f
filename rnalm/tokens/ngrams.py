"""Tokens ─► how often each run of letters occurs: anywhere, in a reading frame, in a region, at a position."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from tokenizers import Tokenizer

from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import MARK, is_atomic, kmer_layout, plain_tokens, token_names

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Runs of up to so many letters are counted, as long as there are no more than so many different ones of a length.
LONGEST, MOST = 4, 1024
#: By position, runs of up to so many letters, as long as there are no more than so many pairs of position and run in all.
LONGEST_PLACED, MOST_PLACED = 5, 2**18
#: Further letters count as the last one; tokens of more letters than the second number are letters themselves.
MOST_LETTERS, MOST_SPELLED = 4096, 64
#: Runs before the first and behind the last codon are shorter, as there are fewer of them.
REGIONS = {"5′": 2, "3′": 3}
#: A run counts half at the positions beside its own.
BESIDE = {-1: 0.5, 0: 1.0, 1: 0.5}
#: Letters that are looked at together, about, and sequences, at most.
BLOCK, ROWS = 2**20, 4096


#: How many numbers blocks without runs consist of, by what they are of.
NUMBERS = {"length": 1, "marks": 2, "regions": 3}


@dataclass(frozen=True)
class Kind:
    """A block of features.

    Attributes
    ----------
    name : str
        What people call it.
    where : {'length', 'marks', 'regions', 'all', 'marked', 'before', 'behind', 'frame'}
        Numbers: the length, how many marks there are, or how long regions are. Runs: all, or those that begin at a mark, before
        the first or behind the last codon, or at every third letter.
    n : int
        Letters of the runs whose shares it consists of; 0: it consists of numbers.
    mark : int
        Which marks, where it is of marks.
    """

    name: str
    where: str
    n: int = 0
    mark: int = 0


@dataclass(frozen=True)
class Ngrams:
    """What is counted in sequences; plain, so that it can be stored with a model.

    Attributes
    ----------
    letters : tuple of str
        What runs consist of: the letters of tokens, or tokens; of letters in either case, where each is a token, the small one.
    spelled : tuple of tuple of int
        For each token by its id, the numbers of its letters; -1 is a letter that is not known.
    stride : int or None
        By how many letters tokens follow each other, where they overlap; None: they do not.
    capital : tuple of int
        Ids of tokens in upper case whose letter occurs in either: they mark their position.
    frames : tuple of int
        Which marks begin codons: -1 are capitals, others channels of modifiers. Where none does, codons begin at the 5′ end.
    marks : tuple of int
        All kinds of marks that there are.
    length : int or None
        Letters of each sequence, where all are of one length.
    """

    letters: tuple[str, ...]
    spelled: tuple[tuple[int, ...], ...]
    stride: int | None = None
    capital: tuple[int, ...] = ()
    frames: tuple[int, ...] = ()
    marks: tuple[int, ...] = ()
    length: int | None = None

    @classmethod
    def read(cls, content: dict[str, Any]) -> Self:
        """Make it of what a JSON file holds of it, in which tuples are lists.

        Parameters
        ----------
        content : dict
            Its attributes by name.
        """
        given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
        given["spelled"] = tuple(map(tuple, content["spelled"]))
        return cls(**given)

    @property
    def longest(self) -> int:
        """Letters of the longest runs that are counted anywhere."""
        return max(n for n in range(1, LONGEST + 1) if n == 1 or len(self.letters) ** n <= MOST)

    @property
    def longest_placed(self) -> int:
        """Letters of the longest runs that are counted by position; 0: none are."""
        widths = np.cumsum([self._width(n) for n in range(1, LONGEST_PLACED + 1)])
        return int(np.sum(widths <= MOST_PLACED)) if self.length else 0

    def _width(self, n: int) -> int:
        """Count the pairs of a position and a run of so many letters."""
        return max(0, (self.length or 0) - n + 1) * len(self.letters) ** n

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """What is counted wherever it is, block by block."""
        codons = len(self.letters) ** 3 <= MOST
        found = [Kind("length", "length"), *(Kind(f"{n}-grams", "all", n) for n in range(1, self.longest + 1))]
        for mark in self.marks:
            name = "capitals" if mark < 0 else f"modifier {mark + 1}"
            found.append(Kind(f"{name}: how many", "marks", mark=mark))
            if codons:
                found.append(Kind(f"{name}: triplets", "marked", 3, mark))
            if mark in self.frames:
                found.append(Kind(f"{name}: regions", "regions", mark=mark))
                for where, (end, longest) in zip(("before", "behind"), REGIONS.items(), strict=True):
                    for n in range(1, min(longest, self.longest) + 1):
                        found.append(Kind(f"{name}: {n}-grams of the {end} region", where, n, mark))
        if codons and not self.frames:
            found.append(Kind("triplets in frame", "frame", 3))
        return tuple(found)

    @property
    def sizes(self) -> list[int]:
        """Features of each block."""
        return [len(self.letters) ** kind.n if kind.n else NUMBERS[kind.where] for kind in self.kinds]

    def blocks(self, sequences: Sequence[Encoded]) -> dict[str, np.ndarray]:
        """Count what there is in sequences, wherever it is.

        Parameters
        ----------
        sequences : sequence of Encoded
            Any number; few enough to be in memory.

        Returns
        -------
        dict
            By name, float32 ``(sequences, features)``: logarithms of lengths, and shares of all runs of a kind.
        """
        text = _spell(self, sequences)
        found = {}
        for kind in self.kinds:
            values = text.shares(kind.n, text.begins(kind)) if kind.n else text.numbers(kind)
            found[kind.name] = values.astype(np.float32)
        return found

    def placed(self, sequences: Sequence[Encoded]) -> "csr_array":
        """Count runs by their position, and by half beside it, in sequences of one length; what lies beyond it is passed over.

        Parameters
        ----------
        sequences : sequence of Encoded
            Any number; few enough to be in memory.

        Returns
        -------
        scipy.sparse.csr_array
            float32 ``(sequences, features)``
        """
        from scipy.sparse import coo_array

        text, parts, first = _spell(self, sequences), [], 0
        for n in range(1, self.longest_placed + 1):
            code, known = text.codes(n)
            places = (self.length or 0) - n + 1
            for beside, weight in BESIDE.items():
                place = text.position[: len(code)] + beside
                own = np.flatnonzero(known & (place >= 0) & (place < places))
                column = first + place[own] * len(self.letters) ** n + code[own]
                parts.append((np.full(len(own), weight, np.float32), text.row[own], column))
            first += self._width(n)
        values, rows, columns = (np.concatenate(each) for each in zip(*parts, strict=True))
        return coo_array((values, (rows, columns)), shape=(len(sequences), first)).tocsr()


@dataclass
class _Text:
    """The letters of sequences, one after the other.

    ``symbols``, ``row`` and ``position`` have a number for each letter; ``lengths`` one for each sequence; and ``marks`` says
    of each kind of mark which letters have it; ``coded`` keeps what :meth:`codes` found.
    """

    base: int
    symbols: np.ndarray
    row: np.ndarray
    position: np.ndarray
    lengths: np.ndarray
    marks: dict[int, np.ndarray] = field(default_factory=dict)
    coded: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def codes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Give a number to the run that begins at each letter, and say whether it is one: known, and of one sequence."""
        if n in self.coded:
            return self.coded[n]
        size = max(0, len(self.symbols) - n + 1)
        code, known = np.zeros(size, np.int64), self.row[:size] == self.row[n - 1 :]
        for shift in range(n):
            symbols = self.symbols[shift : shift + size]
            code, known = code * self.base + np.maximum(symbols, 0), known & (symbols >= 0)
        self.coded[n] = code, known
        return code, known

    def shares(self, n: int, begins: np.ndarray | None = None) -> np.ndarray:
        """Give the share of each run among those of a sequence, or those that begin at some letters."""
        code, known = self.codes(n)
        kept = known if begins is None else known & begins[: len(known)]
        width = self.base**n
        cells = self.row[: len(code)][kept] * width + code[kept]
        counts = np.bincount(cells, minlength=len(self.lengths) * width).reshape(len(self.lengths), width)
        return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def per_row(self, chosen: np.ndarray) -> np.ndarray:
        """Count the letters of each sequence that are chosen."""
        return np.bincount(self.row[chosen], minlength=len(self.lengths))

    def begins(self, kind: Kind) -> np.ndarray | None:
        """Say at which letters runs begin that are counted; None: at all."""
        if kind.where == "all":
            return None
        if kind.where == "frame":
            return self.position % 3 == 0
        marks = self.marks[kind.mark]
        return marks if kind.where == "marked" else self.regions(marks) == {"before": 0, "behind": 2}[kind.where]

    def numbers(self, kind: Kind) -> np.ndarray:
        """Give the numbers of a block without runs ``(sequences, numbers)``."""
        if kind.where == "length":
            return numbers(kind, self.lengths)
        marks = self.marks[kind.mark]
        if kind.where == "marks":
            return numbers(kind, self.lengths, self.per_row(marks))
        inside = self.regions(marks)
        return numbers(kind, *(self.per_row(inside == region) for region in range(3)))

    def regions(self, begins: np.ndarray) -> np.ndarray:
        """Say of each letter whether it stands before all codons (0), from the first to the last (1), or behind (2)."""
        first = np.full(len(self.lengths), np.iinfo(np.int64).max)
        last = np.full(len(self.lengths), -1)
        np.minimum.at(first, self.row[begins], self.position[begins])
        np.maximum.at(last, self.row[begins], self.position[begins] + 2)
        return np.where(self.position < first[self.row], 0, np.where(self.position <= last[self.row], 1, 2))


def numbers(kind: Kind, *of: np.ndarray) -> np.ndarray:
    """Make a block of numbers.

    Parameters
    ----------
    kind : Kind
        Without runs.
    *of : numpy.ndarray
        Letters of each sequence, and how many marks it has where the block is of these; or letters of each of its regions
        ``(sequences,)``.

    Returns
    -------
    numpy.ndarray
        ``(sequences, numbers)``
    """
    if kind.where == "length":
        return np.log(np.maximum(of[0], 1))[:, None]
    if kind.where == "marks":
        return np.stack([np.log1p(of[1]), of[1] / np.maximum(of[0], 1)], axis=1)
    return np.stack([np.log1p(letters) for letters in of], axis=1)


def _spell(ngrams: Ngrams, sequences: Sequence[Encoded]) -> _Text:
    """Write the letters of tokens one after the other."""
    tokens = np.array([len(sequence.input_ids) for sequence in sequences], dtype=np.int64)
    ids = np.concatenate([np.zeros(0, np.int64), *(sequence.input_ids for sequence in sequences)]).astype(np.int64)
    widths = np.array([len(own) for own in ngrams.spelled])
    table = np.full((len(widths), widths.max()), -1)
    for token, own in enumerate(ngrams.spelled):
        table[token, : len(own)] = own
    taken = widths[ids]
    if ngrams.stride:
        last = np.cumsum(tokens)[tokens > 0] - 1
        taken, whole = np.minimum(taken, ngrams.stride), taken[last]
        taken[last] = whole
    of_token = np.repeat(np.arange(len(ids)), taken)
    within = np.arange(len(of_token)) - np.repeat(np.cumsum(taken) - taken, taken)
    row = np.repeat(np.arange(len(tokens)), tokens)[of_token]
    lengths = np.bincount(row, minlength=len(tokens))
    position = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    text = _Text(len(ngrams.letters), table[ids[of_token], within], row, position, lengths)
    if ngrams.marks:
        text.marks = {mark: _marked(mark, ngrams, sequences, ids) for mark in ngrams.marks}
    return text


def _marked(mark: int, ngrams: Ngrams, sequences: Sequence[Encoded], ids: np.ndarray) -> np.ndarray:
    """Say which tokens, each of one letter, have a mark."""
    if mark < 0:
        return np.isin(ids, ngrams.capital)
    none = np.zeros(0, np.float32)
    channels = [
        np.zeros(len(own.input_ids), np.float32) if own.modifiers is None or len(own.modifiers) <= mark else own.modifiers[mark]
        for own in sequences
    ]
    return np.concatenate([none, *channels]) != 0


def of_tokenizer(tokenizer: Tokenizer) -> Ngrams:
    """Say which letters the tokens of a tokenizer stand for.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.

    Returns
    -------
    Ngrams
        Of any sequences; :func:`look_at` says more of some.
    """
    names, plain = token_names(tokenizer), plain_tokens(tokenizer)
    spelled = {token: token.replace(MARK, "") for token in plain}
    together = sorted({letter for text in spelled.values() for letter in text})
    layout = kmer_layout(tokenizer)
    if is_atomic(tokenizer) or len(together) > MOST_SPELLED:
        small = {token: token.lower() for token in plain}
        capital = [token for token in plain if small[token] != token and small[token] in small]
        texts = {token: [small[token] if token in capital else token] for token in plain}
        together = list(dict.fromkeys(letter for text in texts.values() for letter in text))
    else:
        capital, texts = [], {token: list(text) for token, text in spelled.items()}
    numbers = {letter: min(index, MOST_LETTERS - 1) for index, letter in enumerate(together)}
    unknown = (-1,) * (layout[0] if layout else 1)
    return Ngrams(
        tuple(together[:MOST_LETTERS]),
        tuple(tuple(numbers[letter] for letter in texts[name]) if name in texts else unknown for name in names),
        layout[1] if layout and layout[1] < layout[0] else None,
        tuple(names.index(token) for token in capital),
    )


def look_at(ngrams: Ngrams, groups: Iterator[Sequence[Encoded]]) -> Ngrams:
    """Find which marks sequences have, which of these begin codons, and whether all sequences are of one length.

    Marks begin codons where more than half of those that follow each other in a sequence are three positions apart.

    Parameters
    ----------
    ngrams : Ngrams
        From :func:`of_tokenizer`.
    groups : iterator of sequence of Encoded
        What is learned from.
    """
    single = max(map(len, ngrams.spelled)) == 1
    found, apart, after, lengths = set(), {}, {}, set()
    for sequences in groups:
        channels = max((len(own.modifiers) for own in sequences if own.modifiers is not None), default=0)
        kinds = ([-1] if ngrams.capital else []) + list(range(channels)) if single else []
        text = _spell(replace(ngrams, marks=tuple(kinds)), sequences)
        lengths |= set(text.lengths.tolist())
        for kind in kinds:
            begins = np.flatnonzero(text.marks[kind])
            found |= {kind} if len(begins) else set()
            follows = np.diff(text.row[begins]) == 0
            apart[kind] = apart.get(kind, 0) + int((np.diff(begins)[follows] == 3).sum())
            after[kind] = after.get(kind, 0) + int(follows.sum())
    frames = tuple(sorted(kind for kind in found if 2 * apart[kind] > after[kind]))
    return replace(ngrams, marks=tuple(sorted(found)), frames=frames, length=lengths.pop() if len(lengths) == 1 else None)


def codons(ngrams: Ngrams, sequence: Encoded) -> np.ndarray:
    """List the tokens of a sequence that marks say to begin codons: int64 ``(codons,)``.

    Parameters
    ----------
    ngrams : Ngrams
        From :func:`look_at`, which finds the marks; of several kinds that begin codons, the first counts.
    sequence : Encoded
        The sequence.
    """
    if not ngrams.frames:
        return np.zeros(0, np.int64)
    return np.flatnonzero(_marked(ngrams.frames[0], ngrams, [sequence], np.asarray(sequence.input_ids)))


def groups(sequences: Sequence[Encoded], rows: np.ndarray | None = None) -> Iterator[list[Encoded]]:
    """Go through sequences, as many at a time as are counted together.

    Parameters
    ----------
    sequences : sequence of Encoded
        In memory, or on disk.
    rows : numpy.ndarray, optional
        Which of them ``(rows,)``; None: all.

    Yields
    ------
    list of Encoded
        Some of them, in order.
    """
    held, size = [], 0
    for row in range(len(sequences)) if rows is None else rows.tolist():
        held.append(sequences[row])
        size += len(held[-1].input_ids)
        if size >= BLOCK or len(held) >= ROWS:
            yield held
            held, size = [], 0
    if held:
        yield held
