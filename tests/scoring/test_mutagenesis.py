"""In-silico mutagenesis exchanges every combination of letters of a region, as editing them by hand does."""

import io
import pickle
import tracemalloc
import zipfile
from itertools import combinations, product
from math import comb

import h5py
import numpy as np
import pandas as pd
import pytest

from rnalm.config import Tokenizer
from rnalm.config.results import Mutate
from rnalm.config.tracks import Elements
from rnalm.report import figures
from rnalm.report.score_page import write_page
from rnalm.scoring import mutagenesis, summary
from rnalm.scoring.merge import EXPORTERS, merge, read
from rnalm.scoring.mutations import write_archive
from rnalm.scoring.shard import score_shard
from rnalm.tokens.learn import of_letters, of_tokens
from rnalm.tracks.elements import find_elements

ROWS = [("first", "gattacagattacagg"), ("second", "ttgacnacca"), ("third", "cc")]
OTHERS = {letter: [other for other in "acgt" if other != letter] for letter in "acgt"}


def brute_force(predict, text: str, bases: int, start: int, end: int, letters: str = "acgt") -> list[tuple]:
    """Edit a text by hand: positions, letters before and after, and what the prediction changes by."""
    found = []
    for places in combinations(range(start, min(end, len(text))), bases):
        for others in product(letters, repeat=bases):
            if all(text[place] != other for place, other in zip(places, others, strict=True)):
                changed = list(text)
                for place, other in zip(places, others, strict=True):
                    changed[place] = other
                joined = (";".join(map(str, places)), ";".join(text[place] for place in places), ";".join(others))
                found.append((*joined, predict("".join(changed)) - predict(text)))
    return found


@pytest.fixture
def predict(run, tokenizer):
    """Predict a text with a model as a whole."""
    return lambda model: lambda text: run(model, tokenizer.encode(text, add_special_tokens=False).ids)[0]


def test_two_of_five_positions_are_ninety_rows(encode_rows, model_folder, predict, score):
    model, encoded = model_folder(), encode_rows(ROWS[:1])
    found = score(model, encoded, mode="mutate", mutate={"bases": 2, "start": 4, "end": 9})
    expected = brute_force(predict(model), ROWS[0][1], 2, 4, 9)
    assert len(found) == len(expected) == 90
    assert found[["positions", "token", "replacement"]].values.tolist() == [list(row[:3]) for row in expected]
    np.testing.assert_allclose(found["loo"], [row[3] for row in expected], atol=1e-5)
    assert list(found) == [
        "sequence",
        "token",
        "replacement",
        "label",
        "pred",
        "start_offset",
        "end_offset",
        "loo",
        "positions",
    ]
    assert found["start_offset"].tolist() == [int(row[0].split(";")[0]) for row in expected]
    assert found["end_offset"].tolist() == [int(row[0].split(";")[1]) + 1 for row in expected]


@pytest.mark.parametrize("scorer", ["naive", "incremental"])
@pytest.mark.parametrize("bases", [1, 2, 3])
def test_every_combination_is_scored_as_by_hand_and_unknown_letters_become_each_known_one(
    encode_rows, model_folder, predict, score, scorer, bases
):
    model, encoded = model_folder(), encode_rows([ROWS[1]])
    found = score(model, encoded, mode="mutate", mutate={"bases": bases, "start": 3, "end": 8}, scorer=scorer)
    expected = brute_force(predict(model), ROWS[1][1], bases, 3, 8)
    if bases == 1:
        assert len(found) == 4 * 3 + 4
    assert found["replacement"].tolist() == [row[2] for row in expected]
    np.testing.assert_allclose(found["loo"], [row[3] for row in expected], atol=1e-5)


@pytest.mark.parametrize("strands", ["none", "average"])
def test_one_position_at_a_time_is_replace_with_all_other_letters(encode_rows, model_folder, score, strands):
    model = model_folder(reverse_complement=strands)
    encoded = encode_rows([ROWS[0], ROWS[2]], cut={"reverse_complement": strands})
    found = score(model, encoded, mode="mutate")
    assert found.equals(score(model, encoded, mode="replace", replacements=OTHERS))


