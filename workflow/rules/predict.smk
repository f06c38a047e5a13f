rule predict_source:
    input:
        encoded=f"{OUT}/encoded/{{source}}.parquet",
        model=lambda wildcards: model_files(MODELS[int(wildcards.model)]),
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
        mem_mb=4000,
        runtime=120,
    params:
        model=lambda wildcards: MODELS[int(wildcards.model)],
        fold=lambda wildcards: int(wildcards.model),
        batch_tokens=settings.predict.batch_tokens,
    script:
        "../scripts/predict.py"


rule merge_predictions:
    input:
        parts=lambda wildcards: expand(
            f"{OUT}/predict/parts/{{source}}/{{model}}.parquet", source=source_of(wildcards), model=range(len(MODELS))
        ),
        models=[f"{path}/labels.json" for path in MODELS],
    output:
        multiext(
            f"{OUT}/{{place}}/",
            "predictions.parquet",
            "test_predictions.csv",
            "results.json",
            *(["rank_deltas.csv"] if settings.task == "regression" else []),
        ),
    log:
        f"{OUT}/logs/{{place}}/merge.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/merge.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        models=MODELS,
    script:
        "../scripts/merge_predictions.py"
