"""What is planted in the demo is what models learn, and what is reported; of labels in random order nothing is."""

import random
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from rnalm.files import read_json
from rnalm.prediction.said import BANNER

#: What config/demo/make_demo.py plants.
MOTIF = "tatttata"


@pytest.fixture(scope="module")
def demo(tmp_path_factory, make_experiment, repository):
    """Run the demo with one model and less training, which is enough for what is planted."""
    experiment = make_experiment(tmp_path_factory.mktemp("demo"))
    experiment.config = yaml.safe_load((repository / "config" / "config.yaml").read_text()) | {"output": "out"}
    experiment.config |= {"baseline": "none", "ensemble": "mean"}
    (experiment.folder / "config").symlink_to(repository / "config")
    experiment.config["folds"] |= {"n": 1}
    experiment.config["finetune"] |= {"epochs": 10, "patience": None}
    experiment.config["interpret"] |= {"modes": ["mask"], "replacements": {}, "sample_size": 60, "shards": 1}
    experiment.succeed("report", "interpret")
    return experiment


def table(experiment, name: str) -> pd.DataFrame:
    return pd.read_csv(experiment.output / "interpret" / f"loo_scores_mask.{name}.csv")


def test_the_planted_motif_is_on_top_of_the_k_mers(demo):
    kmers = table(demo, "kmers")
    sure = kmers[kmers["q"] < 0.05]
    best = sure.iloc[0]
    assert best["effect"] < 0
    assert best["kmer"] in MOTIF
    assert best["three_prime"] < 0


def test_the_planted_motif_is_the_first_of_the_motifs(demo):
    best = table(demo, "motifs").iloc[0]
    assert best["motif"] == "down_1"
    assert best["consensus"] in MOTIF or MOTIF in best["consensus"]
    assert best["three_prime"] > best["five_prime"]


def test_codons_that_end_in_g_or_c_raise_the_half_life_in_frame(demo):
    kmers = table(demo, "kmers").set_index("kmer")
    third = kmers.loc[["a", "c", "g", "t"], "frame_2"]
    assert third[["c", "g"]].min() > third[["a", "t"]].max()


def test_the_report_of_the_demo_draws_what_was_planted_and_stays_small(demo):
    text = (demo.output / "report.html").read_text()
    assert "What the model learned" in text
    assert f"Motif down_1: {table(demo, 'motifs')['consensus'].iloc[0]}" in text
    assert len(text.encode()) < 2_000_000
    shown = re.findall(r"([\w.]+): \w+, from (\d+) to (\d+), mean effect of a token ([+-])", text)
    seqlets = table(demo, "seqlets").set_index(["sequence", "start", "end"])["effect"]
    assert shown
    for name, start, end, sign in shown:
        assert (seqlets.loc[(name, int(start), int(end))] > 0).all() == (sign == "+"), "one sign everywhere"


def test_of_labels_in_random_order_nothing_is_to_be_read(experiment):
    """Pages begin with a banner, and show in grey what models do not know."""

    def shuffle(rows: list[list[str]]) -> list[list[str]]:
        labels = [row[2] for row in rows]
        random.Random(1).shuffle(labels)
        return [[*row[:2], label, *row[3:]] for row, label in zip(rows, labels, strict=True)]

    experiment.config |= {"baseline": "none", "ensemble": "mean"}
    experiment.write_table(edit=shuffle)
    experiment.succeed("report", "interpret")
    assert read_json(experiment.output / "verdict.json")["readable"] is False
    for page in ("report.html", "interpret/loo_scores_mask.html"):
        text = (experiment.output / Path(page)).read_text()
        assert BANNER in text
    report = (experiment.output / "report.html").read_text()
    assert report.count('<div class="unread">') == 2
