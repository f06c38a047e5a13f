import json
from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from rnalm.errors import RnalmError
from rnalm.models import registry, saluki
from rnalm.models.saluki import Saluki, SalukiConfig
from rnalm.prediction.predict import predict
from rnalm.scoring.edits import Edits
from rnalm.scoring.scorers.incremental import IncrementalScorer
from rnalm.scoring.scorers.naive import NaiveScorer
from rnalm.tokens.batches import collate
from rnalm.tokens.dataset import PAD, Encoded
from rnalm.tokens.tokenizer import SPECIAL_TOKENS, all_special_ids

SCORERS = (IncrementalScorer, NaiveScorer)


def random_model(seed: int = 0, **sizes) -> Saluki:
    """Make a model whose normalization has seen something, so that it is not the identity."""
    torch.manual_seed(seed)
    model = Saluki(SalukiConfig(**sizes))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
        elif isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model.eval()


def padded(ids: torch.Tensor, length: int) -> dict[str, torch.Tensor]:
    tail = torch.full((len(ids), length - ids.shape[1]), PAD)
    inputs = torch.cat([ids, tail], dim=1)
    return {"input_ids": inputs, "attention_mask": (torch.arange(length) < ids.shape[1]).long().expand(len(ids), -1)}


def test_the_paper_s_sizes_give_the_paper_s_parameters():
    # Six input channels: four bases, codon and splice track. The paper says about 156 thousand.
    model = Saluki(SalukiConfig(vocab_size=11, modifier_channels=2, num_labels=1))
    assert sum(parameter.numel() for parameter in model.parameters()) == 155_521


def test_six_layers_need_320_nucleotides():
    assert SalukiConfig(layers=6, kernel_size=5).minimum_length == 320


@given(layers=st.integers(1, 5), kernel=st.integers(1, 6))
def test_the_minimum_length_leaves_one_bin_and_one_less_leaves_none(layers, kernel):
    def bins(length: int) -> int:
        length -= kernel - 1
        for _ in range(layers):
            length = (length - kernel + 1) // 2
        return length

    minimum = SalukiConfig(layers=layers, kernel_size=kernel).minimum_length
    assert bins(minimum) == 1
    assert bins(minimum - 1) <= 0


@examples(40)
@given(
    length=st.integers(1, 90),
    padding=st.integers(0, 200),
    layers=st.integers(1, 4),
    kernel=st.integers(1, 6),
    channels=st.integers(0, 2),
    outputs=st.integers(1, 3),
    readout=st.sampled_from(["last", "mean"]),
    seed=st.integers(0, 1000),
)
def test_padding_never_matters(length, padding, layers, kernel, channels, outputs, readout, seed):
    sizes = {"filters": 8, "layers": layers, "kernel_size": kernel, "readout": readout}
    model = random_model(seed, **sizes, modifier_channels=channels, num_labels=outputs)
    ids = torch.randint(7, 11, (2, length))
    modifiers = torch.randn(2, channels, length)
    with torch.no_grad():
        alone = model(ids, modifiers=modifiers).logits
        tail = torch.zeros(2, channels, padding)
        wide = model(**padded(ids, length + padding), modifiers=torch.cat([modifiers, tail], dim=2)).logits
    torch.testing.assert_close(wide, alone, rtol=1e-5, atol=1e-6)


@examples(20)
@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=12), readout=st.sampled_from(["last", "mean"]))
def test_sequences_of_any_lengths_go_together_as_each_by_itself(lengths, readout):
    # As if they were long enough for parts to be worth their cost.
    with mock.patch.dict(saluki.WORTH, cpu=100):
        check_together(lengths, readout)


def check_together(lengths: list[int], readout: str) -> None:
    model = random_model(len(lengths), filters=8, layers=2, readout=readout, modifier_channels=1)
    draw = np.random.default_rng(0)
    rows = [
        Encoded(0, "s", draw.integers(7, 11, length), draw.random((1, length), np.float32), None, 1.0, None)
        for length in lengths
    ]
    with torch.no_grad():
        alone = torch.cat([model(**collate([row], 1)).logits for row in rows])
        torch.testing.assert_close(model(**collate(rows, 1)).logits, alone, rtol=1e-5, atol=1e-6)


