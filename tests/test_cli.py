import subprocess
import sys

import pytest
import yaml

import rnalm
from rnalm import cli
from rnalm.config import reference


@pytest.fixture
def write_config(tmp_path):
    """Write a table and a configuration of which some keys are changed."""

    def write(**changes):
        rows = [f"row{row}\t{'acgt'[row % 4]},a\t{row + 1}\n" for row in range(9)]
        (tmp_path / "table.tsv").write_text("".join(["name\tseq\ty\n", "one\tc\t1.5\n", *rows]))
        columns = {"id": "name", "sequence": "seq", "label": "y"}
        source = {"path": str(tmp_path / "table.tsv"), "token_sep": ",", "columns": columns}
        path = tmp_path / "my.yaml"
        path.write_text(yaml.safe_dump({"output": "results/x", "source": source} | changes))
        return path

    return write


def failure(capsys, *arguments: str) -> str:
    """Run a command that must fail, and give the one line on standard error."""
    assert cli.main(list(arguments)) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("rnalm: ")
    return captured.err.removeprefix("rnalm: ").rstrip("\n")


@pytest.mark.parametrize(("command", "generate"), [("schema", reference.schema), ("keys", reference.keys)])
def test_the_reference_is_printed(capsys, command, generate):
    assert cli.main([command]) == 0
    assert capsys.readouterr().out == generate()


