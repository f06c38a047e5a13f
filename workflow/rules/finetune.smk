rule finetune_fold:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        folds=f"{OUT}/folds.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        pretrained=lambda wildcards: PLAN.first_weights(wildcards.model),
        start=provided("finetune_fold"),
        best=lambda wildcards: PLAN.best_values(wildcards.model),
    output:
        multiext(f"{OUT}/fine-tune/{{model}}/", *PLAN.finetuned),
    log:
        f"{OUT}/logs/finetune/{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/finetune/{{model}}.tsv"
    conda:
        ENV
    threads: 4
    resources:
        gpu=PLAN.settings.finetune.gpus,
        nodes=1,  # with all of its GPUs
        mem_mb=growing(8000),
        runtime=1440,
    params:
        code=code("finetune.py"),
        content=content("finetune_fold"),
        job=job("finetune_fold"),
    script:
        "../scripts/finetune.py"


rule evaluate_fold:
    input:
        part=f"{OUT}/predict/parts/source/{{model}}.parquet",
        model=of_models(),
        results=multiext(f"{OUT}/fine-tune/{{model}}/", "train_results.json", "eval_results.json"),
    output:
        multiext(f"{OUT}/fine-tune/{{model}}/", *PLAN.tested),
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
        job=job("evaluate_fold"),
    script:
        "../scripts/evaluate.py"


rule summarize_folds:
    input:
        models=expand(f"{OUT}/fine-tune/{{model}}/{'all' if PLAN.held_out else 'eval'}_results.json", model=PLAN.trained),
        baselines=[f"{folder}/{'all' if PLAN.held_out else 'eval'}_results.json" for folder in PLAN.baselines.values()],
        stacks=[f"{folder}/results.json" for folder in PLAN.tested_stacks.values()],
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
        job=job("summarize_folds"),
    script:
        "../scripts/summarize.py"
