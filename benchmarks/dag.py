"""What planning costs, and what starting a job costs.

Plans a study of 10 folds × 5 replicates × 256 shards by dry run (the table need not hold more than a line), before anything has
run and after everything has; then takes the start of one job apart. Run: ``python benchmarks/dag.py``.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow/Snakefile")]
CONFIG = ["--configfile", "config.yaml"]


# By them it is planned, and jobs that are touched write none.
RECEIPTS = """
include: "{root}/workflow/Snakefile"

onstart:
    from rnalm.files import sha256
    from rnalm.pipeline import jobs, outdated

    for job in outdated.ours(workflow.dag.jobs, OUT):
        out, place = jobs.receipt_of(job.log[0], job.output)
        params = {{name: value for name, value in job.params.items() if name != "lineage"}}
        made_of = receipts.made_of(params, map(sha256, job.input), out)
        receipts.keep(place, made_of, job.output, os.devnull)
"""


def study(folder: Path, folds: int, replicates: int, shards: int, modes: list[str]) -> None:
    """Write the configuration of a study and a table of one line."""
    (folder / "table.tsv").write_text("id\tsequence\tlabel\ns0\tACGT\t1\n")
    columns = {"id": "id", "sequence": "sequence", "label": "label"}
    config = {
        "output": "out",
        "source": {"path": "table.tsv", "columns": columns},
        "folds": {"method": "kfold", "n": folds},
        "finetune": {"replicates": replicates},
        "interpret": {"modes": modes, "shards": shards},
    }
    if "replace" in modes:
        config["interpret"]["replacements"] = {"A": ["C"]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def measured(command: list[str], folder: Path) -> tuple[float, float, str]:
    """Run a command; give its seconds, its peak memory in MiB (of it or any process before it), and what it printed."""
    started = time.perf_counter()
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if found.returncode:
        sys.exit(found.stdout + found.stderr)
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, found.stdout


def plan(folds: int, replicates: int, shards: int, modes: list[str], done: bool) -> None:
    """Print what a dry run of a study costs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study(folder, folds, replicates, shards, modes)
        if done:
            _, _, files = measured([*SNAKEMAKE, *CONFIG, "--summary"], folder)
            for line in files.splitlines():
                if line.startswith("out/"):
                    path = folder / line.split("\t")[0]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
            (folder / "Snakefile").write_text(RECEIPTS.format(root=ROOT))
            touch = ["--snakefile", "Snakefile", "all", *CONFIG, "--touch", "--forceall", "--cores", "1"]
            measured([sys.executable, "-m", "snakemake", *touch], folder)
        seconds, memory, text = measured([*SNAKEMAKE, *CONFIG, "--dry-run"], folder)
        jobs = next((line.split()[1] for line in text.splitlines() if line.startswith("total")), "0")
    what = f"{folds} folds × {replicates} replicates, {len(modes)} × {shards} shards"
    when = "after everything has run" if done else "before anything has run"
    print(f"| {what} | {when} | {jobs} | {seconds:.1f} | {memory:.0f} |")


#: What a job's Python does first of all.
STARTED = """
import sys
from pathlib import Path
if any("/.snakemake/scripts/" in word for word in sys.orig_argv):
    (Path(__file__).parent / "started").touch()
"""


def start(folder: Path) -> None:
    """Print what one job spends before its work begins, and on what."""
    study(folder, 3, 1, 4, ["mask"])
    (folder / "sitecustomize.py").write_text(STARTED)
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    subprocess.run(
        [*SNAKEMAKE, "tokenize", *CONFIG, "--cores", "1"], cwd=folder, env=environment, capture_output=True, check=False
    )
    # A job takes its lock, by opening it for writing, as the first thing that it does.
    overhead = (folder / "out/.kept/tokenize.log.lock").stat().st_mtime - (folder / "started").stat().st_mtime
    planning = min(measured([*SNAKEMAKE, "tokenize", *CONFIG, "--dry-run"], folder)[0] for _ in range(3))
    torch = "import torch, transformers; transformers.PreTrainedModel"
    rows = {
        "on this machine: from the start of a job's Python to its work": overhead,
        "on a cluster: Snakemake once more in the job, and once in its step": 2 * planning,
        "of each: import of Snakemake": python("import snakemake.cli"),
        "of each: fingerprints of all scripts": python(FINGERPRINTS),
        "in the work: the frame (import of rnalm.pipeline.jobs)": python("import rnalm.pipeline.jobs"),
        "in the work: import of torch and transformers": python(torch),
        "in the work: import of rnalm.scoring.shard after these": python("import rnalm.scoring.shard", after=torch),
    }
    print("\n| what | seconds |\n| --- | ---: |")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.2f} |")


def python(code: str, after: str = "pass") -> float:
    """Give the seconds that some code takes in a new process of Python, after other code, the least of three."""
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r})"
    lines = [path, after, "import time; began = time.perf_counter()", code, "print(time.perf_counter() - began)"]
    return min(float(measured([sys.executable, "-c", "\n".join(lines)], ROOT)[2].split()[-1]) for _ in range(3))


FINGERPRINTS = f"""
from pathlib import Path
from rnalm.pipeline import fingerprint
for script in Path({str(ROOT)!r}, "workflow/scripts").glob("*.py"):
    fingerprint.code(script)
"""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, number in {"folds": 10, "replicates": 5, "shards": 256}.items():
        parser.add_argument(f"--{name}", type=int, default=number)
    options = vars(parser.parse_args())
    print("| study | dry run | jobs | seconds | peak MiB |\n| --- | --- | ---: | ---: | ---: |")
    for modes in (["mask"], ["remove", "mask", "replace"]):
        for done in (False, True):
            plan(**options, modes=modes, done=done)
    with tempfile.TemporaryDirectory() as folder:
        start(Path(folder))


if __name__ == "__main__":
    main()