def test_what_pads_costs_no_convolution(monkeypatch):
    model, positions = random_model(filters=8, layers=1), []
    convolve = Saluki.convolve
    monkeypatch.setattr(
        Saluki, "convolve", lambda self, ids, *rest: (positions.append(ids.numel()), convolve(self, ids, *rest))[1]
    )
    rows = [Encoded(0, "s", np.full(length, 7), None, None, 1.0, None) for length in (10_000, 100, 9000, 200, 300)]
    with torch.no_grad():
        model(**collate(rows))
    assert sum(positions) < 23_000


#: The vocabulary of tokenizers: what is no letter is special.
VOCABULARIES = {
    "seven": [*SPECIAL_TOKENS, *"ACGT"],
    "three": ["[UNK]", "[PAD]", "[MASK]", *"ACGT"],
    "five": ["<s>", "</s>", "<unk>", "<pad>", "<mask>", *"ACGT"],
    "nine": [*SPECIAL_TOKENS, "[X]", "[Y]", *"ACGT"],
    "anywhere": ["A", "C", "<mask>", "G", "[X]", "<unk>", "T", "<pad>"],
}


def made_for(vocabulary: list[str], **sizes) -> tuple[Saluki, list[int], list[int]]:
    """Make the model for a tokenizer, in evaluation mode; give also ids of plain and of special tokens."""
    tokenizer = Tokenizer(WordLevel({token: index for index, token in enumerate(vocabulary)}, unk_token=vocabulary[0]))
    tokenizer.add_special_tokens([token for token in vocabulary if len(token) > 1])
    torch.manual_seed(0)
    options = {"name": "saluki", "filters": 4, "layers": 1, "kernel_size": 3} | sizes
    model = registry.create(options, len(vocabulary), 0, 1, all_special_ids(tokenizer)).eval()
    plain = [index for index, token in enumerate(vocabulary) if len(token) == 1]
    return model, plain, sorted(set(range(len(vocabulary))) - set(plain))


@pytest.mark.parametrize("name", VOCABULARIES)
def test_each_plain_token_has_a_channel_and_each_special_token_is_a_zero_vector(name):
    model, plain, special = made_for(VOCABULARIES[name])
    assert model.channels(torch.tensor([plain]))[0].tolist() == torch.eye(4).tolist()
    assert not model.channels(torch.tensor([special])).any()


@pytest.mark.parametrize("name", VOCABULARIES)
def test_with_any_special_tokens_padding_never_matters_and_fast_equals_slow(name, tmp_path):
    made, plain, _ = made_for(VOCABULARIES[name])
    made.save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    draw = np.random.default_rng(0)
    sequences = [Encoded(0, "s", draw.choice(plain, length), None, None, 1.0, None) for length in (3, 30, 11)]
    together = predict(model, sequences)
    np.testing.assert_allclose(together, [predict(made, [sequence])[0] for sequence in sequences], rtol=1e-5)
    for sequence in sequences:
        edits = Edits.of([[(at, at + 1, [])] for at in range(len(sequence.input_ids))], len(sequence.input_ids))
        fast, slow = (np.concatenate([*map(np.atleast_2d, scorer(model).score(sequence, edits))]) for scorer in SCORERS)
        np.testing.assert_allclose(fast, slow, rtol=1e-5, atol=1e-5)


def test_folders_of_the_usual_special_tokens_are_as_they_always_were(tmp_path):
    made_for(VOCABULARIES["seven"])[0].save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["special_tokens"] == 7
    assert "pad_token_id" not in config
    assert registry.pad_id(AutoModelForSequenceClassification.from_pretrained(tmp_path)) == PAD


def test_channels_follow_the_order_of_ids_and_modifiers_come_last():
    model = random_model(filters=4, layers=1, vocab_size=9, modifier_channels=1)
    x = model.channels(torch.tensor([[7, 8]]), torch.tensor([[[2.5, 0.0]]]))
    assert x[0].tolist() == [[1, 0], [0, 1], [2.5, 0]]


def test_the_recurrent_layer_reads_from_the_3_prime_end():
    model = random_model(filters=4, layers=1)
    bins = torch.randn(1, 4, 6)
    _, last = model.gru(bins.flip(2).transpose(1, 2))
    torch.testing.assert_close(model.features(bins, torch.tensor([6])), last[0])


