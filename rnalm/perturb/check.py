"""Whether an interpretation fits the data; told before training rather than after it."""

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer

from rnalm.errors import RnalmError, nearest
from rnalm.tokenizers import tokens


def check(
    modes: Sequence[str],
    replacements: Mapping[str, Sequence[str]],
    explain: str,
    tokenizer: Tokenizer,
    classes: Sequence[str],
) -> None:
    """Check the ``interpret`` section against vocabulary and classes.

    Raises
    ------
    RnalmError
        If a token or class is unknown.
    """
    if "replace" in modes:
        replacement_ids(replacements, tokenizer)
    if explain not in ("predicted", "all"):
        class_index(explain, classes)


def replacement_ids(replacements: Mapping[str, Sequence[str]], tokenizer: Tokenizer) -> dict[int, list[int]]:
    """Turn the tokens of a mapping of replacements into ids.

    Raises
    ------
    RnalmError
        If a token is not in the vocabulary.
    """
    known = tokens(tokenizer)
    for name in (name for token, others in replacements.items() for name in (token, *others)):
        if name not in known:
            hint = nearest(name, sorted(known), limit=30)
            raise RnalmError(f"interpret.replacements: token {name!r} is not in the vocabulary; {hint}")
    index = tokenizer.get_vocab()
    return {index[token]: [index[other] for other in others] for token, others in replacements.items()}


def class_index(explain: str, classes: Sequence[str]) -> int:
    """Find the output of a class.

    Raises
    ------
    RnalmError
        If there is no such class.
    """
    if explain not in classes:
        raise RnalmError(f"interpret.explain: no class {explain!r}; {nearest(explain, [*classes, 'predicted', 'all'])}")
    return list(classes).index(explain)
