"""Configurations of Selene become ours: what has an equal is carried over, all else is said, and nothing is run."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from rnalm.cli import main
from rnalm.config.importers import selene
from rnalm.config.load import load

GOLDEN = Path(__file__).parents[2] / "data/genome/golden"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs data/genome")

MODEL = (
    "model: {path: net.py, class: Tiny, class_args: {sequence_length: 1000, n_genomic_features: 9}, non_strand_specific: mean}"
)
RANDOM = """
sampler: !obj:selene_sdk.samplers.RandomPositionsSampler {
    reference_sequence: !obj:selene_sdk.sequences.Genome {input_path: hg19.fa, blacklist_regions: hg19},
    features: !obj:selene_sdk.utils.load_features_list {input_path: features.txt},
    target_path: peaks.bed.gz,
    seed: 127,
    sequence_length: 500,
    center_bin_to_predict: 100,
    feature_thresholds: {CTCF: 0.3, default: 0.5},
    mode: train,
    save_datasets: [test]
}
"""
TRAIN = """
train_model: !obj:selene_sdk.TrainModel {
    batch_size: 32,
    max_steps: 9000,
    report_stats_every_n_steps: 2000,
    save_checkpoint_every_n_steps: 500,
    n_validation_samples: 1000,
    n_test_samples: 2000,
    use_cuda: True,
    metrics: {roc_auc: !import sklearn.metrics.roc_auc_score},
    checkpoint_resume: False
}
"""


@pytest.fixture
def bring(tmp_path):
    """Import a configuration, and give ours as it was written, loaded, and its text."""

    def make(text: str) -> tuple[dict, str]:
        (tmp_path / "selene.yaml").write_text(text)
        written = selene.read(tmp_path / "selene.yaml").text()
        return yaml.safe_load(written), written

    return make


def test_a_training_becomes_an_experiment(bring):
    settings, text = bring(f"ops: [train, evaluate]\n{MODEL}\n{RANDOM}\n{TRAIN}\nrandom_seed: 133\noutput_dir: out\nlr: 0.01\n")
    loaded = load(settings)
    assert (loaded.output, loaded.seed, loaded.task) == ("out", 133, "multilabel")
    source = loaded.source
    assert (source.genome, source.length, source.bin, source.strand) == ("hg19.fa", 500, 100, "random")
    assert (source.sample.method, source.sample.seed) == ("random", 127)
    # As many as 9,000 steps of 32 take, and those that are held out.
    assert source.sample.n == 9000 * 32 + 3000
    assert source.features.model_dump(include={"path", "classes", "threshold", "thresholds"}) == {
        **{"path": "peaks.bed.gz", "classes": "features.txt"},
        **{"threshold": 0.5, "thresholds": {"CTCF": 0.3}},
    }
    assert (loaded.folds.method, loaded.folds.validation, loaded.folds.test) == ("column", ["chr6", "chr7"], ["chr8", "chr9"])
    assert settings["model"] == {
        **{"name": "file", "path": "net.py", "class": "Tiny", "strands": "mean"},
        "args": {"sequence_length": 1000, "n_genomic_features": 9},
    }
    finetune = loaded.finetune
    assert (finetune.batch_size, finetune.learning_rate, finetune.gpus, finetune.patience) == (32, 0.01, 1, None)
    # Upwards to a multiple of the steps from report to report.
    assert (finetune.max_steps, finetune.report_every, finetune.save_every) == (10000, 2000, 500)
    for told in (
        "# max_steps: 9000 there",
        "# blacklist: a BED file of the hg19 blacklist",
        "# sampler.save_datasets: ['test'] –",
    ):
        assert told in text
    assert "# train_model.metrics: {roc_auc: sklearn.metrics.roc_auc_score} – ROC AUC, average precision" in text


def test_every_key_is_carried_over_or_said(bring):
    _, text = bring(f"ops: [train]\n{MODEL}\n{RANDOM}\n{TRAIN}\nload_test_set: True\nmine: 7\n")
    for key in ("mode", "save_datasets", "metrics", "load_test_set", "mine", "learning_rate", "scheduler"):
        assert f"{key}:" in text
    assert "mine: 7 – not known here" in text


def test_intervals_and_shares_that_are_held_out(bring):
    sampler = RANDOM.replace("RandomPositionsSampler", "IntervalsSampler").replace(
        "mode: train", "intervals_path: i.bed, validation_holdout: 0.1, test_holdout: 0.2, mode: train"
    )
    loaded = load(bring(f"ops: [train]\n{MODEL}\n{sampler}\n{TRAIN}")[0])
    assert (loaded.source.sample.method, loaded.source.sample.path, loaded.source.sample.negatives) == (
        *("intervals", "i.bed"),
        False,
    )
    assert loaded.source.max_unknown == 1
    assert (loaded.folds.method, loaded.folds.ratio) == ("ratio", [70, 10, 20])


PARTS = """
sampler: !obj:selene_sdk.samplers.MultiFileSampler {
    train_sampler: !obj:selene_sdk.samplers.file_samplers.MatFileSampler {
        filepath: train.mat, sequence_key: x, targets_key: y, sequence_batch_axis: 2, sequence_alphabet_axis: 1,
        targets_batch_axis: 1
    },
    validate_sampler: !obj:selene_sdk.samplers.file_samplers.MatFileSampler {
        filepath: valid.mat, sequence_key: x, targets_key: y, shuffle: False
    },
    test_sampler: !obj:selene_sdk.samplers.file_samplers.BedFileSampler {
        filepath: test.bed, reference_sequence: !obj:selene_sdk.sequences.Genome {input_path: hg19.fa},
        n_samples: 640000, sequence_length: 1000, targets_avail: True, n_features: 9
    },
    features: !obj:selene_sdk.utils.load_features_list {input_path: features.txt},
    mode: train
}
"""


def test_files_that_were_drawn_before_are_parts(bring):
    settings, text = bring(f"ops: [train]\n{MODEL}\n{PARTS}\n{TRAIN}")
    parts = load(settings).source.each
    assert list(parts) == ["train", "validation", "test"]
    assert (parts["train"].sequence_batch_axis, parts["train"].targets_batch_axis) == (2, 1)
    assert parts["validation"].classes == "features.txt"
    assert parts["test"].sample.path == "test.bed"
    assert "n_samples: 640000 – all rows of the file are taken" in text


def test_an_evaluation_takes_what_tests(bring):
    evaluate = """
