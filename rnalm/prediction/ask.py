"""One sequence, or a file of some ─► what trained models say of them, without an experiment."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rnalm.config import read_source
from rnalm.errors import RnalmError
from rnalm.prediction import tracks
from rnalm.prediction.columns import score_columns
from rnalm.prediction.panel import Panel
from rnalm.sequences import tis
from rnalm.sequences.read import read_written
from rnalm.sequences.records import Record
from rnalm.tokens.fill import tell
from rnalm.tokens.rows import Summary
from rnalm.tokens.tokenize import Tokens

log = logging.getLogger(__name__)

#: Names of files of ragged arrays.
ARRAYS = (".npy", ".npy.gz")


def ask(models: Sequence[str | Path], what: str, batch_tokens: int = 2**18, trust: bool = False) -> Iterator[list[str]]:
    """Predict a sequence or those of a file, by the mean over models.

    Parameters
    ----------
    models : sequence of path
        Model folders.
    what : str
        The letters of a sequence, or a file: FASTA, or ``.npy`` as TIS Transformer has it; either may be compressed.
    batch_tokens : int
        Tokens in one forward pass, at most.
    trust : bool
        Whether to run code of a user's own, if the models hold some.

    Yields
    ------
    list of str
        The names of columns, then rows: ``id`` and the predictions for a sequence; or, where tokens have outputs, ``id``,
        ``position`` (0-based), ``token``, and the predictions for it.

    Raises
    ------
    RnalmError
        If there is no such file, it cannot be read, the models know nothing of it, or do not predict the same thing of the same
        tokens.
    """
    panel = Panel(models, batch_tokens, trust=trust, filling=True)
    of_tokens, meaning = panel.meaning.per == "token", panel.meaning
    names = tracks.columns(meaning) if of_tokens else score_columns(meaning)
    yield ["id", *(["position", "token"] if of_tokens else []), *names]
    asked = 0
    for written in _records(what):
        asked += 1
        record, tokens, one = panel.encode(written)
        _tell(record, tokens, panel.tokenize.unknown)
        scores = panel.read([own[0] for own in panel.outputs([one])])[..., -len(names) :]
        if not of_tokens:
            yield [record.id, *map("{:.7g}".format, scores)]
            continue
        for position, (token, values) in enumerate(zip(record.sequence, scores, strict=True)):
            yield [record.id, str(position), token, *map("{:.7g}".format, values)]
    short = max(panel.predictors, key=lambda predictor: predictor.filled)
    tell(what[:60], short.filled, asked, short.length)


def _tell(record: Record, tokens: Tokens, unknown: int) -> None:
    """Say what of a sequence the models do not see: tokens that they do not know, and what is beyond their block size."""
    summary = Summary()
    summary.add(record, tokens, unknown)
    if summary.unknown == summary.tokens:
        raise RnalmError(f"{record.place}: the models know none of the tokens of {record.id!r}")
    if summary.unknown:
        named = ", ".join(f"{token[:20]!r} ({count})" for token, count in summary.unknown_tokens.most_common(5))
        log.warning("%s: %d of %d tokens are not known to the models: %s", record.id, summary.unknown, summary.tokens, named)
    if summary.truncated:
        log.warning("%s: cut to the block size, %d of %d tokens", record.id, summary.tokens, tokens.total)


def _is_file(what: str) -> bool:
    """Say whether a text names a file; letters of a transcript are longer than a name can be, which is an error to some."""
    try:
        return Path(what).is_file()
    except OSError:
        return False


def _records(what: str) -> Iterator[Record]:
    """Read what is asked about."""
    if not _is_file(what):
        if not what.isalpha():
            raise RnalmError(f"{what[:60]}: no such file, and no letters of a sequence; expected one of them")
        yield Record("the command line", "sequence", what, None, None, None, None, None)
    elif what.endswith(ARRAYS):
        for number, one in enumerate(tis.read_arrays(what), start=1):
            yield Record(f"{what}, row {number}", one.id, one.sequence, None, None, None, None, None)
    else:
        for record in read_written(read_source({"path": [what]})):
            yield replace(record, label=None)
