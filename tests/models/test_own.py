"""A network of one's own: its file runs as it stands, in and out of the model folder, and what does not fit is told."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from rnalm.config import Encode, Fasta, Folds, OwnModel, Table
from rnalm.config.parts import read_source
from rnalm.files import read_json
from rnalm.labels import folds
from rnalm.labels.labels import Labels
from rnalm.models import probe, registry
from rnalm.models.bring import bring
from rnalm.models.framed import check_length
from rnalm.prediction.ask import ask
from rnalm.prediction.predict import Predictor, predict, predict_file
from rnalm.scoring import check
from rnalm.scoring.job import Job as Scoring
from rnalm.scoring.shard import score_shard
from rnalm.tokens import dataset, encode, learn
from rnalm.tokens.dataset import Encoded
from rnalm.tokens.tokenizer import all_special_ids, load_tokenizer, save_tokenizer, token_names
from rnalm.training import finetune
from rnalm.training.trainer import Job

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "data/genome/golden"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs data/genome")

#: As networks for Selene are: probabilities, a loss, an optimizer.
SELENE = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self, sequence_length, n_genomic_features):
        super().__init__()
        self.convolution = nn.Conv1d(4, 8, 5)
        self.classifier = nn.Linear(8 * (sequence_length - 4), n_genomic_features)

    def forward(self, x):
        return torch.sigmoid(self.classifier(torch.relu(self.convolution(x)).flatten(1)))


def criterion():
    return nn.BCELoss()


def get_optimizer(lr):
    return torch.optim.SGD, {"lr": lr, "momentum": 0.9}
"""
#: Takes any length, and ids.
BAGS = """
from torch import nn


class Bags(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.table, self.out = nn.Embedding(20, size), nn.Linear(size, 1)

    def forward(self, ids):
        return self.out(self.table(ids).mean(dim=1))
"""


