"""A language model from FASTA files to coloured letters, and what can be wrong with its configuration."""

import json
import pickle
import shutil

import pandas as pd
import pytest
import shap
import yaml
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer


def test_every_stage_leaves_its_files(language):
    found = {str(path.relative_to(language.output)) for path in language.output.rglob("*") if path.is_file()}
    expected = {"clusters.parquet", "pretrain/model.safetensors", "pretrain/eval_results.json", "sweep/index.html"}
    expected |= {f"sweep/{fold}/{name}" for fold in range(1) for name in ("best.yaml", "trials.csv")}
    expected |= {f"powerlaw/{name}" for name in ("alphas.csv", "summary.csv", "histogram.pdf", "layers.pdf")}
    modes = ("remove", "integrated_gradients")
    expected |= {f"interpret/loo_scores_{mode}.{kind}" for mode in modes for kind in ("parquet", "csv", "pkl", "html")}
    assert expected <= found
    assert language.plan() == {}


def test_pretraining_stands_beside_what_frequencies_give(language):
    found = json.loads((language.output / "pretrain" / "eval_results.json").read_text())
    assert found["eval_perplexity"] > 1
    assert found["baseline_perplexity"] > 1
    assert 0 <= found["eval_masked_accuracy"] <= 1
    assert "Pretraining" in (language.output / "report.html").read_text()


def test_model_folders_load_by_themselves(language):
    AutoModelForMaskedLM.from_pretrained(language.output / "pretrain")
    folder = language.output / "fine-tune" / "0"
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.id2label == {0: "no", 1: "yes"}
    assert tokenizer("ACGT")["input_ids"][0] == tokenizer.cls_token_id


def test_models_are_trained_with_the_best_values_of_their_fold(language):
    best = yaml.safe_load((language.output / "sweep" / "0" / "best.yaml").read_text())
    assert "finetune.learning_rate" in str(best)
    assert (language.output / "sweep" / "index.html").read_text().startswith("<!DOCTYPE html>")


def test_bases_are_scored_where_they_stand(language):
    scores = pd.read_parquet(language.output / "interpret" / "loo_scores_remove.parquet")
    assert scores["sequence"].nunique() == 4
    for name, rows in scores.groupby("sequence"):
        file = language.folder / f"{name.rstrip('0123456789')}.fasta"
        text = file.read_text().split(f">{name} made up")[1].split()[0]
        assert "".join(rows["token"]) == text
        assert rows["start_offset"].tolist() == list(range(len(text)))
        assert rows["end_offset"].tolist() == list(range(1, len(text) + 1))


def test_the_pickle_is_for_shap(language):
    with open(language.output / "interpret" / "loo_scores_integrated_gradients.pkl", "rb") as file:
        explanations = pickle.load(file)
    assert len(explanations) == 4
    assert "<svg" in shap.plots.text(explanations[0], display=False)


def test_what_was_pretrained_predicts_without_being_pretrained_again(language, make_experiment, tmp_path):
    experiment = make_experiment(tmp_path)
    experiment.config = {key: value for key, value in language.config.items() if key not in ("sweep", "encode")}
    experiment.config["model"] = [str(language.output / "fine-tune" / "0")]
    for name in ("yes.fasta", "no.fasta"):
        shutil.copyfile(language.folder / name, tmp_path / name)
    assert not {"pretrain_model", "finetune_fold"} & set(experiment.plan())


def mistakes() -> dict:
    """Changes of a good experiment, and the end of the message."""

    def write(name: str, text: str):
        return lambda experiment: (experiment.folder / name).write_text(text)

    def configure(**sections):
        def change(experiment):
            for name, values in sections.items():
                experiment.config[name] = experiment.config.get(name, {}) | values

        return change

    def pretrain_elsewhere(experiment):
        experiment.config["model"] = {"name": "hf", "pretrained": "other"}
        experiment.config["tokenizer"] = {"type": "bpe", "vocab_size": 30}
        del experiment.config["pretrain"], experiment.config["sweep"]

    return {
        "an empty FASTA file": (
            write("no.fasta", ""),
            "no.fasta: no sequences in it; expected FASTA records, each with a header that begins with '>'",
        ),
        "a record without a sequence": (
            write("no.fasta", ">a\nACGT\n>b\n>c\nA\n"),
            "no.fasta, line 3: the sequence of 'b' is empty",
        ),
        "an id in two classes": (
            write("no.fasta", ">yes0\nACGT\n>b\nACGTA\n"),
            "yes.fasta, line 1: the id 'yes0' was already used in no.fasta, line 1; ids must be unique",
        ),
        "a protein on both strands": (
            write("no.fasta", ">a\nMKLV\n>b\nMKLVV\n"),
            "encode.reverse_complement is for DNA and RNA",
        ),
        "a sweep over an unknown key": (
            configure(sweep={"parameters": {"finetune.learning_rat": {"values": [1]}}}),
            "did you mean 'finetune.learning_rate'?",
        ),
        "a pretrained model with another tokenizer": (pretrain_elsewhere, "has another tokenizer than this experiment"),
    }


@pytest.mark.parametrize("mistake", mistakes())
def test_a_mistake_ends_in_one_clear_line(language, make_experiment, tmp_path, mistake):
    make, message = mistakes()[mistake]
    experiment = make_experiment(tmp_path)
    for name in ("yes.fasta", "no.fasta"):
        shutil.copyfile(language.folder / name, tmp_path / name)
    shutil.copytree(language.output / "pretrain", tmp_path / "other", ignore=shutil.ignore_patterns("checkpoints"))
    experiment.config = dict(language.config)
    make(experiment)
    found = experiment.run("finetune")
    assert found.returncode != 0
    assert "Traceback" not in found.stdout
    assert message in "\n".join(found.stdout.splitlines()[-8:])
