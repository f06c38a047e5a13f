rule write_report:
    input:
        encoded=targets("encode"),
        models=[f"{path}/config.json" for path in MODELS],
        histories=[f"{OUT}/fine-tune/{fold}/trainer_state.json" for fold in FOLDS],
        summary=[f"{OUT}/fine-tune/summary.csv" for _ in FOLDS[:1]],
        predictions=targets("predict"),
        results=[f"{OUT}/{place('predict', source)}/results.json" for source in QUERIES],
        scores=[file for file in targets("interpret") if file.endswith(".parquet")],
        annotations=settings.report.annotations or [],
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
        mem_mb=8000,
        runtime=60,
    params:
        config=plain(settings),
        models=MODELS,
        queries=QUERIES,
        modes=settings.interpret.modes,
    script:
        "../scripts/report.py"