class Own:
    """A file with a network, and the section that names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = Fasta(path=str(folder / "s.fa"))
        (folder / "s.fa").write_text(">a\nACGTACGTNC\n>b\nTTGACCATGA\n")
        self.tokenizer = learn.learn(self.source)

    def section(self, text: str = SELENE, **options) -> dict:
        (self.folder / "my.py").write_text(text)
        args = {"size": 4} if text == BAGS else {"sequence_length": 10, "n_genomic_features": 2}
        own = {"name": "file", "path": str(self.folder / "my.py"), "class": "Bags" if text == BAGS else "Tiny", "args": args}
        defaults = {"input": "one_hot", "outputs": None, "strands": "none", "weights": None, "by_order": False}
        return own | defaults | options

    def create(self, text: str = SELENE, task: str = "multilabel", outputs: int = 2, **options):
        entries = {"task": task, "tokens": token_names(self.tokenizer)}
        sizes = (self.tokenizer.get_vocab_size(), 0, outputs, all_special_ids(self.tokenizer))
        torch.manual_seed(0)
        return registry.create(self.section(text, **options), *sizes, **entries).eval()

    def ids(self) -> torch.Tensor:
        encode.encode(self.source, self.tokenizer, self.folder / "e.parquet", Encode())
        return torch.tensor(np.stack([one.input_ids for group in dataset.read(self.folder / "e.parquet") for one in group]))


@pytest.fixture
def own(tmp_path):
    return Own(tmp_path)


def one_hot(text: str) -> torch.Tensor:
    return torch.tensor([[0.25 if letter == "N" else float(letter == base) for letter in text] for base in "ACGT"])


def test_letters_are_one_hot_and_an_unknown_base_has_a_quarter_of_each(own):
    model = own.create()
    inputs = torch.stack([one_hot("ACGTACGTNC"), one_hot("TTGACCATGA")])
    logits = model(own.ids()).logits
    torch.testing.assert_close(logits.sigmoid(), model.network(inputs))


@pytest.mark.parametrize("how", ["mean", "max"])
def test_both_strands_are_combined_as_probabilities(own, how):
    model = own.create(strands=how)
    inputs = torch.stack([one_hot("ACGTACGTNC"), one_hot("TTGACCATGA")])
    other = torch.stack([one_hot("GNACGTACGT"), one_hot("TCATGGTCAA")])
    each = torch.stack([model.network(inputs), model.network(other)])
    torch.testing.assert_close(model(own.ids()).logits.sigmoid(), each.mean(0) if how == "mean" else each.max(0).values)


def test_a_folder_holds_the_code_and_runs_it_where_that_is_asked_for(own, tmp_path, refusal):
    model = own.create()
    expected = model(own.ids()).logits
    model.save_pretrained(tmp_path / "model")
    for name in ("tokenizer.json", "labels.json"):
        (tmp_path / "model" / name).write_text("{}")
    (own.folder / "my.py").unlink()
    message = refusal(registry.load, tmp_path / "model")
    assert message.startswith(f"{tmp_path / 'model'}: holds code of its own, which runs when the model is loaded; to run it,")
    torch.testing.assert_close(registry.load(tmp_path / "model", trust=True)(own.ids()).logits, expected)


def test_a_package_imports_its_own_modules(own):
    package = own.folder / "net"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("from .parts.head import size\nfrom net.tiny import Tiny\n")
    (package / "parts/__init__.py").write_text("")
    (package / "parts/head.py").write_text("size = 8\n")
    (package / "tiny.py").write_text(SELENE.replace("import torch\n", "import torch\nfrom net.parts.head import size\n", 1))
    model = own.create(path=str(package))
    assert set(model.config.code) == {"net/__init__.py", "net/tiny.py", "net/parts/__init__.py", "net/parts/head.py"}
    assert model(own.ids()).logits.shape == (2, 2)


def test_ids_of_any_length_never_meet_padding(own):
    model = own.create(BAGS, "regression", 1, input="ids")
    ids = own.ids()
    padded = ids.clone()
    padded[1, 6:] = 0
    mask = (torch.arange(10) < torch.tensor([[10], [6]])).long()
    together = model(padded, attention_mask=mask).logits
    torch.testing.assert_close(together[0], model(ids[:1]).logits[0])
    torch.testing.assert_close(together[1], model(ids[1:, :6]).logits[0])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (SELENE, {"class": "Tyni"}, "my.py: has no class 'Tyni'; did you mean 'Tiny'?"),
        (SELENE, {"args": {"sequence_length": 10}}, "my.py: Tiny cannot be made with model.args: "),
        ("import nothing_like_that\n", {}, "my.py: cannot be run (ModuleNotFoundError: No module named 'nothing_like_that')"),
        (
            "class Tiny:\n    def __init__(self, **args): pass\n",
            {"class": "Tiny"},
            "my.py: Tiny is no torch.nn.Module, found Tiny",
        ),
        (SELENE, {"path": "elsewhere.py"}, "elsewhere.py: no such file; "),
        (SELENE, {"task": "regression", "outputs": "logits"}, "model.outputs: logits is for classes, found task: regression"),
    ],
)
def test_what_cannot_be_made_is_told(own, refusal, text, options, message):
    task = options.pop("task", "multilabel")
    outputs = options.pop("outputs", None)

    def make() -> None:
        section = own.section(text, **options, outputs=outputs)
        entries = {"task": task, "tokens": token_names(own.tokenizer)}
        registry.create(section, own.tokenizer.get_vocab_size(), 0, 2, all_special_ids(own.tokenizer), **entries)

    assert message in refusal(make)


def test_shapes_that_do_not_fit_are_both_told(own, refusal):
    message = refusal(probe.check, own.create(), [10, 12])
    assert "my.py: Tiny does not take (2, 4, 12) (mat1 and mat2 shapes cannot be multiplied (2x64 and 48x2))" in message
    message = refusal(probe.check, own.create(outputs=3), [10])
    assert message.endswith("my.py: Tiny gives (2, 2), expected (2, 3) (batch, outputs)")
    plain = SELENE.replace("torch.sigmoid(", "(2 + ")
    message = refusal(probe.check, own.create(plain), [10])
    assert "as a probability, expected numbers from 0 to 1, or model.outputs: logits" in message


def test_letters_that_are_no_bases_need_ids(own, refusal):
    (own.folder / "s.fa").write_text(">a\nMKLV\n>b\nACDE\n")
    own.tokenizer = learn.learn(own.source)
    assert "model.input: one_hot is for nucleotides, and " in refusal(own.create)


@pytest.mark.parametrize("how", ["plain", "selene", "wrapped", "by order", "validated", "both strands on several GPUs"])
def test_weights_start_from_what_other_programs_saved(own, how):
    model = own.create()
    state = {name: torch.full_like(tensor, 0.5) for name, tensor in model.network.state_dict().items()}
    saved = {
        "plain": state,
        "selene": {"state_dict": state, "arch": "Tiny", "step": 3},
        "wrapped": {f"module.{name}": tensor for name, tensor in state.items()},
        "by order": {f"{k}": tensor for k, tensor in enumerate(state.values())},
        # As Selene does once it has validated: its least loss is a number of numpy.
        "validated": {"state_dict": state, "min_loss": np.float64(0.3), "optimizer": {"state": {}}},
        "both strands on several GPUs": {f"module.model.{name}": tensor for name, tensor in state.items()},
    }[how]
    torch.save(saved, own.folder / "w.pth")
    again = own.create(weights=str(own.folder / "w.pth"), by_order=how == "by order")
    assert all((tensor == 0.5).all() for tensor in again.network.state_dict().values())


NORMALIZED = """from torch import nn


