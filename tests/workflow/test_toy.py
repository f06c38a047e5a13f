"""A new architecture is one file and one entry: a toy goes through the workflow."""

import shutil

import pandas as pd
import pytest

from rnalm.files import read_json
from rnalm.pipeline import fingerprint, references

#: The file: ``rnalm/models/toy.py``.
FILE = '''\
"""Toy: the mean of what tokens are embedded as, and a line through it."""

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class ToyConfig(PreTrainedConfig):
    model_type = "toy"
    vocab_size: int = 11
    width: int = 4
    modifier_channels: int = 0


class Toy(PreTrainedModel):
    config_class = ToyConfig

    def __init__(self, config):
        super().__init__(config)
        self.embedding = torch.nn.Embedding(config.vocab_size, config.width)
        self.head = torch.nn.Linear(config.width, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, modifiers=None, **kwargs):
        there = (torch.ones_like(input_ids) if attention_mask is None else attention_mask).unsqueeze(-1)
        mean = (self.embedding(input_ids) * there).sum(dim=1) / there.sum(dim=1)
        return SequenceClassifierOutput(logits=self.head(mean))


def create(options, vocab_size, modifier_channels, n_outputs, special, **extra):
    sizes = {"vocab_size": vocab_size, "modifier_channels": modifier_channels, "num_labels": n_outputs}
    return Toy(ToyConfig(**sizes, **options, **extra))


AutoConfig.register("toy", ToyConfig)
AutoModelForSequenceClassification.register(ToyConfig, Toy)
'''

#: The entry: its section in ``rnalm/config/architectures.py``.
SECTION = '''\
class Toy(Architecture):
    """The mean of embeddings."""

    title = "Toy"
    network = "rnalm.models.toy:create"
    name: Literal["toy"]
    """`toy`."""
    width: int = Field(default=4, ge=1)
    """Channels of an embedding."""


'''


@pytest.fixture
def extended(repository, tmp_path):
    """Copy the repository, and add the toy."""
    root = tmp_path / "extended"
    shutil.copytree(repository, root)
    (root / "rnalm/models/toy.py").write_text(FILE)
    learning = root / "rnalm/config/architectures.py"
    before, entry, after = learning.read_text().partition("#: All architectures by name")
    learning.write_text(before + SECTION + entry + after.replace('"hf": HuggingFace', '"hf": HuggingFace, "toy": Toy'))
    return root


def test_a_toy_is_trained_predicts_and_is_explained(experiment, extended):
    experiment.root = extended
    experiment.config["model"] = {"name": "toy", "width": 8}
    experiment.config["folds"]["n"] = 1
    experiment.config["interpret"]["shards"] = 1
    experiment.succeed("predict", "interpret")
    config = read_json(experiment.output / "fine-tune/0/config.json")
    assert (config["model_type"], config["width"]) == ("toy", 8)
    predictions = pd.read_parquet(experiment.output / "predict/predictions.parquet")
    assert predictions["pred"].notna().all()
    scores = pd.read_csv(experiment.output / "interpret/loo_scores_mask.csv")
    assert set(scores["sequence"]) == set(predictions["id"])
    experiment.config["model"]["width"] = 0
    assert "model.width: found 0; input should be greater than or equal to 1" in experiment.refusal("--dry-run")


def test_an_edit_of_the_toy_is_an_edit_of_what_trains_and_runs_it(extended):
    def codes() -> dict[str, str]:
        references.parsed.cache_clear()
        fingerprint._look.cache_clear()
        scripts = (extended / "workflow/scripts").glob("*.py")
        return {script.stem: fingerprint.code(script, extended / "rnalm") for script in scripts}

    before, toy = codes(), extended / "rnalm/models/toy.py"
    toy.write_text(toy.read_text().replace(".sum(dim=1) / there", ".sum(dim=1) * 1 / there"))
    after = codes()
    changed = {script for script in before if before[script] != after[script]}
    assert {"finetune", "sweep_worker", "predict", "score"} <= changed
    assert not {"tokenize", "encode", "cluster", "folds", "merge_predictions", "merge_scores", "report"} & changed
