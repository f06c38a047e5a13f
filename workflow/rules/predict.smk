rule predict_source:
    input:
        encoded=f"{OUT}/encoded/{{source}}.parquet",
        model=lambda wildcards: model_files(wildcards.model),
        folds=lambda wildcards: folds_of(wildcards.source),
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
        gpu=1 if settings.finetune.gpus else 0,
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("predict.py"),
        content=lambda wildcards: given_content(wildcards.model),
        model=lambda wildcards: MODELS[wildcards.model],
        job=lambda wildcards: {"batch_tokens": settings.predict.batch_tokens, "fold": fold_of(wildcards.model)},
    script:
        "../scripts/predict.py"


rule merge_predictions:
    input:
        parts=lambda wildcards: expand(
            f"{OUT}/predict/parts/{{source}}/{{model}}.parquet", source=source_of(wildcards), model=MODELS
        ),
        models=model_files(*MODELS, names=["labels.json"]),
    output:
        multiext(f"{OUT}/{{place}}/", *PREDICTED),
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
        content=given_content(*MODELS),
        models=list(MODELS.values()),
    script:
        "../scripts/merge_predictions.py"
