rule stack_fold:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        folds=f"{OUT}/folds.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        validated=lambda wildcards: [f"{folder}/validation.parquet" for folder in PLAN.members(wildcards.fold).values()],
    output:
        multiext(f"{OUT}/stack/{{fold}}/", *contract.STACKED),
    log:
        f"{OUT}/logs/stack/{{fold}}.log",
    benchmark:
        f"{OUT}/benchmarks/stack/{{fold}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("stack.py"),
        job=job("stack_fold"),
    script:
        "../scripts/stack.py"


rule predict_baseline:
    input:
        encoded=f"{OUT}/encoded/{{source}}.parquet",
        baseline=multiext(f"{OUT}/baseline/{{fold}}/", "baseline.json", "baseline.npz", "labels.json"),
    output:
        f"{OUT}/predict/parts/{{source}}/baseline-{{fold}}.parquet",
    log:
        f"{OUT}/logs/predict/{{source}}/baseline-{{fold}}.log",
    benchmark:
        f"{OUT}/benchmarks/predict/{{source}}/baseline-{{fold}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("predict_baseline.py"),
        job=job("predict_baseline"),
    script:
        "../scripts/predict_baseline.py"


rule merge_stack:
    input:
        parts=lambda wildcards: PLAN.parts("source", PLAN.members(wildcards.fold)),
        labels=lambda wildcards: [f"{folder}/labels.json" for folder in PLAN.members(wildcards.fold).values()],
        stacks=multiext(f"{OUT}/stack/{{fold}}/", *contract.STACKED),
    output:
        multiext(f"{OUT}/stack/{{fold}}/", *contract.predicted(PLAN.settings.task)),
    log:
        f"{OUT}/logs/stack/{{fold}}-merge.log",
    benchmark:
        f"{OUT}/benchmarks/stack/{{fold}}-merge.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("merge_predictions.py"),
        job=job("merge_stack"),
    script:
        "../scripts/merge_predictions.py"