evaluate_model: !obj:selene_sdk.EvaluateModel {
    features: !obj:selene_sdk.utils.load_features_list {input_path: features.txt},
    use_features_ord: !obj:selene_sdk.utils.load_features_list {input_path: some.txt},
    trained_model_path: best.pth.tar, batch_size: 64, report_gt_feature_n_positives: 50, use_cuda: False
}
output_dir: out
"""
    settings, text = bring(f"ops: [evaluate]\n{MODEL}\n{PARTS}\n{evaluate}")
    assert settings["source"]["sample"] == {"method": "regions", "path": "test.bed"}
    assert settings["model"] == {"folders": ["out/network"], "trust": True}
    assert settings["evaluate"] == {"classes": "some.txt", "min_positives": 50}
    assert "rnalm import network net.py --class Tiny --args '{n_genomic_features: 9, sequence_length: 1000}'" in text
    assert "--length 1000 --weights best.pth.tar --classes features.txt --output out/network" in " ".join(text.split())
    load(settings)


def test_an_evaluation_on_a_genome_draws_what_is_tested(bring):
    evaluate = "evaluate_model: !obj:selene_sdk.EvaluateModel {trained_model_path: b.pth, n_test_samples: 64000}"
    settings, text = bring(f"ops: [evaluate]\n{MODEL}\n{RANDOM}\n{evaluate}\n")
    assert settings["source"]["sample"]["n"] == 64000
    assert settings["source"]["contigs"] == {"include": ["chr8", "chr9"]}
    assert "sample.n: 64000 windows are tested there" in text


@pytest.mark.parametrize(
    ("asked", "source", "interpret", "formats"),
    [
        (
            "prediction: {input_path: r.bed, output_dir: o, strand_index: 5}",
            {"genome": "hg19.fa", "length": 1000},
            None,
            ["tsv"],
        ),
        ("prediction: {input_path: s.fa, output_format: hdf5}", {"path": ["s.fa"]}, None, ["hdf5"]),
        ("in_silico_mutagenesis: {input_path: s.fa, save_data: [logits]}", {"path": ["s.fa"]}, ["mutate"], []),
    ],
)
def test_analyses_are_predictions_and_scores(bring, asked, source, interpret, formats):
    analyze = """
