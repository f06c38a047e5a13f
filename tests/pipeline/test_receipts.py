import os

import pytest

from rnalm.files import sha256
from rnalm.pipeline import receipts


@pytest.fixture
def kept(tmp_path):
    """Give a job that has run and been kept: the folder of its receipt, what it was made of, and its outputs."""
    (tmp_path / "input").write_text("in")
    outputs = [str(tmp_path / "out" / name) for name in ("a.csv", "b.csv")]
    (tmp_path / "out").mkdir()
    for path in outputs:
        with open(path, "w") as file:
            file.write(f"results of {path}")
    (tmp_path / "log").write_text("log\n")
    made_of = receipts.made_of({"code": "1", "n": (1, 2)}, [sha256(tmp_path / "input")], tmp_path)
    place = tmp_path / receipts.FOLDER / "job"
    receipts.keep(place, made_of, outputs, tmp_path / "log")
    return place, made_of, outputs


def read(outputs: list[str]) -> list[str]:
    return [open(path).read() for path in outputs]


def test_the_same_work_is_not_done_twice(kept, tmp_path):
    place, _, outputs = kept
    before = read(outputs)
    for path in outputs:
        os.unlink(path)
    again = receipts.made_of({"n": [1, 2], "code": "1"}, [sha256(tmp_path / "input")], tmp_path)
    assert receipts.take(place, again, outputs)
    assert read(outputs) == before
    assert receipts.take(place, again, outputs), "and a third time"


def test_kept_results_take_no_space(kept):
    place, _, outputs = kept
    assert os.stat(outputs[0]).st_ino == os.stat(place / "0").st_ino


@pytest.mark.parametrize("what", ["code", "param", "input", "outputs"])
def test_other_work_is_done(kept, tmp_path, what):
    place, made_of, outputs = kept
    params = made_of["params"] | {"code": {"code": "2"}, "param": {"n": [1, 3]}}.get(what, {})
    if what == "input":
        (tmp_path / "input").write_text("other")
    if what == "outputs":
        outputs = outputs[:1]
    assert not receipts.take(place, receipts.made_of(params, [sha256(tmp_path / "input")], tmp_path), outputs)
    assert not place.exists(), "what is written from now on is not what the receipt describes"


@pytest.mark.parametrize("harm", ["truncated", "changed", "gone", "no receipt", "half a receipt"])
def test_results_that_are_not_whole_are_made_again(kept, harm):
    place, made_of, outputs = kept
    if harm == "truncated":
        os.truncate(outputs[1], 3)
    elif harm == "changed":
        with open(outputs[1], "r+") as file:
            file.write("R")
    elif harm == "gone":
        (place / "1").unlink()
    elif harm == "no receipt":
        (place / receipts.RECEIPT).unlink()
    else:
        os.truncate(place / receipts.RECEIPT, 30)
    assert not receipts.take(place, made_of, outputs)


def test_what_another_run_is_about_to_make_again_is_not_kept(kept, tmp_path):
    place, made_of, outputs = kept
    assert not receipts.take(place, made_of | {"inputs": []}, outputs)
    os.unlink(outputs[1])
    receipts.keep(place, made_of, outputs, tmp_path / "log")
    assert not receipts.take(place, made_of, outputs)


def test_files_of_the_experiment_are_named_by_their_place_inside():
    params = {"model": "out/fine-tune/0", "all": ["out", "outer/x"], "data": "table.tsv"}
    inside = {"model": "{output}/fine-tune/0", "all": ["{output}", "outer/x"], "data": "table.tsv"}
    assert receipts.made_of(params, [], "out")["params"] == inside


def test_another_version_of_a_library_makes_a_job_work_that_runs(kept, tmp_path, monkeypatch):
    place, made_of, outputs = kept
    monkeypatch.setattr(receipts, "version", lambda name: "100")
    assert not receipts.take(place, receipts.made_of(made_of["params"], [sha256(tmp_path / "input")], tmp_path), outputs)


def test_where_there_are_no_hard_links_work_is_done_again(kept, tmp_path, monkeypatch):
    place, made_of, outputs = kept

    def refuse(*_):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    receipts.keep(place, made_of, outputs, tmp_path / "log")
    assert not receipts.take(place, made_of, outputs)


def test_the_lineage_is_noted_anew_when_results_are_taken(kept):
    place, made_of, outputs = kept
    assert receipts.lineage(place) is None
    assert receipts.take(place, made_of, outputs, "first")
    assert receipts.lineage(place) == "first"
    assert receipts.take(place, made_of, outputs, "second")
    assert receipts.lineage(place) == "second"
