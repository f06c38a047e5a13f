"""Into how many shards to divide leave-one-out scores, from what is known before anything has run."""

import math
from itertools import islice
from pathlib import Path

from rnalm import sources
from rnalm.config import Interpret, Source
from rnalm.errors import RnalmError
from rnalm.files import open_text

#: Architectures that are scored incrementally.
LOCAL = {"saluki"}

#: What a shard should take on one CPU core: minutes hide the seconds in which a job starts, and are soon made up after a crash.
SECONDS = 900

#: No experiment is divided more finely.
MOST = 512

#: How much of a source is looked at.
RECORDS, CHARACTERS = 64, 2**20


def count(source: Source, interpret: Interpret, mode: str, block_size: int, models: float, architecture: str) -> int:
    """Choose the number of shards of a source's scores in one mode.

    A plain function of the source and the configuration, the same before and after a run, on any machine.

    Parameters
    ----------
    source : Source
    interpret : Interpret
    mode : {'remove', 'mask', 'replace'}
    block_size : int
        Tokens of a sequence, at most.
    models : float
        How many models score a sequence, on average.
    architecture : str
        Of the models.
    """
    if interpret.shards != "auto":
        return interpret.shards
    try:
        sequences, length = size(source)
    except RnalmError:  # the job that reads the file says what is wrong with it
        return 1
    sequences = min(sequences, interpret.sample_size or math.inf)
    length = min(length, block_size)
    scored = sequences * length * edits(interpret, mode) * models
    local = architecture in LOCAL and interpret.scorer != "naive"
    return max(1, min(MOST, round(sequences), math.ceil(scored * seconds(length, local) / SECONDS)))


def seconds(length: float, local: bool) -> float:
    """Estimate what one perturbation of a sequence of ``length`` tokens takes on one CPU core.

    By ``benchmarks/loo.py`` on two cores, for the full-size model: 20 µs, and 1.5 µs more for each thousand tokens, where only
    what changes is computed; 1 µs a token where the whole model runs.
    """
    return 4e-5 + 3e-9 * length if local else 2e-6 * length


def edits(interpret: Interpret, mode: str) -> float:
    """Say how often a token is perturbed, on average over those that are."""
    if mode != "replace":
        return 1
    replacements = interpret.replacements.values()
    return sum(map(len, replacements)) / max(1, len(replacements)) + interpret.replace_modifiers


def size(source: Source) -> tuple[float, float]:
    """Estimate the number of sequences in a source, and their mean length in tokens, from its beginning and its size.

    Raises
    ------
    RnalmError
        If the beginning cannot be read.
    """
    lengths = [len(record.sequence) for record in islice(sources.read(source), RECORDS)]
    with open_text(source.path) as file:
        beginning = file.read(CHARACTERS)
    lines = max(1, beginning.count("\n"))
    # A beginning that is the whole is counted, a longer file estimated; its size in bytes is about that in characters.
    whole = len(beginning) if len(beginning) < CHARACTERS else max(unpacked(Path(source.path)), CHARACTERS)
    sequences = whole * lines / len(beginning) - source.header
    return max(1.0, sequences), sum(lengths) / len(lengths)


def unpacked(path: Path) -> int:
    """Say how large a file is, or was before it was compressed: gzip notes that at its end.

    The note has 32 bits, and is of the last block alone where there are several: a text is at least three times its compressed
    size.
    """
    packed = path.stat().st_size
    if path.suffix != ".gz":
        return packed
    with path.open("rb") as file:
        file.seek(-4, 2)
        noted = int.from_bytes(file.read(4), "little")
    return max(noted, 3 * packed)
