"""Whether an interpretation fits the data; told before training rather than after it."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from rnalm.config import Interpret
from rnalm.config.results import Mutate, Sites
from rnalm.errors import RnalmError, nearest
from rnalm.labels.labels import Labels
from rnalm.prediction.positions import site_class
from rnalm.scoring.alphabet import alphabet, check_joint
from rnalm.sequences.strands import is_nucleic
from rnalm.tokens import dataset, encode
from rnalm.tokens.tokenizer import all_special_ids, is_atomic, letters_for_tokens, load_tokenizer, plain_tokens, token_names

log = logging.getLogger(__name__)

#: The setting by which both strands are scored, as messages name it.
AVERAGE = "encode.reverse_complement: average"


def check_files(
    interpret: Interpret,
    sites: Sites | None,
    encoded: str | Path,
    tokenizer: str | Path,
    labels: Sequence[str | Path] = (),
    own: dict[str, Any] | None = None,
) -> None:
    """Check the ``interpret`` section against files of an experiment.

    Parameters
    ----------
    interpret : Interpret
        The section.
    sites : Sites or None
        What a site is, where tokens have labels.
    encoded : path
        The encoded source.
    tokenizer : path
        The tokenizer.
    labels : sequence of path
        ``labels.json`` of given models; empty where models are still to be trained.
    own : dict, optional
        The ``model`` section of a network of a user's own that is to be trained.

    Raises
    ------
    RnalmError
        As :func:`check`.
    """
    stored = encode.metadata(encoded)
    if labels:
        meaning = Labels.load(labels[0])
    else:
        known = sorted(dataset.labels(encoded).drop_null().unique().to_pylist()) if stored["task"] == "classification" else []
        meaning = Labels(stored["task"], classes=tuple(stored.get("classes", known)), per=stored["per"])
    if meaning.per == "token":
        explained_site(interpret.explain, interpret.explain_at, meaning, sites)
        where, longest = interpret.explain_at, stored["longest"]
        beyond = [position for position in where if position >= longest] if isinstance(where, list) else []
        if beyond:
            shown = f"interpret.explain_at: no sequence of {encoded} has the position {beyond[0]}"
            more = f" (and {len(beyond) - 1} more)" if len(beyond) > 1 else ""
            log.warning("%s%s; the longest has %d tokens", shown, more, longest)
    if own and "loo" in interpret.method and "remove" in interpret.modes:
        check_shorter(own, meaning, load_tokenizer(tokenizer), stored["longest"] - 1)
    both_strands = stored["reverse_complement"] == "average"
    check(interpret, both_strands, stored["modifier_channels"], load_tokenizer(tokenizer), meaning.classes, meaning.per)


def check(
    interpret: Interpret,
    both_strands: bool,
    modifiers: int,
    tokenizer: Tokenizer,
    classes: Sequence[str],
    per: str = "sequence",
) -> None:
    """Check the ``interpret`` section against vocabulary and classes.

    Parameters
    ----------
    interpret : Interpret
        The section.
    both_strands : bool
        Whether scores are the mean over both strands.
    modifiers : int
        How many a token has.
    tokenizer : tokenizers.Tokenizer
        The vocabulary.
    classes : sequence of str
        Names of the classes, or of several targets; empty for one number.
    per : {'sequence', 'token'}
        What has a prediction.

    Raises
    ------
    RnalmError
        If a token, letter or class is unknown, there are no modifiers to replace, or the tokens of both strands are not each
        other's complements; or as :func:`check_mutation`.
    """
    bases = interpret.level == "base" and not is_atomic(tokenizer)
    if both_strands and "loo" in interpret.method and not bases:
        check_strands("interpret.level: token", "level: base", tokenizer)
    if both_strands and "integrated_gradients" in interpret.method:
        check_strands("interpret.method: integrated_gradients", "method: loo and level: base", tokenizer)
    if "loo" in interpret.method and "replace" in interpret.modes:
        if not (interpret.replacements or modifiers):
            raise RnalmError("interpret.replace_modifiers: tokens have no modifiers (source.modifier_sep); set replacements")
        (replacement_letters if bases else replacement_ids)(interpret.replacements, tokenizer, both_strands)
    if "mutate" in interpret.scored:
        check_mutation(interpret.mutate, interpret.level, per, both_strands, tokenizer)
        if per == "token" and interpret.formats:
            problem = "is for predictions of whole sequences, and each token has one here"
            raise RnalmError(f"interpret.formats: {interpret.formats[0]} {problem}")
    for name in named_classes(interpret.explain):
        class_index(name, classes)


def check_mutation(options: Mutate, level: str, per: str, both_strands: bool, tokenizer: Tokenizer) -> None:
    """Check what mode ``mutate`` exchanges.

    Parameters
    ----------
    options : Mutate
        Which letters, where, and how many at a time.
    level : {'token', 'base'}
        What is exchanged.
    per : {'sequence', 'token'}
        What has a prediction.
    both_strands : bool
        Whether scores are the mean over both strands.
    tokenizer : tokenizers.Tokenizer
        The vocabulary.

    Raises
    ------
    RnalmError
        If letters are unknown or cannot be told (see :func:`rnalm.scoring.alphabet.alphabet`), or predictions of tokens are to
        be explained by several positions at a time, or around the middle of a sequence, which may be none of a window.
    """
    alphabet(options.letters, tokenizer, level, both_strands)
    if options.bases > 1:
        check_joint(plain_tokens(tokenizer))
    if per == "token" and options.bases > 1:
        problem = f"{options.bases} positions at a time change, and each token has a prediction"
        raise RnalmError(f"interpret.mutate.bases: {problem}; expected 1")
    if per == "token" and isinstance(options.start, str):
        raise RnalmError(
            f"interpret.mutate.start: {options.start!r} is for predictions of whole sequences; expected a position"
        )


def check_shorter(own: dict[str, Any], meaning: Labels, tokenizer: Tokenizer, length: int) -> None:
    """Refuse to remove tokens where a network of a user's own takes one length only.

    Parameters
    ----------
    own : dict
        The ``model`` section.
    meaning : Labels
        What its outputs will mean.
    tokenizer : tokenizers.Tokenizer
        The vocabulary.
    length : int
        Tokens of the longest sequence, but one.

    Raises
    ------
    RnalmError
        If the network does not take them.
    """
    # Not by the registry: this check need not run again where one of our own architectures changes.
    from rnalm.models import probe
    from rnalm.models.own import create

    options = {key: value for key, value in own.items() if key != "name"}
    special, entries = all_special_ids(tokenizer), {"task": meaning.task, "tokens": token_names(tokenizer)}
    model: Any = create(options, tokenizer.get_vocab_size(), 0, meaning.n_outputs, special, **entries)
    try:
        probe.check(model, [length] if length else [])
    except RnalmError as error:
        raise RnalmError(f"interpret.modes: remove makes sequences shorter, but {error}; expected mask or replace") from None


def check_strands(setting: str, instead: str, tokenizer: Tokenizer) -> None:
    """Refuse to score tokens on both strands where they are longer than a letter: no token of one stands for one of the other.

    Parameters
    ----------
    setting, instead : str
        What of the configuration asks for it, and what could be asked for.
    tokenizer : tokenizers.Tokenizer
        The tokens that are to be scored.

    Raises
    ------
    RnalmError
        If tokens are longer than a letter.
    """
    if not is_atomic(tokenizer):
        raise RnalmError(
            f"{setting} cannot be scored on both strands with tokens longer than a letter ({AVERAGE}); set {instead}"
        )


def replacement_ids(
    replacements: Mapping[str, Sequence[str]], tokenizer: Tokenizer, both_strands: bool = False
) -> dict[int, list[int]]:
    """Turn the tokens of a mapping of replacements into ids.

    Parameters
    ----------
    replacements : mapping
        Each token, and those that take its place.
    tokenizer : tokenizers.Tokenizer
        The vocabulary.
    both_strands : bool
        Whether both strands are scored, so that each token needs a complement.

    Raises
    ------
    RnalmError
        If a token is not in the vocabulary, or has no complement where both strands are scored.
    """
    _check_names(replacements, set(plain_tokens(tokenizer)), "token", both_strands)
    index = tokenizer.get_vocab()
    return {index[token]: [index[other] for other in others] for token, others in replacements.items()}


def replacement_letters(
    replacements: Mapping[str, Sequence[str]], tokenizer: Tokenizer, both_strands: bool = False
) -> dict[str, list[str]]:
    """Spell a mapping of replacements with one letter each.

    Parameters
    ----------
    replacements : mapping
        Each letter, and those that take its place; tokens that a letter stands for may be named as they are.
    tokenizer : tokenizers.Tokenizer
        The vocabulary, whose tokens consist of letters.
    both_strands : bool
        Whether both strands are scored, so that each letter needs a complement.

    Raises
    ------
    RnalmError
        If a letter is in no token, or has no complement where both strands are scored.
    """
    known = {letter for token in plain_tokens(tokenizer) for letter in token}
    spelled = {name: letter for name, letter in letters_for_tokens(tokenizer).items() if letter in known}
    _check_names(replacements, known | set(spelled), "letter", both_strands)
    return {spelled.get(name, name): [spelled.get(o, o) for o in others] for name, others in replacements.items()}


def _check_names(replacements: Mapping[str, Sequence[str]], known: Iterable[str], kind: str, both_strands: bool) -> None:
    for name in (name for token, others in replacements.items() for name in (token, *others)):
        if name not in known:
            hint = nearest(name, sorted(known), limit=30)
            raise RnalmError(f"interpret.replacements: {kind} {name!r} is not in the vocabulary; {hint}")
        if both_strands and not is_nucleic(name):
            raise RnalmError(f"interpret.replacements: {name!r} is no nucleotide code, and has no complement ({AVERAGE})")


def named_classes(explain: str | Sequence[str] | None) -> list[str]:
    """List the classes that are explained by their names.

    Parameters
    ----------
    explain : str, sequence of str or None
        ``predicted`` or ``all``, which name none, the name of a class, or names of several; None: that of sites, or predicted.
    """
    if explain in (None, "predicted", "all"):
        return []
    return [explain] if isinstance(explain, str) else list(explain)


def class_index(explain: str, classes: Sequence[str]) -> int:
    """Give the number of the output of a class.

    Parameters
    ----------
    explain : str
        Name of the class.
    classes : sequence of str
        Names of all classes, in the order of the outputs.

    Raises
    ------
    RnalmError
        If there is none of this name.

    Examples
    --------
    >>> class_index("late", ["early", "late"])
    1
    """
    if explain not in classes:
        known = nearest(explain, [*classes, "predicted", "all"])
        raise RnalmError(f"interpret.explain: no class or target {explain!r}; {known}")
    return list(classes).index(explain)


def explained_site(
    explain: str | Sequence[str] | None, where: str | Sequence[int], labels: Labels, options: Sites | None
) -> str | None:
    """Name the class of sites whose positions are explained, and which is explained where nothing else is asked for.

    It is that which is listed, the second of two, or the only one; where neither tells, the class that is explained.

    Parameters
    ----------
    explain : str, sequence of str or None
        As for :func:`named_classes`; None: that of sites.
    where : str or sequence of int
        ``sites``, ``labels``, ``all``, or positions.
    labels : Labels
        What the outputs mean.
    options : Sites or None
        Which sites are listed.

    Returns
    -------
    str or None
        None for regression, and where the class does not matter.

    Raises
    ------
    RnalmError
        If there is no such class, or none is named though there are several.
    """
    if labels.task == "regression":
        return None
    if len(labels.measured) == 1 or (options and options.of):
        return site_class(labels, options)
    if len(named := named_classes(explain)) == 1:
        return labels.classes[class_index(named[0], labels.classes)]
    which = f"which of the classes {', '.join(labels.classes)} are sites?"
    if explain is None:
        raise RnalmError(f"interpret.explain is missing: {which} Or set predict.sites.of")
    if where in ("sites", "labels"):
        raise RnalmError(f"interpret.explain_at: {which} Set predict.sites.of")
    return None
