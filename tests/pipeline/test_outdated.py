import os
from types import SimpleNamespace

import pytest

from rnalm.files import sha256
from rnalm.pipeline import outdated, receipts


class Job(SimpleNamespace):
    """What of Snakemake's jobs is looked at."""

    __hash__ = object.__hash__

    @property
    def place(self) -> str:
        return f"{self.out}/{receipts.FOLDER}/{self.name}.log"


def job(name: str, out: str = "out", inputs: tuple[str, ...] = ("table",), **params) -> Job:
    files = {"input": list(inputs), "output": [f"{out}/made/{name}"], "log": [f"{out}/logs/{name}.log"]}
    return Job(name=name, out=out, params=params, benchmark=None, **files)


def work(*jobs: Job) -> None:
    """Let jobs run."""
    for each in jobs:
        for path in (each.output[0], each.log[0]):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(f"{each.name} of {each.params}")
        made_of = receipts.made_of(each.params, [sha256(path) for path in each.input], each.out)
        receipts.keep(each.place, made_of, each.output, each.log[0])


def study(out: str = "out", **params) -> list[Job]:
    """Give two jobs, of which the second reads what the first makes."""
    return [job("first", out, **params), job("second", out, (f"{out}/made/first",), model=f"{out}/made")]


def names(jobs) -> list[str]:
    return [each.name for each in outdated.outdated(outdated.kept(jobs))]


@pytest.fixture(autouse=True)
def experiment(tmp_path, monkeypatch):
    """Work in a folder with a table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table").write_text("in")
    return tmp_path


def test_what_was_made_of_the_same_is_up_to_date():
    work(*study(epochs=2))
    assert names(study(epochs=2)) == []
    assert names(study(epochs=2, lineage="other")) == []


def test_other_params_are_noticed():
    work(*study(epochs=2))
    assert names(study(epochs=9)) == ["first"]


def test_a_result_of_an_input_that_was_made_anew_is_noticed():
    work(*study(epochs=2))
    work(job("first", epochs=9))
    assert names(study(epochs=9)) == ["second"]


def test_another_number_of_inputs_is_noticed():
    work(*study(epochs=2))
    assert names([job("first", inputs=("table", "table"), epochs=2)]) == ["first"]


def test_receipts_move_with_the_folder_and_do_not_care_how_it_is_spelled(experiment, monkeypatch):
    work(*study(epochs=2))
    assert names(study(str(experiment / "out"), epochs=2)) == []
    os.rename("out", "moved")
    assert names(study("moved", epochs=2)) == []
    assert names(study("moved", epochs=9)) == ["first"]
    (experiment / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert names(study("../moved", epochs=2)) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"made_of": 1, "results": 2}', '{"made_of": {}, "results": [["a"]]}'])
def test_results_without_a_receipt_that_can_be_understood_are_made_again(text):
    jobs = study(epochs=2)
    work(*jobs)
    with open(f"{jobs[1].place}/{receipts.RECEIPT}", "w") as file:
        file.write(text)
    assert names(jobs) == ["second"]


def test_what_is_not_there_is_for_snakemake_to_judge():
    assert names(study(epochs=2)) == []


def test_only_results_that_have_become_shorter_are_damaged():
    jobs = study(epochs=2)
    work(*jobs)
    with open(jobs[0].output[0], "a") as file:
        file.write("a note by the user")
    os.unlink(jobs[1].output[0])
    assert outdated.shortened(outdated.kept(jobs)) == []
    assert names(jobs) == []
    os.truncate(jobs[0].output[0], 3)
    assert outdated.shortened(outdated.kept(jobs)) == jobs[0].output
    assert names(jobs) == ["first"]
    assert os.path.getsize(jobs[0].output[0]) == 3, "a plan changes nothing"


def forge(each: Job, path: str) -> None:
    """Let a receipt claim that a job made a large file somewhere."""
    receipts._write(receipts.Path(each.place), receipts.Receipt({"params": {}, "inputs": []}, [[path, 10**9, "x"]]))


@pytest.mark.parametrize("path", ["../thesis", "made/../../thesis", "link", "/thesis"])
def test_a_receipt_of_a_stranger_names_no_file_of_the_user(experiment, path):
    (experiment / "thesis").write_text("years of work")
    jobs = study(epochs=2)
    work(*jobs)
    os.symlink(experiment / "thesis", "out/link")
    forge(jobs[0], str(experiment) + path if path.startswith("/") else path)
    assert not {"thesis", "link"} & set(map(os.path.basename, outdated.shortened(outdated.kept(jobs))))
    assert not any("thesis" in found for found in outdated.leftovers("out", []).values())


def test_a_result_that_is_a_link_is_not_looked_at(experiment):
    (experiment / "thesis").write_text("x")
    first = job("first", epochs=2)
    work(first)
    os.unlink(first.output[0])
    os.symlink(experiment / "thesis", first.output[0])
    assert outdated.shortened(outdated.kept([first])) == []


def test_a_folder_that_leads_out_of_the_experiment_is_refused(experiment, refusal):
    work(*study())
    outdated.check_inside(study(), "out")
    os.rename("out/made", "mine")
    os.symlink(experiment / "mine", "out/made")
    line = refusal(outdated.check_inside, study(), "out")
    assert (
        line == f"out/made: leads to {experiment}/mine, out of out; expected a folder inside, or output to be a link as a whole"
    )
    os.unlink("out/made")
    os.rename("mine", "out/made")
    os.rename("out", "disk")
    os.symlink("disk", "out")
    outdated.check_inside(study(), "out")


def test_what_is_set_aside_is_not_lost(experiment):
    first = job("first")
    for text in ("one", "two"):
        work(first)
        with open(first.output[0], "w") as file:
            file.write(text)
        outdated.set_aside(first.output[0], "out")
    assert not os.path.exists(first.output[0])
    made = experiment / "out/set-aside/made"
    assert [(made / name).read_text() for name in ("first", "first.2")] == ["one", "two"]


def test_results_that_nobody_asks_for_any_more_are_leftovers():
    work(*study())
    assert outdated.leftovers("out", ["out/logs/first.log", "out/logs/second.log"]) == {}
    assert outdated.leftovers("out", ["out/logs/first.log"]) == {"out/made": ["second"]}
    os.unlink("out/made/second")
    assert outdated.leftovers("out", ["out/logs/first.log"]) == {}
