# Goes first, so that a wrong replacement ends the run before hours of training rather than after them.
rule check_interpretation:
    input:
        encoded=f"{OUT}/encoded/{list(SOURCES)[0]}.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        labels=model_files(*MODELS, names=["labels.json"]) if GIVEN else [],
        annotations=ANNOTATIONS,
    output:
        f"{OUT}/interpret/checked",
    log:
        f"{OUT}/logs/interpret/check.log",
    benchmark:
        f"{OUT}/benchmarks/interpret/check.tsv"
    priority: 100
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        code=code("check_interpretation.py"),
        content=content(*ANNOTATIONS, *(f"{path}/labels.json" for path in GIVEN)),
        job=plain(settings.interpret.model_dump(include=CHECKED)),
    script:
        "../scripts/check_interpretation.py"


# One file for all models: shards × models × files would be a hundred thousand inputs.
rule gather_models:
    input:
        model_files(*MODELS),
    output:
        f"{OUT}/interpret/models.json",
    log:
        f"{OUT}/logs/interpret/models.log",
    benchmark:
        f"{OUT}/benchmarks/interpret/models.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        code=code("gather_models.py"),
        content=given_content(*MODELS),
        models=list(MODELS.values()),
    script:
        "../scripts/gather_models.py"


rule score_shard:
    input:
        encoded=f"{OUT}/encoded/{{source}}.parquet",
        models=f"{OUT}/interpret/models.json",
        folds=lambda wildcards: folds_of(wildcards.source),
    output:
        f"{OUT}/interpret/parts/{{source}}/{{mode}}/{{shard}}-of-{{shards}}.parquet",
    log:
        f"{OUT}/logs/interpret/{{source}}/{{mode}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{OUT}/benchmarks/interpret/{{source}}/{{mode}}/{{shard}}-of-{{shards}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        gpu=1 if settings.finetune.gpus else 0,
        mem_mb=growing(4000),
        runtime=720,
    params:
        code=code("score.py"),
        job=lambda wildcards: plain(
            settings.interpret.model_dump(include=scoring(wildcards.mode))
            | {
                "model_folders": list(MODELS.values()),
                "mode": wildcards.mode,
                "replacements": settings.interpret.replacements if wildcards.mode == "replace" else {},
                "replace_modifiers": settings.interpret.replace_modifiers and wildcards.mode == "replace",
                "shard": int(wildcards.shard),
                "shards": int(wildcards.shards),
                "seed": settings.seed if settings.interpret.sample_size else None,
            }
        ),
    script:
        "../scripts/score.py"


rule merge_scores:
    input:
        lambda wildcards: shards(source_of(wildcards), wildcards.mode),
    output:
        parquet=f"{OUT}/{{place}}/loo_scores_{{mode}}.parquet",
        csv=f"{OUT}/{{place}}/loo_scores_{{mode}}.csv",
        explanations=f"{OUT}/{{place}}/loo_scores_{{mode}}.pkl",
    log:
        f"{OUT}/logs/{{place}}/merge-{{mode}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/merge-{{mode}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=120,
    params:
        code=code("merge_scores.py"),
    script:
        "../scripts/merge_scores.py"


rule draw_scores:
    input:
        f"{OUT}/{{place}}/loo_scores_{{mode}}.parquet",
    output:
        f"{OUT}/{{place}}/loo_scores_{{mode}}.html",
    log:
        f"{OUT}/logs/{{place}}/draw-{{mode}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{place}}/draw-{{mode}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        code=code("draw_scores.py"),
        page=lambda wildcards: {
            "method": wildcards.mode,
            "name": "/".join(Path(wildcards.place).parts[1:]),
            "sense": 1 if wildcards.mode == "integrated_gradients" else -1,
        },
    script:
        "../scripts/draw_scores.py"
