rule write_report:
    input:
        encoded=targets("encode"),
        models=[f"{path}/config.json" for path in MODELS],
        histories=[f"{OUT}/fine-tune/{fold}/trainer_state.json" for fold in FOLDS],
        summary=[f"{OUT}/fine-tune/summary.csv" for _ in FOLDS[:1]],
        predictions=targets("predict"),
        results=[f"{OUT}/{place('predict', source)}/results.json" for source in QUERIES],
        scores=targets("interpret"),
        annotations=settings.report.annotations or [],
    output:
        html=f"{OUT}/report.html",
        pictures=pictures(),
    params:
        config=plain(settings),
        models=MODELS,
        queries=QUERIES,
        modes=settings.interpret.modes,
    log:
        f"{OUT}/logs/report.log",
    benchmark:
        f"{OUT}/benchmarks/report.tsv"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    conda:
        ENV
    script:
        "../scripts/report.py"