def test_a_good_configuration_is_called_good_and_its_source_counted(capsys, write_config, tmp_path):
    path = write_config()
    assert cli.main(["check", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        f"source: {tmp_path / 'table.tsv'}: 10 sequences of 1 to 2 letters or tokens, 10 with a label, "
        "5 copies of others, made of a c g t\n"
        f"{path}: good\n"
    )
    assert captured.err == ""


def test_every_source_is_looked_at(capsys, write_config, tmp_path):
    new = {"path": str(tmp_path / "table.tsv"), "columns": {"id": 1, "sequence": 2}}
    assert cli.main(["check", str(write_config(inference={"new": new}, tokenizer={"source": new}))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["source", "tokenizer.source", "new"]
    assert lines[2].endswith("10 sequences of 1 to 3 letters or tokens, 0 with a label, 5 copies of others, made of , a c g t")


def test_all_that_a_run_would_say_is_said_at_once(capsys, write_config, tmp_path):
    path, table = (
        write_config(labels={"scaling": "log"}, interpret={"modes": ["replace"], "replacements": {"a": ["x"]}}),
        tmp_path / "table.tsv",
    )
    table.write_text("name\tseq\ty\n" + "".join(f"s{row}\ta,c\t{row}\n" for row in range(20)) + "b\tg\tlong\nc\tt\t\n")
    assert cli.main(["check", str(path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"rnalm: {table}, line 2: the label of 's0' is 0, but labels.scaling: log needs labels > 0",
        f"rnalm: {table}, line 22: the label of 'b' is 'long', expected a number",
        f"rnalm: {table}, line 23: 'c' has no label, but training needs one; "
        "to leave such rows out, set source.unlabelled: drop",
        "rnalm: interpret.replacements: no sequence has a token 'x'; valid: a, c, g, t",
        f"rnalm: {path}: 4 problems",
    ]


def test_of_many_problems_the_first_are_said_and_all_are_counted(capsys, write_config, tmp_path):
    path, table = write_config(), tmp_path / "table.tsv"
    table.write_text("name\tseq\ty\n" + "".join(f"s{row}\ta\tno\n" for row in range(50)))
    assert cli.main(["check", str(path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == f"rnalm: {path}: 50 problems, of which 30 are like these"


@pytest.mark.parametrize(
    ("labels", "task", "said"),
    [
        (["0,1,1", "1,,0", "1,0,0"], "classification", "3 with a label, 2 classes"),
        (["1.5,,2", "3,3,3", "1,2,3"], "regression", "3 with a label"),
    ],
)
def test_labels_of_tokens_are_looked_over(capsys, write_config, tmp_path, labels, task, said):
    table = tmp_path / "own.tsv"
    source = {"path": str(table), "columns": {"id": 1, "sequence": 2, "label": 3}, "header": False}
    more = {"task": task, "labels": {"per": "token"}, "model": {"name": "frames"}, "encode": {"block_size": 2}}
    path = write_config(source=source, folds={"ratio": [50, 50]}, **more)
    table.write_text("".join(f"s{row}\tACG\t{label}\n" for row, label in enumerate(labels)))
    assert cli.main(["check", str(path)]) == 0
    told = capsys.readouterr().out
    assert f"3 sequences of 3 to 3 letters or tokens, {said}" in told
    assert "sequences of more than encode.block_size, 2, will be read in windows" in told
    table.write_text("".join(f"s{row}\tACG\t{label}\n" for row, label in enumerate([*labels, "1,0", ",,"])))
    assert cli.main(["check", str(path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(
        f"rnalm: {table}, line 4: 's3' has 2 labels and 3 tokens; expected one for each, separated by ','"
    )
    assert lines[1].startswith(f"rnalm: {table}, line 5: 's4' has labels of which none is known, but training needs one")
    if task == "classification":
        table.write_text("".join(f"s{row}\tACG\t1,1,1\n" for row in range(3)))
        assert "classification needs at least 2 classes, found 1: 1" in failure(capsys, "check", str(path))


def test_folds_that_cannot_be_made_are_told_before_a_run(capsys, write_config):
    path = write_config(folds={"method": "kfold", "n": 20})
    assert failure(capsys, "check", str(path)).startswith("folds.n: cannot make 20 parts")


def test_letters_without_a_complement_and_without_room_are_told_before_a_run(capsys, write_config, tmp_path):
    source = {"path": str(tmp_path / "own.tsv"), "columns": {"id": 1, "sequence": 2, "label": 3}, "header": False}
    (tmp_path / "own.tsv").write_text("".join(f"s{row}\tACGTNX\t{row}\n" for row in range(10)))
    encode = {"reverse_complement": "average"}
    assert cli.main(["check", str(write_config(source=source, encode=encode))]) == 1
    assert capsys.readouterr().err.count("letter 6 of the sequence is 'X', expected a nucleotide code") == 10
    assert cli.main(["check", str(write_config(source=source, encode=encode | {"block_size": 5}))]) == 0
    message = failure(capsys, "check", str(write_config(source=source, tokenizer={"type": "bpe", "vocab_size": 12})))
    assert message.endswith("12 has no room for the 6 letters of the data beside 7 special tokens; expected 13 or more")


def test_with_trained_models_sources_are_held_against_what_these_were_trained_with(capsys, write_config, tmp_path):
    model = tmp_path / "model"
    source = {"path": str(tmp_path / "own.tsv"), "columns": {"id": 1, "sequence": 2}, "header": False}
    model.mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        (model / name).touch()
    (model / "labels.json").write_text("{}")
    (model / "config.json").write_text('{"reverse_complement": "average", "block_size": 4, "case": "upper"}')
    (tmp_path / "own.tsv").write_text("s\tAxGTN\n")
    message = failure(capsys, "check", str(write_config(source=source, model=[str(model)])))
    assert "'s' has no reverse complement, letter 2 of the sequence is 'X'" in message
    (tmp_path / "own.tsv").write_text("s\tacgtx\n")
    assert cli.main(["check", str(write_config(source=source, model=[str(model)]))]) == 0
    assert "sequences of more than encode.block_size, 4, will be cut" in capsys.readouterr().out


def test_a_sample_may_lack_letters_that_have_no_room(write_config, tmp_path):
    source = {"path": str(tmp_path / "own.tsv"), "columns": {"id": 1, "sequence": 2, "label": 3}, "header": False}
    (tmp_path / "own.tsv").write_text("".join(f"s{row}\tACGTNX\t{row}\n" for row in range(10)))
    tokenizer = {"type": "bpe", "vocab_size": 12, "sample_size": 5}
    assert cli.main(["check", str(write_config(source=source, tokenizer=tokenizer))]) == 0


@pytest.mark.parametrize(
    ("changes", "rows", "lines"),
    [
        ({"task": "classification"}, ["a\tyes"] * 20, ["rnalm: classification needs at least 2 classes, found 1: yes"]),
        ({"labels": {"scaling": "standard"}}, ["a\t2"] * 20, ["all training labels are 2, so standard scaling"]),
        ({"task": "classification"}, [f"a\t{row}" for row in range(20)], [", 20 with a label, 20 classes, "]),
        ({}, ["a,T,g\t1", *["a,U\t2"] * 20], ["rnalm: WARNING: ", "both T and U occur"]),
        (
            {"encode": {"block_size": 2}},
            [f"{'a,' * (row % 3)}a\t1" for row in range(20)],
            ["more than encode.block_size, 2, will be"],
        ),
    ],
    ids=["one class", "all the same", "a class a row", "T and U", "too long"],
)
def test_what_is_unusual_is_told(write_config, tmp_path, changes, rows, lines):
    path = write_config(**changes)
    (tmp_path / "table.tsv").write_text("name\tseq\ty\n" + "".join(f"s{i}\t{row}\n" for i, row in enumerate(rows)))
    ended = subprocess.run(
        [sys.executable, "-c", "import sys, rnalm.cli; rnalm.cli.main(['check', sys.argv[1]])", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(line in ended.stdout + ended.stderr for line in lines)


def test_sources_are_looked_at_as_a_run_reads_them(capsys, write_config, tmp_path):
    """In the case of what is trained on; without labels where none are read; replacements are tokens of the vocabulary."""
    columns = {"id": "id", "sequence": "seq"}
    (tmp_path / "new.tsv").write_text("id\tseq\ty\nq\tac\tlow\nr\tgt\thigh\n")
    new = {"path": str(tmp_path / "new.tsv"), "columns": columns}
    (tmp_path / "own.tsv").write_text("id\tseq\ty\n" + "".join(f"s{row}\tACGTN\t{row}\n" for row in range(10)))
    own = {"path": str(tmp_path / "own.tsv"), "columns": columns | {"label": "y"}, "case": "upper"}
    replace = {"modes": ["replace"], "replacements": {"A": ["N"]}}
    words = {"path": str(tmp_path / "new.tsv"), "columns": columns | {"label": "y"}}
    assert cli.main(["check", str(write_config(source=own, inference={"new": new}, interpret=replace))]) == 0
    assert "new: " in (said := capsys.readouterr().out)
    assert said.splitlines()[1].endswith("made of A C G T")
    assert cli.main(["check", str(write_config(source=own, tokenizer={"source": words}))]) == 0
    message = failure(capsys, "check", str(write_config(source=own, tokenizer={"source": words}, interpret=replace)))
    assert message.startswith("interpret.replacements: no sequence has a token 'N'")


def test_a_mistake_in_the_configuration_or_in_the_data_gets_one_line(capsys, write_config, tmp_path):
    path, table = write_config(outptu="x"), tmp_path / "table.tsv"
    assert failure(capsys, "check", str(path)).startswith(f"{path}: unknown key 'outptu'; did you mean 'output'?")
    path = write_config()
    table.write_text("name\tseq\ty\none\ta,,c\t1\n")
    assert failure(capsys, "check", str(path)) == f"{table}, line 2: token 2 is empty, between two ','"
    table.unlink()
    assert failure(capsys, "check", str(path)) == f"{table}: no such file"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no such file"),
        *((content, "cannot be read as YAML (") for content in (b"a: [1\nb: 2", b"a: \x00", b"a: \xe4")),
        (b"- 1\n", "expected keys and values, found list"),
        (b"", "expected keys and values, found NoneType"),
        (b"seed: 1\nseed: 2\n", "key 'seed' stands twice, in lines 1 and 2; expected it once"),
    ],
    ids=["missing", "broken", "binary", "latin-1", "list", "empty", "twice"],
)
def test_a_file_that_is_no_configuration_gets_one_line(capsys, tmp_path, content, problem):
    path = tmp_path / "my.yaml"
    if content is not None:
        path.write_bytes(content)
    assert failure(capsys, "check", str(path)).startswith(f"{path}: {problem}")


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"{rnalm.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["chek"], ["check"]])
def test_an_unknown_or_incomplete_command_is_refused(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: rnalm" in capsys.readouterr().err


def test_looking_a_configuration_over_imports_neither_torch_nor_transformers(write_config):
    code = (
        "import sys, rnalm.cli; status = rnalm.cli.main(['check', sys.argv[1]]); "
        "sys.exit(status or sorted({'torch', 'transformers'} & set(sys.modules)) or 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code, str(write_config())], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("hf", '{"model_type": "own", "auto_map": {"AutoModel": "own.Own"}}', "is for code of its own (auto_map: own.Own)"),
        ("hf", None, "model folder without its config; expected the file config.json in it"),
        ("frames", '{"model_type": "performer"}', "is a performer, expected a frames"),
    ],
)
def test_a_model_to_start_from_is_looked_at_before_a_run(capsys, write_config, tmp_path, name, content, problem):
    folder = tmp_path / "start"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    (folder / "tokenizer.json").touch()
    if content:
        (folder / "config.json").write_text(content)
    path = write_config(model={"name": name, "pretrained": str(folder)}, tokenizer={"type": "atomic"})
    assert problem in failure(capsys, "check", str(path))


NETWORK = """from torch import nn


class Net(nn.Module):
    def __init__(self, length, outputs=1):
        super().__init__()
        self.out = nn.Linear(4 * length, outputs)

    def forward(self, x):
        return self.out(x.flatten(1))
"""


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"path": "nowhere.py"}, "nowhere.py: no such file"),
        ({"class": "Nett"}, "net.py: has no class 'Nett'; did you mean 'Net'?"),
        ({"args": {"size": 4}}, "net.py: Net cannot be made with model.args: "),
        ({"args": {"length": 5}}, "net.py: Net does not take (2, 4, 4) ("),
        ({"args": {"length": 4, "outputs": 3}}, "net.py: Net gives (2, 3), expected (2, 1) (batch, outputs)"),
    ],
)
def test_a_network_of_ones_own_is_made_and_tried(capsys, write_config, tmp_path, changes, problem):
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "four.tsv").write_text("id\ts\ty\n" + "".join(f"r{row}\tACGT\t{row}\n" for row in range(12)))
    source = {"path": str(tmp_path / "four.tsv"), "columns": {"id": "id", "sequence": "s", "label": "y"}}
    model = {"name": "file", "path": str(tmp_path / "net.py"), "class": "Net", "args": {"length": 4}}
    model |= {key: str(tmp_path / value) if key == "path" else value for key, value in changes.items()}
    path = write_config(source=source, model=model, interpret={"modes": ["mask"]})
    if problem:
        assert problem in failure(capsys, "check", str(path))
    else:
        assert cli.main(["check", str(path)]) == 0


OF_IDS = """from torch import nn


class Net(nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.table = nn.Embedding(tokens, 3)

    def forward(self, ids):
        return self.table(ids).sum(1)[:, :1]
"""


@pytest.mark.parametrize(
    ("letters", "changes", "problem"),
    [
        ("ACGU", {"args": {"length": 4}}, None),
        ("MKEL", {"args": {"length": 4}}, "model.input: one_hot is for nucleotides, and 'E' is none; expected input: ids"),
        # Seven special tokens, and four letters.
        ("MKEL", {"path": "ids.py", "input": "ids", "args": {"tokens": 11}}, None),
        ("MKEL", {"path": "ids.py", "input": "ids", "args": {"tokens": 10}}, "ids.py: Net does not take (2, 4) ("),
    ],
)
def test_a_network_is_tried_on_the_letters_that_it_will_get(capsys, write_config, tmp_path, letters, changes, problem):
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "ids.py").write_text(OF_IDS)
    (tmp_path / "four.tsv").write_text("id\ts\ty\n" + "".join(f"r{row}\t{letters}\t{row}\n" for row in range(12)))
    source = {"path": str(tmp_path / "four.tsv"), "columns": {"id": "id", "sequence": "s", "label": "y"}}
    model = {"name": "file", "path": "net.py", "class": "Net"} | changes
    model["path"] = str(tmp_path / model["path"])
    path = write_config(source=source, model=model, interpret={"modes": ["mask"]})
    if problem:
        assert problem in failure(capsys, "check", str(path))
    else:
        assert cli.main(["check", str(path)]) == 0


@pytest.mark.parametrize(
    ("rows", "mutate", "problem"),
    [
        ({"s": "ACGU"}, {"letters": ["A", "U"]}, None),
        ({"s": "ACGU"}, {"letters": ["A", "T"]}, "interpret.mutate.letters: 'T' is not in the vocabulary; valid: A, C, G, U"),
        ({"s": "ACX"}, {}, None),
        (
            {"s": "XYZ"},
            {},
            "interpret.mutate.letters is missing: the vocabulary does not tell which letters are meant, found X",
        ),
        ({"s": "a,gej,t", "token_sep": ","}, {"letters": ["gej", "a"]}, None),
        (
            {"s": "a,gej,t", "token_sep": ","},
            {"letters": ["ge", "a"]},
            "interpret.mutate.letters: 'ge' is not in the vocabulary",
        ),
        ({"s": "ACGU"}, {"regions": "none.bed"}, "none.bed: no such file"),
    ],
)
def test_letters_that_are_to_be_exchanged_are_looked_for(capsys, write_config, tmp_path, rows, mutate, problem):
    (tmp_path / "s.tsv").write_text("id\ts\ty\n" + "".join(f"r{row}\t{rows['s']}\t{row}\n" for row in range(12)))
    columns = {"id": "id", "sequence": "s", "label": "y"}
    source = {"path": str(tmp_path / "s.tsv"), "columns": columns, "token_sep": rows.get("token_sep")}
    path = write_config(source=source, interpret={"modes": ["mutate"], "mutate": mutate})
    if problem:
        assert failure(capsys, "check", str(path)).startswith(problem)
    else:
        assert cli.main(["check", str(path)]) == 0


def test_transcripts_are_read_before_anything_is_trained(capsys, write_config, tmp_path):
    path, line = tmp_path / "t.bed", "1\t5\t19\tt\t0\t{}\t0\t0\t0\t1\t14\t0\n"
    path.write_text(line.format("+"))
    assert cli.main(["check", str(write_config(tracks={"transcripts": str(path)}))]) == 0
    assert f"tracks.transcripts: {path}: 1 transcripts\n" in capsys.readouterr().out
    path.write_text(line.format("."))
    wrong = failure(capsys, "check", str(write_config(tracks={"transcripts": str(path)})))
    assert f"{path}, line 1: the transcript t is on the strand '.', expected + or -" in wrong


def test_variants_are_held_against_the_genome(capsys, write_config, tmp_path):
    (tmp_path / "g.fa").write_text(">1\nACGTACGTACGTACGTACGTACGT\n")
    (tmp_path / "v.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n1\t5\t.\tA\tC,G\n")
    cohort = {"path": str(tmp_path / "v.vcf"), "genome": str(tmp_path / "g.fa"), "length": 9, "index": str(tmp_path)}
    assert cli.main(["check", str(write_config(variants={"mine": cohort}))]) == 0
    assert f"variants.mine: {tmp_path}/v.vcf: 2 alleles\n" in capsys.readouterr().out
    (tmp_path / "t.fa").write_text(">t\nACGTACGT\n>u\nACGT\n")
    (tmp_path / "t.bed").write_text("1\t0\t8\tt\t0\t+\t0\t0\t0\t1\t8\t0\n1\t4\t8\tu\t0\t+\t4\t4\t0\t1\t4\t0\n")
    laid = {"path": cohort["path"], "index": str(tmp_path)}
    laid |= {"transcripts": {"fasta": str(tmp_path / "t.fa"), "bed": str(tmp_path / "t.bed")}}
    assert cli.main(["check", str(write_config(variants={"mine": laid}))]) == 0
    assert f"variants.mine: {tmp_path}/v.vcf: 4 alleles in transcripts, or in none\n" in capsys.readouterr().out
    wrong = failure(capsys, "check", str(write_config(variants={"mine": laid | {"genome": str(tmp_path / "g.fa")}})))
    assert "variants.mine.genome: expected this or transcripts, found both" in wrong
    (tmp_path / "genes.bed").write_text("chr7\t1\t5\tgene\n")
    wrong = failure(capsys, "check", str(write_config(variants={"mine": cohort | {"regions": str(tmp_path / "genes.bed")}})))
    assert "genes.bed: none of its contigs (chr7) is in " in wrong
    (tmp_path / "v.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n1\t5\t.\tT\tC\n")
    wrong = failure(capsys, "check", str(write_config(variants={"mine": cohort})))
    assert "is it of another assembly, or turned round?" in wrong
