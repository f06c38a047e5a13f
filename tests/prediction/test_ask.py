"""What trained models say of a sequence, or of those in a file, without an experiment."""

import gzip

import numpy as np
import pytest
import torch

from rnalm import cli
from rnalm.config import Table
from rnalm.labels.labels import Labels
from rnalm.models import registry
from rnalm.prediction.ask import ask
from rnalm.tokens import learn
from rnalm.tokens.tokenizer import all_special_ids

SIZES = {"name": "frames", "width": 8, "layers": 1}


@pytest.fixture
def folder(tmp_path):
    """Make a model folder with random weights: for tokens of two classes, or for sequences."""

    def make(name: str = "model", seed: int = 0, **extra):
        torch.manual_seed(seed)
        (tmp_path / "letters.tsv").write_text("id\tsequence\na\tACGT\n")
        source = Table(path=str(tmp_path / "letters.tsv"), columns={"id": "id", "sequence": "sequence"})
        tokenizer = learn.learn(source)
        labels = Labels("classification", classes=("0", "1"), per=extra.get("per", "sequence"))
        entries = {"case": "upper", "block_size": 12, "truncate": "right", "center_token": None, "reverse_complement": "none"}
        model = registry.create(SIZES, 11, 0, 2, all_special_ids(tokenizer), **entries | extra)
        model.save_pretrained(tmp_path / name)
        tokenizer.save(str(tmp_path / name / "tokenizer.json"))
        labels.save(tmp_path / name / "labels.json")
        return tmp_path / name

    return make


def rows(*arguments) -> list[list[str]]:
    return list(ask(*arguments))


def test_a_string_and_files_of_any_kind_give_the_same(folder, tmp_path):
    model, text = folder(per="token"), "ACGTTGCANNACGTACGTTTG"
    heading, *told = rows([model], text)
    assert heading == ["id", "position", "token", "prob_1"]
    assert [row[1:3] for row in told] == [[str(place), letter] for place, letter in enumerate(text)]
    (tmp_path / "wrapped.fa").write_bytes(f">a\r\n{text[:9]}\r\n{text[9:]}\r\n".encode())
    (tmp_path / "lower.fasta.gz").write_bytes(gzip.compress(f">a\n{text.lower()}\n".encode()))
    array = np.empty((1, 2), dtype=object)
    numbers = np.array(["ATCGN".index(letter) for letter in text])
    array[0, 0], array[0, 1] = np.stack([numbers, numbers * 0], axis=1).astype(np.int16), "a"
    np.save(tmp_path / "one.npy", array, allow_pickle=True)
    for name in ("wrapped.fa", "lower.fasta.gz", "one.npy"):
        _, *other = rows([model], str(tmp_path / name))
        assert [row[3] for row in other] == [row[3] for row in told], name


def test_letters_of_which_nothing_is_known_are_unknown_bases(folder):
    model = folder(per="token")
    [values, same] = [[row[3] for row in rows([model], text)] for text in ("ACGRACGT", "ACGNACGT")]
    assert values == same


def test_what_models_do_not_see_is_told(folder, caplog, refusal):
    rows([folder(per="token")], "ACGUUR")
    assert caplog.messages == ["sequence: 3 of 6 tokens are not known to the models: 'U' (2), 'R' (1)"]
    caplog.clear()
    rows([folder("whole")], "ACGTACGTACGTAC")
    assert caplog.messages == ["sequence: cut to the block size, 12 of 14 tokens"]
    assert refusal(rows, [folder("other")], "UUU") == "the command line: the models know none of the tokens of 'sequence'"


def test_a_sequence_may_be_longer_than_the_name_of_a_file(folder):
    _, *told = rows([folder(per="token")], 1500 * "ACGT")
    assert len(told) == 6000


def test_the_mean_of_several_models_predicts(folder):
    models = [folder("a", 0, per="token"), folder("b", 1, per="token")]
    asked = ([models[0]], [models[1]], models)
    one, other, both = (np.array([float(row[3]) for row in rows(each, "ACGTAC")[1:]]) for each in asked)
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-5)


def test_a_sequence_as_a_whole_has_one_row(folder):
    heading, row = rows([folder()], "ACGT")
    assert heading == ["id", "prob_0", "prob_1"]
    assert sum(map(float, row[1:])) == pytest.approx(1, abs=1e-5)


def test_the_command_prints_a_table(folder, capsys):
    assert cli.main(["predict", "ACG", "--model", str(folder(per="token"))]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "id\tposition\ttoken\tprob_1"


@pytest.mark.parametrize("what", ["no/such.fa", "ACG-T", "9"])
def test_what_is_neither_a_file_nor_letters_is_refused(folder, refusal, what):
    message = refusal(rows, [folder()], what)
    assert message == f"{what}: no such file, and no letters of a sequence; expected one of them"


def test_models_that_predict_other_things_are_refused(folder, refusal):
    models = [folder("a", per="token"), folder("b")]
    assert "predicts the classes 0, 1, but" in refusal(rows, models, "ACG")
