"""Tracks: what several models predict for tokens, in other formats, and the best sites of each split."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from rnalm.config import Encode, Labels, Table
from rnalm.config.results import Sites
from rnalm.files import read_json
from rnalm.labels import labels as meanings
from rnalm.labels.scaling import Scaler
from rnalm.prediction import evaluate, positions, sites, tracks
from rnalm.tokens import encode, learn
from rnalm.tokens.tokenizer import load_tokenizer, save_tokenizer

SITES = meanings.Labels("classification", classes=("0", "1"), per="token")


class Made:
    """Sequences with sites in a folder, and what models predict of them."""

    def __init__(self, folder: Path, draw: np.random.Generator, rows: int = 12) -> None:
        self.folder, self.draw = folder, draw
        folder.mkdir(parents=True, exist_ok=True)
        self.texts = ["".join(draw.choice(list("ACGT"), draw.integers(1, 40))) for _ in range(rows)]
        self.sites = [np.flatnonzero(draw.random(len(text)) < 0.1) for text in self.texts]
        self.splits = [f"chr{row % 2}" for row in range(rows)]
        lines = ["id\tsequence\tsites\tsplit"] + [
            f"s{row}\t{text}\t{','.join(map(str, self.sites[row]))}\t{self.splits[row]}" for row, text in enumerate(self.texts)
        ]
        (folder / "table.tsv").write_text("\n".join(lines) + "\n")
        columns = {name: name for name in lines[0].split("\t")}
        source = Table(path=str(folder / "table.tsv"), columns=columns)
        save_tokenizer(learn.learn(source), folder / "tokenizer.json")
        self.tokenizer = load_tokenizer(folder / "tokenizer.json")
        encode.encode(source, self.tokenizer, folder / "encoded.parquet", Encode(), "classification", Labels(per="token"))
        self.outputs: list[list[np.ndarray]] = []

    def model(self, rows: list[int] | None = None, labels: meanings.Labels = SITES) -> None:
        """Add a model that predicts some rows."""
        number, rows = len(self.outputs), list(range(len(self.texts))) if rows is None else rows
        outputs = [self.draw.normal(size=(len(text), labels.n_outputs)).round(1).astype(np.float32) for text in self.texts]
        (self.folder / f"model{number}").mkdir()
        labels.save(self.folder / f"model{number}" / "labels.json")
        label = [["1" if at in self.sites[row] else "0" for at in range(len(self.texts[row]))] for row in rows]
        table = {
            "row": pa.array(rows, pa.int64()),
            "id": [f"s{row}" for row in rows],
            "label": pa.array(label, pa.list_(pa.string())),
            "outputs": pa.array([outputs[row].reshape(-1) for row in rows], pa.list_(pa.float32())),
        }
        pq.write_table(pa.table(table), self.folder / f"part{number}.parquet")
        self.outputs.append(outputs)

    def merge(self) -> meanings.Labels:
        parts, models = ([self.folder / f"{name}{k}{end}" for k in range(len(self.outputs))] for name, end in NAMES)
        return tracks.merge(parts, models, self.folder / "encoded.parquet", self.tokenizer, self.folder / "predictions.parquet")


NAMES = (("part", ".parquet"), ("model", ""))


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path / "made", np.random.default_rng(0))


def probability(outputs: np.ndarray) -> np.ndarray:
    """Give the probability of the second of two classes, written anew."""
    return 1 / (1 + np.exp(outputs[:, 0] - outputs[:, 1].astype(float)))


def test_a_track_is_the_mean_over_the_models_that_saw_its_sequence(made):
    made.model()
    made.model([0, 2, 5])
    made.merge()
    frame = pd.read_parquet(made.folder / "predictions.parquet")
    assert frame["id"].tolist() == [f"s{row}" for row in range(12)]
    assert frame["sequence"].tolist() == made.texts
    assert frame["models"].tolist() == [2, 1, 2, 1, 1, 2] + [1] * 6
    for row in range(12):
        own = [probability(outputs[row]) for outputs in made.outputs[: frame["models"][row]]]
        np.testing.assert_allclose(frame["prob_1"][row], np.mean(own, axis=0), rtol=1e-6)
        spread = np.std(own, axis=0, ddof=1) if len(own) > 1 else np.full(len(made.texts[row]), np.nan)
        np.testing.assert_allclose(frame["prob_1_sd"][row], spread, rtol=1e-4, atol=1e-7)


def test_what_no_model_predicts_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(encode, "GROUP_ROWS", 1)  # then many a row group has nothing of it
    made = Made(tmp_path / "groups", np.random.default_rng(0))
    made.model([1, 3])
    labels = made.merge()
    assert [track.id for track in tracks.read(made.folder / "predictions.parquet", labels)] == ["s1", "s3"]
    assert pd.read_parquet(made.folder / "predictions.parquet")["id"].tolist() == ["s1", "s3"]


def test_numbers_are_in_the_units_of_labels(tmp_path):
    made = Made(tmp_path / "numbers", np.random.default_rng(2), rows=3)
    made.model(labels=meanings.Labels("regression", Scaler("log"), per="token"))
    made.merge()
    frame = pd.read_parquet(made.folder / "predictions.parquet")
    np.testing.assert_allclose(frame["pred"][0], np.exp(made.outputs[0][0][:, 0]), rtol=1e-6)
    assert "pred_sd" not in frame


def test_bedgraph_has_a_line_a_run_and_the_array_is_that_of_tis_transformer(made):
    made.model()
    labels = made.merge()
    tracks.export(made.folder / "predictions.parquet", labels, ["bedgraph", "npy"])
    lines = (made.folder / "predictions.bedgraph").read_text().splitlines()
    assert lines[0] == 'track type=bedGraph name="prob_1"'
    values = pd.read_parquet(made.folder / "predictions.parquet")["prob_1"]
    read = {f"s{row}": np.full(len(text), np.nan) for row, text in enumerate(made.texts)}
    for name, start, end, value in (line.split("\t") for line in lines[1:]):
        read[name][int(start) : int(end)] = float(value)
    for row in range(12):
        np.testing.assert_allclose(read[f"s{row}"], values[row], rtol=1e-6)
    array = np.load(made.folder / "predictions.npy", allow_pickle=True)
    assert array.shape == (12, 3)
    assert array[4, 0] == "s4"
    assert array[4, 1].tolist() == ["ATCG".index(letter) for letter in made.texts[4]]
    np.testing.assert_array_equal(array[4, 2], values[4])


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([None, "A", "AN", "CG"]))
def test_sites_and_figures_are_those_of_a_table_of_all_positions(tmp_path_factory, seed, top, motif):
    made = Made(tmp_path_factory.mktemp("any"), np.random.default_rng(seed))
    made.model()
    labels = made.merge()
    options = Sites(motif=motif, top=top)
    positions.evaluate(made.folder / "predictions.parquet", labels, options, made.folder)
    results, frame = json.loads((made.folder / "results.json").read_text()), brute(made, motif)
    assert_area(results["roc_auc"], sk.roc_auc_score, frame)
    assert_area(results["pr_auc"], sk.average_precision_score, frame)
    chosen = frame[frame["begins"]]
    if motif:
        assert_area(results["motif"].get("pr_auc"), sk.average_precision_score, chosen)
        assert results["motif"]["positions"] == len(chosen)
    listed = list(csv.DictReader((made.folder / "sites.csv").read_text().splitlines()))
    for split, of_split in frame.groupby("split"):
        k = of_split["target"].sum() or len(of_split["id"].unique())
        order = {"by": ["output", "row", "position"], "ascending": [False, True, True]}
        best = of_split[of_split["begins"]].sort_values(**order).head(top * k)
        own = [site for site in listed if site["split"] == split]
        assert [(site["tr_ID"], int(site["position"])) for site in own] == list(zip(best["id"], best["position"], strict=True))
        assert [int(site["top_k"]) for site in own] == [rank // k + 1 for rank in range(len(own))]
        if of_split["target"].sum():
            assert results["splits"][split]["recall_listed"] == pytest.approx(best["target"].sum() / k)
    with_sites = frame.groupby("id").filter(lambda one: one["target"].any())
    right = [one.loc[one["output"].idxmax(), "target"] for _, one in with_sites.groupby("row")]
    assert results.get("best_right") == (pytest.approx(np.mean(right)) if right else None)


def brute(made: Made, motif: str | None) -> pd.DataFrame:
    """Tabulate all positions."""
    values = pd.read_parquet(made.folder / "predictions.parquet")["prob_1"]
    rows = [
        {
            **{"id": f"s{row}", "row": row, "position": at, "split": made.splits[row], "output": values[row][at]},
            "target": int(at in made.sites[row]),
            "begins": motif is None or fits(motif, text[at:]),
        }
        for row, text in enumerate(made.texts)
        for at in range(len(text))
    ]
    return pd.DataFrame(rows)


def fits(motif: str, text: str) -> bool:
    return len(text) >= len(motif) and all(a in (b, "N") for a, b in zip(motif, text, strict=False))


def assert_area(found, score, frame) -> None:
    """Compare an area with that of scikit-learn; without both classes there is none."""
    defined = frame["target"].nunique() == 2
    assert found == (pytest.approx(score(frame["target"], frame["output"]), abs=1e-9) if defined else None)


def test_a_site_is_described_by_what_its_sequence_tells():
    letters = "CC" + "ATGAAATAA" + "GATG" + "CCC"
    values = np.zeros((len(letters), 1), np.float32)
    values[[2, 12], 0] = 0.9, 0.8
    label = np.array(["0"] * len(letters))
    label[2] = "1"
    track = tracks.Track("t1", None, letters, label, values)
    best = sites.Best({None: 2}, "ATG")
    best.add(track, values[:, 0], np.array(label == "1", float))
    [(_, ranked)] = best.ranked()
    first, second = (dict(zip(sites.COLUMNS, sites._row(site, 1, 1, 2), strict=True)) for site in ranked)
    assert first | {"output": ""} == {
        **{"output_rank": 1, "top_k": 1, "split": "", "tr_ID": "t1", "position": 2, "pos_on_tr": 3, "output": "", "target": 1},
        **{"tr_len": 18, "TIS_on_tr": 2, "tr_has_target": 1, "dist_from_target": 0, "frame_wrt_target": 0, "codon": "ATG"},
        **{"orf_length": 9, "prot_len": 2, "prot": "MK"},
    }
    assert [second[name] for name in ("position", "dist_from_target", "frame_wrt_target", "prot")] == [12, 10, 1, "MP"]


def test_the_genetic_code():
    assert sites.reading("".join(sorted(sites.CODONS, key=sites.CODONS.get)), 0)[0] == "TAA"
    protein = [sites.CODONS[codon] for codon in ("ATG", "TGG", "TAA", "GGG", "AAA", "TTT", "CAT")]
    assert protein == list("MW*GKFH")
    assert [list(sites.CODONS.values()).count(letter) for letter in "*LSRMW"] == [3, 6, 6, 6, 1, 1]


def test_the_class_of_sites_is_asked_for_where_there_are_several(refusal):
    several = meanings.Labels("classification", classes=("0", "acceptor", "donor"), per="token")
    message = refusal(positions.site_class, several, Sites())
    assert message == "predict.sites.of is missing: which of the classes 0, acceptor, donor are sites?"
    message = refusal(positions.site_class, several, Sites(of="doner"))
    assert message.startswith("predict.sites.of: 'doner' is no class of the models; did you mean 'donor'?")
    assert positions.site_class(several, Sites(of="donor")) == "donor"
    assert positions.site_class(several, None) is None


def test_a_motif_that_begins_nowhere_is_told(made, caplog):
    made.model()
    positions.evaluate(made.folder / "predictions.parquet", made.merge(), Sites(motif="W"), made.folder)
    assert "W begins nowhere in these sequences, so that no site is listed" in caplog.text


def test_a_motif_does_not_begin_in_a_sequence_that_is_shorter():
    for text in ("", "A", "AC", "ACG"):
        assert not sites.begins(text, "ACGT").any()
    assert sites.begins("ACGT", "ACGT").tolist() == [True, False, False, False]


def test_u_is_t_to_a_motif_and_to_the_genetic_code_alone():
    assert sites.begins("AUGATG", "ATG").tolist() == [True, False, False, True, False, False]
    assert sites.reading("AUGUUUUAA", 0) == ("AUG", 9, 2, "MF")
    assert sites.reading("MKLV", 0) == ("", "", "", "")


def test_sites_may_be_of_the_first_class(made):
    made.model()
    labels = made.merge()
    positions.evaluate(made.folder / "predictions.parquet", labels, Sites(of="0", top=1), made.folder)
    first = next(csv.DictReader((made.folder / "sites.csv").read_text().splitlines()))
    least = min(values.min() for values in pd.read_parquet(made.folder / "predictions.parquet")["prob_1"][::2])
    assert float(first["output"]) == pytest.approx(1 - least, rel=1e-5)


def test_the_tokens_of_test_rows_are_judged_fold_by_fold(made):
    made.model()
    folder = made.folder / "model0"
    for name in ("train_results.json", "eval_results.json"):
        (folder / name).write_text('{"epochs": 3}')
    evaluate.evaluate_fold(made.folder / "part0.parquet", folder)
    results = read_json(folder / "all_results.json")
    target = np.concatenate([np.isin(np.arange(len(t)), s) for t, s in zip(made.texts, made.sites, strict=True)])
    values = np.concatenate([probability(outputs) for outputs in made.outputs[0]])
    assert results["test_pr_auc"] == pytest.approx(sk.average_precision_score(target, values))
    assert (results["test_positions"], results["test_rows"], results["epochs"]) == (len(target), 12, 3)
