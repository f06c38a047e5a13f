import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rnalm.tokens.dataset import Encoded
from rnalm.training.masking import IGNORED, Blanking, MaskedSet, Masking

SPECIAL, MASK, PAD = tuple(range(7)), 4, 1


def masking(**settings) -> Masking:
    shares = {"mask_prob": 0.15, "random_prob": 0.1, "keep_prob": 0.1} | settings
    return Masking(**shares, special=SPECIAL, mask=MASK, vocab_size=12)


@examples(40)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=60), st.integers(0, 5))
def test_only_plain_tokens_are_hidden_and_what_is_wanted_is_what_was_there(ids, seed):
    ids = np.array(ids, dtype=np.int32)
    shown, wanted = masking().hide(ids, np.random.default_rng(seed))
    hidden = wanted != IGNORED
    assert (wanted[hidden] == ids[hidden]).all()
    assert (ids[hidden] >= 7).all()
    assert (shown[~hidden] == ids[~hidden]).all()
    assert hidden.any() == (ids >= 7).any()
    assert all(token == MASK or token >= 7 for token in shown[hidden])


@examples(40)
@given(st.integers(1, 9), st.integers(2, 7), st.integers(0, 50))
def test_neighbours_are_hidden_together(length, span, seed):
    ids = np.full(length, 8, dtype=np.int32)
    hidden = masking(span=span).hide(ids, np.random.default_rng(seed))[1] != IGNORED
    runs = "".join("x" if one else " " for one in hidden).split()
    # Those at the ends may go on beyond them.
    inner = runs[bool(hidden[0]) : len(runs) - bool(hidden[-1])]
    assert runs
    assert all(len(run) >= span for run in inner)


@pytest.mark.parametrize("span", [1, 4])
def test_the_share_of_hidden_tokens_does_not_depend_on_the_span(span):
    ids = np.full(100_000, 8, dtype=np.int32)
    _, wanted = masking(mask_prob=0.2, span=span).hide(ids, np.random.default_rng(0))
    assert (wanted != IGNORED).mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("random_prob", "keep_prob"), [(0.1, 0.1), (0.5, 0.0), (0.0, 0.0), (0.2, 0.7)])
def test_shares_are_those_asked_for(random_prob, keep_prob):
    ids = np.full(100_000, 8, dtype=np.int32)
    options = {"mask_prob": 0.3, "random_prob": random_prob, "keep_prob": keep_prob}
    shown, wanted = masking(**options).hide(ids, np.random.default_rng(0))
    hidden = wanted != IGNORED
    assert hidden.mean() == pytest.approx(0.3, abs=0.01)
    # A fifth of the tokens drawn at random are the token itself.
    assert (shown[hidden] == MASK).mean() == pytest.approx(1 - random_prob - keep_prob, abs=0.01)
    assert (shown[hidden] == 8).mean() == pytest.approx(keep_prob + random_prob / 5, abs=0.01)


@examples(40)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=40), st.sampled_from([0.0, 0.3, 0.9]), st.integers(0, 9))
def test_training_rows_are_blanked_as_seed_epoch_and_row_say(ids, prob, epoch):
    blanking, batch = Blanking(prob, SPECIAL, MASK, seed=1), torch.tensor([ids, ids])
    shown = blanking(batch, [3, 5], epoch)
    changed = shown != batch
    assert (batch[changed] >= 7).all()
    assert (shown[changed] == MASK).all()
    assert prob or not changed.any()
    # Not as the batch is put together, or padded.
    wider = torch.nn.functional.pad(batch[1:], (0, 4), value=PAD)
    assert blanking(wider, [5], epoch)[0, : len(ids)].equal(shown[1])
    assert (blanking(wider, [5], epoch)[0, len(ids) :] == PAD).all()


def test_other_tokens_are_blanked_in_each_epoch():
    blanking, batch = Blanking(0.3, SPECIAL, MASK, seed=1), torch.full((1, 10_000), 8)
    first, second = (blanking(batch, [0], epoch)[0] == MASK for epoch in (0, 1))
    assert first.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert (first & second).float().mean().item() == pytest.approx(0.09, abs=0.02)


def sequences(*lengths: int) -> list[Encoded]:
    return [Encoded(i, f"s{i}", np.full(n, 7 + i % 5, dtype=np.int32), None, None, 1.0, None) for i, n in enumerate(lengths)]


def test_batches_are_padded_framed_and_wanted_only_at_hidden_tokens():
    data = MaskedSet(sequences(3, 6), masking(), {"start": [2], "end": [3]}, PAD, seed=1)
    batch = data.batch([0, 1])
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == dict.fromkeys(batch, (2, 8))
    assert batch["attention_mask"].sum(1).tolist() == [5, 8]
    assert batch["input_ids"][:, 0].tolist() == [2, 2]
    assert (batch["input_ids"][0, 4].item(), batch["input_ids"][1, 7].item()) == (3, 3)
    assert batch["input_ids"][0, 5:].tolist() == [PAD] * 3
    assert (batch["labels"][batch["attention_mask"] == 0] == IGNORED).all()


def test_each_epoch_hides_other_tokens_and_what_is_hidden_does_not_depend_on_the_batch():
    data = MaskedSet(sequences(50, 50, 50), masking(), {"start": [], "end": []}, PAD, seed=1)
    one, again, alone = data.batch([0, 1], 1), data.batch([0, 1], 2), data.batch([1], 1)
    assert not one["labels"].equal(again["labels"])
    assert one["labels"][1].equal(alone["labels"][0])