def test_modifiers_stay_with_their_positions(encode_rows, model_folder, field_tokenizer, score):
    options = {"token_sep": ",", "modifier_sep": "#"}
    model = model_folder(using=field_tokenizer, modifier_channels=1)
    encoded = encode_rows([("s", "a,c#2,g#1,t,a")], field_tokenizer, **options)
    assert score(model, encoded, mode="mutate").equals(score(model, encoded, mode="replace", replacements=OTHERS))


@pytest.mark.parametrize("bases", [1, 2])
def test_tokens_between_separators_are_exchanged_for_all_others(encode_rows, model_folder, run, score, bases):
    options = {"token_sep": ","}
    using, text = of_tokens(["a", "c", "gej", "T"], Tokenizer(), ","), ["gej", "a", "T", "a"]
    model, encoded = model_folder(using=using), encode_rows([("s", ",".join(text))], using, **options)
    found = score(model, encoded, mode="mutate", mutate={"bases": bases})

    def predict(own: list[str]) -> float:
        return run(model, [using.token_to_id(token) for token in own])[0]

    expected = []
    for places in combinations(range(4), bases):
        for others in product(sorted(["a", "c", "gej", "T"]), repeat=bases):
            if all(text[place] != other for place, other in zip(places, others, strict=True)):
                own = [dict(zip(places, others, strict=True)).get(place, token) for place, token in enumerate(text)]
                expected.append((";".join(others), predict(own) - predict(text)))
    assert found["replacement"].tolist() == [others for others, _ in expected]
    np.testing.assert_allclose(found["loo"], [value for _, value in expected], atol=1e-5)
    named = score(model, encoded, mode="mutate", mutate={"letters": ["a", "gej"]})
    pairs = [["gej", "a"], ["a", "gej"], ["T", "a"], ["T", "gej"], ["a", "gej"]]
    assert named[["token", "replacement"]].values.tolist() == pairs


def test_proteins_have_twenty_letters_and_what_is_none_of_them_becomes_each(encode_rows, model_folder, run, score):
    letters = "ACDEFGHIKLMNPQRSTVWY"
    using = of_letters(letters + "X*", Tokenizer())
    model, text = model_folder(using=using), "MKXWA*"
    found = score(model, encode_rows([("s", text)], using), mode="mutate")
    base = run(model, using.encode(text, add_special_tokens=False).ids)[0]
    expected = []
    for place, letter in enumerate(text):
        for other in letters.replace(letter, ""):
            ids = using.encode(text[:place] + other + text[place + 1 :], add_special_tokens=False).ids
            expected.append((letter, other, run(model, ids)[0] - base))
    assert found[["token", "replacement"]].values.tolist() == [list(row[:2]) for row in expected]
    assert len(found) == 4 * 19 + 2 * 20
    np.testing.assert_allclose(found["loo"], [row[2] for row in expected], atol=1e-5)


def test_both_strands_change_at_all_positions(encode_rows, model_folder, predict, score):
    model, text = model_folder(reverse_complement="average"), "gattacac"
    encoded = encode_rows([("s", text)], cut={"reverse_complement": "average"})
    turned = str.maketrans("acgt", "tgca")

    def both(one: str) -> float:
        return (predict(model)(one) + predict(model)(one[::-1].translate(turned))) / 2

    found = score(model, encoded, mode="mutate", mutate={"bases": 2})
    np.testing.assert_allclose(found["loo"], [row[3] for row in brute_force(both, text, 2, 0, 8)], atol=1e-5)


@pytest.mark.parametrize("kind", ["kmers", "subwords"])
def test_letters_of_longer_tokens_change_together(encode_rows, model_folder, run, score, request, kind):
    using, text = request.getfixturevalue(kind), "gattacacc" if kind == "kmers" else "GATTACACC"
    model, encoded = model_folder(using=using), encode_rows([("s", text)], using)

    def predict(text: str) -> float:
        if kind == "kmers":
            return run(model, [using.token_to_id(text[start : start + 3]) for start in range(len(text) - 2)])[0]
        return run(model, using.encode(text, add_special_tokens=False).ids)[0]

    letters = "acgt" if kind == "kmers" else "ACGT"
    found = score(model, encoded, mode="mutate", level="base", mutate={"bases": 2, "letters": list(letters)})
    expected = brute_force(predict, text, 2, 0, 9, letters)
    assert found["positions"].tolist() == [row[0] for row in expected]
    np.testing.assert_allclose(found["loo"], [row[3] for row in expected], atol=1e-5)


