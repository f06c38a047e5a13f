rule sweep_worker:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        folds=f"{OUT}/folds.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        pretrained=first_weights(),
    output:
        f"{OUT}/sweep/{{fold}}/worker-{{worker}}.json",
    log:
        f"{OUT}/logs/sweep/{{fold}}/{{worker}}.log",
    benchmark:
        f"{OUT}/benchmarks/sweep/{{fold}}/{{worker}}.tsv"
    conda:
        ENV
    threads: 4
    resources:
        gpu=min(1, settings.finetune.gpus),
        mem_mb=growing(8000),
        runtime=1440,
    params:
        code=code("sweep_worker.py"),
        content=content(*starting_point()),
        job=lambda wildcards: plain({"training": training(wildcards.fold), "sweep": searching()}),
    script:
        "../scripts/sweep_worker.py"


rule conclude_sweep:
    input:
        [f"{OUT}/sweep/{{fold}}/worker-{worker}.json" for worker in range(SWEEP.workers if SWEEP else 0)],
    output:
        multiext(f"{OUT}/sweep/{{fold}}/", "trials.csv", "best.yaml"),
    log:
        f"{OUT}/logs/conclude_sweep/{{fold}}.log",
    benchmark:
        f"{OUT}/benchmarks/conclude_sweep/{{fold}}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        code=code("conclude_sweep.py"),
        job=plain({"sweep": searching("workers")}),
    script:
        "../scripts/conclude_sweep.py"


rule show_sweeps:
    input:
        [f"{OUT}/sweep/{fold}/{name}" for fold in FOLDS for name in ("trials.csv", "best.yaml")],
    output:
        report(f"{OUT}/sweep/index.html", category="Sweep"),
    log:
        f"{OUT}/logs/show_sweeps.log",
    benchmark:
        f"{OUT}/benchmarks/show_sweeps.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        code=code("show_sweeps.py"),
        job=plain({"folds": FOLDS, "sweep": searching("workers")}),
    script:
        "../scripts/show_sweeps.py"