analyze_sequences: !obj:selene_sdk.predict.AnalyzeSequences {
    trained_model_path: best.pth.tar, sequence_length: 1000, batch_size: 64, use_cuda: True, write_mem_limit: 75000,
    features: !obj:selene_sdk.utils.load_features_list {input_path: features.txt},
    reference_sequence: !obj:selene_sdk.sequences.Genome {input_path: hg19.fa}
}
"""
    settings, text = bring(f"ops: [analyze]\n{MODEL}\n{analyze}\n{asked}\n")
    assert source.items() <= settings["source"].items()
    if "genome" in source:
        # As there: all regions are predicted, on the forward strand if no column is named.
        assert settings["source"]["max_unknown"] == 1
        forward, _ = bring(f"ops: [analyze]\n{MODEL}\n{analyze}\n{asked.replace(', strand_index: 5', '')}\n")
        assert (settings["source"].get("strand"), forward["source"]["strand"]) == (None, "+")
    assert settings.get("interpret", {}).get("modes") == interpret
    assert settings.get("interpret", {}).get("scale") == ("logit" if interpret else None)
    assert "write_mem_limit: 75000 – predictions are written as they come" in text
    # In the format in which Selene writes.
    assert load(settings).predict.formats == formats


ANALYZE = """
analyze_sequences: !obj:selene_sdk.predict.AnalyzeSequences {
    trained_model_path: best.pth.tar, sequence_length: 1000,
    reference_sequence: !obj:selene_sdk.sequences.Genome {input_path: hg19.fa}
}
"""


def test_what_is_analyzed_stands_beside_what_is_trained_on(bring):
    asked = "prediction: {input_path: r.bed}\nin_silico_mutagenesis: {input_path: s.fa}"
    settings, _ = bring(f"ops: [train, evaluate, analyze]\n{MODEL}\n{RANDOM}\n{TRAIN}\n{ANALYZE}\n{asked}\nlr: 0.01\n")
    loaded = load(settings)
    assert loaded.source.genome == "hg19.fa"
    assert loaded.source.features.path == "peaks.bed.gz"
    assert loaded.inference["prediction"].sample.path == "r.bed"
    assert loaded.inference["mutagenesis"].paths == ["s.fa"]


def test_a_mutagenesis_is_written_as_selene_does_and_what_it_writes_besides_is_told(bring):
    asked = "in_silico_mutagenesis: {input_path: s.fa, save_data: [diffs, logits]}"
    settings, text = bring(f"ops: [analyze]\n{MODEL}\n{ANALYZE}\n{asked}\n")
    assert (settings["interpret"]["formats"], "scale" in settings["interpret"]) == (["selene"], False)
    told = "save_data: ['diffs', 'logits'] – differences, their sizes, logits and predictions are all written"
    assert told in text.replace("\n  #", "")
    hdf5 = asked.replace("save_data", "output_format: hdf5, save_data")
    settings, _ = bring(f"ops: [analyze]\n{MODEL}\n{ANALYZE}\n{hdf5}\n")
    assert load(settings).interpret.formats == ["hdf5"]


def test_variants_have_a_section(bring):
    asked = "variant_effect_prediction: {vcf_files: [a.vcf, b.vcf], save_data: [diffs, logits], output_dir: o, strand_index: 8}"
    settings, _ = bring(f"ops: [analyze]\n{MODEL}\n{ANALYZE}\n{asked}\n")
    [cohort] = load(settings).variants.values()
    assert (cohort.path, cohort.genome, cohort.length) == (["a.vcf", "b.vcf"], "hg19.fa", 1000)
    assert (cohort.scores, cohort.strand_column, cohort.formats) == (["diffs", "logits"], 8, ["parquet", "tsv"])
    settings, _ = bring(f"ops: [analyze]\n{MODEL}\n{ANALYZE}\n{asked.replace('output_dir: o', 'output_format: hdf5')}\n")
    assert load(settings).variants["variants"].formats == ["parquet", "hdf5"]


def test_the_word_none_is_nothing(bring):
    sampler = RANDOM.replace("feature_thresholds: {CTCF: 0.3, default: 0.5}", "feature_thresholds: None, test_holdout: None")
    train = TRAIN.replace("save_checkpoint_every_n_steps: 500", "save_checkpoint_every_n_steps: None")
    train = train.replace("n_validation_samples: 1000", "n_validation_samples: None").replace("False", "None")
    model = MODEL.replace("non_strand_specific: mean", "non_strand_specific: None")
    settings, _ = bring(f"ops: [train]\n{model}\n{sampler}\n{train}\nlr: 0.01\n")
    loaded = load(settings)
    assert (loaded.folds.test, loaded.source.features.threshold, loaded.finetune.save_every) == ([], 0.5, None)
    assert not {"weights", "strands"} & set(settings["model"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "found no ops and model, expected a configuration of Selene"),
        ("ops: [train]\nmodel: {path: a.py}", "ops has train, but there is no train_model"),
        (f"ops: [train]\nmodel: {{path: a.py}}\n{TRAIN}", "model.class is missing"),
        (f"ops: [train]\n{MODEL}\n{TRAIN}\nsampler: {{a: 1}}", "sampler is {a: 1}, expected one of Selene's"),
        (f"ops: [train]\n{MODEL}\n{TRAIN}\nsampler: !obj:my.Sampler {{a: 1}}", "sampler is Sampler, which is not known"),
        ("ops: [train", "cannot be read as YAML"),
        ("ops: [train]\nmodel: !!python/object/apply:os.system ['touch ran']", "cannot be read as YAML"),
    ],
)
def test_what_is_no_such_configuration_is_refused(bring, refusal, text, message):
    assert message in refusal(bring, text)


def test_nothing_that_is_named_is_run_and_the_command_says_what_it_wrote(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("raise SystemExit('ran')")
    (tmp_path / "selene.yaml").write_text(f"ops: [train]\n{MODEL}\n{RANDOM}\n{TRAIN}")
    assert main(["import", "selene", "selene.yaml", "--output", "ours/config.yaml"]) == 0
    assert "ours/config.yaml: written, with " in capsys.readouterr().out
    load(yaml.safe_load((tmp_path / "ours/config.yaml").read_text()))


# The network itself


@golden
def test_a_trained_network_becomes_a_folder_that_predicts_what_selene_does(tmp_path, capsys, refusal):
    (tmp_path / "features.txt").write_text("a\nb\nc\n")
    args = "{sequence_length: 100, n_genomic_features: 3}"
    command = ["import", "network", str(GOLDEN / "tiny_model.py"), "--class", "Tiny", "--args", args, "--strands", "none"]
    command += ["--weights", str(GOLDEN / "tiny_100.pth"), "--classes", str(tmp_path / "features.txt"), "--length", "100"]
    assert main([*command, "--output", str(tmp_path / "network")]) == 0
    text = next(part for part in (GOLDEN / "seqs.fa").read_text().split(">") if part.startswith("exact"))
    sequence = "".join(text.splitlines()[1:])
    capsys.readouterr()
    assert main(["predict", sequence, "--model", str(tmp_path / "network"), "--trust"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split("\t") == ["id", "prob_a", "prob_b", "prob_c"]
    with h5py.File(GOLDEN / "selene_L100_single/fasta/seqs_predictions.h5") as file:
        np.testing.assert_allclose(np.array(row.split("\t")[1:], dtype=float), file["data"][1], atol=1e-6)
    (tmp_path / "features.txt").write_text("a\nb\na\n")
    assert main([*command, "--output", str(tmp_path / "other")]) == 1
    assert "features.txt: the class 'a' is named twice" in capsys.readouterr().err
    # One number less than the network gives.
    (tmp_path / "features.txt").write_text("a\nb\n")
    assert main([*command, "--output", str(tmp_path / "other")]) == 1
    assert "Tiny gives (2, 3), expected (2, 2) (batch, outputs)" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


NETWORK = """from torch import nn