class Tiny(nn.Module):
    def __init__(self, sequence_length, n_genomic_features):
        super().__init__()
        pooled = nn.AdaptiveMaxPool1d(1), nn.Flatten()
        self.model = nn.Sequential(nn.Conv1d(4, 3, 3), nn.BatchNorm1d(3), *pooled, nn.Linear(3, 2))

    def forward(self, x):
        return self.model(x).sigmoid()
"""


@pytest.mark.parametrize("by_order", [False, True])
@pytest.mark.parametrize("prefix", ["", "model.", "module.model."])
def test_weights_come_from_wrappers_and_from_earlier_versions_of_torch(own, prefix, by_order):
    """The network's own names begin like those of a wrapper, and its normalization did not count batches then."""
    state = {name: torch.full_like(tensor, 0.5) for name, tensor in own.create(NORMALIZED).network.state_dict().items()}
    kept = {f"{prefix}{name}": tensor for name, tensor in state.items() if "num_batches" not in name}
    torch.save(kept, own.folder / "w.pth")
    again = own.create(NORMALIZED, weights=str(own.folder / "w.pth"), by_order=by_order)
    assert all((tensor == 0.5).all() for name, tensor in again.network.state_dict().items() if "num_batches" not in name)


def test_weights_of_another_network_are_refused(own, refusal):
    state = own.create().network.state_dict()
    path, options = own.folder / "w.pth", {"weights": str(own.folder / "w.pth")}
    torch.save({name: tensor for name, tensor in state.items() if "bias" not in name}, path)
    assert "w.pth lacks classifier.bias, convolution.bias; expected the names of" in refusal(own.create, **options)
    torch.save({**state, "more": torch.zeros(1)}, path)
    assert "w.pth has also more; expected the names of" in refusal(own.create, **options)
    torch.save({**state, "classifier.bias": torch.zeros(5)}, path)
    assert refusal(own.create, **options).endswith("w.pth: classifier.bias (5,), expected (2,)")
    torch.save({"lr": 3}, path)
    assert refusal(own.create, **options).endswith("holds no state dict; expected one, or what Selene saves")
    torch.save({"state_dict": Path("/")}, path)
    held = "no weights can be read (it holds pathlib.PosixPath, beside tensors and numbers); expected a state dict"
    assert held in refusal(own.create, **options)
    assert "w.pth has 6 weights" not in refusal(own.create, **options)


