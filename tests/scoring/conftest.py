"""Small models with random weights, encoded files, and scores of them."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer

from rnalm import config
from rnalm.labels import labels
from rnalm.labels.scaling import Scaler
from rnalm.models import registry
from rnalm.scoring.job import Job
from rnalm.scoring.merge import EXPORTERS, merge
from rnalm.scoring.shard import score_shard
from rnalm.tokens import encode, learn
from rnalm.tokens.tokenizer import SPECIAL_TOKENS, all_special_ids, save_tokenizer

MASK = SPECIAL_TOKENS.index("[MASK]")

SIZES = {"name": "saluki", "filters": 4, "kernel_size": 3, "layers": 1}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def source_of(path: Path, rows: list[tuple], **options) -> config.Table:
    """Write a table of (id, sequence) or (id, sequence, label); tokens are lists where they carry modifiers."""
    names = ["id", "sequence", "label"][: len(rows[0])]
    pd.DataFrame(rows, columns=names).to_csv(path, sep="\t", index=False)
    return config.Table(path=str(path), columns={name: name for name in names}, **options)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory) -> Tokenizer:
    """One token a character: a, c, g, t are 7, 8, 9, 10."""
    return learn.learn(source_of(tmp_path_factory.mktemp("tokenizer") / "acgt.tsv", [("all", "acgt")]))


@pytest.fixture(scope="session")
def field_tokenizer(tmp_path_factory) -> Tokenizer:
    """One token a field, separated by commas, modifiers after #."""
    source = source_of(tmp_path_factory.mktemp("fields") / "acgt.tsv", [("all", "a,c,g,t")], token_sep=",", modifier_sep="#")
    return learn.learn(source)


@pytest.fixture(scope="session")
def kmers(tmp_path_factory) -> Tokenizer:
    """Every three letters of a, c, g, t."""
    rows = [(f"s{i}", "".join(three)) for i, three in enumerate(product("acgt", repeat=3))]
    return learn.learn(source_of(tmp_path_factory.mktemp("kmers") / "all.tsv", rows), config.Tokenizer(type="kmer", k=3))


@pytest.fixture(scope="session")
def subwords(tmp_path_factory) -> Tokenizer:
    """Pieces of A, C, G, T and of gej, for which E stands."""
    source = source_of(tmp_path_factory.mktemp("subwords") / "all.tsv", [(f"s{i}", "ACGTACCGTTgejACGGT") for i in range(20)])
    return learn.learn(source, config.Tokenizer(type="bpe", vocab_size=20, atomic_replacements={"gej": "E"}))


@pytest.fixture
def encode_rows(tmp_path, tokenizer) -> Callable[..., str]:
    """Encode rows of (id, sequence) or (id, sequence, label)."""

    def make(rows: list[tuple], using: Tokenizer = tokenizer, task: str = "regression", cut=None, **options) -> str:
        output = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        source = source_of(output.with_suffix(".tsv"), rows, **options)
        encode.encode(source, using, output, config.Encode(**(cut or {})), task)
        return str(output)

    return make


def random_model(
    seed: int, sizes: dict, vocab_size: int = 11, modifier_channels: int = 0, n_outputs: int = 1, special: dict | None = None
):
    """Make a Saluki in evaluation mode that looks as if trained: no statistic of it is at its default."""
    torch.manual_seed(seed)
    model = registry.create(SIZES | sizes, vocab_size, modifier_channels, n_outputs, special).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.LayerNorm)):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
        model.head[-1].bias.normal_(0, 0.3)
    model.config.output_mean, model.config.output_sd = 0.75, 1.5
    return model


@pytest.fixture(scope="session")
def make_model() -> Callable:
    return random_model


@pytest.fixture
def model_folder(tmp_path, tokenizer) -> Callable[..., str]:
    """Save a random model that says what its outputs mean."""

    def make(
        seed: int = 0,
        scaler: Scaler | None = None,
        classes: tuple[str, ...] = (),
        using: Tokenizer = tokenizer,
        modifier_channels: int = 0,
        logits: list[float] | None = None,
        **sizes,
    ) -> str:
        folder = tmp_path / f"model_{len(list(tmp_path.iterdir()))}"
        model = random_model(seed, sizes, using.get_vocab_size(), modifier_channels, len(classes) or 1, all_special_ids(using))
        if logits is not None:  # whatever the sequence
            torch.nn.init.zeros_(model.head[-1].weight)
            model.head[-1].bias.data = torch.tensor(logits)
        model.save_pretrained(folder)
        save_tokenizer(using, folder / "tokenizer.json")
        labels.Labels("classification" if classes else "regression", scaler or Scaler(), classes).save(folder / "labels.json")
        return str(folder)

    return make


