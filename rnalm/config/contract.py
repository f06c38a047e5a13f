"""What jobs write beside each other: the one list of names that writers, rules and tests read."""

import re
from collections.abc import Iterable
from pathlib import PurePath

from rnalm.files import COMPRESSIONS

CONFIG, WEIGHTS, TOKENIZER, LABELS = "config.json", "model.safetensors", "tokenizer.json", "labels.json"
TRAIN_RESULTS, EVAL_RESULTS, HISTORY = "train_results.json", "eval_results.json", "trainer_state.json"
TEST_PREDICTIONS, TEST_RESULTS, ALL_RESULTS = "test_predictions.csv", "test_results.json", "all_results.json"
RANK_DELTAS, CLASSIFICATION_REPORT = "rank_deltas.csv", "classification_report.csv"
PREDICTIONS, RESULTS, SITES = "predictions.parquet", "results.json", "sites.csv"
TEST_SCORES, TEST_TARGETS, PERFORMANCE_TABLE = "test_predictions.npz", "test_targets.npz", "test_performance.txt"
TRIALS, BEST = "trials.csv", "best.yaml"
BASELINE, BASELINE_WEIGHTS = "baseline.json", "baseline.npz"
VALIDATED_PART, TESTED_PART = "validation.parquet", "test.parquet"

#: What loading a trained model needs.
MODEL = (CONFIG, WEIGHTS, TOKENIZER, LABELS)

#: How a training went, and what of it the report shows.
TRAINING, COURSE = (TRAIN_RESULTS, EVAL_RESULTS, HISTORY), (EVAL_RESULTS, HISTORY)

#: What fine-tuning a fold leaves in the folder of its model.
FINETUNED = (*MODEL, "tokenizer_config.json", *TRAINING)

#: How much each model of a fold, and its baseline, counts, and what their outputs mean together.
STACK = "weights.json"
STACKED = (STACK, LABELS)

#: What fitting a baseline to a fold leaves in its folder, and what more where the fold has test rows.
FITTED = (BASELINE, BASELINE_WEIGHTS, LABELS, TRAIN_RESULTS, EVAL_RESULTS, VALIDATED_PART)

#: A language model, from which fine-tuning can start.
LANGUAGE_MODEL = (WEIGHTS, CONFIG, TOKENIZER, "tokenizer_config.json")

#: What pretraining leaves.
PRETRAINED = (*LANGUAGE_MODEL, *TRAINING)

#: What is noted of the sweep of a fold.
SEARCHED = (TRIALS, BEST)

#: What the comparison of models by power laws consists of.
SPECTRA = ("alphas.csv", "summary.csv", "histogram.pdf", "histogram.svg", "layers.pdf", "layers.svg")

#: In which files Selene evaluates predictions of several classes.
PERFORMANCE = (PERFORMANCE_TABLE, TEST_SCORES, TEST_TARGETS, "roc_curves.svg", "precision_recall_curves.svg")

#: What of the predictions of a source the report shows.
SHOWN = {"predictions": PREDICTIONS, "results": RESULTS}

#: How good predictions are, how sure that is, and whether scores may be read.
VERDICT = "verdict.json"

#: Formats of predictions for tokens beside Parquet, by what the configuration calls them.
TRACKS = {"bedgraph": "predictions.bedgraph", "npy": "predictions.npy"}

#: Formats of merged scores, by suffix, and the page on which they colour the tokens.
SCORES = ("parquet", "csv", "pkl")
PAGE = "html"

#: What models read in sequences, and how its files end, beside the scores.
PATTERNS = {
    **{"kmers": "kmers.csv", "seqlets": "seqlets.csv", "motifs": "motifs.csv"},
    **{"matrices": "matrices.csv", "meme": "motifs.meme"},
}

#: Further formats of the scores of a mutagenesis: the files that Selene writes, as text or as matrices.
MUTATIONS = {name: f"loo_scores_mutate.{name}.zip" for name in ("selene", "hdf5")}

#: What is made of a file of variants: the effects of alleles, and those of which there is none.
VARIANTS, UNSCORED = "variants.parquet", "NA.tsv"

#: Where the transcripts lie in which an allele does, beside the list of alleles.
LAID = "transcripts.parquet"

#: Folder of what is written as Selene does, how it ends by format, and what stands between the file's name and that: of each
#: score of variants, by its columns, and of predictions.
SELENE, ENDS = "selene", {"tsv": "tsv", "hdf5": "h5"}
BETWEEN = {
    **{"diff": "_diffs", "abs_diff": "_abs_diffs", "logit_diff": "_logits"},
    **{"ref_pred": ".ref_predictions", "alt_pred": ".alt_predictions", "pred": "_predictions"},
}

#: Formats of what genome browsers show, by suffix; and what the tracks are called that are not of a mode of interpretation: of
#: predictions for tokens, and of what single-nucleotide variants change.
BROWSED = {"bedgraph": ".bedgraph", "bigwig": ".bw"}
PREDICTED, CHANGED = "predicted", "snv_diffs"

#: Pictures of the report, and the chapter in which ``snakemake --report`` shows each.
PICTURES = {
    "data": "Data",
    "pretraining": "Training",
    "learning_curves": "Training",
    "predictions": "Predictions",
    "confusion": "Predictions",
    "tracks": "Predictions",
    "profiles": "Leave-one-out",
    "positions": "Leave-one-out",
    "effects": "Variants",
    "letters": "Variants",
}


