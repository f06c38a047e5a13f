"""One sequence, or a file of some ─► what trained models say of them, without an experiment."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnalm.config import Encode, contract, read_source
from rnalm.errors import RnalmError
from rnalm.files import read_json
from rnalm.labels.labels import Labels, check_same
from rnalm.models import folder, registry
from rnalm.prediction import tracks
from rnalm.prediction.columns import score_columns
from rnalm.prediction.predict import Predictor
from rnalm.sequences import tis
from rnalm.sequences.read import in_case, read_written
from rnalm.sequences.records import Record
from rnalm.tokens import encode
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.rows import Summary
from rnalm.tokens.tokenize import RecordTokenizer, Tokens
from rnalm.tokens.tokenizer import load_tokenizer

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
    folders = [folder.check(model) for model in models]
    labels = [Labels.load(path / contract.LABELS) for path in folders]
    check_same(labels, folders)
    of_tokens, meaning = labels[0].per == "token", labels[0]
    tokenizer = load_tokenizer(folders[0])
    for other in folders[1:]:
        if encode.fingerprint(load_tokenizer(other)) != encode.fingerprint(tokenizer):
            raise RnalmError(f"{other}: has another tokenizer than {folders[0]}; expected models of one")
    config = read_json(folders[0] / contract.CONFIG)
    options = Encode(**{key: config[key] for key in Encode.model_fields if key in config})
    tokenize = RecordTokenizer(tokenizer, encode.uncut(options) if of_tokens else options)
    predictors = [
        Predictor(registry.load(path, trust=trust), batch_tokens, own) for path, own in zip(folders, labels, strict=True)
    ]
    names = tracks.columns(meaning) if of_tokens else score_columns(meaning)
    yield ["id", *(["position", "token"] if of_tokens else []), *names]
    for record in _records(what):
        record = in_case(record, config.get("case") or "keep")
        tokens = tokenize(record)
        _tell(record, tokens, tokenize.unknown)
        one = Encoded(0, record.id, tokens.input_ids, None, None, 1.0, tokens.offsets, tokens.reverse_ids)
        outputs = [own.to_scores(predict([one])[0]) for predict, own in zip(predictors, labels, strict=True)]
        scores = np.mean(outputs, axis=0)[..., -len(names) :]
        if not of_tokens:
            yield [record.id, *map("{:.7g}".format, scores)]
            continue
        for position, (token, values) in enumerate(zip(record.sequence, scores, strict=True)):
            yield [record.id, str(position), token, *map("{:.7g}".format, values)]


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
