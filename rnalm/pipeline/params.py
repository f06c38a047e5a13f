"""What each rule gives its jobs beside files: one function a rule, called like it, that takes the rule's wildcards.

Plain values only, and just the part of the configuration that the rule needs: what changes here runs again.
"""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from rnalm.config import Genome, OwnModel, contract
from rnalm.config.contract import source_of
from rnalm.config.results import CHECKED, Sites
from rnalm.pipeline.experiment import Experiment, fold_of

Params = dict[str, Any]


def plain(value: Any) -> Any:
    """Turn sections of the configuration, wherever they stand, into plain values with sorted keys.

    Parameters
    ----------
    value : BaseModel, mapping, list or plain value
        What a job is given.

    Examples
    --------
    >>> plain({"b": 1, "a": [{"d": 2, "c": 3}]})
    {'a': [{'c': 3, 'd': 2}], 'b': 1}
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return {key: plain(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def train_tokenizer(experiment: Experiment) -> Params:
    """Give how the tokenizer is learned, or whose it is."""
    tokenizer = experiment.settings.tokenizer
    return {
        "lender": experiment.lender,
        "source": experiment.vocabulary,
        "options": tokenizer.model_dump(exclude={"source"}),
        "seed": experiment.settings.seed if tokenizer.sample_size else None,
    }


def encode_source(experiment: Experiment, source: str) -> Params:
    """Give how a source is read and encoded; with given models, only what the user set: the rest is the models' own."""
    settings = experiment.settings
    return {
        "source": experiment.encoded[source],
        "options": settings.encode.model_dump(exclude_unset=not settings.trains),
        "trained": experiment.given,
        "task": settings.task,
        "labels": settings.labels.model_dump(include={"quality", "sep"}) | experiment.labelled,
        "require_labels": settings.trains and source == "source",
        "case": experiment.case_beside(source),
    }


def cluster_sequences(experiment: Experiment) -> Params:
    """Give which sequences are clustered, and how."""
    return {"source": experiment.settings.training_source.of_sequences(), "options": experiment.settings.folds.cluster}


def assign_folds(experiment: Experiment) -> Params:
    """Give how rows are divided."""
    settings = experiment.settings
    # Folds are stratified by classes of sequences.
    task = settings.task if settings.labels.per == "sequence" else "regression"
    return {"options": settings.folds.model_dump(exclude={"cluster"}), "seed": settings.seed, "task": task}


def pretrain_model(experiment: Experiment, pretraining: str) -> Params:
    """Give how a language model is trained, and the fold whose training rows it learns from, if it is for one."""
    settings, pretrain = experiment.settings, experiment.pretrain
    fold = pretraining.partition("/")[2]
    return {
        "fold": int(fold) if fold else None,
        "model": settings.model.model_dump(exclude={"wide"}),
        "options": pretrain.model_dump(mode="json", exclude={"source", "rows", "gpus"}) if pretrain else {},
        "seed": settings.seed,
    }


def fit_baseline(experiment: Experiment, fold: str) -> Params:
    """Give what a baseline learns; how models are trained does not matter to it."""
    return {"fold": int(fold), "seed": experiment.settings.seed} | _learned(experiment)


def merge_baselines(experiment: Experiment) -> Params:
    """Give the folders of all baselines."""
    return _merged(experiment.baselines)


def stack_fold(experiment: Experiment, fold: str) -> Params:
    """Give what models and baseline of a fold learned, and their folders."""
    return {"job": fit_baseline(experiment, fold), "members": experiment.members(fold)}


def predict_baseline(experiment: Experiment, source: str, fold: str) -> Params:
    """Give the folder of the baseline that predicts."""
    return {"baseline": experiment.baselines[fold]}


def merge_stack(experiment: Experiment, fold: str) -> Params:
    """Give models and baseline of a fold, and what says how much each counts."""
    return _merged(experiment.members(fold), [experiment.stacks[fold]])