@pytest.fixture(params=[100, 101])
def brought(request, tmp_path):
    """Make a folder of the network of which the other program made predictions, and give its length."""
    options = {"path": str(GOLDEN / "tiny_model.py"), "weights": str(GOLDEN / f"tiny_{request.param}.pth")}
    args = {"sequence_length": request.param, "n_genomic_features": 3}
    section = OwnModel(**{"name": "file", "class": "Tiny", "args": args, **options})
    bring(section, ["f0", "f1", "f2"], tmp_path / "model", request.param)
    return tmp_path / "model", request.param


def read_like(model: Path, source, output: Path) -> Path:
    """Encode a source as for a model of which nothing else is said."""
    options, config = encode.inherit({}, [model / "config.json"]), encode.inherited_case([model / "config.json"], source)
    encode.encode(source, load_tokenizer(model), output, options, "multilabel", case=config)
    return output


@golden
def test_sequences_of_any_length_are_predicted_as_by_selene(brought, tmp_path, caplog):
    h5py = pytest.importorskip("h5py")
    model, length = brought
    with h5py.File(GOLDEN / f"selene_L{length}_single/fasta/seqs_predictions.h5") as file:
        expected = dict(zip(("short", "exact", "long", "withN"), file["data"][:], strict=True))
    _, *rows = ask([model], str(GOLDEN / "seqs.fa"), trust=True)
    assert [row[0] for row in rows] == list(expected)
    told = f"{length} letters that the network takes; unknown letters fill them up on both sides"
    # Where 101 letters are taken, two sequences of 100 are short, too.
    assert f"{1 if length == 100 else 3} of 4 sequences are shorter than the {told}" in caplog.text
    encoded = read_like(model, Fasta(path=str(GOLDEN / "seqs.fa")), tmp_path / "e.parquet")
    predict_file(model, encoded, tmp_path / "p.parquet", trust=True)
    table = pq.read_table(tmp_path / "p.parquet").to_pylist()
    for row, other in zip(rows, table, strict=True):
        np.testing.assert_allclose(np.array(row[1:], float), expected[row[0]], atol=1e-6)
        np.testing.assert_allclose(1 / (1 + np.exp(-np.array(other["outputs"]))), expected[other["id"]], atol=1e-6)


OTHERS = {letter: [other for other in "ACGT" if other != letter] for letter in "ACGT"}


def scores(model: Path, encoded: Path, scorer: str, output: Path) -> pd.DataFrame:
    """Score every exchange of a letter."""
    job = Scoring(
        **{"encoded": str(encoded), "model_folders": [str(model)], "mode": "replace", "replacements": OTHERS},
        **{"replace_modifiers": False, "explain": "all", "scorer": scorer, "trust": True, "scale": "probability"},
        **{"sample_size": None, "shard": 0, "shards": 1, "seed": 1, "folds": None},
    )
    score_shard(job, output)
    return pq.read_table(output).to_pandas()


@golden
def test_scores_of_a_sequence_that_was_filled_up_are_those_of_selene(brought, tmp_path, caplog):
    model, length = brought
    encoded = read_like(model, Fasta(path=str(GOLDEN / "seqs.fa")), tmp_path / "e.parquet")
    table = scores(model, encoded, "naive", tmp_path / "s.parquet")
    assert f"{1 if length == 100 else 3} of 4 sequences are shorter than the {length} letters" in caplog.text
    short = table[table["sequence"] == "short"]
    assert len(short) == 60 * 3 * 3  # letters that fill it up are not scored
    left = (length - 60) // 2
    wanted = pd.read_csv(GOLDEN / f"selene_L{length}_single/ism_tsv/short_diffs.tsv", sep="\t")
    assert len(wanted) > 10
    for row in wanted.itertuples():
        own = short[(short["start_offset"] == row.pos - left) & (short["replacement"] == row.alt)]
        assert set(own["token"]) == {row.ref}
        np.testing.assert_allclose(own["loo"], [row.f0, row.f1, row.f2], rtol=6e-3)


