"""Records ─► encoded Parquet, in a stream."""

import array
import hashlib
import json
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

import rnalm
from rnalm.config import Encode, Fasta, Source
from rnalm.errors import RnalmError, nearest
from rnalm.files import read_json, replacing
from rnalm.sequences.read import read_records
from rnalm.sequences.records import Record
from rnalm.tokens.tokenize import RecordTokenizer, Tokens
from rnalm.tokens.tokenizer import plain_tokens

log = logging.getLogger(__name__)

#: A row group holds about this many tokens, or rows: what a reader must hold in memory at once.
GROUP_TOKENS = 2**20
GROUP_ROWS = 2**14

#: Key of our entry in the metadata of an encoded file.
METADATA = b"rnalm"


@dataclass
class Summary:
    """What encoding a source found; it is stored in the file's metadata.

    Attributes
    ----------
    sequences, tokens : int
        How many there are, of tokens those that are kept.
    longest : int
        Tokens of the longest sequence, of either strand where both are asked for.
    truncated, labelled : int
        Sequences that were cut to the block size, and sequences with a label.
    modifier_channels : int
        Modifiers of the widest token.
    unknown : int
        Tokens that are not in the vocabulary.
    unknown_tokens : collections.Counter
        How often each of them occurs, of 100 of them at most.
    """

    sequences: int = 0
    tokens: int = 0
    longest: int = 0
    truncated: int = 0
    labelled: int = 0
    modifier_channels: int = 0
    unknown: int = 0
    unknown_tokens: Counter = field(default_factory=Counter)

    def add(self, record: Record, tokens: Tokens, unknown: int) -> None:
        """Count one more sequence.

        Parameters
        ----------
        record : Record
            The sequence as it stands in the source.
        tokens : Tokens
            Its tokens.
        unknown : int
            Id of unknown tokens.
        """
        kept = len(tokens.input_ids)
        self.sequences += 1
        self.tokens += kept
        self.longest = max(self.longest, kept, 0 if tokens.reverse_ids is None else len(tokens.reverse_ids))
        self.truncated += kept < tokens.total
        self.labelled += record.label is not None
        if record.modifiers is not None:
            self.modifier_channels = max(self.modifier_channels, len(record.modifiers))
        for index in np.flatnonzero(tokens.input_ids == unknown).tolist():
            first, after = (index, index + 1) if tokens.offsets is None else tokens.offsets[index]
            token = "".join(record.sequence[first:after])
            self.unknown += 1
            # Some are enough to see what is wrong; all could be as many as there are sequences.
            if token in self.unknown_tokens or len(self.unknown_tokens) < 100:
                self.unknown_tokens[token] += 1


def encode(
    source: Source,
    tokenizer: Tokenizer,
    output: str | Path,
    options: Encode | None = None,
    task: str = "regression",
    quality: dict[str, float] | None = None,
    require_labels: bool = False,
) -> Summary:
    r"""Encode a source to Parquet, one row a sequence, in input order and bounded memory.

    Parameters
    ----------
    source : Source
        Where the sequences are.
    tokenizer : tokenizers.Tokenizer
        What makes tokens of them.
    output : path
        The Parquet file.
    options : Encode, optional
        Where sequences are cut; None: the defaults.
    task : {'regression', 'classification'}
        Regression labels are stored as numbers, classes by name.
    quality : dict, optional
        Weights of quality labels by their names, as in ``{"GOOD": 0.75}``.
    require_labels : bool
        Whether every row must have a label.

    Returns
    -------
    Summary
        What was found; the most frequent unknown tokens are logged, too.

    Raises
    ------
    RnalmError
        If the source cannot be read, a label is missing or no number, a weight is neither a number nor a quality label, an id
        occurs twice, none of the tokens is in the vocabulary, or the center token is not; it names the file and, where there is
        one, the line.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from rnalm.config import Fasta
    >>> from rnalm.tokens.learn import learn
    >>> folder = TemporaryDirectory()
    >>> _ = Path(folder.name, "genes.fa").write_text(">YAL1\nACGTN\n>YAL2\nAAACG\n")
    >>> source = Fasta(path=folder.name + "/genes.fa")
    >>> summary = encode(source, learn(source), folder.name + "/genes.parquet", Encode(block_size=4))
    >>> summary.sequences, summary.longest, summary.truncated
    (2, 4, 2)
    >>> pq.read_table(folder.name + "/genes.parquet", columns=["input_ids"])["input_ids"].to_pylist()
    [[7, 8, 9, 11], [7, 7, 7, 8]]
    """
    options = options or Encode()
    tokenize = RecordTokenizer(tokenizer, options)
    schema = _schema(source, tokenize, task)
    summary = Summary()
    rows = _rows(source, tokenize, task, quality or {}, require_labels, summary)
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
        _check_known(source, tokenizer, summary)
        writer.add_key_value_metadata({METADATA: json.dumps(_metadata(tokenizer, options, task, summary))})
    _report(source, tokenizer, summary)
    return summary


