"""Which rules depend on which."""

#: Each rule and those that read what it makes.
READERS = {
    "train_tokenizer": (
        *("encode_source", "check_interpretation", "pretrain_model", "sweep_worker", "finetune_fold", "merge_tracks"),
        *("fit_baseline", "stack_fold", "find_patterns"),
    ),
    "encode_source": (
        *("assign_folds", "check_interpretation", "pretrain_model", "sweep_worker", "fit_baseline", "finetune_fold"),
        *("predict_source", "merge_tracks", "write_tracks", "score_shard", "write_predictions", "write_verdict"),
        *("find_patterns", "stack_fold", "predict_baseline", "write_report"),
    ),
    "cluster_sequences": ("assign_folds", "write_verdict"),
    "assign_folds": (
        *("sweep_worker", "fit_baseline", "finetune_fold", "predict_source", "score_shard", "write_verdict"),
        "stack_fold",
    ),
    "pretrain_model": ("sweep_worker", "finetune_fold", "write_report"),
    "sweep_worker": ("conclude_sweep",),
    "conclude_sweep": ("show_sweeps", "finetune_fold"),
    "show_sweeps": (),
    "fit_baseline": (
        *("merge_baselines", "summarize_folds", "stack_fold", "predict_baseline", "merge_stack", "merge_predictions"),
    ),
    "stack_fold": ("merge_stack", "merge_predictions", "write_report"),
    "predict_baseline": ("merge_predictions",),
    "merge_stack": ("summarize_folds",),
    "merge_baselines": ("write_verdict", "write_report"),
    "finetune_fold": (
        *("predict_source", "evaluate_fold", "gather_models", "merge_predictions", "merge_tracks", "compare_spectra"),
        *("evaluate_classes", "write_predictions", "write_verdict", "write_report", "stack_fold", "merge_stack"),
    ),
    "gather_models": ("score_shard", "score_variants"),
    "list_variants": ("score_variants", "write_report"),
    "score_variants": ("merge_variants", "write_variants"),
    "merge_variants": ("write_tracks", "write_report"),
    "write_variants": ("write_report",),
    "write_tracks": (),
    "find_elements": (),
    "predict_source": ("evaluate_fold", "merge_predictions", "merge_tracks", "merge_stack"),
    "evaluate_fold": ("summarize_folds",),
    "summarize_folds": ("write_report",),
    "merge_predictions": ("evaluate_classes", "write_predictions", "write_verdict", "write_report"),
    "write_verdict": ("draw_scores", "write_report"),
    "write_predictions": (),
    "evaluate_classes": (),
    "merge_tracks": ("write_tracks", "write_report"),
    "check_interpretation": (),
    "score_shard": ("merge_scores", "write_mutations"),
    "merge_scores": ("draw_scores", "find_patterns", "write_tracks", "find_elements", "write_report"),
    "draw_scores": (),
    "find_patterns": ("write_report",),
    "write_mutations": (),
    "compare_spectra": ("write_report",),
    "write_report": (),
}


def below(*rules: str) -> set[str]:
    """Name rules and all rules below them."""
    return set(rules).union(*(below(*READERS[rule]) for rule in rules))


EVERYTHING = below("train_tokenizer", "cluster_sequences")
ENCODING = below("encode_source")
FOLDING = below("assign_folds")
TRAINING = below("finetune_fold")
BASELINE = below("fit_baseline")
#: What a further file goes through.
PASSING = {"encode_source", *below("predict_source", "score_shard")} - {"evaluate_fold", "summarize_folds", "write_verdict"}
SCORING = below("score_shard")
PRETRAINING = below("pretrain_model")
SWEEPING = below("sweep_worker")
REPORT = {"write_report"}
#: What lists sites, and shows them.
LISTING = below("merge_tracks")
