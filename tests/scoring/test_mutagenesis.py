"""In-silico mutagenesis exchanges every combination of letters of a region, as editing them by hand does."""

import pickle
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from rnalm.scoring.merge import read

ROWS = [("first", "gattacagattacagg"), ("second", "ttgacnacca"), ("third", "cc")]


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


def test_scores_of_pairs_are_told_by_position_where_tokens_are_coloured(encode_rows, model_folder, score_and_merge):
    folder = score_and_merge(model_folder(), encode_rows(ROWS), mode="mutate", mutate={"bases": 2})
    table = pd.read_parquet(folder / "scores.parquet")
    for name, frame in zip(["first", "second", "third"], read(folder / "scores.parquet"), strict=True):
        own = table[table["sequence"] == name]
        inside = own["positions"].str.split(";").map(set)
        expected = [own["loo"][[f"{place}" in places for places in inside]].mean() for place in frame["start_offset"]]
        np.testing.assert_allclose(frame["loo"], expected, rtol=1e-9)
    print(frame)
    with open(folder / "scores.pkl", "rb") as file:
        explanations = pickle.load(file)
    print(explanations[2])
    assert [len(one) for one in explanations] == [16, 10, 2]