def test_blocks_change_nothing_and_neither_do_shards(encode_rows, model_folder, score_and_merge, monkeypatch):
    model, encoded = model_folder(), encode_rows(ROWS)
    whole = pd.read_parquet(score_and_merge(model, encoded, mode="mutate", mutate={"bases": 2}) / "scores.parquet")
    monkeypatch.setattr(mutagenesis, "MOST_EDITS", 7)
    once, thrice = (score_and_merge(model, encoded, shards, mode="mutate", mutate={"bases": 2}) for shards in (1, 3))
    for name in ("scores.parquet", "scores.csv", "scores.pkl"):
        assert (once / name).read_bytes() == (thrice / name).read_bytes()
    found = pd.read_parquet(once / "scores.parquet")
    np.testing.assert_allclose(found["loo"], whole["loo"], atol=1e-6)
    assert found.drop(columns="loo").equals(whole.drop(columns="loo"))


def test_memory_does_not_grow_with_the_number_of_combinations(encode_rows, model_folder, job, tmp_path, monkeypatch):
    """Of 40 and of 200 positions, no more than a block is held: 7,020 and 179,100 combinations."""
    monkeypatch.setattr(mutagenesis, "MOST_EDITS", 2**9)
    monkeypatch.setattr("rnalm.scoring.shard.GROUP_ROWS", 2**9)
    model, text = model_folder(), "".join(np.random.default_rng(0).choice(list("acgt"), 200))
    encoded, peaks = encode_rows([("s", text)]), []
    for end in (40, 40, 200):
        this = job(model, encoded, mode="mutate", mutate={"bases": 2, "end": end})
        tracemalloc.start()
        score_shard(this, tmp_path / f"{end}.parquet")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(pd.read_parquet(tmp_path / "200.parquet", columns=["loo"])) == comb(200, 2) * 9
    assert peaks[2] < 1.5 * peaks[1] + 2**20


def test_the_middle_is_that_of_what_is_kept(encode_rows, model_folder, score):
    encoded = encode_rows(ROWS[:1], cut={"block_size": 8, "truncate": "left"})
    found = score(model_folder(), encoded, mode="mutate", mutate={"start": "center:2"})
    assert found["start_offset"].unique().tolist() == [11, 12]


def test_regions_of_a_file_are_mutated_each_by_itself_and_what_is_left_out_is_told(
    encode_rows, model_folder, predict, score, tmp_path, caplog
):
    (tmp_path / "r.bed").write_text("first\t10\t30\nfirst\t1\t4\nfirst\t2\t5\nthird\t5\t9\nelse\t0\t2\n")
    model, encoded = model_folder(), encode_rows(ROWS)
    found = score(model, encoded, mode="mutate", mutate={"bases": 2, "regions": str(tmp_path / "r.bed")})
    pairs = list(dict.fromkeys([*combinations(range(1, 4), 2), *combinations(range(2, 5), 2), *combinations(range(10, 16), 2)]))
    assert found["positions"].unique().tolist() == [f"{one};{other}" for one, other in pairs]
    assert len(found) == 9 * len(pairs)
    assert set(found["sequence"]) == {"first"}
    told = " ".join(caplog.messages)
    assert f"names no region of 1 of 3 sequences, which have no scores, and names 1 that are not in {encoded}" in told
    assert "regions of 2 of 2 sequences leave what the models see, as of 'first', and are cut" in told
    assert "1 of 2 sequences have no scores, as 'third': no region has 2 positions that the models see" in told


