"""Scores of predictions for tokens: which positions are explained, and what each perturbation changes there."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from rnalm.config import Encode, Interpret, Labels, Table
from rnalm.config.results import Sites
from rnalm.labels import labels as meanings
from rnalm.labels.scaling import Scaler
from rnalm.models import registry
from rnalm.prediction.predict import predict
from rnalm.report import figures, interpretation
from rnalm.report.score_page import write_page
from rnalm.scoring import merge as merging
from rnalm.scoring import positions, summary
from rnalm.scoring.check import check_files, explained_site
from rnalm.tokens import dataset, encode
from rnalm.tokens.tokenizer import all_special_ids, save_tokenizer

ROWS = [("one", "gattacagatta", "1,7"), ("two", "c", "0"), ("none", "ggattg", ""), ("more", "acgtgacg", "4")]
SIZES = {
    "dilated": {"name": "dilated", "width": 4, "kernel_size": 3, "dilations": [1, 2]},
    "frames": {"name": "frames", "width": 4, "layers": 1},
}
MASK, A, C, G, T = 4, 7, 8, 9, 10


@pytest.fixture
def encoded(tmp_path, tokenizer) -> str:
    pd.DataFrame(ROWS, columns=["id", "sequence", "sites"]).to_csv(tmp_path / "sites.tsv", sep="\t", index=False)
    source = Table(path=str(tmp_path / "sites.tsv"), columns={name: name for name in ("id", "sequence", "sites")})
    output = tmp_path / "sites.parquet"
    encode.encode(source, tokenizer, output, Encode(), "classification", Labels(per="token"))
    return str(output)


@pytest.fixture
def folder(tmp_path, tokenizer):
    def make(seed: int = 0, kind: str = "dilated", meaning: meanings.Labels | None = None, **extra) -> str:
        torch.manual_seed(seed)
        meaning = meaning or meanings.Labels("classification", classes=("0", "1"), per="token")
        special = all_special_ids(tokenizer)
        model = registry.create(SIZES[kind], 11, 0, meaning.n_outputs, special, per="token", **extra)
        for weights in model.parameters():
            weights.data.add_(0.3 * torch.randn_like(weights))
        path = tmp_path / f"{kind}{len(list(tmp_path.iterdir()))}"
        model.save_pretrained(path)
        save_tokenizer(tokenizer, path / "tokenizer.json")
        meaning.save(path / "labels.json")
        return str(path)

    return make


def probability(path: str, ids: list[int], position: int, output: int = 1) -> float:
    """Predict a position, in a plain way."""
    with torch.no_grad():
        logits = registry.load(path)(torch.tensor([ids])).logits[0, position].double()
    return float(torch.softmax(logits, 0)[output])


def sequences(encoded: str) -> dict[str, list[int]]:
    return {one.id: one.input_ids.tolist() for group in dataset.read(encoded) for one in group}


def by_hand(path: str, ids: list[int], at: int, mode: str) -> list[tuple[int, str | None, float]]:
    """Give place, replacement and score of each perturbation, for a class that is the second."""
    base, found = probability(path, ids, at), []
    for place, token in enumerate(ids):
        if mode == "remove":
            kept = ids[:place] + ids[place + 1 :]
            where = at - (place < at)
            found.append((place, None, np.nan if place == at else probability(path, kept, where) - base))
        for other in {"mask": [MASK], "replace": {A: [C, T], G: [A]}.get(token, [])}.get(mode, []):
            changed = [*ids[:place], other, *ids[place + 1 :]]
            found.append((place, "acgt"[other - A] if mode == "replace" else None, probability(path, changed, at) - base))
    return found


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("mode", ["remove", "mask", "replace"])
def test_a_score_is_what_a_perturbation_changes_at_the_explained_position(encoded, folder, score, kind, mode):
    path = folder(kind=kind)
    options = {"replacements": {"a": ["c", "t"], "g": ["a"]}} if mode == "replace" else {}
    found = score(path, encoded, mode=mode, explain=None, explain_at=[4, 0], **options)
    expected = [
        (name, at, place, other, value)
        for name, ids in sequences(encoded).items()
        for at in (0, 4)
        if at < len(ids)
        for place, other, value in by_hand(path, ids, at, mode)
    ]
    assert found["sequence"].tolist() == [row[0] for row in expected]
    assert found["explained_position"].tolist() == [row[1] for row in expected]
    assert found["start_offset"].tolist() == [row[2] for row in expected]
    if mode == "replace":
        assert found["replacement"].tolist() == [row[3] for row in expected]
    np.testing.assert_allclose(found["loo"], [row[4] for row in expected], atol=1e-6)
    assert found["loo"].abs().max() > 1e-3
    assert set(found["class"]) == {"1"}
    known = {(name, int(at)) for name, _, sites in ROWS for at in filter(None, sites.split(","))}
    assert found["label"].tolist() == [str(int((row[0], row[1]) in known)) for row in expected]


def test_labelled_sites_are_explained(encoded, folder, score):
    found = score(folder(), encoded, explain=None, explain_at="labels")
    pairs = found[["sequence", "explained_position"]].drop_duplicates().values.tolist()
    assert pairs == [["one", 1], ["one", 7], ["two", 0], ["more", 4]]
    assert found.groupby("sequence").size().to_dict() == {"one": 24, "two": 1, "more": 8}


@pytest.mark.parametrize("motif", [None, "GA"])
def test_the_best_site_of_each_sequence_is_explained_by_default(encoded, folder, score, motif):
    models = [folder(seed) for seed in (0, 1)]
    found = score(models, encoded, explain=None, sites={"motif": motif, "of": None})
    expected = []
    for name, text, _ in ROWS:
        ids = sequences(encoded)[name]
        likely = [np.mean([probability(path, ids, at) for path in models]) for at in range(len(ids))]
        starts = [at for at in range(len(ids)) if motif is None or text[at : at + 2].upper() == motif]
        if starts:
            expected.append([name, max(starts, key=lambda at: likely[at])])
    assert found[["sequence", "explained_position"]].drop_duplicates().values.tolist() == expected
    assert found["loo_sd"].notna().sum() == found["loo"].notna().sum()


def test_all_positions_make_a_matrix_in_whatever_parts_it_is_computed(encoded, folder, score, monkeypatch):
    path = folder()
    whole = score(path, encoded, explain="all", explain_at="all")
    lengths = [len(text) for _, text, _ in ROWS]
    assert len(whole) == sum(2 * length**2 for length in lengths)
    assert whole["loo"].isna().sum() == sum(2 * length for length in lengths), "each position, when it is deleted itself"
    monkeypatch.setattr(positions, "MOST_OUTPUTS", 60)
    monkeypatch.setattr(positions, "MOST_SCORES", 0)
    pd.testing.assert_frame_equal(score(path, encoded, explain="all", explain_at="all"), whole, rtol=1e-5, atol=1e-6)


def test_long_sequences_are_scored_in_the_window_in_which_a_position_is_predicted(encoded, folder, score):
    path = folder(block_size=6)
    found = score(path, encoded, explain=None, explain_at=[0, 5, 11])
    model = registry.load(path)
    [one] = [one for group in dataset.read(encoded) for one in group if one.id == "one"]
    [outputs] = predict(model, [one])
    rows = found.loc[found["sequence"] == "one"]
    assert rows.groupby("explained_position")["start_offset"].agg(["min", "max"]).values.tolist() == [[0, 5], [3, 8], [6, 11]]
    for position, part in rows.groupby("explained_position"):
        start = part["start_offset"].min()
        ids = one.input_ids[start : start + 6].tolist()
        assert probability(path, ids, position - start) == pytest.approx(1 / (1 + np.exp(np.subtract(*outputs[position]))))
        expected = [value for _, _, value in by_hand(path, ids, position - start, "remove")]
        np.testing.assert_allclose(part["loo"], expected, atol=1e-6)


def test_numbers_are_explained_in_their_own_units(tmp_path, tokenizer, folder, score):
    rows = [("s", "gatta", "1,2,,4,5"), ("t", "cc", "3,1")]
    pd.DataFrame(rows, columns=["id", "sequence", "label"]).to_csv(tmp_path / "n.tsv", sep="\t", index=False)
    source = Table(path=str(tmp_path / "n.tsv"), columns={name: name for name in ("id", "sequence", "label")})
    encode.encode(source, tokenizer, tmp_path / "n.parquet", Encode(), "regression", Labels(per="token"))
    path = folder(meaning=meanings.Labels("regression", Scaler("standard", 3.0, 2.0), per="token"))
    found = score(path, str(tmp_path / "n.parquet"), explain=None, explain_at="labels")
    assert found[["sequence", "explained_position"]].drop_duplicates().values.tolist() == [
        *(["s", at] for at in (0, 1, 3, 4)),
        *(["t", at] for at in (0, 1)),
    ]
    assert "class" not in found
    with torch.no_grad():
        values = 3 + 2 * registry.load(path)(torch.tensor([[G, A, T, T, A]])).logits[0, :, 0].numpy()
        kept = 3 + 2 * registry.load(path)(torch.tensor([[G, A, T, A]])).logits[0, :, 0].numpy()
    own = found.loc[(found["sequence"] == "s") & (found["start_offset"] == 2)]
    np.testing.assert_allclose(own["pred"], values[[0, 1, 3, 4]], rtol=1e-5)
    np.testing.assert_allclose(own["loo"], kept[[0, 1, 2, 3]] - values[[0, 1, 3, 4]], atol=1e-5)
    best = score(path, str(tmp_path / "n.parquet"), explain=None)
    assert best.loc[best["sequence"] == "s", "explained_position"].unique().tolist() == [values.argmax()]


def test_the_predicted_class_is_that_of_each_position(encoded, folder, score):
    path = folder(meaning=meanings.Labels("classification", classes=("0", "1", "x"), per="token"))
    found = score(path, encoded, explain="predicted", explain_at=[0, 3], mode="mask")
    ids = sequences(encoded)["one"]
    for at, part in found.loc[found["sequence"] == "one"].groupby("explained_position"):
        values = [probability(path, ids, at, output) for output in range(3)]
        own = int(np.argmax(values))
        assert set(part["pred"]) == {("0", "1", "x")[own]}
        masked = probability(path, [MASK, *ids[1:]], at, own)
        assert part["loo"].iloc[0] == pytest.approx(masked - values[own], abs=1e-6)


def test_shards_merge_to_the_same_files_and_each_position_has_an_explanation(encoded, folder, score_and_merge):
    path = folder()
    one, three = (score_and_merge(path, encoded, shards=n, explain=None, explain_at="labels") for n in (1, 3))
    for name in ("scores.parquet", "scores.csv", "scores.pkl"):
        assert (one / name).read_bytes() == (three / name).read_bytes()
    explanations = pickle.loads((one / "scores.pkl").read_bytes())
    assert [len(each.values) for each in explanations] == [12, 12, 1, 8]
    assert np.isnan(explanations[1].values).nonzero()[0].tolist() == [7]
    ids = sequences(encoded)["one"]
    assert explanations[1].base_values == pytest.approx(probability(path, ids, 7))
    write_page(one / "scores.parquet", one / "page.html", "remove")
    page = (one / "page.html").read_text()
    assert "33 scores of 4 explained positions." in page
    assert '"id": "one at 7"' in page
    frames = list(merging.read(one / "scores.parquet"))
    assert [len(frame) for frame in frames] == [12, 12, 1, 8]
    told = summary.summarize(frames, ["one at 7", "one at 1"])
    assert [(each.name, each.position) for each in told.profiles] == [("one at 7", 7), ("one at 1", 1)]


def test_scores_are_summarized_by_their_distance_from_the_explained_position():
    def frame(name: str, at: int, text: str, loo: list[float]) -> pd.DataFrame:
        rows = {"sequence": name, "token": list(text), "label": None, "pred": "1", "loo": loo, "explained_position": at}
        return pd.DataFrame(rows | {"start_offset": range(len(text)), "end_offset": range(1, len(text) + 1)})

    told = summary.summarize([frame("s", 1, "gat", [1.0, np.nan, -3.0]), frame("s", 2, "gat", [5.0, 2.0, np.nan])])
    near = told.around.of_tokens(2)
    assert near.columns.tolist() == [-2, -1, 0, 1, 2]
    assert near.loc["g"].dropna().to_dict() == {-2: 5.0, -1: 1.0}
    assert near.loc["a"].dropna().to_dict() == {-1: 2.0}
    assert near.loc["t"].dropna().to_dict() == {1: -3.0}
    sizes = told.around.size()[summary.REACH - 2 : summary.REACH + 3]
    np.testing.assert_allclose(sizes, [5.0, 1.5, np.nan, 3.0, np.nan])
    assert (told.predictions, told.scores) == (2, 6)
    assert np.nansum(told.position) > 0


def test_the_class_of_sites_must_be_told_where_there_are_several(refusal, encoded, folder, tokenizer, tmp_path):
    three = meanings.Labels("classification", classes=("0", "acceptor", "donor"), per="token")
    message = "interpret.explain is missing: which of the classes 0, acceptor, donor are sites? Or set predict.sites.of"
    assert refusal(explained_site, None, "sites", three, None) == message
    for explain in ("all", "predicted"):
        hint = "interpret.explain_at: which of the classes 0, acceptor, donor are sites? Set predict.sites.of"
        assert refusal(explained_site, explain, "labels", three, Sites()) == hint
    assert explained_site("donor", "labels", three, Sites(of="acceptor")) == "acceptor", (
        "which class is explained is another matter"
    )
    assert explained_site("donor", "sites", three, None) == "donor"
    assert explained_site(None, "labels", three, Sites(of="acceptor")) == "acceptor"
    assert explained_site("predicted", "all", three, None) is None
    assert "no class or target 'doner'; did you mean 'donor'?" in refusal(explained_site, "doner", "all", three, None)
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    labels = [f"{folder(meaning=three)}/labels.json"]
    assert refusal(check_files, Interpret(), None, encoded, tmp_path / "tokenizer.json", labels) == message
    check_files(Interpret(), None, encoded, tmp_path / "tokenizer.json")
    assert "'site'" in refusal(check_files, Interpret(explain="site"), None, encoded, tmp_path / "tokenizer.json")


@pytest.mark.parametrize("where", ["labels", [0, 5]])
def test_letters_are_exchanged_for_all_others_where_tokens_have_predictions(encoded, folder, score, tmp_path, where):
    path, explained = folder(), {"explain": None, "explain_at": where}
    others = {letter: [other for other in "acgt" if other != letter] for letter in "acgt"}
    found = score(path, encoded, mode="mutate", **explained)
    assert found.equals(score(path, encoded, mode="replace", replacements=others, **explained))
    (tmp_path / "r.bed").write_text("one\t1\t3\nmore\t0\t1\n")
    own = score(path, encoded, mode="mutate", mutate={"regions": str(tmp_path / "r.bed")}, **explained)
    places = found[["sequence", "start_offset"]].itertuples(index=False, name=None)
    inside = [place in {("one", 1), ("one", 2), ("more", 0)} for place in places]
    assert own.equals(found[inside].reset_index(drop=True))


def test_another_class_may_be_explained_at_the_sites(encoded, folder, score):
    path = folder()
    found = score(path, encoded, explain="0", explain_at="labels", mode="mask")
    usual = score(path, encoded, explain=None, explain_at="labels", mode="mask")
    assert found["explained_position"].tolist() == usual["explained_position"].tolist()
    assert set(found["class"]) == {"0"}
    np.testing.assert_allclose(found["loo"], -usual["loo"], atol=1e-6)


def test_a_position_without_a_token_to_replace_is_no_missing_position(encoded, folder, score_and_merge, caplog, refusal):
    options = {"explain": None, "explain_at": [0], "mode": "replace", "replacements": {"c": []}}
    problem = refusal(score_and_merge, folder(), encoded, **options)
    assert problem == "there are no scores to merge: no sequence was scored"
    assert "no position to explain" not in caplog.text


def test_what_a_lower_precision_costs_is_logged(encoded, folder, score, caplog):
    score(folder(), encoded, explain=None, explain_at="labels", precision="bf16")
    assert (
        "interpret.precision bf16: in sequence 'one' edits change the model's outputs with a standard deviation of"
        in caplog.text
    )


def test_models_that_read_windows_of_other_sizes_are_not_explained_together(encoded, folder, score, refusal):
    message = refusal(score, [folder(0, block_size=6), folder(1, block_size=8)], encoded, explain=None)
    assert message.startswith("encode.block_size: sequence 'one' has 12 tokens, and the models read windows of 6 and 8;")
    both = [folder(0, block_size=12), folder(1, block_size=90)]
    assert len(score(both, encoded, explain=None))


def test_scores_of_one_token_or_far_away_are_drawn_as_none():
    rows = {"sequence": "s", "token": ["g"], "label": None, "pred": "1", "loo": [np.nan], "explained_position": 0}
    alone = pd.DataFrame(rows | {"start_offset": [0], "end_offset": [1]})
    far = alone.assign(explained_position=400, loo=[1.0])
    for frame in (alone, far):
        told = summary.summarize([frame], ["s at 0", "s at 400"])
        assert told.around.of_tokens(5).empty
        assert figures.around(told.around).axes[1].texts[0].get_text() == "no scores within 150 tokens"
        figures.profiles(told.profiles)


def test_positions_that_no_sequence_has_are_told_before_any_training(encoded, tokenizer, tmp_path, caplog):
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    for where, told in (
        ([3, 11], None),
        ([3, 12], "position 12; the"),
        ([12, 90], "position 12 (and 1 more); the longest has 12"),
    ):
        caplog.clear()
        check_files(Interpret(explain_at=where), None, encoded, tmp_path / "tokenizer.json")
        assert told in caplog.text if told else not caplog.text


def test_the_explained_positions_that_tokens_change_most_are_shown(tmp_path):
    rows = []
    for number, loo in enumerate([[np.nan], [0.1, -0.2], [np.nan], [0.5, np.nan], [-0.3, 0.1]]):
        own = {"sequence": f"s{number}", "token": "g", "label": None, "pred": "1", "loo": loo, "explained_position": 0}
        rows.append(pd.DataFrame(own | {"start_offset": range(len(loo)), "end_offset": range(1, len(loo) + 1)}))
    pd.concat(rows).to_parquet(tmp_path / "scores.parquet")
    meaning = meanings.Labels("classification", classes=("0", "1"), per="token")
    job = SimpleNamespace(config={"report": {"profiles": 3}}, meaning=meaning)
    query = SimpleNamespace(scores={"mask": tmp_path / "scores.parquet"})
    assert interpretation._extremes(job, query, "mask") == ["s3 at 0", "s4 at 0", "s1 at 0"]


def test_exchanges_are_drawn_beside_distances(encoded, folder, score):
    frame = score(folder(), encoded, explain=None, explain_at=[3], mode="replace", replacements={"a": ["c", "t"], "g": ["a"]})
    told = summary.summarize([own for _, own in frame.groupby("sequence", sort=False)])
    titles = [axis.get_title() for axis in figures.around(told.around, told.exchanges).axes]
    assert titles[:3] == ["Where tokens matter", "Mean effect of each token nearby", "Mean effect against each replacement"]


def test_where_nothing_is_explained_nothing_is_merged(encoded, folder, score_and_merge, refusal):
    problem = refusal(score_and_merge, folder(), encoded, explain=None, explain_at=[99])
    assert problem == (
        "there are no scores to merge: no sequence was scored; no sequence has a position that interpret.explain_at names"
    )


def test_sequences_without_an_explained_position_are_counted(encoded, folder, score, caplog):
    score(folder(), encoded, explain=None, explain_at=[6])
    assert "2 of 4 sequences have no position to explain (interpret.explain_at)" in caplog.text
