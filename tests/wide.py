"""Linear parts with random weights, and sequences to count in: for tests."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from rnalm.models.baseline import Linear
from rnalm.tokens import ngrams
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.ngrams import Ngrams
from rnalm.tokens.tokenizer import KMERS

#: Special tokens, as those of tokenizers of ours, and tokens of one letter, in either case.
SPECIAL = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]"]
LETTERS = {"letters": ["a", "c", "g", "t"], "cases": ["a", "c", "g", "t", "A", "C", "G", "T"]}
#: Tokens of several letters, of unlike lengths, and overlapping ones.
OTHERS = {"words": ["a", "cg", "gta", "c"], "overlapping": ["aac", "aca", "cac", "caa"]}


def tokenizer(kind: str) -> Tokenizer:
    names = [*SPECIAL, *(LETTERS | OTHERS)[kind]]
    made = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
    made.add_special_tokens(SPECIAL)
    if kind == "overlapping":
        made.pre_tokenizer = pre_tokenizers.Split(Regex(KMERS.format(k=3, stride=1)), "isolated")
    return made


def counted(kind: str, marks: Sequence[int] = (), frames: Sequence[int] = (), length: int | None = None) -> Ngrams:
    return replace(ngrams.of_tokenizer(tokenizer(kind)), marks=tuple(marks), frames=tuple(frames), length=length)


def linear(own: Ngrams, outputs: int, placed: bool, seed: int) -> Linear:
    """Draw weights of all blocks but one."""
    random = np.random.default_rng(seed)
    parts = [random.normal(size=(size, outputs)) for size in own.sizes]
    parts[random.integers(len(parts))][:] = 0
    width = sum(max(0, (own.length or 0) - n + 1) * len(own.letters) ** n for n in range(1, own.longest_placed + 1))
    by_place = random.normal(size=(width if placed else 0, outputs))
    return Linear(np.concatenate(parts), random.normal(size=outputs), by_place)


def draw_sequence(random: np.random.Generator, kind: str, length: int, channels: int) -> Encoded:
    """Draw a sequence, of which some tokens are special."""
    ids = random.integers(len(SPECIAL), len(SPECIAL) + len((LETTERS | OTHERS)[kind]), length)
    ids[random.random(length) < 0.1] = random.choice([0, 4])
    modifiers = (random.random((channels, length)) < 0.2).astype(np.float32) if channels else None
    return Encoded(0, "s", ids.astype(np.int32), modifiers, None, 1.0, None)


@st.composite
def linear_parts(
    draw: st.DrawFn, kinds: Sequence[str] = (*LETTERS, *OTHERS), lengths: int = 14
) -> tuple[str, Ngrams, Linear, int]:
    """Draw what is counted, with weights: the kind of tokens, and how many channels of modifiers sequences have."""
    kind, channels = draw(st.sampled_from(kinds)), draw(st.integers(0, 2))
    possible = [*([-1] if kind == "cases" else []), *range(channels)] if kind in LETTERS else []
    marks = [mark for mark in possible if draw(st.booleans())]
    frames = [mark for mark in marks if draw(st.booleans())]
    length = draw(st.none() | st.integers(1, lengths))
    own = counted(kind, marks, frames, length)
    return kind, own, linear(own, draw(st.integers(1, 3)), draw(st.booleans()), draw(st.integers(0, 99))), channels
