"""Tracks hold what the tables of scores, predictions and variants say, with the sign of effects."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnalm.tracks.values import Track, predicted, scored


def scores(path: Path, *parts: pd.DataFrame) -> Path:
    pd.concat(parts).to_parquet(path)
    return path


def part(sequence: str, loo: list[float], start: int = 0, **columns) -> pd.DataFrame:
    starts = np.arange(start, start + len(loo))
    frame = pd.DataFrame({"sequence": sequence, "token": "a", "label": 1.0, "pred": 2.0, "loo": loo})
    return frame.assign(start_offset=starts, end_offset=starts + 1).assign(**columns)


def told(tracks) -> list[tuple]:
    return [(track.id, track.starts.tolist(), track.ends.tolist(), track.values.tolist()) for track in tracks]


@pytest.mark.parametrize("sense", [-1, 1])
def test_effects_are_scores_with_the_sign_of_their_mode(tmp_path, sense):
    path = scores(tmp_path / "s.parquet", part("x", [0.5, -0.25], start=3), part("y", [0.0]))
    assert told(scored(path, sense)) == [
        ("x", [3, 4], [4, 5], [0.5 * sense, -0.25 * sense]),
        ("y", [0], [1], [0.0]),
    ]
    assert not any(np.signbit(value) for value in told(scored(path, sense))[1][3])


def test_of_replacements_and_of_explained_positions_it_is_the_mean(tmp_path, caplog):
    path = scores(
        tmp_path / "s.parquet",
        part("x", [0.5, 0.1], replacement=["c", "g"], start_offset=0, end_offset=1, explained_position=4),
        part("x", [0.3, np.nan], explained_position=7),
        part("y", [1.0], explained_position=1),
    )
    (x, y) = scored(path, -1)
    assert x.values == pytest.approx([-0.3, np.nan], nan_ok=True)
    assert y.values.tolist() == [-1.0]
    assert caplog.messages == [f"{path}: of 1 sequences several positions are explained; tracks are of the mean"]


def test_a_class_is_taken_by_name_and_else_the_predicted_one_which_is_said(tmp_path, refusal, caplog):
    both = {"start_offset": [0, 0], "end_offset": [1, 1], "class": ["no", "yes"], "pred": "yes"}
    path = scores(tmp_path / "s.parquet", part("x", [0.5, -0.5], **both), part("y", [0.25, -0.25], **(both | {"pred": "no"})))
    assert [track.values.tolist() for track in scored(path, -1, "no")] == [[-0.5], [-0.25]]
    assert caplog.messages == []
    assert [track.values.tolist() for track in scored(path, -1)] == [[0.5], [-0.25]]
    hint = "tracks are of the predicted class or, where that is not explained, no; tracks.classes names others"
    assert caplog.messages == [f"{path}: {hint}"]
    problem = f"{path}: tracks.classes names 'yess', which is not explained; did you mean 'yes'? (valid: no, yes)"
    assert refusal(lambda: list(scored(path, -1, "yess"))) == problem
    plain = scores(tmp_path / "p.parquet", part("x", [1.0]))
    problem = f"{plain}: tracks.classes names 'yes', but no class is named there; see interpret.explain"
    assert refusal(lambda: list(scored(plain, -1, "yes"))) == problem


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4), st.sampled_from([1.0, 2.0, 5.0, float("nan")])), max_size=9))
def test_each_position_has_the_mean_of_its_tokens(tokens):
    starts, widths, values = (np.array(part) for part in zip(*tokens, strict=True)) if tokens else np.zeros((3, 0))
    positions, found = Track("s", starts.astype(int), (starts + widths).astype(int), values).along()
    expected = {}
    for position in range(20):
        own = [value for start, width, value in tokens if start <= position < start + width and value == value]
        if own:
            expected[position] = sum(own) / len(own)
    assert dict(zip(positions.tolist(), found.tolist(), strict=True)) == pytest.approx(expected)
    assert positions.tolist() == sorted(expected)


def predictions(folder: Path, columns: dict[str, list[list[float]]], offsets: list | None = None) -> tuple[Path, Path]:
    ids = ["x", "left out", "y"]
    encoded = {"id": ids} | ({"offsets": pa.array(offsets, pa.list_(pa.list_(pa.int32(), 2)))} if offsets else {})
    pq.write_table(pa.table(encoded), folder / "encoded.parquet")
    lists = {name: pa.array(rows, pa.list_(pa.float32())) for name, rows in columns.items()}
    about = {"id": ["x", "y"], "split": [None, None], "sequence": ["AC", "A"], "label": [None, None]}
    pq.write_table(pa.table(about | lists | {"models": [1, 1]}), folder / "predictions.parquet")
    return folder / "predictions.parquet", folder / "encoded.parquet"


def test_predictions_stand_where_their_tokens_do(tmp_path):
    files = predictions(tmp_path, {"prob_1": [[0.5, 0.25], [1.0]], "prob_1_sd": [[9, 9], [9]]})
    assert told(predicted(*files)) == [("x", [0, 1], [1, 2], [0.5, 0.25]), ("y", [0], [1], [1.0])]
    cut = predictions(tmp_path, {"pred": [[0.5, 0.25], [1.0]]}, offsets=[[[7, 8], [8, 9]], [[0, 1]], [[3, 4]]])
    assert [track[1] for track in told(predicted(*cut))] == [[7, 8], [3]]


def test_of_several_outputs_one_is_named(tmp_path, refusal):
    files = predictions(tmp_path, {"prob_a": [[0.5, 0.25], [1.0]], "prob_b_c": [[0.0, 0.0], [0.5]]})
    assert [track[3] for track in told(predicted(*files, "b_c"))] == [[0.0, 0.0], [0.5]]
    problem = f"{files[0]}: has several classes or targets (a, b_c); tracks.classes must name one or more"
    assert refusal(lambda: list(predicted(*files))) == problem
    problem = f"{files[0]}: tracks.classes names 'bc', which is not there; did you mean 'b_c'? (valid: a, b_c)"
    assert refusal(lambda: list(predicted(*files, "bc"))) == problem