def merge_predictions(experiment: Experiment, place: str) -> Params:
    """Give all whose predictions are combined, and what says how much each counts."""
    return _merged(experiment.combined, list(experiment.stacks.values()))


def _merged(members: dict[str, str], stacks: Sequence[str] = ()) -> Params:
    """Give the folders of what is combined, with their names where these do not all count the same."""
    return {"models": list(members.values()), "names": list(members) if stacks else [], "stacks": list(stacks)}


def _learned(experiment: Experiment) -> Params:
    """Give what labels are, and what rows weigh."""
    labels = experiment.settings.labels
    return {
        "task": experiment.settings.task,
        "scaling": labels.scaling,
        "class_weights": labels.class_weights,
        "positive_weight": labels.positive_weight,
        "positive_weights": dict(sorted(labels.positive_weights.items())),
        "per": labels.per,
    }


def finetune_fold(experiment: Experiment, model: str) -> Params:
    """Give how a model is trained, but for the values that a sweep finds."""
    settings = experiment.settings
    fold = fold_of(model)
    model_section = settings.architecture.model_dump()
    if experiment.starts_pretrained:
        model_section |= settings.architecture.started_from(experiment.pretrained_for(fold))
    return {
        "fold": fold,
        "replicate": int(model.partition(".")[2] or 0),
        "model": model_section,
        "options": settings.finetune.model_dump(mode="json", exclude={"replicates", "gpus"}),
        "seed": settings.seed,
    } | _learned(experiment)


def sweep_worker(experiment: Experiment, fold: str, worker: str) -> Params:
    """Give the training of a fold, and what of it is tried."""
    return {"training": finetune_fold(experiment, fold), "sweep": experiment.sweep}


def conclude_sweep(experiment: Experiment, fold: str) -> Params:
    """Give the sweep of a fold; how many workers there were does not matter any more."""
    return {"sweep": experiment.sweep.model_dump(mode="json", exclude={"workers"}) if experiment.sweep else {}}


def show_sweeps(experiment: Experiment) -> Params:
    """Give the folds whose sweeps stand on one page."""
    return {"folds": experiment.folds} | conclude_sweep(experiment, "")


def evaluate_fold(experiment: Experiment, model: str) -> Params:
    """Give the folder of a model."""
    return {"model": experiment.models[model]}


def summarize_folds(experiment: Experiment) -> Params:
    """Give the names of the models that are trained here, the folds that have a baseline or a stack, and what is lacking."""
    lacking = experiment.settings.baseline == "auto" and not experiment.baselines
    folds = {"baselines": list(experiment.baselines), "stacks": list(experiment.tested_stacks)}
    return {"models": experiment.trained, "lacking": lacking} | folds


def predict_source(experiment: Experiment, source: str, model: str) -> Params:
    """Give the model that predicts, and how much at once."""
    batch_tokens = experiment.settings.predict.batch_tokens
    means = {"batch_tokens": batch_tokens, "trust": experiment.trusts}
    return {"model": experiment.models[model], "fold": fold_of(model)} | means


def write_verdict(experiment: Experiment) -> Params:
    """Give the models and baselines that are compared, and which rows are resampled together."""
    return {
        "models": list(experiment.models.values()),
        "baselines": list(experiment.baselines.values()),
        "stacked": bool(experiment.stacks),
        "by": experiment.settings.folds.group if experiment.trained else "none",
        "seed": experiment.settings.seed,
    }


def gather_models(experiment: Experiment, **_: str) -> Params:
    """Give the folders of all models."""
    return {"models": list(experiment.models.values())}


def merge_tracks(experiment: Experiment, tracks: str) -> Params:
    """Give the folders of all models, and what is made of their predictions for tokens."""
    return gather_models(experiment) | experiment.settings.predict.model_dump(include={"sites", "formats"})


def evaluate_classes(experiment: Experiment, place: str) -> Params:
    """Give a model, whose outputs mean what those of all do, and which classes are evaluated."""
    return {"model": next(iter(experiment.models.values())), "options": experiment.settings.evaluate}


