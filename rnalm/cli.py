"""A thin command line for work outside the pipeline."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rnalm import __version__
from rnalm.config import contract, load, reference
from rnalm.errors import RnalmError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

    from rnalm.config import Config, OwnModel, Source, Variants
    from rnalm.labels.check import Checked
    from rnalm.pipeline.experiment import Experiment


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit status.

    Parameters
    ----------
    arguments : list of str, optional
        What follows the program's name; None: what the terminal gives.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except RnalmError as error:
        print(f"rnalm: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who reads has seen enough, as ``head`` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rnalm", description="Work around the pipeline. The pipeline itself: snakemake --cores 8"
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="look a configuration over")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    schema = commands.add_parser("schema", help="print the JSON schema of the configuration")
    schema.set_defaults(run=lambda options: print(reference.schema(), end=""))
    keys = commands.add_parser("keys", help="print what every key of the configuration means")
    keys.set_defaults(run=lambda options: print(reference.keys(), end=""))
    ask = commands.add_parser("predict", help="ask trained models about a sequence, or those of a file")
    ask.add_argument("what", metavar="SEQUENCE", help="letters; or a file: FASTA, or .npy as TIS Transformer has it")
    ask.add_argument("--model", nargs="+", required=True, metavar="FOLDER", help="model folders, of which the mean predicts")
    ask.add_argument("--trust", action="store_true", help="run code of a user's own that the models hold (model.name: file)")
    ask.set_defaults(run=_predict)
    compare = commands.add_parser("compare", help="say which of several finished experiments is better, and by how much")
    compare.add_argument("folders", nargs="+", type=Path, metavar="OUT", help="their folders; all are compared with the first")
    compare.add_argument("--output", type=Path, default=Path("compare.html"), help="the page (default: compare.html)")
    compare.add_argument("--json", type=Path, metavar="FILE", help="where to write the same numbers for machines")
    compare.add_argument(
        "--resamples", type=_positive, default=1000, metavar="N", help="how often the bootstrap draws rows (default: 1000)"
    )
    compare.set_defaults(run=_compare)
    bring = commands.add_parser("import", help="turn files of another system into a table")
    systems = bring.add_subparsers(required=True, metavar="SYSTEM")
    tis = systems.add_parser("tis", help="ragged arrays of TIS Transformer; of a table, such arrays again")
    tis.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".npy or .npy.gz; or one table that was made of them")
    tis.add_argument("--output", type=Path, required=True, help="the table, in .tsv or .tsv.gz; or a folder for arrays")
    tis.set_defaults(run=_import_tis)
    selene = systems.add_parser("selene", help="a configuration of Selene; nothing that it names is run")
    selene.add_argument("file", type=Path, help="the YAML file")
    selene.add_argument("--output", type=Path, required=True, help="the configuration to write")
    selene.set_defaults(run=_import_selene)
    network = systems.add_parser("network", help="a trained network and its weights, as a model folder; its code is run")
    network.add_argument("file", help="the Python file, or the folder of a package")
    network.add_argument("--class", required=True, dest="class_", metavar="NAME", help="the network in it")
    network.add_argument("--args", default="{}", metavar="YAML", help="what it is made with, as in '{sequence_length: 1000}'")
    network.add_argument(
        "--weights", required=True, help="a state dict, or Selene's .pth.tar; read without running anything in it"
    )
    network.add_argument("--by-order", action="store_true", help="match weights by their order rather than their names")
    network.add_argument("--classes", metavar="FILE", help="names of its outputs, one in each line; without: one number")
    network.add_argument("--outputs", choices=["probabilities", "logits"], help="what it gives for classes")
    network.add_argument("--strands", choices=["none", "mean", "max"], default="none", help="how both strands are combined")
    network.add_argument("--length", type=int, metavar="N", help="letters of a sequence, on which to try it")
    network.add_argument("--output", type=Path, required=True, help="the model folder")
    network.set_defaults(run=_import_network)
    return parser


def _predict(options: argparse.Namespace) -> None:
    """Print a table, separated by tabs, of what trained models predict."""
    import logging

    from rnalm.prediction.ask import ask

    logging.basicConfig(format="rnalm: %(levelname)s: %(message)s")
    for row in ask(options.model, options.what, trust=options.trust):
        print(*row, sep="\t")


def _positive(text: str) -> int:
    """Read a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number of 1 or more")
    return int(text)


def _compare(options: argparse.Namespace) -> None:
    """Write the page that compares experiments, and say what it comes to."""
    import logging

    from rnalm.pipeline import receipts
    from rnalm.report import comparison

    logging.basicConfig(format="rnalm: %(levelname)s: %(message)s")
    noted = [receipts.read(folder / receipts.FOLDER / "report.log") for folder in options.folders]
    configs = [receipt.made_of["params"]["job"]["config"] if receipt else None for receipt in noted]
    for sentence in comparison.write(options.folders, configs, options.output, options.json, options.resamples):
        print(sentence)
    print(f"{options.output}: written")