@pytest.mark.parametrize("bases", [1, 2])
def test_a_file_that_names_no_sequence_of_a_source_leaves_an_empty_table(
    encode_rows, model_folder, job, tmp_path, caplog, bases
):
    (tmp_path / "r.bed").write_text("else\t0\t4\n")
    options = {"bases": bases, "regions": str(tmp_path / "r.bed")}
    model, encoded, parts = model_folder(), encode_rows(ROWS), [tmp_path / f"{shard}-of-2.parquet" for shard in range(2)]
    for shard, part in enumerate(parts):
        score_shard(job(model, encoded, mode="mutate", mutate=options, shard=shard, shards=2), part)
    table, *others = [tmp_path / f"scores{suffix}" for suffix in EXPORTERS]
    merge(parts, [table, *others], empty=True)
    assert "names no region of 3 of 3 sequences" in caplog.text
    assert caplog.messages[-1] == "no sequence was scored: the table of scores is empty"
    assert len(pd.read_parquet(table)) == len(pd.read_csv(tmp_path / "scores.csv")) == 0
    assert list(pd.read_csv(tmp_path / "scores.csv")) == list(pd.read_parquet(table))
    assert pickle.loads((tmp_path / "scores.pkl").read_bytes()) == []
    write_archive(parts, tmp_path / "selene.zip", "probability")
    assert zipfile.ZipFile(tmp_path / "selene.zip").namelist() == []
    write_page(table, tmp_path / "page.html", "mutate")
    told = summary.summarize(read(table))
    assert (told.predictions, told.profiles) == (0, [])
    figures.profiles(told.profiles)
    figures.positions(told.position, told.exchanges)
    find_elements(table, [tmp_path / "elements.bed"], "mutate", [], Elements(), 1)
    assert (tmp_path / "elements.bed").read_text() == ""


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"mutate": {"letters": ["a", "u"]}},
            "interpret.mutate.letters: 'u' is not in the vocabulary; valid: a, c, g, t",
        ),
        ({"mutate": {"regions": "none.bed"}}, "none.bed: no such file"),
    ],
)
def test_what_cannot_be_mutated_is_told(encode_rows, model_folder, score, refusal, options, problem):
    assert refusal(score, model_folder(), encode_rows(ROWS), mode="mutate", **options) == problem


def test_tokens_of_several_letters_are_not_exchanged_themselves(encode_rows, model_folder, kmers, score, refusal):
    problem = "interpret.modes: mutate exchanges letters, and tokens have several; expected interpret.level: base"
    encoded = encode_rows([("s", "gattaca")], kmers)
    assert refusal(score, model_folder(using=kmers), encoded, mode="mutate") == problem


def test_combinations_are_counted():
    assert Mutate(bases=2, start=4, end=9).count(100) == 90
    assert Mutate(bases=2, start="center:5").count(100) == 90
    assert Mutate(bases=2, letters=["a", "c"]).count(5) == 10
    assert Mutate(start=5).count(3) == 0


def test_scores_of_pairs_are_told_by_position_where_tokens_are_coloured(encode_rows, model_folder, score_and_merge):
    folder = score_and_merge(model_folder(), encode_rows(ROWS), mode="mutate", mutate={"bases": 2})
    table = pd.read_parquet(folder / "scores.parquet")
    for name, frame in zip(["first", "second", "third"], read(folder / "scores.parquet"), strict=True):
        own = table[table["sequence"] == name]
        inside = own["positions"].str.split(";").map(set)
        expected = [own["loo"][[f"{place}" in places for places in inside]].mean() for place in frame["start_offset"]]
        np.testing.assert_allclose(frame["loo"], expected, rtol=1e-9)
    with open(folder / "scores.pkl", "rb") as file:
        explanations = pickle.load(file)
    assert [len(one) for one in explanations] == [16, 10, 2]


