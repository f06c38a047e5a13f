"""A language model from FASTA files to coloured letters, and what can be wrong with its configuration."""

import json
import pickle
import shutil

import pandas as pd
import shap
import yaml
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer


def test_every_stage_leaves_its_files(language):
    found = {str(path.relative_to(language.output)) for path in language.output.rglob("*") if path.is_file()}
    expected = {"clusters.parquet", "pretrain/0/model.safetensors", "pretrain/0/eval_results.json", "sweep/index.html"}
    expected |= {f"sweep/{fold}/{name}" for fold in range(1) for name in ("best.yaml", "trials.csv")}
    expected |= {f"powerlaw/{name}" for name in ("alphas.csv", "summary.csv", "histogram.pdf", "layers.pdf")}
    modes = ("remove", "integrated_gradients")
    expected |= {f"interpret/loo_scores_{mode}.{kind}" for mode in modes for kind in ("parquet", "csv", "pkl", "html")}
    assert expected <= found
    assert language.plan() == {}


def test_pretraining_stands_beside_what_frequencies_give(language):
    found = json.loads((language.output / "pretrain" / "0" / "eval_results.json").read_text())
    assert found["eval_perplexity"] > 1
    assert found["baseline_perplexity"] > 1
    assert 0 <= found["eval_masked_accuracy"] <= 1
    report = (language.output / "report.html").read_text()
    assert "Pretraining" in report
    assert "It learned from the sequences that train its fold" in report


def test_model_folders_load_by_themselves(language):
    AutoModelForMaskedLM.from_pretrained(language.output / "pretrain" / "0")
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
    for name, rows in scores[scores["class"] == "yes"].groupby("sequence"):
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


def test_every_class_is_explained(language):
    scores = pd.read_csv(language.output / "interpret" / "loo_scores_remove.csv")
    assert set(scores["class"]) == {"yes", "no"}
    # Probabilities sum to one, so that what one class loses the other wins.
    assert scores.groupby(["sequence", "start_offset"])["loo"].sum().abs().max() < 1e-6
    results = json.loads((language.output / "fine-tune" / "0" / "test_results.json").read_text())
    assert set(results["test_per_class"]) == {"yes", "no"}
    assert "Confusion" in (language.output / "report.html").read_text()


def test_a_pretrained_model_with_another_tokenizer_is_refused_before_training(language, make_experiment, tmp_path):
    experiment = make_experiment(tmp_path)
    for name in ("yes.fasta", "no.fasta"):
        shutil.copyfile(language.folder / name, tmp_path / name)
    shutil.copytree(language.output / "pretrain" / "0", tmp_path / "other", ignore=shutil.ignore_patterns("checkpoints"))
    experiment.config = {key: value for key, value in language.config.items() if key not in ("pretrain", "sweep")}
    experiment.config |= {"model": {"name": "hf", "pretrained": "other"}, "tokenizer": {"type": "bpe", "vocab_size": 30}}
    assert "has another tokenizer than this experiment" in experiment.refusal("finetune")
