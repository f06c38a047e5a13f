import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sites
import yaml
from filelock import FileLock
from forks import in_a_copy
from warm import Warm

from rnalm.config.load import load
from rnalm.pipeline import fingerprint
from rnalm.pipeline.plan import Plan
from rnalm.sequences.strands import reverse_complement

ROOT = Path(__file__).parents[2]


#: Files that must be the same, byte for byte, however the run went.
REPRODUCIBLE = (
    "tokenizer.json",
    "encoded/*.parquet",
    "folds.parquet",
    "fine-tune/*/*.csv",
    "fine-tune/*/*_results.json",
    "fine-tune/*/model.safetensors",
    "fine-tune/summary.csv",
    "predict/*.csv",
    "predict/*.parquet",
    "interpret/loo_scores_*",
    "report.html",
)


class Experiment:
    """A folder with a small table and a configuration, in which the workflow runs.

    Parameters
    ----------
    folder : Path
    root : Path
        Where workflow and library lie.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self.variables: dict[str, str] = {}
        #: Runs its jobs without their imports; not where processes are killed.
        self.warm: Warm | None = None
        self.config = {
            "output": "out",
            "source": {
                "path": "table.tsv",
                "columns": {"id": "id", "sequence": "sequence", "label": "label", "split": "split"},
            },
            "folds": {"n": 2},
            "model": {"name": "saluki", "filters": 4, "layers": 1},
            "finetune": {"epochs": 2, "learning_rate": 0.01},
            "interpret": {"modes": ["mask"], "shards": 2},
        }
        self.write_table()

    @property
    def output(self) -> Path:
        return self.folder / "out"

    def contents(self) -> dict[str, bytes]:
        """Read all that must be the same however a run went."""
        found = [path for pattern in REPRODUCIBLE for path in self.output.glob(pattern)]
        return {str(path.relative_to(self.output)): path.read_bytes() for path in found}

    def write_table(self, name: str = "table.tsv", n: int = 40, edit=lambda rows: rows) -> None:
        draw = np.random.default_rng(0)
        rows = [[f"s{i}", "".join(draw.choice(list("ACGT"), 12)), f"{1 + i % 7}", "abcd"[i % 4]] for i in range(n)]
        lines = ["\t".join(row) for row in [["id", "sequence", "label", "split"], *edit(rows)]]
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def arguments(self, *more: str) -> list[str]:
        """Give Snakemake's arguments."""
        # Several processes of a test run may plan the same experiment.
        name = f"config-{os.getpid()}.yaml"
        (self.folder / name).write_text(yaml.safe_dump(self.config, sort_keys=False))
        # --configfile takes all that follows it up to the next option.
        return ["--snakefile", str(self.root / "workflow/Snakefile"), "--configfile", name, "--cores", "2", *more]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", *self.arguments(*arguments)]

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start the workflow as the leader of a process group of its own."""
        command = self.command(*arguments)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with open(self.folder / "terminal.txt", "w") as terminal:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=terminal, stderr=terminal, start_new_session=True
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the workflow to its end; what it printed is in ``stdout``."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | (self.warm.environment() if self.warm else {}) | self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def succeed(self, *arguments: str) -> str:
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stdout[-6000:]
        return ended.stdout

    def refusal(self, *arguments: str) -> str:
        """Run a workflow that must fail without a traceback; give the end of what it printed."""
        ended = self.run(*arguments)
        assert ended.returncode != 0
        assert "Traceback" not in ended.stdout
        return "\n".join(ended.stdout.splitlines()[-8:])

    def snakemake(self, *arguments: str) -> str:
        """Run Snakemake in a copy of this process, which has imported it once for all; give what it printed.

        For all that starts no jobs, such as dry runs: much faster than a process of its own.
        """
        import snakemake.cli

        command = self.arguments(*arguments)

        other = fingerprint._contents(self.root / "rnalm") != fingerprint._contents(ROOT / "rnalm")

        def work() -> None:
            # The workflow takes the library that lies beside it.
            for name in [name for name in sys.modules if other and name.split(".")[0] == "rnalm"]:
                del sys.modules[name]
            snakemake.cli.main(command)

        status, text = in_a_copy(work, self.folder)
        assert status == 0, text[-6000:]
        return text

    def plan(self, *arguments: str) -> dict[str, int]:
        """Count the jobs of each rule that a dry run lists, but for target rules."""
        counts = jobs(self.snakemake("--dry-run", *arguments))
        return {rule: count for rule, count in counts.items() if rule != "all"}

    def rules(self) -> set[str]:
        """Name the rules that its configuration has work for."""
        plan = Plan(load(self.config))
        return {rule for rule, _ in plan.jobs()}


def jobs(text: str) -> dict[str, int]:
    """Read the table of jobs that a dry run prints."""
    table = text.partition("Job stats:\n")[2].partition("\ntotal")[0]
    return {rule: int(count) for rule, count in (line.split() for line in table.splitlines()[2:])}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is here: it runs the workflow. What needs the finished experiment comes last: nobody waits for it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if "language" in item.fixturenames:
                item.add_marker(pytest.mark.xdist_group("language"))
    items.sort(key=lambda item: "finished" in getattr(item, "fixturenames", ()))


@contextmanager
def once(tmp_path_factory, name: str) -> Iterator[tuple[Path, bool]]:
    """Give a folder that all processes of a test run share, and whether it is this one that has to fill it."""
    # Each process of pytest-xdist has a folder of its own in that of the run.
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    shared = tmp_path_factory.getbasetemp().parent if parallel else tmp_path_factory.getbasetemp()
    folder, done = shared / name, shared / f"{name}.done"
    with FileLock(shared / f"{name}.lock"):
        fill = not done.exists()
        if fill:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder, fill
        done.touch()


@pytest.fixture(scope="session")
def repository(tmp_path_factory) -> Path:
    """Copy workflow and library: what is edited while tests run must not disturb them."""
    with once(tmp_path_factory, "repository") as (folder, fill):
        for name in ("workflow", "rnalm", "config") if fill else ():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def make_experiment(repository, warm, read_code) -> Callable[[Path], Experiment]:
    """Make an experiment in a folder, run by the repository given or its copy."""

    def make(folder: Path, root: Path = repository) -> Experiment:
        experiment = Experiment(folder, root)
        experiment.warm = warm
        return experiment

    return make


@pytest.fixture
def experiment(tmp_path, make_experiment) -> Experiment:
    return make_experiment(tmp_path)


def run_traced(experiment: Experiment) -> Experiment:
    """Run an experiment to its end, and note which functions of the library each script calls."""
    traces = experiment.folder / "traces"
    traces.mkdir(exist_ok=True)
    experiment.variables = {"RNALM_TRACES": str(traces)}
    (experiment.folder / "terminal.txt").write_text(experiment.succeed())
    experiment.variables = {}
    return experiment


@pytest.fixture(scope="session")
def finished(tmp_path_factory, make_experiment) -> Experiment:
    """Give an experiment that has run to its end."""
    with once(tmp_path_factory, "finished") as (folder, fill):
        experiment = make_experiment(folder)
        return run_traced(experiment) if fill else experiment


@pytest.fixture(scope="session")
def language(tmp_path_factory, make_experiment) -> Experiment:
    """Give an experiment with a language model that has run to its end: FASTA, pretraining, a sweep, bases, power laws."""
    with once(tmp_path_factory, "language") as (folder, fill):
        experiment = make_experiment(folder)
        experiment.config = language_model()
        if not fill:
            return experiment
        draw = np.random.default_rng(0)
        for name in ("yes", "no"):
            rows = ["".join(draw.choice(list("ACGT"), 30)) + ("TATAAT" if name == "yes" else "") for _ in range(24)]
            text = "".join(f">{name}{i} made up\r\n{row}\r\n" for i, row in enumerate(rows))
            (experiment.folder / f"{name}.fasta").write_text(text)
        return run_traced(experiment)


def language_model() -> dict:
    """Configure an experiment with a language model."""
    sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64}
    return {
        "output": "out",
        "task": "classification",
        "source": {"classes": {"yes": "yes.fasta", "no": "no.fasta"}},
        "tokenizer": {"type": "bpe", "vocab_size": 40},
        "encode": {"reverse_complement": "augment"},
        "folds": {"ratio": [60, 20, 20], "group": "cluster"},
        "model": {"name": "hf", "type": "distilbert", "config": sizes},
        "pretrain": {"epochs": 2, "rows": "training"},
        "sweep": {"method": "grid", "epochs": 1, "parameters": {"learning_rate": {"values": [0.001, 0.01]}}},
        "finetune": {"epochs": 2, "metric": "f1_weighted", "replicates": 2},
        "interpret": {
            **{"method": ["loo", "integrated_gradients"], "level": "base", "explain": "all"},
            **{"sample_size": 4, "shards": 1, "steps": 8},
        },
        "powerlaw": {},
    }


@pytest.fixture(scope="session")
def tracked(tmp_path_factory, make_experiment) -> Experiment:
    """Give an experiment with labels of tokens that has run to its end."""
    with once(tmp_path_factory, "tracked") as (folder, fill):
        experiment = make_experiment(folder)
        experiment.config = sites.configuration() | {
            "tracks": {"formats": ["bedgraph", "bigwig"], "transcripts": "genes.bed", "elements": {"threshold": 0.5}}
        }
        if not fill:
            return experiment
        made = sites.with_sites(60, seed=0)
        (folder / "table.tsv").write_text(sites.table(made))
        (folder / "genes.bed").write_text(sites.genes(made))
        return run_traced(experiment)


@pytest.fixture(scope="session")
def several(tmp_path_factory, make_experiment) -> Experiment:
    """Give an experiment with several classes a sequence that has run to its end."""
    with once(tmp_path_factory, "several") as (folder, fill):
        experiment = make_experiment(folder)
        experiment.config = {
            "output": "out",
            "task": "multilabel",
            "source": {"path": "several.tsv", "columns": {"id": "id", "sequence": "sequence", "label": ["GG", "TTA"]}},
            "inference": {
                "more": {"path": "several.tsv", "columns": {"id": "id", "sequence": "sequence", "label": ["GG", "TTA"]}}
            },
            "model": {"name": "frames", "width": 4, "layers": 1},
            "ensemble": "stack",
            "finetune": {"epochs": 1},
            "predict": {"formats": ["tsv"]},
            "interpret": {
                **{"modes": ["mask", "mutate"], "mutate": {"bases": 2, "start": "center:4"}, "formats": ["selene", "hdf5"]},
                **{"sample_size": 2, "shards": 1, "explain": "all"},
            },
            "tracks": {"formats": ["bigwig"], "classes": ["TTA", "GG"], "elements": None},
            "variants": {
                "cohort": {
                    **{"path": "v.vcf", "genome": "g.fa", "length": 30, "shards": 1},
                    "formats": ["parquet", "hdf5", "vcf"],
                },
                "laid": {
                    **{"path": "v.vcf", "transcripts": {"fasta": "t.fa", "bed": "genes.bed"}, "shards": 2},
                    "formats": ["parquet", "tsv", "vcf"],
                },
            },
        }
        if not fill:
            return experiment
        draw = np.random.default_rng(0)
        genome = "".join(draw.choice(list("ACGT"), 120))
        (folder / "g.fa").write_text(f">1\n{genome}\n")
        other = {"A": "C"}.get(genome[69], "A")
        single = f"1\t70\t.\t{genome[69]}\t{other}\n"
        alleles = f"{single}1\t50\t.\t{genome[49]}\tGG\n1\t60\t.\t{genome[59:63]}\t{genome[59]}\n1\t5\t.\tA\t<DEL>\n"
        (folder / "v.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n" + alleles)
        exons = genome[40:75] + genome[90:110]
        (folder / "t.fa").write_text(f">plus|gene\n{exons}\n>minus\n{reverse_complement(genome[45:80], rna=False)}\n")
        blocks = "1\t40\t110\tplus\t0\t+\t40\t40\t0\t2\t35,20\t0,50\n1\t45\t80\tminus\t0\t-\t45\t45\t0\t1\t35\t0\n"
        (folder / "genes.bed").write_text(blocks)
        texts = ["".join(draw.choice(list("ACGT"), 30)) for _ in range(60)]
        rows = [f"s{row}\t{text}\t{int('GG' in text)}\t{int('TTA' in text)}\n" for row, text in enumerate(texts)]
        (folder / "several.tsv").write_text("".join(["id\tsequence\tGG\tTTA\n", *rows]))
        return run_traced(experiment)


@pytest.fixture
def copy(finished, tmp_path, make_experiment):
    """Copy the finished experiment, with Snakemake's records, to change it."""

    def make() -> Experiment:
        # Hard links stay hard links: results and what is kept of them are one.
        subprocess.run(["cp", "--archive", str(finished.folder), str(tmp_path / "copy")], check=True)
        return make_experiment(tmp_path / "copy")

    return make
