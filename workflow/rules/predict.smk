wildcard_constraints:
    predicted=PLAN.written_predictions,


rule predict_source:
    input:
        encoded=f"{OUT}/encoded/{{source}}.parquet",
        model=of_models(),
        folds=lambda wildcards: PLAN.folds_of(wildcards.source),
    output:
        f"{OUT}/predict/parts/{{source}}/{{model}}.parquet",
    log:
        f"{OUT}/logs/predict/{{source}}/{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/predict/{{source}}/{{model}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        gpu=1 if PLAN.settings.finetune.gpus else 0,
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("predict.py"),
        content=content("predict_source"),
        job=job("predict_source"),
    script:
        "../scripts/predict.py"


rule merge_predictions:
    input:
        parts=lambda wildcards: PLAN.parts(contract.source_of(wildcards.place), PLAN.combined),
        models=of_models(["labels.json"]),
        baselines=[f"{folder}/labels.json" for folder in PLAN.baselines.values() if PLAN.stacks],
        stacks=[f"{folder}/{name}" for folder in PLAN.stacks.values() for name in contract.STACKED],
    output:
        multiext(f"{OUT}/{{place}}/", *contract.predicted(PLAN.settings.task)),
    log:
        f"{OUT}/logs/{{place}}/merge.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/merge.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("merge_predictions.py"),
        content=content("merge_predictions"),
        job=job("merge_predictions"),
    script:
        "../scripts/merge_predictions.py"


rule evaluate_classes:
    input:
        predictions=f"{OUT}/{{place}}/predictions.parquet",
        labels=of_models(["labels.json"]),
        classes=ancient(PLAN.evaluated_classes),
    output:
        multiext(f"{OUT}/{{place}}/", *contract.PERFORMANCE),
    log:
        f"{OUT}/logs/{{place}}/evaluate.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/evaluate.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("evaluate_classes.py"),
        content=content("evaluate_classes"),
        job=job("evaluate_classes"),
    script:
        "../scripts/evaluate_classes.py"


rule write_predictions:
    input:
        predictions=f"{OUT}/{{place}}/predictions.parquet",
        encoded=lambda wildcards: f"{OUT}/encoded/{contract.source_of(wildcards.place)}.parquet",
        labels=of_models(["labels.json"]),
        source=provided("write_predictions"),
    output:
        f"{OUT}/{{place}}/{{predicted}}",
    log:
        f"{OUT}/logs/{{place}}/{{predicted}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/{{predicted}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("write_predictions.py"),
        content=content("write_predictions"),
        job=job("write_predictions"),
    script:
        "../scripts/write_predictions.py"


rule merge_tracks:
    input:
        parts=lambda wildcards: expand(
            f"{OUT}/predict/parts/{{source}}/{{model}}.parquet", source=contract.source_of(wildcards.tracks), model=PLAN.models
        ),
        models=of_models(["labels.json"]),
        encoded=lambda wildcards: f"{OUT}/encoded/{contract.source_of(wildcards.tracks)}.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
    output:
        multiext(
            f"{OUT}/{{tracks}}/", *contract.tracked(PLAN.settings.predict.sites is not None, PLAN.settings.predict.formats)
        ),
    log:
        f"{OUT}/logs/{{tracks}}/merge.log",
    benchmark:
        f"{OUT}/benchmarks/{{tracks}}/merge.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("merge_tracks.py"),
        content=content("merge_tracks"),
        job=job("merge_tracks"),
    script:
        "../scripts/merge_tracks.py"