#: A chain of convolutions, of which a few lengths are taken, as pooling drops what is left over.
CHAIN = """
from torch import nn


class Chain(nn.Sequential):
    def __init__(self):
        convolutions = nn.Conv1d(4, 8, 5), nn.ReLU(), nn.MaxPool1d(4), nn.Conv1d(8, 8, 3), nn.ReLU()
        super().__init__(*convolutions, nn.Flatten(), nn.Linear(8 * 9, 2), nn.Sigmoid())
"""


@pytest.mark.parametrize("strands", ["none", "average"])
def test_fast_scores_of_sequences_that_were_filled_up_are_those_of_whole_runs(tmp_path, strands):
    (tmp_path / "chain.py").write_text(CHAIN)
    torch.manual_seed(0)
    bring(OwnModel(**{"name": "file", "path": str(tmp_path / "chain.py"), "class": "Chain"}), ["a", "b"], tmp_path / "m", 50)
    if strands == "average":
        config = read_json(tmp_path / "m/config.json") | {"reverse_complement": "average"}
        (tmp_path / "m/config.json").write_text(json.dumps(config))
    draw = np.random.default_rng(1)
    texts = {length: "".join(draw.choice(list("ACGT"), length)) for length in (50, 31, 44)}
    (tmp_path / "s.fa").write_text("".join(f">{length}\n{text}\n" for length, text in texts.items()))
    encoded = read_like(tmp_path / "m", Fasta(path=str(tmp_path / "s.fa")), tmp_path / "e.parquet")
    slow, fast = (scores(tmp_path / "m", encoded, kind, tmp_path / kind) for kind in ("naive", "incremental"))
    assert len(slow) == len(fast) == (50 + 31 + 44) * 3 * 2
    np.testing.assert_allclose(fast["loo"], slow["loo"], atol=2e-6)

    model = registry.load(tmp_path / "m", trust=True).network

    def told(text: str) -> np.ndarray:
        left = (50 - len(text)) // 2
        inputs = one_hot("N" * left + text + "N" * (50 - len(text) - left))[None]
        both = [inputs, inputs.flip(1, 2)] if strands == "average" else [inputs]
        return np.mean([model(own)[0].detach().numpy() for own in both], axis=0)

    text = texts[31]
    changed = told(text[:30] + OTHERS[text[30]][1] + text[31:])
    own = slow[(slow["sequence"] == "31") & (slow["start_offset"] == 30) & (slow["replacement"] == OTHERS[text[30]][1])]
    np.testing.assert_allclose(own["loo"], changed - told(text), atol=2e-6)


@golden
def test_windows_of_regions_are_predicted_as_by_selene(brought, tmp_path):
    h5py = pytest.importorskip("h5py")
    model, length = brought
    place = GOLDEN / f"selene_L{length}_single/bed"
    # Of an odd length the other program takes the window that begins one base further left.
    odd, path = length % 2, tmp_path / "regions.bed"
    rows = [line.split("\t") for line in (GOLDEN / "regions.bed").read_text().splitlines()]
    path.write_text(
        "".join("\t".join([row[0], *(str(int(place) - odd) for place in row[1:3]), *row[3:]]) + "\n" for row in rows)
    )
    regions = {"sample": {"method": "regions", "path": str(path)}, "contigs": {"exclude": []}}
    genome = {"genome": str(ROOT / "data/genome/human20/z.fa.gz"), "index": str(tmp_path / "index"), "max_unknown": 1.0}
    encoded = read_like(model, read_source(genome | regions | {"length": length}), tmp_path / "e.parquet")
    predict_file(model, encoded, tmp_path / "p.parquet", trust=True)
    found = {row["id"]: np.array(row["outputs"]) for row in pq.read_table(tmp_path / "p.parquet").to_pylist()}
    with h5py.File(place / "regions_predictions.h5") as file:
        wanted = file["data"][:]
    labels = [line.split("\t") for line in (place / "regions_row_labels.txt").read_text().splitlines()[1:]]
    assert len(labels) == len(found) == len(wanted) > 2
    for (_, contig, start, end, strand, *_), values in zip(labels, wanted, strict=True):
        # Selene names the region, we name the window around its middle.
        middle = int(start) + (int(end) - int(start)) // 2
        first = middle - length // 2 - odd
        own = found[f"{contig}:{first}-{first + length}{'(-)' if strand == '-' else ''}"]
        np.testing.assert_allclose(1 / (1 + np.exp(-own)), values, atol=1e-6)


