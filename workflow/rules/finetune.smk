rule finetune_fold:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        folds=f"{OUT}/folds.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        pretrained=first_weights(),
        best=lambda wildcards: best_values(wildcards.model),
    output:
        multiext(f"{OUT}/fine-tune/{{model}}/", *LEARNED),
    log:
        f"{OUT}/logs/finetune/{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/finetune/{{model}}.tsv"
    conda:
        ENV
    threads: 4
    resources:
        gpu=settings.finetune.gpus,
        nodes=1,  # with all of its GPUs
        mem_mb=growing(8000),
        runtime=1440,
    params:
        code=code("finetune.py"),
        content=content(*starting_point()),
        job=lambda wildcards: plain(training(wildcards.model)),
    script:
        "../scripts/finetune.py"


rule evaluate_fold:
    input:
        part=f"{OUT}/predict/parts/source/{{model}}.parquet",
        model=lambda wildcards: model_files(wildcards.model),
        results=multiext(f"{OUT}/fine-tune/{{model}}/", "train_results.json", "eval_results.json"),
    output:
        multiext(f"{OUT}/fine-tune/{{model}}/", *TESTED),
    log:
        f"{OUT}/logs/evaluate/{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/evaluate/{{model}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        code=code("evaluate.py"),
        model=lambda wildcards: MODELS[wildcards.model],
    script:
        "../scripts/evaluate.py"


rule summarize_folds:
    input:
        expand(f"{OUT}/fine-tune/{{model}}/{'all' if HELD_OUT else 'eval'}_results.json", model=TRAINED),
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
        mem_mb=growing(1000),
        runtime=10,
    params:
        code=code("summarize.py"),
        models=TRAINED,
    script:
        "../scripts/summarize.py"