def _import_tis(options: argparse.Namespace) -> None:
    """Turn ragged arrays into a table with sites, or such a table into ragged arrays."""
    from rnalm.sequences import tis

    back = len(options.files) == 1 and ".npy" not in options.files[0].suffixes
    written = tis.write_arrays(options.files[0], options.output) if back else tis.write_table(options.files, options.output)
    for split, transcripts, nucleotides, sites in written:
        print(f"{split}: {transcripts:,} transcripts, {nucleotides:,} nucleotides, {sites:,} sites")
    print(f"{options.output}: written")


def _import_selene(options: argparse.Namespace) -> None:
    """Turn a configuration of Selene into one of ours, and say what is left to do."""
    from rnalm.config import document
    from rnalm.config.importers import selene

    found = selene.read(options.file)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(found.text(), encoding="utf-8")
    comments = sum(map(len, found.notes.values()))
    print(f"{options.output}: written, with {comments} comments on what is different or has no equal")
    load.load(document.read(options.output), str(options.output))


def _import_network(options: argparse.Namespace) -> None:
    """Write the model folder of a network that was trained elsewhere."""
    import logging

    import yaml

    from rnalm.config import OwnModel
    from rnalm.models.bring import bring
    from rnalm.sequences.text import read_names

    logging.basicConfig(format="rnalm: %(levelname)s: %(message)s")
    names = read_names(options.classes, "--classes")[0] if options.classes else []
    try:
        args = yaml.safe_load(options.args)
    except yaml.YAMLError:
        args = None
    if not isinstance(args, dict):
        raise RnalmError(f"--args: found {options.args!r}, expected names and values, as in '{{sequence_length: 1000}}'")
    given = {key: getattr(options, key) for key in ("outputs", "strands", "weights", "by_order")}
    section = OwnModel(**{"name": "file", "path": options.file, "class": options.class_, "args": args, **given})
    bring(section, names, options.output, options.length)
    print(f"{options.output}: written; to use it, model: {{folders: [{options.output}], trust: true}}")


def _check(options: argparse.Namespace) -> None:
    """Check a configuration file, and read every source from its first row to its last."""
    import logging

    from rnalm.config import OwnModel, document
    from rnalm.labels import check
    from rnalm.pipeline.experiment import Experiment
    from rnalm.tokens.encode import inherit

    content = document.read(options.file)
    if not isinstance(content, dict):
        raise RnalmError(f"{options.file}: expected keys and values, found {type(content).__name__}")
    logging.basicConfig(format="rnalm: %(levelname)s: %(message)s")
    settings = load.load(content, str(options.file))
    experiment = Experiment(settings)
    if configs := [f"{model}/config.json" for model in experiment.given]:
        encode = inherit(settings.encode.model_dump(exclude_unset=True), configs)
        labels = settings.labels.model_copy(update=experiment.labelled)
        settings = settings.model_copy(update={"encode": encode, "labels": labels})
    problems, more, own, vocabulary = _of_start(settings), 0, None, None
    for name, source, learned in _sources(experiment, configs):
        found = check.check(source, settings, trains=settings.trains and name == "source", learned=learned)
        print(f"{name}: {source.paths[0]}: {_shown(found)}")
        if settings.tokenizer.type == "atomic" and found.longest > settings.encode.block_size:
            how = "be cut" if settings.labels.per == "sequence" else "be read in windows"
            print(f"{name}: sequences of more than encode.block_size, {settings.encode.block_size}, will {how}")
        problems, more = problems + found.problems.lines, more + found.problems.more
        vocabulary = _vocabulary(settings, source, found) if learned else vocabulary
        own = found if name == "source" else own
    if isinstance(settings.model, OwnModel) and own is not None:
        problems += _of_network(settings, settings.model, own, vocabulary)
    if "mutate" in settings.interpret.scored:
        problems += _of_mutation(settings, vocabulary, experiment.lender)
    for name, cohort in settings.variants.items():
        problems += _of_variants(name, cohort)
    if settings.tracks and settings.tracks.transcripts:
        problems += _of_transcripts(settings.tracks.transcripts)
    if len(problems) == 1:
        raise RnalmError(problems[0])
    for problem in problems:
        print(f"rnalm: {problem}", file=sys.stderr)
    if problems:
        others = f", of which {more} are like these" if more else ""
        raise RnalmError(f"{options.file}: {len(problems) + more} problems{others}")
    print(f"{options.file}: good")