def metadata(path: str | Path) -> dict:
    """Read what :func:`encode` stored about an encoded file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        Version of the library, hash of the tokenizer, task, the ``encode`` section, and the counts of :class:`Summary`.

    Raises
    ------
    RnalmError
        If there is no such file, or it is no encoded Parquet.
    """
    try:
        return json.loads((pq.read_metadata(path).metadata or {})[METADATA])
    except (FileNotFoundError, pa.ArrowInvalid, KeyError) as error:
        raise RnalmError(f"{path}: not an encoded file ({error})") from None


def inherit(options: dict, model_configs: Sequence[str | Path]) -> Encode:
    """Cut new sequences as those that models were trained on, except where told otherwise.

    Parameters
    ----------
    options : dict
        What the user set of the ``encode`` section.
    model_configs : sequence of path
        ``config.json`` of each model.

    Raises
    ------
    RnalmError
        If the models were trained with different settings and the user did not choose.

    Returns
    -------
    Encode
        The ``encode`` section for new sequences.
    """
    trained = [{key: config[key] for key in Encode.model_fields if key in config} for config in map(read_json, model_configs)]
    for key in Encode.model_fields:
        values = {config.get(key) for config in trained}
        if len(values) > 1 and key not in options:
            shown = " and ".join(sorted(map(str, values)))
            raise RnalmError(f"encode.{key}: the models were trained with {shown}; set it, or use them in runs of their own")
    return Encode(**trained[0] | options)


def fingerprint(tokenizer: Tokenizer) -> str:
    """Hash a tokenizer, to tell whether an encoded file and a model mean the same by an id.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()


def _schema(source: Source, tokenize: RecordTokenizer, task: str) -> pa.Schema:
    """Say which columns an encoded file has: those that all have, and others where they are needed."""
    columns = [("id", pa.string()), ("input_ids", pa.list_(pa.int32()))]
    if not tokenize.atomic or tokenize.options.truncate == "left" or tokenize.center is not None:
        # Where tokens are longer than a position, or the 5′ end can be cut, the position of a token is not its index.
        columns.append(("offsets", pa.list_(pa.list_(pa.int32(), 2))))
    if source.modifier_sep is not None:
        columns.append(("modifiers", pa.list_(pa.list_(pa.float32()))))
    columns += [
        ("label", pa.float64() if task == "regression" else pa.string()),
        ("weight", pa.float64()),
        ("group", pa.string()),
        ("split", pa.string()),
    ]
    columns += [] if tokenize.atomic else [("sequence", pa.string())]
    columns += [("reverse_ids", pa.list_(pa.int32()))] if tokenize.both_strands else []
    columns += [("description", pa.string())] if isinstance(source, Fasta) else []
    return pa.schema(columns)


def _rows(
    source: Source,
    tokenize: RecordTokenizer,
    task: str,
    quality: dict[str, float],
    require_labels: bool,
    summary: Summary,
) -> Iterator[dict]:
    """Make the rows of an encoded file, and count them in `summary`."""
    for record in _unique(read_records(source), source):
        if require_labels and record.label is None:
            hint = f"; {source.attributes.path} says nothing of it" if isinstance(source, Fasta) and source.attributes else ""
            raise RnalmError(f"{record.place}: {record.id!r} has no label, but training needs one{hint}")
        tokens = tokenize(record)
        summary.add(record, tokens, tokenize.unknown)
        row = {
            "id": record.id,
            "input_ids": tokens.input_ids,
            "label": _label(record, task),
            "weight": _weight(record, quality),
            "group": record.group,
            "split": record.split,
            "sequence": tokens.sequence,
            "reverse_ids": tokens.reverse_ids,
            "description": record.description,
        }
        if tokens.offsets is not None:
            row["offsets"] = list(tokens.offsets)
        if record.modifiers is not None:
            row["modifiers"] = list(record.modifiers[:, tokens.start : tokens.start + len(tokens.input_ids)].copy())
        yield row


def _label(record: Record, task: str) -> float | str | None:
    """Read a label: a number for regression, else a name."""
    if record.label is None or task == "classification":
        return record.label
    return _number(record.label, f"{record.place}: the label of {record.id!r} is {record.label!r}, expected a number")


def _weight(record: Record, quality: dict[str, float]) -> float | None:
    """Read a weight, which is a number or named by a quality label."""
    if record.weight is None:
        return None
    if record.weight in quality:
        return quality[record.weight]
    hint = nearest(record.weight, quality)
    message = (
        f"{record.place}: the weight of {record.id!r} is {record.weight!r}, expected a number ≥ 0 or a quality label; {hint}"
    )
    weight = _number(record.weight, message)
    if weight < 0:
        raise RnalmError(message)
    return weight


def _number(text: str, message: str) -> float:
    """Read a finite number, or fail with a message."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RnalmError(message)
    return number