@pytest.mark.parametrize("bases", [1, 2])
def test_files_of_selene_hold_predictions_and_differences(
    encode_rows, model_folder, predict, job, tmp_path, bases, monkeypatch
):
    monkeypatch.setattr("rnalm.scoring.merge.GROUP_ROWS", 13)
    model = model_folder()
    encoded = encode_rows([("a b", "gatnaca"), ("c/d", "ttg")])
    score_shard(job(model, encoded, mode="mutate", mutate={"bases": bases}), tmp_path / "part.parquet")
    write_archive([tmp_path / "part.parquet"], tmp_path / "selene.zip", "probability")
    archive = zipfile.ZipFile(tmp_path / "selene.zip")
    kinds = ["diffs.tsv", "abs_diffs.tsv", "predictions.tsv", *(["matrix.npz"] if bases == 1 else [])]
    assert sorted(archive.namelist()) == sorted(f"{name}_{kind}" for name in ("a_b", "c_d") for kind in kinds)

    def table(kind: str) -> pd.DataFrame:
        return pd.read_csv(archive.open(f"a_b_{kind}.tsv"), sep="\t", dtype={"pos": str}, keep_default_na=False)

    expected = brute_force(predict(model), "gatnaca", bases, 0, 7)
    diffs, base = table("diffs"), predict(model)("gatnaca")
    assert diffs[["pos", "ref", "alt"]].values.tolist() == [[row[0], row[1].upper(), row[2].upper()] for row in expected]
    np.testing.assert_allclose(diffs["prediction"], [row[3] for row in expected], atol=1e-5)
    np.testing.assert_allclose(table("abs_diffs")["prediction"], np.abs(diffs["prediction"]))
    predictions = table("predictions")
    assert predictions.iloc[0, :3].tolist() == ["input_sequence", "NA", "NA"]
    np.testing.assert_allclose(predictions["prediction"], [base, *(base + row[3] for row in expected)], atol=1e-5)
    if bases == 1:
        matrix = np.load(io.BytesIO(archive.read("a_b_matrix.npz")))
        assert matrix["letters"].tolist() == list("ACGT")
        assert matrix["data"].shape == (1, 7, 4)
        for _, row in diffs.iterrows():
            assert matrix["data"][0, int(row["pos"]), "ACGT".index(row["alt"])] == row["prediction"]
        assert np.count_nonzero(matrix["data"]) <= len(diffs)


def test_classes_have_a_column_each_and_logits(encode_rows, model_folder, job, tmp_path):
    model, names = model_folder(classes=("late", "mid")), ["late", "mid"]
    encoded = encode_rows([("s", "gattaca", "mid")], task="classification")
    for scale in ("probability", "logit"):
        described = job(model, encoded, mode="mutate", explain="all", scale=scale)
        score_shard(described, tmp_path / "part.parquet")
        write_archive([tmp_path / "part.parquet"], tmp_path / f"{scale}.zip", scale)
    every, own = (zipfile.ZipFile(tmp_path / f"{scale}.zip") for scale in ("probability", "logit"))
    assert own.namelist() == ["s_logits.tsv", "s_matrix.npz"]
    found = [pd.read_csv(archive.open("s_logits.tsv"), sep="\t") for archive in (every, own)]
    assert list(found[0])[3:] == names
    np.testing.assert_allclose(found[0]["late"], -found[0]["mid"], atol=1e-5)


def selenes_matrix(archive: zipfile.ZipFile, name: str, kind: str) -> pd.DataFrame:
    """Read a matrix as Selene's documents say: the key ``data``, rows as in the file of labels, columns as the classes."""
    with h5py.File(io.BytesIO(archive.read(f"{name}_{kind}.h5"))) as file:
        assert list(file) == ["data"]
        values = file["data"][:]
    labels = pd.read_csv(archive.open(f"{name}_row_labels.txt"), sep="\t", dtype=str, keep_default_na=False)
    assert list(labels) == ["pos", "ref", "alt"]
    assert len(labels) == len(values)
    return pd.concat([labels, pd.DataFrame(values, columns=["late", "mid"])], axis=1)


