from functools import lru_cache

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from rnalm.errors import RnalmError
from rnalm.models import registry
from rnalm.models.framed import check_length, choose_frame, limit, plain_class, put_frame, save_tokenizer
from rnalm.tokens.tokenizer import SPECIAL_TOKENS

SPECIAL = {"unk": 0, "pad": 1, "cls": 2, "sep": 3, "mask": 4, "bos": 5, "eos": 6}
CLS, SEP, BOS, EOS = 2, 3, 5, 6

WIDE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
LONG = {"max_position_embeddings": 48}
BERT = WIDE | LONG | {"intermediate_size": 16}
ENCODER_DECODER = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}

#: Small sizes of an architecture of each kind, and how many tokens it then takes.
SIZES = {
    "albert": (BERT | {"embedding_size": 8}, 46),
    "bert": (BERT, 46),
    "big_bird": (BERT, 46),
    "camembert": (BERT, 44),
    "deberta": (BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}, 46),
    "deberta-v2": (BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}, None),
    "distilbert": ({"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16} | LONG, 46),
    "electra": (BERT | {"embedding_size": 8}, 46),
    "esm": (BERT | {"token_dropout": True}, 44),
    "eurobert": (BERT | {"num_key_value_heads": 2}, None),
    "longformer": (BERT | {"attention_window": 8}, 44),
    "mobilebert": (BERT | {"intra_bottleneck_size": 8, "embedding_size": 8}, 46),
    "modernbert": (BERT | {"local_attention": 8, "global_attn_every_n_layers": 2, "classifier_pooling": "mean"}, None),
    "mpnet": (BERT, 44),
    "roberta": (BERT, 44),
    "roformer": (BERT | {"embedding_size": 8}, 46),
    "xlm-roberta": (BERT, 44),
    "xlnet": ({"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 16}, None),
    "gpt2": ({"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 48}, 46),
    "gpt_neox": (BERT, None),
    "llama": (BERT | {"num_key_value_heads": 2}, None),
    "mistral": (BERT | {"num_key_value_heads": 2, "sliding_window": 4}, None),
    "mixtral": (BERT | {"num_key_value_heads": 2, "num_local_experts": 2, "num_experts_per_tok": 1}, None),
    "opt": (WIDE | LONG | {"ffn_dim": 16, "word_embed_proj_dim": 16}, 46),
    "bart": (ENCODER_DECODER | HEADS | LONG, 46),
    "t5": ({"d_model": 16, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2, "d_kv": 8, "d_ff": 16}, None),
}
OTHERS = {
    "esm": ({"position_embedding_type": "rotary"}, None),
    "deberta-v2": ({"position_biased_input": True}, 46),
    "mpt": ({"d_model": 16, "n_heads": 2, "n_layers": 2, "max_seq_len": 48}, 46),
    "llama": ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 100.0}}, 46),
}


@lru_cache
def make(kind: str, n_outputs: int = 1, **sizes):
    """Make a small model whose parts all matter, as those of a new one do not."""
    torch.manual_seed(0)
    options = {"name": "hf", "type": kind, "config": SIZES.get(kind, ({}, None))[0] | sizes, "pretrained": None}
    units = {"output_mean": 3.0, "output_sd": 2.0} if n_outputs == 1 else {}
    model = registry.create(options, 12, 0, n_outputs, SPECIAL, use_cache=False, **units).eval()
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.25)
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            module.weight.data[module.padding_idx] = 0
    return model


def plain(model, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Run the model of transformers on sequences with a frame."""
    with torch.no_grad():
        return plain_class(model.config).forward(model, input_ids=ids, attention_mask=mask).logits


def draw_ids(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(7, 12, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", SIZES)
@examples(8)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), padding=st.integers(0, 9), seed=st.integers(0, 99))
def test_padding_never_matters(kind, lengths, padding, seed):
    model = make(kind)
    ids = draw_ids(len(lengths), max(lengths) + padding, seed)
    mask = (torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None]).long()
    with torch.no_grad():
        together = model(input_ids=ids, attention_mask=mask).logits
        alone = torch.cat([model(input_ids=row[None, :length]).logits for row, length in zip(ids, lengths, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", SIZES)
def test_outputs_differ_between_sequences_by_more_than_rounding(kind):
    # Without it, the test above would show nothing.
    with torch.no_grad():
        logits = make(kind)(input_ids=draw_ids(8, 20)).logits
    assert logits.std() > 0.01
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("kind", SIZES)
def test_the_folder_gives_the_same_without_us_from_sequences_with_their_frame(kind, tmp_path):
    model = make(kind)
    model.save_pretrained(tmp_path)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert type(theirs).__module__.startswith("transformers.")
    assert theirs.config.architectures == [type(theirs).__name__]
    inputs = draw_ids(3, 9), (torch.arange(9) < torch.tensor([[9], [4], [1]])).long()
    ids, mask = put_frame(*inputs, model.config)
    with torch.no_grad():
        standard, ours = theirs(input_ids=ids, attention_mask=mask).logits, model(*inputs).logits
    torch.testing.assert_close(standard * 2 + 3, ours)


@pytest.mark.parametrize("kind", SIZES)
def test_saved_weights_are_those_that_a_training_that_goes_on_looks_for(kind, tmp_path):
    model = make(kind)
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    for weight in (again := make.__wrapped__(kind)).parameters():
        torch.nn.init.zeros_(weight)
    loading = again.load_state_dict(saved)
    assert not loading.missing_keys
    assert not loading.unexpected_keys
    with torch.no_grad():
        assert torch.equal(again(draw_ids(2, 9)).logits, model(draw_ids(2, 9)).logits)


@pytest.mark.parametrize(
    ("kind", "sizes", "most"),
    [(kind, {}, most) for kind, (_, most) in SIZES.items()] + [(kind, sizes, most) for kind, (sizes, most) in OTHERS.items()],
)
def test_the_limit_is_where_a_model_fails(kind, sizes, most):
    model = make.__wrapped__(kind, **sizes)
    assert limit(model.config) == most
    frame = len(model.config.frame["start"] + model.config.frame["end"])

    def run(tokens: int) -> None:
        ids = draw_ids(1, tokens)
        assert plain(model, *put_frame(ids, torch.ones_like(ids), model.config)).isfinite().all()

    if most is None:
        return run(200)
    run(most)
    if kind != "llama":  # there nothing fails, but the scale of positions would depend on the batch
        with pytest.raises((IndexError, RuntimeError)):
            run(most + 1)
    with pytest.raises(RnalmError, match=rf"up to {most + 1} tokens, but {kind} takes {most} and {frame} special tokens"):
        model(draw_ids(1, most + 1))


def test_sequences_that_are_too_long_are_refused_in_one_line(refusal):
    assert refusal(check_length, make("distilbert").config, 600) == (
        "encode.block_size: sequences have up to 600 tokens, but distilbert takes 46 and 2 special tokens around them; "
        "lower encode.block_size to 46, or use a model with more positions (model.config.max_position_embeddings)"
    )
    check_length(make("distilbert").config, 46)
    check_length(make("xlnet").config, 10**6)
    check_length(PreTrainedConfig(), 10**6)


@pytest.mark.parametrize(
    ("start", "end", "side", "lengths", "expected"),
    [
        ([CLS], [SEP], "right", [3, 1, 0], [[CLS, 7, 8, 9, SEP], [CLS, 7, SEP], [CLS, SEP]]),
        ([], [SEP, CLS], "left", [3, 1, 0], [[7, 8, 9, SEP, CLS], [7, SEP, CLS], [SEP, CLS]]),
        # Without a frame an empty sequence is one token of padding.
        ([], [], "left", [0], [[1]]),
        ([], [], "right", [0], [[1]]),
        ([], [], "right", [2, 0], [[7, 8], [1]]),
    ],
)
def test_the_frame_is_put_around_each_sequence(start, end, side, lengths, expected):
    longest = max(lengths)
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    ids = torch.where(mask == 1, 7 + torch.arange(longest), 11)  # padded with anything
    config = PreTrainedConfig(frame={"start": start, "end": end, "padding_side": side}, pad_token_id=1)
    framed, shown = put_frame(ids, mask, config)
    width = max(map(len, expected))
    place = (lambda row: (width - len(row), 0)) if side == "left" else (lambda row: (0, width - len(row)))
    assert framed.tolist() == [np.pad(row, place(row), constant_values=1).tolist() for row in expected]
    assert shown.tolist() == [np.pad(np.ones_like(row), place(row)).tolist() for row in expected]


@pytest.mark.parametrize(
    ("kind", "special", "start", "end"),
    [
        ("bert", ("cls", "sep", "bos", "eos"), [CLS], [SEP]),
        ("bert", ("bos", "eos"), [BOS], [EOS]),
        ("bert", ("cls",), [CLS], []),
        ("bert", (), [], []),
        ("gpt2", ("cls", "sep", "bos", "eos"), [BOS], [EOS]),
        ("llama", ("cls", "sep"), [CLS], [SEP]),
        ("bart", ("cls", "sep", "bos", "eos"), [BOS], [EOS]),
        ("t5", ("eos",), [], [EOS]),
        ("xlnet", ("cls", "sep", "bos", "eos"), [], [SEP, CLS]),
        ("xlnet", ("bos",), [], [BOS]),
    ],
)
def test_the_frame_is_made_of_what_a_tokenizer_has(kind, special, start, end):
    frame = choose_frame(CONFIG_MAPPING[kind](), {role: SPECIAL[role] for role in special})
    assert (frame["start"], frame["end"]) == (start, end)
    assert frame["padding_side"] == ("left" if kind == "xlnet" else "right")


def tokenizer(*names: str) -> Tokenizer:
    made = Tokenizer(WordLevel({token: index for index, token in enumerate([*names, *"ACGT"])}, unk_token=names[0]))
    made.pre_tokenizer = Split(Regex("."), "isolated")
    made.add_special_tokens(list(names))
    return made


@pytest.mark.parametrize("kind", ["distilbert", "gpt2", "bart", "xlnet"])
def test_texts_get_the_frame_from_the_tokenizer_in_the_folder(kind, tmp_path):
    config, own = make(kind).config, tokenizer(*SPECIAL_TOKENS)
    save_tokenizer(config, own, tmp_path)
    assert (tmp_path / "tokenizer.json").read_text() == own.to_str(pretty=True)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    framed, mask = put_frame(torch.tensor([[9, 0], [9, 10]]), torch.tensor([[1, 0], [1, 1]]), config)
    assert dict(theirs(["G", "GT"], padding=True)) == {"input_ids": framed.tolist(), "attention_mask": mask.tolist()}
    assert theirs("G", add_special_tokens=False)["input_ids"] == [9]
    roles = (theirs.cls_token_id, theirs.sep_token_id, theirs.bos_token_id, theirs.eos_token_id, theirs.mask_token_id)
    assert roles == tuple(SPECIAL[role] for role in ("cls", "sep", "bos", "eos", "mask"))


def test_a_tokenizer_with_a_frame_of_its_own_keeps_it(tmp_path):
    own = tokenizer(*SPECIAL_TOKENS)
    own.post_processor = TemplateProcessing(single="[BOS] $A", special_tokens=[("[BOS]", BOS)])
    save_tokenizer(make("distilbert").config, own, tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("G")["input_ids"] == [BOS, 9]


def test_the_tokenizer_of_other_models_has_no_frame(tmp_path):
    save_tokenizer(PreTrainedConfig(), tokenizer("<unk>", "<pad>", "<mask>", "<cls>"), tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs("G")["input_ids"] == [6]
    assert (theirs.pad_token, theirs.cls_token, theirs.eos_token) == ("<pad>", "<cls>", None)


def test_classes_have_logits_of_their_own():
    with torch.no_grad():
        assert make("distilbert", 3)(draw_ids(2, 5)).logits.shape == (2, 3)
    assert make("distilbert", 3).config.problem_type == "single_label_classification"


@pytest.mark.parametrize("kind", ["distilbert", "xlnet", "longformer", "mixtral", "bart"])
def test_the_same_input_gives_the_same_bytes(kind):
    model, ids = make(kind), draw_ids(4, 20)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, model(ids).logits)