@pytest.mark.parametrize(("text", "length"), [(SELENE, 10), (NORMALIZED, None), (BAGS, None)])
def test_a_network_that_takes_one_length_remembers_it(own, text, length):
    options = {"input": "ids", "task": "regression", "outputs": 1} if text == BAGS else {}
    model = own.create(text, **options)
    model.config.block_size, model.config.truncate = 12288, "right"
    probe.settle(model, 10)
    assert (model.config.length, model.config.block_size) == (length, length or 12288)
    assert model.config.truncate == ("both" if length else "right")


def test_a_sequence_is_filled_up_for_predictions_alone(own, refusal):
    model = own.create()
    probe.settle(model, 10)
    one = Encoded(0, "a", np.array([7, 8, 9, 10, 7, 8, 9]), None, None, 1.0, None)
    assert "does not take (1, 4, 7)" in refusal(predict, model, [one])
    predictor = Predictor(model, 100, filling=True)
    whole = [model.config.unknown, *one.input_ids, model.config.unknown, model.config.unknown]
    expected = predict(model, [replace(one, input_ids=np.array(whole))])
    np.testing.assert_array_equal(predictor([one]), expected)
    assert predictor.filled == 1
    np.testing.assert_allclose(model.config.letters[model.config.unknown], 0.25)


def test_sequences_longer_than_the_one_length_are_told_with_what_cuts_them(own, refusal):
    model = own.create()
    probe.settle(model, 10)
    expected = (
        "encode.block_size: sequences have up to 12 tokens, but Tiny takes 10; "
        "encode: {block_size: 10, truncate: both} cuts them to their middle"
    )
    assert refusal(check_length, model.config, 12) == expected


def test_a_network_brought_without_its_length_says_that_a_few_would_do(tmp_path, caplog):
    (tmp_path / "chain.py").write_text(CHAIN)
    section = OwnModel(**{"name": "file", "path": str(tmp_path / "chain.py"), "class": "Chain"})
    bring(section, ["a", "b"], tmp_path / "model")
    assert "takes sequences of 48 letters, and of a few more; others are refused unless the length is named" in caplog.text
    assert read_json(tmp_path / "model/config.json")["length"] is None


@pytest.fixture
def job(own, tmp_path):
    def make(text: str = SELENE, known: bool = True, **options) -> Job:
        draw = np.random.default_rng(0)
        texts = ["".join(draw.choice(list("ACGT"), 10)) for _ in range(120)]
        last = [f"{int('A' in text[:3])}" if known or row else "" for row, text in enumerate(texts)]
        rows = [f"s{row}\t{text}\t{int(text[4] == 'G')}\t{last[row]}\n" for row, text in enumerate(texts)]
        (tmp_path / "t.tsv").write_text("id\tsequence\tx\ty\n" + "".join(rows))
        source = Table(path=str(tmp_path / "t.tsv"), columns={"id": "id", "sequence": "sequence", "label": ["x", "y"]})
        tokenizer = learn.learn(source)
        save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
        encode.encode(source, tokenizer, tmp_path / "e.parquet", Encode(), "multilabel")
        folds.assign_file(tmp_path / "e.parquet", tmp_path / "folds.parquet", Folds(), "multilabel", seed=1)
        from rnalm.config import Finetune

        settings = {"epochs": 30, "batch_size": 8, "learning_rate": 0.1, "patience": None} | options
        files = {"encoded": "e.parquet", "folds": "folds.parquet", "tokenizer": "tokenizer.json", "output": "model"}
        return Job(
            **{name: str(tmp_path / file) for name, file in files.items()},
            **{"fold": 0, "replicate": 0, "task": "multilabel", "scaling": "none", "class_weights": False, "seed": 3},
            **{"threads": 1, "gpus": 0, "model": own.section(text)},
            options=Finetune(**settings).model_dump(mode="json", exclude={"replicates", "gpus"}),
        )

    return make