def _unique(records: Iterable[Record], source: Source) -> Iterator[Record]:
    """Pass records on and refuse duplicate ids at the end, keeping 8 bytes a record instead of its id."""
    seen = array.array("Q")
    for record in records:
        seen.append(_digest(record.id))
        yield record
    hashes, counts = np.unique(np.frombuffer(seen, dtype=np.uint64), return_counts=True)
    if len(hashes) == len(seen):
        return
    # Two ids may share a hash, so the file is read once more and the suspects are compared by name.
    suspects = {int(value) for value in hashes[counts > 1]}
    places: dict[str, str] = {}
    for record in read_records(source):
        if _digest(record.id) in suspects:
            if record.id in places:
                file, _, line = places[record.id].rpartition(", ")
                earlier = line if record.place.startswith(f"{file}, ") else places[record.id]
                raise RnalmError(f"{record.place}: the id {record.id!r} was already used in {earlier}; ids must be unique")
            places[record.id] = record.place


def _digest(text: str) -> int:
    """Hash an id to 64 bits."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _groups(rows: Iterable[dict]) -> Iterator[list[dict]]:
    """Gather rows into row groups of bounded size."""
    group: list[dict] = []
    held = 0
    for row in rows:
        group.append(row)
        held += len(row["input_ids"])
        if held >= GROUP_TOKENS or len(group) >= GROUP_ROWS:
            yield group
            group, held = [], 0
    if group:
        yield group


def _metadata(tokenizer: Tokenizer, options: Encode, task: str, summary: Summary) -> dict:
    """Make what :func:`metadata` reads."""
    return {
        "version": rnalm.__version__,
        "tokenizer_sha256": fingerprint(tokenizer),
        "task": task,
        **options.model_dump(),
        **{name: count for name, count in vars(summary).items() if name != "unknown_tokens"},
    }


def _report(source: Source, tokenizer: Tokenizer, summary: Summary) -> None:
    """Log what was found."""
    log.info("%s: %d sequences, %d tokens, the longest %d", source.paths[0], summary.sequences, summary.tokens, summary.longest)
    if summary.truncated:
        log.info("%d sequences were cut to the block size", summary.truncated)
    if summary.unknown:
        share = 100 * summary.unknown / summary.tokens
        frequent = ", ".join(f"{token[:20]!r} ({count})" for token, count in summary.unknown_tokens.most_common(5))
        log.warning(
            "%.2f %% of tokens are not in the vocabulary: %s; %s", share, frequent, nearest("", plain_tokens(tokenizer))
        )


def _check_known(source: Source, tokenizer: Tokenizer, summary: Summary) -> None:
    """Refuse a source of which the tokenizer knows nothing: it is read in the wrong way, or is something else."""
    if summary.unknown == summary.tokens:
        [(token, _)] = summary.unknown_tokens.most_common(1)
        hint = nearest(token, sorted(plain_tokens(tokenizer)))
        message = f"none of its tokens is in the vocabulary, not even {token[:20]!r}; are token_sep and case right?"
        raise RnalmError(f"{source.paths[0]}: {message} {hint}")