def _of_start(settings: "Config") -> list[str]:
    """List what is wrong with the model from which training starts, if it starts from one."""
    start = getattr(settings.model, "pretrained", None)
    if start is None:
        return []
    from rnalm.models import registry  # registers our own architectures
    from rnalm.models.pretrained import read_config

    ours = settings.architecture.name
    try:
        theirs = read_config(start).model_type
    except RnalmError as error:
        return [str(error)]
    if ours in registry.FILLERS and ours != "hf" and theirs != ours:
        return [f"model.pretrained: {start} is a {theirs}, expected a {ours}"]
    return []


def _vocabulary(settings: "Config", source: "Source", found: "Checked") -> "Tokenizer | None":
    """Make the tokenizer that a run would learn, if what occurs in the source tells all of its tokens."""
    from rnalm.labels.check import ALPHABET
    from rnalm.tokens.learn import of_tokens

    options = settings.tokenizer
    chosen = options.sample_size or options.vocab_size or (options.min_freq or 1) > 1
    if options.type != "atomic" or chosen or not 0 < len(found.alphabet) < ALPHABET:
        return None
    return of_tokens(sorted(found.alphabet), options, source.token_sep)


def _of_mutation(settings: "Config", vocabulary: "Tokenizer | None", lender: str | None) -> list[str]:
    """List what is wrong with the letters that are to be exchanged, where the tokens are known, and with where they are."""
    from rnalm.scoring.check import check_mutation
    from rnalm.scoring.mutagenesis import read_regions
    from rnalm.tokens.tokenizer import load_tokenizer

    interpret, both_strands = settings.interpret, settings.encode.reverse_complement == "average"
    lent = Path(lender or "", contract.TOKENIZER)
    try:
        read_regions(interpret.mutate)
        tokens = load_tokenizer(lent) if lender and lent.is_file() else vocabulary
        if tokens is not None:
            check_mutation(interpret.mutate, interpret.level, settings.labels.per, both_strands, tokens)
    except RnalmError as error:
        return [str(error)]
    return []


def _of_network(settings: "Config", section: "OwnModel", found: "Checked", vocabulary: "Tokenizer | None") -> list[str]:
    """List what is wrong with a network of the user's own, made and tried on sequences as long as those of the source."""
    from rnalm.models.bring import look
    from rnalm.sequences.read import classes

    named = len(classes(settings.training_source)) if settings.training_source.several else 0
    outputs = named or (found.classes if settings.task == "classification" else 1)
    lengths = [min(length, settings.encode.block_size) for length in (found.shortest, found.longest)]
    try:
        look(section, settings.task, outputs, lengths if found.sequences else [], vocabulary)
    except RnalmError as error:
        return [str(error)]
    return []


def _of_variants(name: str, cohort: "Variants") -> list[str]:
    """Hold the alleles of a file against the genome, and list what is wrong."""
    from rnalm.sequences.alleles import rows
    from rnalm.sequences.contigs import Reference
    from rnalm.sequences.locate import Regions

    try:
        what = "alleles" if cohort.transcripts is None else "alleles in transcripts, or in none"
        print(f"variants.{name}: {', '.join(cohort.path)}: {sum(1 for _ in rows(cohort)):,} {what}")
        if cohort.regions:
            Regions(cohort.regions, Reference(cohort))
    except RnalmError as error:
        return [str(error)]
    return []


def _of_transcripts(path: str) -> list[str]:
    """Read the file that lays transcripts on a genome, and list what is wrong."""
    from rnalm.sequences.annotation import read

    try:
        print(f"tracks.transcripts: {path}: {len(read(path)):,} transcripts")
    except RnalmError as error:
        return [str(error)]
    return []


def _sources(experiment: "Experiment", configs: list[str]) -> "Iterator[tuple[str, Source, bool]]":
    """Go through all sources, read as a run reads them: name, source, and whether the vocabulary is learned from it."""
    from rnalm.tokens.encode import inherited_case

    apart = experiment.settings.tokenizer.source is not None
    encoded = list(experiment.encoded.items())
    vocabulary = [("tokenizer.source", experiment.vocabulary)] if apart and experiment.vocabulary else []
    for name, source in (*encoded[:1], *vocabulary, *encoded[1:]):
        learned = name == ("tokenizer.source" if apart else "source") and experiment.lender is None
        yield name, source.like(inherited_case(configs, source)) if configs else source, learned


def _shown(found: "Checked") -> str:
    """Say in one line what a source has."""
    counts = [
        f"{found.sequences} sequences of {found.shortest} to {found.longest} letters or tokens, {found.labelled} with a label"
    ]
    counts += [f"{found.classes} classes"] if found.classes else []
    counts += [f"{found.dropped} without one are left out"] if found.dropped else []
    counts += [f"{found.copies} copies of others"] if found.copies else []
    counts += [f"made of {' '.join(sorted(found.alphabet))}"] if 0 < len(found.alphabet) <= 30 else []
    return ", ".join(counts)
