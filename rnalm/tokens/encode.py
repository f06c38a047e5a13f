"""Records ─► encoded Parquet, in a stream."""

import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

import rnalm
from rnalm.config import Case, Encode, Labels, Source
from rnalm.errors import RnalmError, nearest
from rnalm.files import read_json, replacing
from rnalm.sequences import read
from rnalm.tokens.rows import Summary, make_rows
from rnalm.tokens.tokenize import RecordTokenizer
from rnalm.tokens.tokenizer import plain_tokens

log = logging.getLogger(__name__)

#: A row group holds about this many tokens, or rows: what a reader must hold in memory at once.
GROUP_TOKENS = 2**20
GROUP_ROWS = 2**14

#: Key of our entry in the metadata of an encoded file.
METADATA = b"rnalm"


def encode(
    source: Source,
    tokenizer: Tokenizer,
    output: str | Path,
    options: Encode | None = None,
    task: str = "regression",
    labels: Labels | None = None,
    require_labels: bool = False,
    case: str | None = None,
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
    task : {'regression', 'classification', 'multilabel'}
        Numbers are stored as such, or a list of them where there are several targets, classes by name, and for multilabel 1 or
        0 for each class.
    labels : Labels, optional
        What has a label, and what quality labels weigh; None: the defaults. Where tokens have labels no sequence is cut: models
        read it in windows of the block size.
    require_labels : bool
        Whether every row must have a label; those that have none are refused or left out, as the source says.
    case : {'upper', 'keep'}, optional
        How to read a source that says nothing of it: as a model was trained; None: as is usual for its kind.

    Returns
    -------
    Summary
        What was found; the most frequent unknown tokens are logged, too.

    Raises
    ------
    RnalmError
        If the source cannot be read, a label is missing or no number, those of tokens do not fit them, a weight is neither a
        number nor a quality label, an id occurs twice, none of the tokens is in the vocabulary, or the center token is not; it
        names the file and, where there is one, the line.

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
    options, labels = options or Encode(), labels or Labels()
    asked, source = source, source.like(case or source.usual_case)  # pyright: ignore[reportArgumentType]
    positions = labels.per == "token"
    tokenize = RecordTokenizer(tokenizer, uncut(options) if positions else options)
    if positions and not tokenize.atomic:
        raise RnalmError("labels.per: token: a token must be a position, but those of the tokenizer can be of several letters")
    classes = [] if task == "classification" else read.classes(source) or labels.classes or []
    if task == "regression" and len(classes) == 1:
        classes = []  # one number is a number, also in a list
    schema = _schema(source, tokenize, task, positions, classes)
    summary = Summary()
    rows = make_rows(source, tokenize, task, labels, require_labels, summary)
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
        _check_known(source, tokenizer, summary)
        entries = _metadata(tokenizer, options, task, summary) | {"per": labels.per, "case": _remembered(asked, summary)}
        entries |= {"classes": classes} if classes else {}
        writer.add_key_value_metadata({METADATA: json.dumps(entries)})
    _report(source, tokenizer, summary)
    if asked.case is None and case != "keep":
        _report_case(source, summary)
    return summary


def uncut(options: Encode) -> Encode:
    """Read sequences whole, as those are of which models read windows.

    Parameters
    ----------
    options : Encode
        The ``encode`` section.
    """
    return options.model_copy(update={"block_size": sys.maxsize})


def metadata(path: str | Path) -> dict:
    """Read what :func:`encode` stored about an encoded file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        Version of the library, hash of the tokenizer, task, what has a label, the ``encode`` section, the counts of
        :class:`Summary`, and the case in which other sequences have to be read to be like these.

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


def inherited_case(model_configs: Sequence[str | Path], source: Source) -> Case | None:
    """Read new sequences in the case of those that models were trained on, except where told otherwise.

    Parameters
    ----------
    model_configs : sequence of path
        ``config.json`` of each model.
    source : Source
        The new sequences.

    Raises
    ------
    RnalmError
        If the models were trained with different cases and the source names none.

    Returns
    -------
    {'upper', 'keep'} or None
        None where the models do not remember it.
    """
    cases = sorted({config["case"] for config in map(read_json, model_configs) if config.get("case")})
    if len(cases) > 1 and source.case is None:
        raise RnalmError(f"source.case: the models were trained with {' and '.join(cases)}; set it for {source.paths[0]}")
    if source.case and cases and source.case not in cases:
        log.warning("%s: read with case: %s, but the models were trained with %s", source.paths[0], source.case, cases[0])
    return cases[0] if len(cases) == 1 else None


def case_of(tokenizer: Tokenizer) -> str:
    """Tell from a vocabulary in which case the sequences were read from which it was learned.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Any tokenizer.

    Returns
    -------
    {'upper', 'keep'}
        The first where no token has lower-case letters.
    """
    return "upper" if all(token == token.upper() for token in plain_tokens(tokenizer)) else "keep"


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


def _schema(source: Source, tokenize: RecordTokenizer, task: str, positions: bool, classes: Sequence[str]) -> pa.Schema:
    """Say which columns an encoded file has: those that all have, and others where they are needed."""
    text, number = pa.string(), pa.float64()
    columns = [("id", text), ("input_ids", pa.list_(pa.int32()))]
    if not tokenize.atomic or tokenize.options.truncate != "right" or tokenize.center is not None:
        # Where tokens are longer than a position, or the 5′ end can be cut, the position of a token is not its index.
        columns.append(("offsets", pa.list_(pa.list_(pa.int32(), 2))))
    if source.modifier_sep is not None:
        columns.append(("modifiers", pa.list_(pa.list_(pa.float32()))))
    label = text if task == "classification" else pa.list_(number) if classes else number
    if task == "multilabel":
        label = pa.list_(pa.list_(pa.float32(), max(1, len(classes))) if positions else pa.float32())
    elif positions:
        label = pa.list_(pa.float32() if task == "regression" else text)
    columns += [("label", label), ("weight", number), ("group", text), ("split", text)]
    columns += [] if tokenize.atomic else [("sequence", text)]
    columns += [("reverse_ids", pa.list_(pa.int32()))] if tokenize.both_strands else []
    columns += [("description", text)] if source.described else []
    return pa.schema(columns)


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
        **{name: count for name, count in vars(summary).items() if not isinstance(count, Counter)},
    }


def _report(source: Source, tokenizer: Tokenizer, summary: Summary) -> None:
    """Log what was found."""
    log.info("%s: %d sequences, %d tokens, the longest %d", source.paths[0], summary.sequences, summary.tokens, summary.longest)
    if summary.dropped:
        found = summary.sequences + summary.dropped
        log.warning("%s: %d of %d sequences have no label and are left out", source.paths[0], summary.dropped, found)
    for name, count in summary.odd_classes.items():
        log.warning(
            "%s: %d sequences have the class %r; if it stands for no label, set %s: [%r]",
            *(source.paths[0], count, name, source.missing_key, name),
        )
    if summary.truncated:
        log.info("%d sequences were cut to the block size", summary.truncated)
    if summary.unknown:
        share = 100 * summary.unknown / summary.tokens
        frequent = ", ".join(f"{token[:20]!r} ({count})" for token, count in summary.unknown_tokens.most_common(5))
        log.warning(
            "%.2f %% of tokens are not in the vocabulary: %s; %s", share, frequent, nearest("", plain_tokens(tokenizer))
        )


def _remembered(source: Source, summary: Summary) -> str:
    """Give the case in which other sequences are like these: without lower-case letters, upper and as they stand are one."""
    return source.case or ("keep" if source.usual_case == "keep" and summary.lower else "upper")


def _report_case(source: Source, summary: Summary) -> None:
    """Tell where the case of letters is lost, or kept, though nobody has decided it."""
    if source.token_sep is None and summary.lower and (summary.upper or source.case == "upper"):
        share = 100 * summary.lower / (summary.lower + summary.upper)
        how = "as upper-case ones" if source.case == "upper" else "as other letters than upper-case ones"
        log.warning(
            "%s: %.3g %% of letters are lower-case, %.3g %% upper-case; lower-case ones are read %s; decide with source.case",
            *(source.paths[0], share, 100 - share, how),
        )


def _check_known(source: Source, tokenizer: Tokenizer, summary: Summary) -> None:
    """Refuse a source of which the tokenizer knows nothing: it is read in the wrong way, or is something else."""
    if not summary.sequences:
        hint = f"what stands for none says {source.missing_key}"
        raise RnalmError(f"{source.paths[0]}: none of its {summary.dropped} sequences has a label; {hint}")
    if summary.unknown == summary.tokens:
        [(token, _)] = summary.unknown_tokens.most_common(1)
        hint = nearest(token, sorted(plain_tokens(tokenizer)))
        message = f"none of its tokens is in the vocabulary, not even {token[:20]!r}; are token_sep and case right?"
        raise RnalmError(f"{source.paths[0]}: {message} {hint}")
