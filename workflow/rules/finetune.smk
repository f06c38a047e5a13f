rule finetune_fold:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        folds=f"{OUT}/folds.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
    output:
        multiext(
            f"{OUT}/fine-tune/{{fold}}/",
            *folder.FILES,
            "tokenizer_config.json",
            "train_results.json",
            "eval_results.json",
            "trainer_state.json",
        ),
    log:
        f"{OUT}/logs/finetune/{{fold}}.log",
    benchmark:
        f"{OUT}/benchmarks/finetune/{{fold}}.tsv"
    conda:
        ENV
    threads: 4
    resources:
        gpu=settings.finetune.gpus,
        mem_mb=8000,
        runtime=1440,
    params:
        fold=lambda wildcards: int(wildcards.fold),
        task=settings.task,
        scaling=settings.labels.scaling,
        class_weights=settings.labels.class_weights,
        model=plain(settings.model) if settings.trains else None,
        options=plain(settings.finetune),
        seed=settings.seed,
    script:
        "../scripts/finetune.py"


rule evaluate_fold:
    input:
        part=f"{OUT}/predict/parts/source/{{fold}}.parquet",
        model=lambda wildcards: model_files(MODELS[int(wildcards.fold)]),
        results=multiext(f"{OUT}/fine-tune/{{fold}}/", "train_results.json", "eval_results.json"),
    output:
        multiext(
            f"{OUT}/fine-tune/{{fold}}/",
            "test_predictions.csv",
            "test_results.json",
            "all_results.json",
            *(["rank_deltas.csv"] if settings.task == "regression" else []),
        ),
    log:
        f"{OUT}/logs/evaluate/{{fold}}.log",
    benchmark:
        f"{OUT}/benchmarks/evaluate/{{fold}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        model=lambda wildcards: MODELS[int(wildcards.fold)],
    script:
        "../scripts/evaluate.py"


rule summarize_folds:
    input:
        expand(f"{OUT}/fine-tune/{{fold}}/{'all' if HELD_OUT else 'eval'}_results.json", fold=FOLDS),
    output:
        report(f"{OUT}/fine-tune/summary.csv", caption="../report/summary.rst", category="Metrics"),
    log:
        f"{OUT}/logs/summarize.log",
    benchmark:
        f"{OUT}/benchmarks/summarize.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/summarize.py"
