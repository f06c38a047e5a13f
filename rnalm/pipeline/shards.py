"""Into how many shards to divide scores, from what is known before anything has run."""

import math
from pathlib import Path

from rnalm.config import ARCHITECTURES, Interpret, Source, Variants
from rnalm.errors import RnalmError
from rnalm.sequences.bed import read_bed
from rnalm.sequences.size import size

#: What a shard should take on one CPU core: minutes hide the seconds in which a job starts, and are soon made up after a crash.
SECONDS = 900

#: A pass forward and back takes as long as so many forward.
BACK = 3

#: No experiment is divided more finely.
MOST = 512

#: Nucleotides of a transcript, where it is not known.
TRANSCRIPT = 3000


def count(
    source: Source, interpret: Interpret, mode: str, block_size: int, models: float, architecture: str, per: str = "sequence"
) -> int:
    """Choose the number of shards of a source's scores in one mode.

    A plain function of the source and the configuration, the same before and after a run, on any machine. Which rows stand in
    which shard, :func:`rnalm.scoring.shard.shard_rows` decides when it knows their lengths.

    Parameters
    ----------
    source : Source
        What is scored.
    interpret : Interpret
        The ``interpret`` section.
    mode : {'remove', 'mask', 'replace', 'mutate', 'integrated_gradients'}
        One of its modes.
    block_size : int
        Tokens of a sequence, at most.
    models : float
        How many models score a sequence, on average.
    architecture : str
        Of the models.
    per : {'sequence', 'token'}
        What has a prediction that is explained.
    """
    if interpret.shards != "auto":
        return interpret.shards
    try:
        return _count(source, interpret, mode, block_size, models, architecture, per)
    except RnalmError:  # the job that reads the file says what is wrong with it
        return 1


def _count(source: Source, interpret: Interpret, mode: str, block_size: int, models: float, architecture: str, per: str) -> int:
    """Choose the number of shards by the sizes of what is read, where it can be."""
    sequences, length = size(source)
    sequences = min(sequences, interpret.sample_size or math.inf)
    length = min(length, block_size)
    if mode == "integrated_gradients":
        each = BACK * interpret.steps * seconds(length, local=False)
    else:
        local = architecture in ARCHITECTURES and ARCHITECTURES[architecture].local == per
        each = perturbations(interpret, mode, sequences, length) * seconds(length, local and interpret.scorer != "naive")
    return max(1, min(MOST, round(sequences), math.ceil(sequences * each * models / SECONDS)))


def count_variants(options: Variants, models: int) -> int:
    """Choose the number of shards of the effects of variants, by the sizes of their files.

    Parameters
    ----------
    options : Variants
        A file of variants.
    models : int
        How many models score an allele.
    """
    if options.shards != "auto":
        return options.shards
    # Of a transcript, whose length is not known here, that of most mRNAs.
    each = 2 * models * seconds(options.length or (1 if options.transcripts is None else TRANSCRIPT), local=False)
    # A record takes some 60 bytes as text, and a third of it where it is compressed.
    sizes = [(Path(path), 20 if path.endswith((".gz", ".bgz", ".bcf", ".bz2", ".xz", ".zst")) else 60) for path in options.path]
    alleles = sum(path.stat().st_size / size for path, size in sizes if path.is_file())
    return max(1, min(MOST, math.ceil(alleles * each / SECONDS)))


def seconds(length: float, local: bool) -> float:
    """Estimate what one perturbation of a sequence of ``length`` tokens takes on one CPU core.

    By ``benchmarks/loo.py`` on two cores, for the full-size model: 20 µs, and 1.5 µs more for each thousand tokens, where only
    what changes is computed; 1 µs a token where the whole model runs.

    Parameters
    ----------
    length : float
        Tokens of the sequence.
    local : bool
        Whether only what changes is computed.
    """
    return 4e-5 + 3e-9 * length if local else 2e-6 * length


def perturbations(interpret: Interpret, mode: str, sequences: float, length: float) -> float:
    """Say how often a sequence is perturbed, on average.

    Parameters
    ----------
    interpret : Interpret
        The ``interpret`` section.
    mode : str
        One of its modes.
    sequences, length : float
        How many sequences are scored, and how long they are.

    Raises
    ------
    RnalmError
        If there is a file of regions that cannot be read.
    """
    if mode == "mutate" and interpret.regions:
        regions = [region for own in read_bed(interpret.regions).values() for region in own]
        return sum(interpret.mutate.combinations(end - start) for start, end, _ in regions) / sequences
    if mode == "mutate":
        return interpret.mutate.count(math.ceil(length))
    if mode != "replace":
        return length
    replacements = interpret.replacements.values()
    return length * (sum(map(len, replacements)) / max(1, len(replacements)) + interpret.replace_modifiers)
