rule write_verdict:
    input:
        predictions=f"{OUT}/predict/predictions.parquet",
        models=of_models(["labels.json"]),
        encoded=f"{OUT}/encoded/source.parquet",
        folds=PLAN.folds_of("source"),
        clusters=PLAN.clusters,
        baseline=PLAN.compared_predictions,
    output:
        f"{OUT}/verdict.json",
    log:
        f"{OUT}/logs/verdict.log",
    benchmark:
        f"{OUT}/benchmarks/verdict.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("verdict.py"),
        content=content("write_verdict"),
        job=job("write_verdict"),
    script:
        "../scripts/verdict.py"
