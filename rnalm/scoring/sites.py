"""What of a sequence has scores."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from rnalm.tokens.dataset import Encoded

#: Stands between what is of several sites at once.
JOINT = ";"


@dataclass(frozen=True, slots=True)
class Sites:
    """What of a sequence its scores are of, one each.

    Attributes
    ----------
    token : pyarrow.Array
        The token or letter there ``(sites,)``.
    replacement : pyarrow.Array or None
        What comes in its place, for ``replace`` and ``mutate`` ``(sites,)``.
    position : numpy.ndarray
        Half-open positions in the whole sequence; of several at once, from the first to the last ``(sites, 2)``.
    places : pyarrow.Array or None
        Where several at once begin, as in ``3;7``, as tokens and replacements are ``(sites,)``.
    """

    token: pa.Array
    replacement: pa.Array | None
    position: np.ndarray
    places: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.position)

    def together(self, chosen: np.ndarray) -> "Sites":
        """Take several sites as one, again and again.

        Parameters
        ----------
        chosen : numpy.ndarray
            Numbers of those that are one, from left to right, int64 ``(sites, each)``.
        """
        columns = [pa.array(numbers) for numbers in chosen.T]
        position = np.stack([self.position[chosen[:, 0], 0], self.position[chosen[:, -1], 1]], axis=1)
        begins = pa.array(self.position[:, 0]).cast(pa.string())
        token, replacement, places = (
            None if values is None else pc.call_function("binary_join_element_wise", [*map(values.take, columns), JOINT])
            for values in (self.token, self.replacement, begins)
        )
        return Sites(token, replacement, position, places if len(columns) > 1 else None)


def extent(sequence: Encoded) -> tuple[int, int]:
    """Say where what is kept of a sequence begins in the whole of it, and where it ends.

    Parameters
    ----------
    sequence : Encoded
        The sequence, with its letters where these have sites.
    """
    own = sequence.offsets
    first = 0 if own is None or not len(own) else int(own[0, 0])
    return first, first + len(sequence.input_ids if sequence.sequence is None else sequence.sequence)


def token_sites(sequence: Encoded, names: pa.Array) -> Sites:
    """Give every token of a sequence as a site.

    Parameters
    ----------
    sequence : Encoded
        The sequence.
    names : pyarrow.Array
        Tokens by id, from :func:`token_names`.
    """
    own = np.arange(len(sequence.input_ids))[:, None] + [0, 1] if sequence.offsets is None else sequence.offsets
    return Sites(names.take(pa.array(sequence.input_ids)), None, own)


def token_names(tokenizer: Tokenizer) -> pa.Array:
    """List the tokens of a vocabulary by id.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        The vocabulary.
    """
    return pa.array([tokenizer.id_to_token(index) for index in range(tokenizer.get_vocab_size())], pa.string())