def test_it_is_trained_with_its_own_loss_and_optimizer(job, caplog):
    caplog.set_level("INFO")
    one = job()
    finetune.finetune(one)
    assert "the optimizer is SGD, of the network's own file" in caplog.text
    model = registry.load(one.output, trust=True)
    rows = [row for group in dataset.read(one.encoded) for row in group]
    right = (predict(model, rows) > 0) == np.stack([row.label for row in rows])
    assert right.mean() > 0.95
    assert load_tokenizer(one.output).get_vocab() == load_tokenizer(one.tokenizer).get_vocab()


def test_its_loss_knows_no_unknown_labels(job, refusal):
    message = refusal(finetune.finetune, job(known=False))
    assert message == "model.path: the loss of this file (criterion) knows no unknown labels; expected known ones, or none"
    without = SELENE.partition("def criterion")[0]
    finetune.finetune(job(without, known=False, epochs=1))


def test_what_its_loss_and_optimizer_do_not_know_is_refused(job, refusal):
    one = job()
    weighted = Job(**vars(one) | {"class_weights": True})
    message = refusal(finetune.finetune, weighted)
    assert message.startswith("labels: classes weigh, of which the loss of ")
    assert message.endswith("my.py (criterion) knows nothing; leave one of them out")
    message = refusal(finetune.finetune, job(weight_decay=0.1))
    assert message.startswith("finetune.weight_decay is of Adam, and ")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("return nn.BCELoss()", "return nn.NoLoss()", "my.py: criterion fails (module 'torch.nn' has no attribute 'NoLoss')"),
        (
            "return torch.optim.SGD, ",
            "return torch.optim.SGD #",
            "my.py: get_optimizer gives <class 'torch.optim.sgd.",
        ),
        ('"lr": lr', '"lrr": lr', "model.path: the optimizer of this file cannot be made ("),
        ("def get_optimizer(lr)", "def get_optimizer(lr, more)", "my.py: get_optimizer fails (get_optimizer() missing 1"),
    ],
)
def test_what_a_file_gives_that_is_no_loss_or_optimizer_is_told(job, refusal, old, new, problem):
    assert old in SELENE
    message = refusal(lambda: finetune.finetune(job(SELENE.replace(old, new))))
    assert problem in message
    assert "\n" not in message


def test_a_network_that_gives_several_things_is_told(own, refusal):
    model = own.create(NORMALIZED.replace("return self.model(x).sigmoid()", "return self.model(x), x"))
    assert refusal(model, own.ids()).endswith("my.py: Tiny gives tuple, expected a tensor (batch, outputs)")


def test_memory_that_runs_out_is_passed_on(own, monkeypatch):
    model = own.create()
    monkeypatch.setattr(model.network, "forward", lambda x: (_ for _ in ()).throw(torch.OutOfMemoryError("out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        model(own.ids())


def test_tokens_cannot_be_removed_where_one_length_is_taken(own, refusal):
    meaning = Labels("multilabel", classes=("x", "y"))
    message = refusal(check.check_shorter, own.section(), meaning, own.tokenizer, 9)
    assert message.startswith("interpret.modes: remove makes sequences shorter, but ")
    assert "my.py: Tiny does not take (2, 4, 9) (" in message
    assert message.endswith("; expected mask or replace")
    check.check_shorter(own.section(BAGS, input="ids"), Labels("regression"), own.tokenizer, 9)


def test_an_edit_of_the_file_is_another_training(job):
    one = job()
    before = one.settings_hash()
    path = Path(one.model["path"])
    moved = path.with_name("moved.py")
    moved.write_text(path.read_text())
    assert Job(**vars(one) | {"model": one.model | {"path": str(moved)}}).settings_hash() == before
    path.write_text(SELENE.replace("Conv1d(4, 8, 5)", "Conv1d(4, 6, 5)"))
    assert one.settings_hash() != before
