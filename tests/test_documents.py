"""What the documents tell people to type works, what they show loads, and the files that they name are there."""

import gzip
import os
import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from finished_experiments import example
from forks import in_a_copy

from rnalm import cli
from rnalm.config.load import load

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md"))]
TYPED = [*PAGES, "config/README.md"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: The code of a page: fenced, indented, or a command within a line.
CODE = re.compile(
    r"^```(?P<language>\w*)\n(?P<fenced>.*?)^```$|^\n(?P<indented>(?:    [^\n]*\n)+)"
    r"|`(?P<inline>(?:snakemake|rnalm|make|python)\s[^`]+)`",
    re.MULTILINE | re.DOTALL,
)

#: What a page speaks of and does not bring, in a few rows.
FILES = {
    "my_sequences.tsv.gz": "transcript\ttokens\thalf_life\tgene\n"
    + "".join(f"t{row}\ta,c#2.5,g\t2.5\tg{row}\n" for row in range(20)),
    "data/utr3_mpra.tsv.gz": "id\tsequence\tactivity\n" + "".join(f"u{row}\tACGTACGT\t1.5\n" for row in range(20)),
    "data/ecoli_promoter.fasta.gz": "".join(f">p{row}\nACGTACGT\n" for row in range(20)),
    "data/ecoli_non_promoter.fasta.gz": "".join(f">n{row}\nACGTACGA\n" for row in range(20)),
    "data/genome/yeast/chrIV.fa.gz": ">chrIV\n" + 1000 * "ACGT" + "\n",
    "data/genome/yeast/rossi2021_chrIV_points.bed.gz": "chrIV\t955\t956\tSko1\n",
}


#: What comes from Selene: a configuration, a network, and the names of what it tells.
SELENE = {
    "selene.yaml": """ops: [train]
model: {path: my_model.py, class: Tiny, class_args: {sequence_length: 100, n_genomic_features: 3}}
sampler: !obj:selene_sdk.samplers.RandomPositionsSampler {target_path: peaks.bed.gz,
    reference_sequence: !obj:selene_sdk.sequences.Genome {input_path: genome.fa},
    features: !obj:selene_sdk.utils.load_features_list {input_path: distinct_features.txt}}
train_model: !obj:selene_sdk.TrainModel {max_steps: 8000, report_stats_every_n_steps: 4000}
""",
    "my_model.py": """from torch import nn


class Tiny(nn.Module):
    def __init__(self, sequence_length, n_genomic_features):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(4 * sequence_length, n_genomic_features), nn.Sigmoid())

    def forward(self, x):
        return self.layers(x)
""",
    "distinct_features.txt": "Reb1\nAbf1\nRap1\n",
}


def transcripts(split: str) -> np.ndarray:
    """Make a few transcripts with a site each, as TIS Transformer has them."""
    array = np.empty((20, 2), dtype=object)
    for row in range(20):
        letters = np.random.default_rng(row).integers(0, 4, 30)
        array[row, 0], array[row, 1] = np.stack([letters, np.arange(30) == 7], axis=1).astype(np.int16), f"{split}.{row}"
    return array


def code(page: str) -> list[tuple[str, str]]:
    """Give the pieces of code of a page, in order, and what each is: ``yaml``, ``python``, ``commands`` or ``inline``."""
    pieces = []
    for match in CODE.finditer((ROOT / page).read_text()):
        if match["inline"]:
            pieces.append(("inline", " ".join(match["inline"].split())))
        elif match["fenced"]:
            pieces.append((match["language"] or "commands", match["fenced"]))
        elif not set("─▒│") & set(match["indented"]):  # which make a picture
            pieces.append(("commands", match["indented"]))
    return pieces


def is_profile(block: dict) -> bool:
    """Tell whether a block of YAML is a profile of Snakemake; the keys of a configuration have no hyphens."""
    return any("-" in key for key in block)


class Terminal:
    """A terminal in a fresh copy of the repository: everything typed into it is run, at little cost.

    Parameters
    ----------
    folder : Path
        Where to make the copy.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.functions: dict[str, str] = {}
        for name in ("workflow", "config", "rnalm", "benchmarks", "Makefile", "pyproject.toml", "constraints.txt"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "data").mkdir()
        (folder / "data/genome/yeast").mkdir(parents=True)
        (folder / "data/genome/yeast/blacklist_chrIV.bed").write_text("chrIV\t0\t10\n")
        for name, text in FILES.items():
            (folder / name).write_bytes(gzip.compress(text.encode()))
        (folder / "data/tis").mkdir()
        (folder / "results").mkdir()
        for split in ("chr18", "chr20", "chrY", "chr22"):
            with gzip.open(folder / f"data/tis/{split}.npy.gz", "wb") as file:
                np.save(file, transcripts(split), allow_pickle=True)
        for name, text in SELENE.items():
            (folder / name).write_text(text)
        weights = {"layers.1.weight": torch.zeros(3, 400), "layers.1.bias": torch.zeros(3)}
        torch.save({"state_dict": weights}, folder / "best_model.pth.tar")
        for name, noise in (("my_study", 2.0), ("with_dropout", 1.0)):
            example(folder / "results" / name, noise)
        first = next(piece for kind, piece in code("README.md") if kind == "yaml")
        (folder / "my.yaml").write_text(first)

    def type(self, line: str, complete: bool = True) -> None:
        """Run a line; of one that stands within a sentence, arguments may be left out."""
        if defined := re.fullmatch(r"(\w+)\(\) \{ (.*); \}", line):
            self.functions[defined[1]] = defined[2]
            return
        name, *words = shlex.split(line, comments=True)
        if name in self.functions:
            self.type(self.functions[name].replace('"$@"', shlex.join(words)))
        elif name == "snakemake":
            from snakemake.cli import main

            status, printed = in_a_copy(lambda: main([*words, "--dry-run"]), self.folder)
            assert status == 0, f"{line}\n{printed[-3000:]}"
        elif name == "rnalm" and complete:
            with chdir(self.folder):
                assert cli.main(words) == 0, line
        elif name == "rnalm":
            with pytest.raises(SystemExit, match=r"^0$"):
                cli.main([*words, "--help"])
        elif name in ("make", "cp"):
            words = ["--dry-run", *words] if name == "make" else words
            ended = subprocess.run([name, *words], cwd=self.folder, capture_output=True, text=True, check=False)
            assert ended.returncode == 0, f"{line}\n{ended.stderr}"
        elif name == "python" and words[0] == "-c":
            compile(words[1], line, "exec")
        elif name == "python":  # test_benchmarks.py runs them
            assert (ROOT / words[0]).is_file(), line
        else:
            assert line.strip() in (". .venv/bin/activate", "tmux"), f"no test knows the command {line!r}"


#: Those whose commands take half a minute.
SLOW = ("docs/promoters.md",)


@pytest.mark.e2e
@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.nightly] * (page in SLOW)) for page in TYPED])
def test_every_command_of_a_page_can_be_given(page, tmp_path, read_code):
    terminal = Terminal(tmp_path)
    for kind, piece in code(page):
        if kind == "commands":
            for line in piece.replace("\\\n", " ").splitlines():
                terminal.type(line.partition(" # ")[0].strip())
        elif kind == "inline":
            terminal.type(piece, complete=False)
        elif kind == "yaml" and is_profile(block := yaml.safe_load(piece)):
            profile = tmp_path / "my_cluster" / "config.yaml"  # the copy that the page speaks of
            profile.write_text(yaml.safe_dump(yaml.safe_load(profile.read_text()) | block))


#: What blocks of a page stand beside, where it is not the demo.
STUDIES = {"promoters": "promoters", "genome": "yeast_factors"}


@pytest.mark.parametrize(("page", "piece"), [(page, piece) for page in PAGES for kind, piece in code(page) if kind == "yaml"])
def test_a_block_of_yaml_is_a_configuration(page, piece):
    block = yaml.safe_load(piece)
    if not is_profile(block):
        name = next((f"examples/{file}.yaml" for key, file in STUDIES.items() if key in page), "config.yaml")
        study = yaml.safe_load((ROOT / "config" / name).read_text())
        if block.get("labels", {}).get("per") == "token":
            del study["ensemble"]  # which is of models of sequences
        load(block if "output" in block else study | block, page)


@pytest.fixture(scope="module")
def demo(tmp_path_factory, warm) -> Path:
    """Run the demo at toy size: some of its rows, and one model, trained for an epoch, that is tested on most of them."""
    folder = tmp_path_factory.mktemp("demo")
    settings = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    (folder / "config").symlink_to(ROOT / "config")
    rows = (ROOT / settings["source"]["path"]).read_text().splitlines()[:41]
    (folder / "toy.tsv").write_text("\n".join(rows) + "\n")
    settings["source"]["path"] = "toy.tsv"
    settings["seed"] = 3  # by which the sequence that a page shows is among those tested
    settings["folds"] |= {"n": 1, "ratio": [20, 10, 70]}
    settings["model"] |= {"filters": 4}
    settings["finetune"] |= {"epochs": 1}
    settings["interpret"] |= {"modes": ["mask", "replace"], "sample_size": None, "shards": 1}
    (folder / "toy.yaml").write_text(yaml.safe_dump(settings))
    ends = ("pkl", "kmers.csv")
    targets = [f"results/demo/interpret/loo_scores_{mode}.{end}" for mode in settings["interpret"]["modes"] for end in ends]
    options = ["--snakefile", str(ROOT / "workflow" / "Snakefile"), "--configfile", "toy.yaml", "--cores", "2"]
    command = [sys.executable, "-m", "snakemake", *targets, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | warm.environment()
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return folder


@pytest.mark.e2e
@pytest.mark.xdist_group("demo at toy size")
@pytest.mark.parametrize("page", [page for page in PAGES if "python" in dict(code(page))])
def test_the_python_of_a_page_runs(page, demo):
    with chdir(demo):
        exec(compile("\n".join(piece for kind, piece in code(page) if kind == "python"), f"Python of {page}", "exec"), {})


@pytest.mark.parametrize("page", [*TYPED, "ARCHITECTURE.md", "CHANGELOG.md", "benchmarks/README.md"])
def test_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text()
    linked = [ROOT / page / ".." / link for link in re.findall(r"\]\((?!https?:)([^)#]+)", text)]
    named = [ROOT / name for name in re.findall(r"`((?:rnalm|tests|workflow|config|benchmarks|docs)/[\w./]+)[^`]*`", text)]
    missing = [str(path) for path in (*linked, *named) if not path.resolve().exists()]
    assert not missing


def test_the_oldest_versions_are_those_that_the_package_allows():
    requirements = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["workflow"]]
    pinned = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    assert pinned[1:] == [requirement.replace(">=", "==") for requirement in requirements]


def test_every_python_that_the_package_names_is_tested_by_targets_that_exist(tmp_path):
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]
    named = [line.split(" :: ")[-1] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert jobs["test"]["strategy"]["matrix"]["python"] == named
    terminal = Terminal(tmp_path)
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = [command for command in commands if command.startswith("make ")]
    assert targets == ["make test", "make nightly"]
    for command in targets:
        terminal.type(command)


def test_hooks_run_what_the_project_installs(tmp_path):
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (entries,) = ([hook["entry"] for hook in repository["hooks"]] for repository in hooks)
    installed = {re.match(r"[\w-]+", requirement)[0] for requirement in PROJECT["optional-dependencies"]["dev"]}
    tools = [entry.split()[0] for entry in entries if entry != "make quick"]
    assert {tool.removeprefix(".venv/bin/") for tool in tools} <= installed
    Terminal(tmp_path).type("make quick")