@pytest.fixture(scope="session")
def run() -> Callable[..., np.ndarray]:
    """Run a saved model on one sequence by itself: raw outputs, float64 ``(outputs,)``."""
    load = lru_cache(registry.load)

    def outputs(folder: str, ids: list[int], modifiers: np.ndarray | None = None) -> np.ndarray:
        inputs = {} if modifiers is None else {"modifiers": torch.tensor(modifiers, dtype=torch.float32)[None]}
        with torch.no_grad():
            return load(folder)(input_ids=torch.tensor([ids], dtype=torch.int64), **inputs).logits[0].double().numpy()

    return outputs


@pytest.fixture(scope="session")
def by_hand() -> Callable[..., list[tuple[int, list[int], list[list[float]]]]]:
    """Perturb a sequence in plain lists."""

    def perturb(
        ids: list[int],
        modifiers: list[list[float]],
        mode: str,
        replacements: dict[int, list[int]] | None = None,
        replace_modifiers: bool = False,
    ) -> list[tuple[int, list[int], list[list[float]]]]:
        """List (position, ids, modifiers by channel) of every perturbed sequence."""
        tokens = [(token, [channel[position] for channel in modifiers]) for position, token in enumerate(ids)]
        found = []
        for position, (token, attached) in enumerate(tokens):
            before, after = tokens[:position], tokens[position + 1 :]
            if mode == "remove":
                found.append((position, before + after))
            elif mode == "mask":
                found.append((position, [*before, (MASK, attached), *after]))
            else:
                for other in (replacements or {}).get(token, []):
                    found.append((position, [*before, (other, attached), *after]))
                if replace_modifiers and any(attached):
                    found.append((position, [*before, (token, [0.0] * len(attached)), *after]))
        return [
            (position, [token for token, _ in changed], [[m[channel] for _, m in changed] for channel in range(len(modifiers))])
            for position, changed in found
        ]

    return perturb


@pytest.fixture(scope="session")
def job() -> Callable[..., Job]:
    """Describe a shard, with the defaults of the configuration."""

    def make(model_folders: str | list[str], encoded: str, **options) -> Job:
        defaults = {
            "folds": None,
            "mode": "remove",
            "replacements": {},
            "replace_modifiers": False,
            "explain": "predicted",
            "scale": "probability",
            "sample_size": None,
            "shard": 0,
            "shards": 1,
            "seed": 1,
        }
        folders = [model_folders] if isinstance(model_folders, str) else model_folders
        return Job(model_folders=folders, encoded=encoded, **(defaults | options))

    return make


@pytest.fixture
def score(tmp_path, job) -> Callable[..., pd.DataFrame]:
    """Score one shard and read what was written."""

    def make(model_folders: str | list[str], encoded: str, **options) -> pd.DataFrame:
        output = tmp_path / "scores" / f"{len(list(tmp_path.glob('scores/*')))}.parquet"
        score_shard(job(model_folders, encoded, **options), output)
        return pd.read_parquet(output)

    return make


@pytest.fixture
def score_and_merge(tmp_path, job) -> Callable[..., Path]:
    """Score in shards and merge them: a folder with scores.parquet, .csv and .pkl."""

    def make(model_folders: str | list[str], encoded: str, shards: int = 1, **options) -> Path:
        folder = tmp_path / f"merged_{len(list(tmp_path.iterdir()))}"
        parts = [folder / "parts" / f"{shard}.parquet" for shard in range(shards)]
        for shard, part in enumerate(parts):
            score_shard(job(model_folders, encoded, shard=shard, shards=shards, **options), part)
        merge(parts, [folder / f"scores{suffix}" for suffix in EXPORTERS])
        return folder

    return make


@pytest.fixture
def under_pressure(device, caplog) -> Iterator[Callable[..., list]]:
    """Compute with less and less memory, until it runs out and work goes on in smaller parts: results before and after."""
    if device.type != "cuda":
        pytest.skip("only a GPU has a memory of its own")

    def press(compute: Callable[[], object]) -> list:
        ample = compute()
        for megabytes in (2048, 1024, 512, 256, 128, 96, 64, 48, 32):
            torch.cuda.empty_cache()
            bytes_left = torch.cuda.memory_reserved() + megabytes * 2**20
            torch.cuda.set_per_process_memory_fraction(bytes_left / torch.cuda.get_device_properties(0).total_memory)
            caplog.clear()
            scarce = compute()
            if "out of memory; going on with" in caplog.text:
                return [ample, scarce]
        return pytest.fail("memory never ran out")

    yield press
    torch.cuda.set_per_process_memory_fraction(1.0)