def test_the_mean_of_all_states_is_taken_from_the_3_prime_end():
    model = random_model(filters=4, layers=1, readout="mean")
    bins, counts = torch.randn(2, 4, 7), torch.tensor([7, 3])
    for row, count in enumerate(counts.tolist()):
        states, _ = model.gru(bins[row, :, :count].flip(1).T)
        torch.testing.assert_close(model.features(bins, counts)[row], states.mean(0))


def test_training_shifts_each_sequence_by_its_own_draw():
    model = random_model(filters=4, layers=1, shift=3, modifier_channels=1)
    torch.manual_seed(1)
    ids, values = torch.arange(7, 12).repeat(200, 1), torch.arange(1.0, 6.0).repeat(200, 1, 1)
    shifted, modifiers, lengths = model.shift(ids, values, torch.full((200,), 5))
    steps = (lengths - 5).tolist()
    assert set(steps) == {0, 1, 2, 3}
    for row, channel, step in zip(shifted, modifiers[:, 0], steps, strict=True):
        assert row.tolist() == [PAD] * step + [7, 8, 9, 10, 11] + [PAD] * (3 - step)
        assert channel.tolist() == [0.0] * step + [1, 2, 3, 4, 5] + [0.0] * (3 - step)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_looked_up_columns_are_the_convolution_of_one_hot_rows(name):
    model, plain, special = made_for(VOCABULARIES[name], filters=6, kernel_size=5)
    ids = torch.tensor(np.random.default_rng(0).choice([*plain, *special], (3, 40)))
    torch.testing.assert_close(model.stemmed(ids, None), model.stem(model.channels(ids)))
    with_modifiers = random_model(modifier_channels=2, filters=6)
    ids, modifiers = torch.randint(0, 11, (3, 40)), torch.randn(3, 2, 40)
    expected = with_modifiers.stem(with_modifiers.channels(ids, modifiers))
    torch.testing.assert_close(with_modifiers.stemmed(ids, modifiers), expected, rtol=1e-5, atol=1e-6)


def test_prediction_does_not_shift():
    model = random_model(filters=4, layers=1, shift=3)
    ids = torch.randint(7, 11, (4, 30))
    assert torch.equal(model(ids).logits, model(ids).logits)


def test_the_penalty_takes_input_kernels_and_not_the_recurrent_one():
    model = random_model(filters=4, layers=2, l2=0.5)
    penalty = model.penalty().item()
    kernels = [p for name, p in model.named_parameters() if p.ndim > 1 and "weight_hh" not in name]
    assert penalty == pytest.approx(0.5 * sum(kernel.square().sum().item() for kernel in kernels))
    assert len(kernels) == 1 + 2 + 1 + 2  # stem, blocks, GRU input, dense


def test_a_saved_model_loads_through_the_auto_classes(tmp_path):
    model = random_model(filters=4, layers=2, num_labels=3)
    model.save_pretrained(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), SalukiConfig)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ids = torch.randint(7, 11, (2, 50))
    assert torch.equal(again(ids).logits, model(ids).logits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RnalmError, match=r"model folder without its model; expected the file model.safetensors in it"):
        registry.load(tmp_path)


def test_a_mistyped_folder_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "fold0").mkdir()
    with pytest.raises(RnalmError, match=r"fold_0: no such model folder; did you mean '.*fold0'"):
        registry.load(tmp_path / "fold_0")


def test_the_recurrent_part_is_not_in_mixed_precision():
    torch.manual_seed(0)
    model = registry.create({"name": "saluki", "filters": 4, "layers": 1}, 11, 0, 1).eval()
    kinds = []
    model.gru.register_forward_hook(lambda _, inputs, outputs: kinds.extend([inputs[0].dtype, outputs[0].dtype]))
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.randint(7, 11, (2, 30)))
    assert kinds == [torch.float32, torch.float32]


def test_on_a_gpu_batches_have_few_different_lengths():
    model = Saluki(SalukiConfig())
    lengths = range(model.config.minimum_length, 12_289)
    padded = [model._padded(torch.empty(2, length, device="meta")) for length in lengths]
    assert all(length <= more <= 1.125 * length + 1 for length, more in zip(lengths, padded, strict=True))
    assert len(set(padded)) <= 70
    assert model._padded(torch.empty(2, 3001)) == 3001