def write_predictions(experiment: Experiment, place: str, predicted: str) -> Params:
    """Give what of predictions is written, a model, whose outputs mean what those of all do, and of which genome they are."""
    name = source_of(place)
    source = experiment.sources[name]
    return {
        "kind": experiment.further_predictions(name)[predicted],
        "model": next(iter(experiment.models.values())),
        "source": source.of_sequences() if isinstance(source, Genome) else None,
    }


def check_interpretation(experiment: Experiment) -> Params:
    """Give what of the interpretation is held against the data."""
    model = experiment.settings.model
    own = model if isinstance(model, OwnModel) else None
    interpret = experiment.settings.interpret.model_dump(include=CHECKED)
    return {"interpret": interpret, "sites": _sites(experiment), "own": own}


def _sites(experiment: Experiment) -> Params | None:
    """Give what a site is, where predictions for tokens are explained."""
    if experiment.per == "sequence":
        return None
    at_best = experiment.settings.interpret.explain_at == "sites"
    return (experiment.settings.predict.sites or Sites()).model_dump(include={"of", *(["motif"] if at_best else [])})


def score_shard(experiment: Experiment, source: str, mode: str, shard: str, shards: str) -> Params:
    """Give what is scored in a shard, and how."""
    interpret = experiment.settings.interpret
    return interpret.model_dump(include=interpret.decisive(mode)) | {
        "model_folders": list(experiment.models.values()),
        "mode": mode,
        "replacements": interpret.replacements if mode == "replace" else {},
        "replace_modifiers": interpret.replace_modifiers and mode == "replace",
        "mutate": interpret.mutate if mode == "mutate" else None,
        "trust": experiment.trusts,
        "shard": int(shard),
        "shards": int(shards),
        "sites": _sites(experiment),
        "seed": experiment.settings.seed if interpret.sample_size else None,
    }


def list_variants(experiment: Experiment, cohort: str) -> Params:
    """Give which alleles are listed, and how their files are read."""
    include = {"path", "genome", "transcripts", "index", "strand_column", "phased", "require_strand"}
    return {"options": experiment.settings.variants[cohort].model_dump(mode="json", include=include)}


def score_variants(experiment: Experiment, cohort: str, shard: str, shards: str) -> Params:
    """Give which windows of alleles are predicted, by which models, and what is told."""
    include = {"path", "genome", "transcripts", "index", "length", "anchor", "phased", "scores", "scorer"}
    return {
        "model_folders": list(experiment.models.values()),
        "options": experiment.settings.variants[cohort].model_dump(mode="json", include=include),
        "batch_tokens": experiment.settings.predict.batch_tokens,
        "trust": experiment.trusts,
        "shard": int(shard),
        "shards": int(shards),
    }


def write_variants(experiment: Experiment, cohort: str, written: str) -> Params:
    """Give of which file of variants, and in which format, what is written."""
    return experiment.settings.variants[cohort].files[written]


def write_tracks(experiment: Experiment, stem: str) -> Params:
    """Give what a track is of, which classes have one, and what lays sequences on a genome."""
    kind, source = experiment.browsed[stem]
    return {"kind": kind, "classes": experiment.browsed_classes} | (
        _laid(experiment, source) if kind != contract.CHANGED else {}
    )


def find_elements(experiment: Experiment, tracks: str, mode: str) -> Params:
    """Give what an element is, of which scores and classes, and what lays sequences on a genome."""
    options = experiment.settings.tracks.elements if experiment.settings.tracks else None
    given = {"kind": mode, "classes": experiment.browsed_classes, "options": options, "seed": experiment.settings.seed}
    return given | _laid(experiment, source_of(tracks))


def _laid(experiment: Experiment, source: str) -> Params:
    """Give what lays the sequences of a source on a genome."""
    return {"windows": experiment.of_windows(source), "transcripts": next(iter(experiment.transcripts_of(source)), None)}


