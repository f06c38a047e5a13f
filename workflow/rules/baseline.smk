wildcard_constraints:
    fold=r"\d+",


rule fit_baseline:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        folds=f"{OUT}/folds.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
    output:
        multiext(f"{OUT}/baseline/{{fold}}/", *PLAN.fitted),
    log:
        f"{OUT}/logs/baseline/{{fold}}.log",
    benchmark:
        f"{OUT}/benchmarks/baseline/{{fold}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("baseline.py"),
        job=job("fit_baseline"),
    script:
        "../scripts/baseline.py"


rule merge_baselines:
    input:
        parts=[f"{folder}/test.parquet" for folder in PLAN.baselines.values()],
        labels=[f"{folder}/labels.json" for folder in PLAN.baselines.values()],
    output:
        multiext(f"{OUT}/baseline/", *contract.predicted(PLAN.settings.task)),
    log:
        f"{OUT}/logs/baseline/merge.log",
    benchmark:
        f"{OUT}/benchmarks/baseline/merge.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("merge_predictions.py"),
        job=job("merge_baselines"),
    script:
        "../scripts/merge_predictions.py"