def compared(task: str) -> str:
    """Name the table that compares labels and predictions: by their ranks, or class by class.

    Parameters
    ----------
    task : {'regression', 'classification', 'multilabel'}
        The task of the experiment.
    """
    return RANK_DELTAS if task == "regression" else CLASSIFICATION_REPORT


def tested(task: str, per: str) -> tuple[str, ...]:
    """Name what tells how a model does on the test rows of its fold, beside the model.

    Parameters
    ----------
    task : {'regression', 'classification'}
        The task of the experiment.
    per : {'sequence', 'token'}
        What has a label.
    """
    tables = (TEST_PREDICTIONS, compared(task)) if per == "sequence" else ()
    return (*tables[:1], TEST_RESULTS, ALL_RESULTS, *tables[1:])


def predicted(task: str) -> tuple[str, ...]:
    """Name what is made of the predictions of all models for a source.

    Parameters
    ----------
    task : {'regression', 'classification'}
        The task of the experiment.
    """
    return (PREDICTIONS, TEST_PREDICTIONS, RESULTS, compared(task))


def tracked(sites: bool, formats: Iterable[str]) -> tuple[str, ...]:
    """Name what is made of the predictions of all models for the tokens of a source.

    Parameters
    ----------
    sites : bool
        Whether sites are listed.
    formats : iterable of str
        Those that are wanted; those of sequences are passed over.
    """
    return (PREDICTIONS, RESULTS, *([SITES] if sites else []), *(TRACKS[name] for name in formats if name in TRACKS))


def stem(path: str) -> str:
    """Give the name of a file without what it says of its format: what Selene calls after it is called so.

    Parameters
    ----------
    path : str
        The file.

    Examples
    --------
    >>> stem("cohort/a.b.vcf.gz"), stem("regions.bed"), stem("seqs")
    ('a.b', 'regions', 'seqs')
    """
    name = PurePath(path)
    return (name.with_suffix("") if name.suffix.lower() in COMPRESSIONS else name).stem


def selene(stem: str, kind: str, columns: Iterable[str], missing: bool = True) -> dict[str, tuple[str, str]]:
    """Name the files that Selene writes of one file: by name, what is in it, and of which columns.

    Parameters
    ----------
    stem : str
        From :func:`stem`.
    kind : {'tsv', 'hdf5'}
        The format.
    columns : iterable of str
        Those of :data:`BETWEEN` that are told.
    missing : bool
        Whether something can be without a score.

    Returns
    -------
    dict
        What is in a file is a ``tsv``, ``hdf5``, the ``labels`` of its rows, or what is ``missing``.

    Examples
    --------
    >>> list(selene("a", "hdf5", ["pred"]))
    ['selene/a_predictions.h5', 'selene/a_row_labels.txt', 'selene/a.NA']
    """
    found = {f"{SELENE}/{stem}{BETWEEN[column]}.{ENDS[kind]}": (kind, column) for column in columns}
    found |= {f"{SELENE}/{stem}_row_labels.txt": ("labels", "")} if kind == "hdf5" else {}
    return found | ({f"{SELENE}/{stem}.NA": ("missing", "")} if missing else {})


def class_end(name: str | None) -> str:
    """End the name of a file that is about one class: what has a meaning in names of files becomes ``_``.

    Parameters
    ----------
    name : str or None
        The class; None: the file is about all there is.

    Examples
    --------
    >>> class_end("H3K27ac/K562"), class_end(None)
    ('_H3K27ac_K562', '')
    """
    return "" if name is None else "_" + re.sub(r"[^A-Za-z0-9.+-]", "_", name)


def browsed(classes: Iterable[str], formats: Iterable[str]) -> list[str]:
    """End the names of tracks, of each class in each format.

    Parameters
    ----------
    classes : iterable of str
        Classes; none: one track.
    formats : iterable of str
        Those of :data:`BROWSED` that are wanted.
    """
    return [f"{class_end(name)}{BROWSED[kind]}" for name in list(classes) or [None] for kind in formats]


def elements(classes: Iterable[str]) -> list[str]:
    """End the names of files of elements, one for each class.

    Parameters
    ----------
    classes : iterable of str
        Classes; none: one file.
    """
    return [f"{class_end(name)}.bed" for name in list(classes) or [None]]


def picture_name(kind: str, source: str | None = None, mode: str | None = None) -> str:
    """Name the file of a picture of the report, without its folder.

    Parameters
    ----------
    kind : str
        One of :data:`PICTURES`.
    source : str, optional
        The source whose sequences it shows, or the file of variants; None: it shows the whole experiment.
    mode : str, optional
        The mode of the scores that it shows.

    Examples
    --------
    >>> picture_name("profiles", "source", "mask")
    'profiles_mask_source.svg'
    """
    return "_".join(filter(None, [kind, mode, source])) + ".svg"


def place(stage: str, source: str) -> str:
    """Name the folder of the results of a source: the experiment's own stand at the top.

    Parameters
    ----------
    stage : {'predict', 'tracks', 'interpret'}
        What is done with the source.
    source : str
        Its name; ``source`` is that of the experiment's own.

    Examples
    --------
    >>> place("predict", "source"), place("predict", "more")
    ('predict', 'predict/more')
    """
    return stage if source == "source" else f"{stage}/{source}"


def source_of(place: str) -> str:
    """Name the source whose results stand in a folder, as :func:`place` names it.

    Parameters
    ----------
    place : str
        The folder, relative to that of the experiment.
    """
    return place.partition("/")[2] or "source"