class Net(nn.Sequential):
    def __init__(self, end):
        super().__init__(nn.Conv1d(4, 3, 3), nn.ReLU(), *END[end])


END = {
    "flat": (nn.Flatten(), nn.Linear(12, 2), nn.Sigmoid()),
    "soft": (nn.Softmax(dim=1), nn.Flatten(), nn.Linear(12, 2), nn.Sigmoid()),
}
"""


def test_a_network_is_tried_where_its_parts_tell_a_length_and_else_it_is_said_that_it_is_not(tmp_path, capsys, caplog):
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    command = ["import", "network", str(tmp_path / "net.py"), "--class", "Net", "--weights", str(tmp_path / "w.pth")]
    command += ["--classes", str(tmp_path / "names.txt"), "--output", str(tmp_path / "out")]
    for end, place in (("flat", 3), ("soft", 4)):
        shapes = {"0.weight": (3, 4, 3), "0.bias": (3,), f"{place}.weight": (2, 12), f"{place}.bias": (2,)}
        torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "w.pth")
        status = main([*command, "--args", f"{{end: {end}}}"])
        assert status == (1 if end == "flat" else 0), end
    assert "Net gives (2, 2), expected (2, 3) (batch, outputs)" in capsys.readouterr().err
    assert "net.py: not tried, as it is not known which lengths it takes; name one (--length)" in caplog.text


def test_arguments_that_are_none_are_refused(tmp_path, capsys):
    command = ["import", "network", "a.py", "--class", "A", "--args", "[1, 2]", "--weights", "w.pth", "--output", "o"]
    assert main(command) == 1
    assert "--args: found '[1, 2]', expected names and values, as in '{sequence_length: 1000}'" in capsys.readouterr().err
