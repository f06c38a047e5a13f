"""What of a sequence has scores."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from rnalm.tokens.dataset import Encoded


@dataclass(frozen=True, slots=True)
class Sites:
    """What of a sequence its scores are of, one each.

    Attributes
    ----------
    token : pyarrow.Array
        The token or letter there ``(sites,)``.
    replacement : pyarrow.Array or None
        What comes in its place, for ``replace`` ``(sites,)``.
    position : numpy.ndarray
        Half-open positions in the whole sequence ``(sites, 2)``.
    """

    token: pa.Array
    replacement: pa.Array | None
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.position)


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
