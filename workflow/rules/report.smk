# All that a report depends on, but for what decides only where and in how many pieces the work is done.
SHOWN = plain(
    settings.model_dump(mode="json", exclude={"interpret": {"shards"}, "finetune": {"gpus"}, "pretrain": {"gpus"}})
    | {"sweep": searching() or None}
)
LINEAGE = digests.combine(
    SHOWN,
    [code(script) for script in SCRIPTS if script not in ("check_interpretation.py", "draw_scores.py")],
    content(*(path for source in [*ENCODED.values(), VOCABULARY] if source for path in source.paths), *ANNOTATIONS),
    given_content(*MODELS),
    content(*FURTHER_WEIGHTS, *starting_point()),
)


rule write_report:
    input:
        encoded=targets("encode"),
        models=model_files(*MODELS, names=["config.json", "labels.json"]),
        histories=[f"{OUT}/fine-tune/{name}/trainer_state.json" for name in TRAINED],
        summary=[f"{OUT}/fine-tune/summary.csv" for _ in FOLDS[:1]],
        predictions=[f"{OUT}/{place('predict', source)}/predictions.parquet" for source in QUERIES],
        results=[f"{OUT}/{place('predict', source)}/results.json" for source in QUERIES],
        scores=settled([f"{scored(*asked)}.parquet" for asked in ASKED], LINEAGE),
        annotations=ANNOTATIONS,
        pretraining=[f"{OUT}/pretrain/{name}" for name in ("eval_results.json", "trainer_state.json") if PRETRAIN],
        spectra=SPECTRA if settings.powerlaw else [],
    output:
        html=f"{OUT}/report.html",
        pictures=pictures(),
    log:
        f"{OUT}/logs/report.log",
    benchmark:
        f"{OUT}/benchmarks/report.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=60,
    params:
        code=code("report.py"),
        content=content(*ANNOTATIONS),
        lineage=LINEAGE,
        config=SHOWN,
        models=list(MODELS.values()),
        queries=QUERIES,
        modes=settings.interpret.scored,
    script:
        "../scripts/report.py"
