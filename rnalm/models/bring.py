"""A network of a user's own and its weights ─► a model folder, without any training."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer as Vocabulary

from rnalm.config import Encode, OwnModel, Tokenizer, contract
from rnalm.labels.labels import Labels
from rnalm.models import probe, registry
from rnalm.models.framed import save_tokenizer
from rnalm.models.local import Flattened
from rnalm.models.own import OwnNetwork
from rnalm.tokens.learn import of_letters
from rnalm.tokens.tokenizer import all_special_ids, token_names

log = logging.getLogger(__name__)

#: The letters of a genome.
LETTERS = ("A", "C", "G", "T", "N")


def look(section: OwnModel, task: str, outputs: int, lengths: Iterable[int], vocabulary: Vocabulary | None = None) -> None:
    """Make a network of a user's own as a training would, and try it on letters. Its code is run.

    Parameters
    ----------
    section : OwnModel
        The code, what it is made with, and its weights.
    task : {'regression', 'classification', 'multilabel'}
        What it is to learn.
    outputs : int
        How many numbers, or classes, it is to give.
    lengths : iterable of int
        Letters of sequences, those of which it is to take.
    vocabulary : tokenizers.Tokenizer, optional
        The tokens that a training would have; None: they are not known, and those of a genome stand for them.

    Raises
    ------
    RnalmError
        If the code cannot be run, weights do not fit, or the network does not take such sequences, or gives something else.
    """
    tokenizer = vocabulary or of_letters(LETTERS, Tokenizer())
    entries = {"task": task, "tokens": token_names(tokenizer)}
    sizes = (tokenizer.get_vocab_size(), 0, outputs, all_special_ids(tokenizer))
    model = registry.create(section.model_dump(), *sizes, **entries)
    assert isinstance(model, OwnNetwork)
    if vocabulary or model.config.input == "one_hot":  # nothing is known of ids before there are tokens
        probe.check(model, lengths)


def bring(section: OwnModel, classes: Sequence[str], output: str | Path, length: int | None = None) -> None:
    """Write the folder of a network that takes one-hot letters and was trained elsewhere. Its code is run.

    Parameters
    ----------
    section : OwnModel
        The code, what it is made with, and its weights.
    classes : sequence of str
        What its outputs are called; none: it gives one number.
    output : path
        The folder.
    length : int, optional
        Letters of a sequence, on which the network is tried; None: those that it takes if its parts tell it, else it is not
        tried, with a warning. A network that takes one length remembers it (:func:`rnalm.models.probe.settle`).

    Raises
    ------
    RnalmError
        If the code cannot be run, weights do not fit, or the network does not take such sequences.
    """
    tokenizer, output = of_letters(LETTERS, Tokenizer()), Path(output)
    labels = Labels("multilabel", classes=tuple(classes)) if classes else Labels("regression")
    named = {"id2label": dict(enumerate(classes)), "label2id": {name: k for k, name in enumerate(classes)}} if classes else {}
    read = Encode().model_dump() | {"case": "upper", "use_cache": False}
    entries = {"task": labels.task, "tokens": token_names(tokenizer), **named, **read}
    sizes = (tokenizer.get_vocab_size(), 0, labels.n_outputs, all_special_ids(tokenizer))
    model = registry.create(section.model_dump(), *sizes, **entries)
    assert isinstance(model, OwnNetwork)
    told = length if length is not None else _told_by(model)
    if told is None:
        log.warning("%s: not tried, as it is not known which lengths it takes; name one (--length)", section.path)
    else:
        probe.check(model, [told])
        if length is None and probe.takes(model, told + 1):
            hint = "others are refused unless the length is named with which it was trained (--length)"
            log.warning("%s: takes sequences of %d letters, and of a few more; %s", section.path, told, hint)
        else:
            probe.settle(model, told)
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    save_tokenizer(model.config, tokenizer, output)
    labels.save(output / contract.LABELS)


def _told_by(model: OwnNetwork) -> int | None:
    """Give the length that the parts of a network tell: the only one that it takes, or the least of few."""
    local = model.local() if hasattr(model, "local") else None
    return local.minimum_length if local and isinstance(local.readout, Flattened) else None