def merge_scores(experiment: Experiment, place: str, mode: str) -> Params:
    """Give whether there may be no scores: a file of regions need not name any sequence of a source."""
    return {"empty": mode == "mutate"}


def write_mutations(experiment: Experiment, place: str, archive: str) -> Params:
    """Give what the scores are differences of, and how they are written."""
    return {"scale": experiment.settings.interpret.scale, "kind": archive}


def draw_scores(experiment: Experiment, place: str, mode: str) -> Params:
    """Give what the page of the scores is called, what is explained, in what, and where elements are."""
    settings, source = experiment.settings, source_of(place)
    numbers = settings.task == "regression"
    return {
        "method": mode,
        "name": "" if source == "source" else source,
        "of": "target" if numbers else "class",
        "unit": (settings.labels.unit or "") if numbers else settings.interpret.scale,
        "annotations": settings.report.annotations,
    }


def find_patterns(experiment: Experiment, place: str, mode: str) -> Params:
    """Give what the scores are, which says what their sign means."""
    return {"kind": mode}


def compare_spectra(experiment: Experiment) -> Params:
    """Give the folders of the models that are compared, by name."""
    return {"models": experiment.compared}


def write_report(experiment: Experiment) -> Params:
    """Give what the report is made of, and all that it shows of the configuration.

    What decides only where and in how many pieces the work is done is not in it.
    """
    apart = {"interpret": {"shards"}, "finetune": {"gpus"}, "pretrain": {"gpus"}, "variants": {"__all__": {"shards"}}}
    sweep = {"sweep": experiment.sweep.model_dump(mode="json") if experiment.sweep else None}
    out, settings = experiment.out, experiment.settings
    queries = [
        {
            "name": source,
            "encoded": f"{out}/encoded/{source}.parquet",
            **{name: f"{out}/{experiment.predictions_of(source)}/{file}" for name, file in contract.SHOWN.items()},
            # Pairs, as the order of modes is that of the report, while keys are sorted.
            "scores": [[asked[1], f"{experiment.scored(*asked)}.parquet"] for asked in experiment.asked if asked[0] == source],
        }
        for source in experiment.queries
    ]
    cohorts = [
        {
            **{"name": cohort, "table": tables[0], "unscored": tables[1], "tables": tables},
            "laid": next(iter(experiment.variants_laid(cohort)), None),
        }
        for cohort in settings.variants
        for tables in [experiment.variant_tables(cohort)]
    ]
    return {
        "config": settings.model_dump(mode="json", exclude=apart) | sweep,
        "source": f"{out}/encoded/source.parquet" if settings.source else None,
        "models": list(experiment.models.values()),
        "summary": f"{out}/fine-tune/summary.csv" if experiment.trained else None,
        "queries": queries,
        "figures": f"{out}/figures",
        "baselines": list(experiment.baselines.values()),
        "stacks": list(experiment.stacks.values()),
        "baseline": f"{out}/baseline" if experiment.baselines and experiment.held_out else None,
        "pretrained": [f"{out}/{folder}" for folder in experiment.pretrainings],
        "spectra": f"{out}/powerlaw" if settings.powerlaw else None,
        "cohorts": cohorts,
        "verdict": next(iter(experiment.verdict), None),
    }


#: The function of each rule.
RULES: dict[str, Callable[..., Params]] = {
    **{
        function.__name__: function
        for function in (
            *(train_tokenizer, encode_source, cluster_sequences, assign_folds, pretrain_model, sweep_worker, conclude_sweep),
            *(show_sweeps, fit_baseline, merge_baselines, finetune_fold, predict_source, evaluate_fold, summarize_folds),
            *(check_interpretation, gather_models, merge_tracks, evaluate_classes, score_shard, draw_scores, compare_spectra),
            *(write_report, list_variants, score_variants, write_variants, write_predictions, write_tracks, find_elements),
            *(merge_scores, find_patterns, write_mutations, write_verdict),
            *(stack_fold, predict_baseline, merge_stack, merge_predictions),
        )
    },
    "merge_variants": lambda experiment, **_: {},
}
