"""Sequences in a table, and tokenizers that are learned from them."""

from collections.abc import Callable
from itertools import count

import pytest
from tokenizers import Tokenizer

from rnalm import config
from rnalm.config import Table
from rnalm.tokens import learn


def table(sequences: tuple[str, ...]) -> str:
    return "id\tsequence\n" + "".join(f"s{number}\t{sequence}\n" for number, sequence in enumerate(sequences))


@pytest.fixture
def write_rows(write_source) -> Callable[..., Table]:
    """Write a table of sequences that are called s0, s1 and so on."""
    return lambda *sequences, **settings: write_source(table(sequences), **settings)


@pytest.fixture(scope="session")
def learned(tmp_path_factory) -> Callable[..., Tokenizer]:
    """Learn a tokenizer from sequences, as its section of the configuration says."""
    folder, numbers = tmp_path_factory.mktemp("vocabularies"), count()

    def learn_from(*sequences: str, token_sep: str | None = None, modifier_sep: str | None = None, seed: int = 1, **options):
        path = folder / f"{next(numbers)}.tsv"
        path.write_text(table(sequences), encoding="utf-8")
        source = Table(path=str(path), token_sep=token_sep, modifier_sep=modifier_sep, columns={"id": 1, "sequence": 2})
        return learn.learn(source, config.Tokenizer(**options), seed)

    return learn_from


@pytest.fixture(scope="session")
def acgt(learned) -> Tokenizer:
    """One token a character; ids in the order of the letters, from 7."""
    return learned("aaaacccggt")