@pytest.mark.parametrize(("bases", "scale"), [(1, "probability"), (2, "probability"), (1, "logit")])
def test_matrices_of_selene_say_what_its_tables_do(encode_rows, model_folder, job, tmp_path, monkeypatch, bases, scale):
    monkeypatch.setattr("rnalm.scoring.merge.GROUP_ROWS", 13)
    model = model_folder(classes=("late", "mid"))
    encoded = encode_rows([("a b", "gatnaca", "mid"), ("c", "ttg", "late")], task="classification")
    for shards in (1, 2):
        parts = [tmp_path / f"{shard}-of-{shards}.parquet" for shard in range(shards)]
        for shard, part in enumerate(parts):
            options = {"mutate": {"bases": bases}, "explain": "all", "scale": scale, "shard": shard, "shards": shards}
            score_shard(job(model, encoded, mode="mutate", **options), part)
        for kind in ("selene", "hdf5"):
            write_archive(parts, tmp_path / f"{kind}-{shards}.zip", scale, kind)
    assert (tmp_path / "hdf5-1.zip").read_bytes() == (tmp_path / "hdf5-2.zip").read_bytes()
    texts, matrices = (zipfile.ZipFile(tmp_path / f"{kind}-1.zip") for kind in ("selene", "hdf5"))
    kinds = ["logits"] if scale == "logit" else ["abs_diffs", "diffs", "logits", "predictions"]
    extra = [] if scale == "logit" else ["ref_predictions.h5", "ref_row_labels.txt"]
    names = [*(f"{kind}.h5" for kind in kinds), *extra, "row_labels.txt", *(["matrix.npz"] if bases == 1 else [])]
    assert sorted(matrices.namelist()) == sorted(f"{name}_{end}" for name in ("a_b", "c") for end in names)
    for name in ("a_b", "c"):
        for kind in kinds:
            own = {"sep": "\t", "dtype": {"pos": str}, "keep_default_na": False, "float_precision": "round_trip"}
            table = pd.read_csv(texts.open(f"{name}_{kind}.tsv"), **own)
            if kind == "predictions":
                with h5py.File(io.BytesIO(matrices.read(f"{name}_ref_predictions.h5"))) as file:
                    assert file["data"][:].tolist() == table.iloc[:1, 3:].values.tolist()
                table = table.iloc[1:].reset_index(drop=True)
            pd.testing.assert_frame_equal(selenes_matrix(matrices, name, kind), table)


def test_tables_are_what_selene_reads_as_a_mutagenesis(encode_rows, model_folder, predict, job, tmp_path):
    """As its ISMResult: a first row of what is predicted, positions from 0 on, at each of which the same letter stands."""
    model = model_folder()
    score_shard(job(model, encode_rows([("s", "gatnaca")]), mode="mutate"), tmp_path / "part.parquet")
    write_archive([tmp_path / "part.parquet"], tmp_path / "selene.zip", "probability")
    archive = zipfile.ZipFile(tmp_path / "selene.zip")
    for kind in ("predictions", "diffs"):
        table = pd.read_csv(archive.open(f"s_{kind}.tsv"), sep="\t", dtype=str, keep_default_na=False)
        first = table.iloc[0] if table["ref"].iat[0] == "NA" else None
        rows = table if first is None else table.iloc[1:]
        assert "".join(rows.groupby(rows["pos"].astype(int))["ref"].unique().str[0]) == "GATNACA"
        assert set(rows["alt"]) == set("ACGT")
        matrix = np.full((7, 4), float(first["prediction"]) if first is not None else 0.0)
        matrix[rows["pos"].astype(int), ["ACGT".index(letter) for letter in rows["alt"]]] = rows["prediction"].astype(float)
        base = predict(model)("gatnaca")
        for place, letter in product(range(7), "acgt"):
            edited = predict(model)("gatnaca"[:place] + letter + "gatnaca"[place + 1 :])
            expected = edited if kind == "predictions" else edited - base
            assert matrix[place, "acgt".index(letter)] == pytest.approx(expected, abs=1e-5)


def test_two_sequences_never_share_a_file(encode_rows, model_folder, job, tmp_path, refusal):
    score_shard(job(model_folder(), encode_rows([("a b", "gat"), ("a_b", "tt")]), mode="mutate"), tmp_path / "part.parquet")
    told = refusal(write_archive, [tmp_path / "part.parquet"], tmp_path / "selene.zip", "probability")
    assert told.startswith("interpret.formats: selene: 'a_b' and another sequence would have files called a_b_diffs.tsv")
    assert not (tmp_path / "selene.zip").exists()
