"""The report lists the k-mers that do something for sure, and draws motifs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnalm.report.job import Job, Query
from rnalm.report.learned import MOST_KMERS, beside, learned, strongest
from rnalm.scoring.summary import Profile


def kmers(**columns) -> pd.DataFrame:
    """Make a table of k-mers that raise or lower the prediction, one less than the other, and one that is not sure."""
    effects = np.r_[np.arange(30, 0, -1), -np.arange(40, 0, -1), 50].astype(float)
    frame = pd.DataFrame({"kmer": [f"k{k}" for k in range(70)] + ["NA"], "k": 2, "occurrences": 9, "sequences": 8})
    frame = frame.assign(effect=effects, sd=0.5, excess=effects, t=effects, p=0.0, q=[0.001] * 70 + [0.9])
    contexts = {"five_prime": 1.0, "middle": np.nan, "three_prime": -2.0, "frame_0": np.nan, "frame_1": 0.5, "frame_2": 0.5}
    frame = frame.assign(**contexts, **columns)
    return frame.iloc[np.argsort(-frame["effect"].abs(), kind="stable")]


def motif(name: str = "down_1", **columns) -> tuple[pd.DataFrame, pd.DataFrame]:
    row = {"motif": name, "consensus": "na", "seqlets": 1234, "sequences": 7, "effect": -4.5}
    row |= {"five_prime": 0.25, "middle": 0.25, "three_prime": 0.5}
    places = [("n", -2.0, 0.0), ("a", 0.0, -2.5)]
    matrix = [
        {"motif": name, "position": k, "letter": letter, "share": 0.5, "effect": place[1 + number]}
        for k, place in enumerate(places)
        for number, letter in enumerate("na")
    ]
    return pd.DataFrame([row]).assign(**columns), pd.DataFrame(matrix).assign(**columns)


def query(folder: Path, tables: dict[str, pd.DataFrame], modes=("mask",)) -> Query:
    scores = {mode: str(folder / f"loo_scores_{mode}.parquet") for mode in modes}
    for path in scores.values():
        for kind, table in tables.items():
            table.to_csv(beside(path, kind), index=False)
    return Query(name="source", encoded="", predictions="", results="", scores=scores)


def job(task: str = "regression") -> Job:
    return Job(config={"task": task}, source=None, models=[], summary=None, queries=[], figures="")


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    motifs, matrices = motif()
    return {"kmers": kmers(), "motifs": motifs, "matrices": matrices}


def test_k_mers_that_are_sure_are_listed_each_way_the_strongest_first(tmp_path, tables):
    (section,) = learned(job(), query(tmp_path, tables))
    up, down = (block for block in section.blocks if block.table)
    assert section.read
    assert [row[0] for row in up.table["rows"]] == [f"k{k}" for k in range(MOST_KMERS)]
    assert [row[0] for row in down.table["rows"]] == [f"k{k}" for k in range(30, 30 + MOST_KMERS)]
    assert up.table["columns"] == ["k-mer", "sequences", "effect", "sd", "q", "5′ third", "3′ third", "frame 1", "frame 2"]
    assert up.table["rows"][0] == ["k0", "8", "+30", "0.5", "0.001", "+1", "-2", "+0.5", "+0.5"]
    assert up.text == "20 of 30 k-mers that raise the prediction:"


def test_a_k_mer_that_does_less_than_other_letters_is_not_listed(tmp_path, tables):
    tables["kmers"]["excess"] = -tables["kmers"]["effect"]
    (section,) = learned(job(), query(tmp_path, tables))
    assert [block.text for block in section.blocks if "for sure" in block.text] == [
        f"There are no k-mers that {way} the prediction for sure." for way in ("raise", "lower")
    ]


def test_motifs_are_drawn_and_told_in_words(tmp_path, tables):
    (section,) = learned(job(), query(tmp_path, tables))
    (block,) = (block for block in section.blocks if block.figure)
    told = (
        "Motif down_1: na; 1,234 seqlets in 7 sequences, mean effect -4.5; 25% in the 5′ third, 25% in the middle, 50% in the "
    )
    assert block.caption == f"{told}3′ third."
    assert f"<title>{block.caption}</title>" in block.figure
    assert block.figure.count("<use") == 2


def test_further_modes_are_folded_and_no_two_things_have_one_id(tmp_path, tables):
    (section,) = learned(job(), query(tmp_path, tables, modes=("mask", "remove")))
    folded = [block.folded for block in section.blocks if block.table or block.figure]
    assert folded[:3] == [""] * 3
    assert folded[3:] == [
        "Leave-one-out: remove: 20 of 30 k-mers that raise the prediction",
        "Leave-one-out: remove: 20 of 40 k-mers that lower the prediction",
        "Leave-one-out: remove: motif na",
    ]
    ids = [part.split('"')[0] for block in section.blocks for part in block.figure.split('id="')[1:]]
    assert len(set(ids)) == len(ids) == 4


def test_each_class_is_told_by_name(tmp_path):
    one, two = (motif(**{"class": name}) for name in ("NA", "yes"))
    made = {"motifs": pd.concat([one[0], two[0]]), "matrices": pd.concat([one[1], two[1]])}
    made["kmers"] = pd.concat([kmers(**{"class": name}) for name in ("NA", "yes")])
    (section,) = learned(job("classification"), query(tmp_path, made))
    assert "Effects are on 2 classes: NA, yes." in [block.text for block in section.blocks]
    captions = [block.caption for block in section.blocks if block.figure]
    assert [caption[:30] for caption in captions] == ["Motif down_1, class NA: na; 1,", "Motif down_1, class yes: na; 1"]


def test_without_patterns_that_is_said(tmp_path, tables):
    empty = {kind: table.iloc[:0] for kind, table in tables.items()}
    (section,) = learned(job(), query(tmp_path, empty))
    assert section.blocks[-1].text == "No motif was found."
    assert learned(job(), query(tmp_path, empty, modes=())) == []


def profile(**options) -> Profile:
    loo = np.r_[np.zeros(20), np.ones(5), np.zeros(15)]
    values = {"name": "s<1>", "sequence": "s<1>", "position": None, "label": 1.0, "pred": "yes", "tokens": list("acgt" * 10)}
    places = {"starts": np.arange(100, 140), "ends": np.arange(101, 141), "loo": loo}
    return Profile(**(values | places | options))


def test_the_strongest_seqlet_of_a_profile_is_drawn_with_what_stands_beside_it(tmp_path):
    scores = tmp_path / "loo_scores_mask.parquet"
    seqlets = pd.DataFrame({"sequence": ["other", "s<1>", "s<1>"], "start": [0, 105, 120], "end": [9, 110, 125]})
    seqlets.assign(effect=[99, -1, 5], p=0.01, letters="x").to_csv(beside(scores, "seqlets"), index=False)
    (block,) = strongest([profile(), profile(name="t", sequence="t")], scores, "source-mask", 1.0)
    assert block.caption == "s<1>: acgta, from 120 to 125, mean effect of a token +1."
    assert block.figure.count("<use") == 5
    assert ">114<" in block.figure, "positions are those of the sequence"
    assert "<1>" not in block.figure


def test_of_classes_and_explained_positions_the_seqlet_of_the_profile_is_taken(tmp_path):
    scores = tmp_path / "loo_scores_mask.parquet"
    seqlets = pd.DataFrame({"sequence": "s<1>", "explained_position": [3, 7, 7], "class": ["yes", "yes", "no"]})
    seqlets = seqlets.assign(start=[105, 120, 130], end=[110, 125, 135], effect=[9, 1, 9], p=0.01, letters="x")
    seqlets.to_csv(beside(scores, "seqlets"), index=False)
    (block,) = strongest([profile(position=7, explained="yes")], scores, "source-mask", 1.0)
    assert "from 120 to 125" in block.caption
