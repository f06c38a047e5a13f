rule sweep_worker:
    input:
        encoded=f"{OUT}/encoded/source.parquet",
        folds=f"{OUT}/folds.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        pretrained=lambda wildcards: PLAN.first_weights(wildcards.fold),
        start=provided("sweep_worker"),
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
        gpu=min(1, PLAN.settings.finetune.gpus),
        mem_mb=growing(8000),
        runtime=1440,
    params:
        code=code("sweep_worker.py"),
        content=content("sweep_worker"),
        job=job("sweep_worker"),
    script:
        "../scripts/sweep_worker.py"


rule conclude_sweep:
    input:
        [f"{OUT}/sweep/{{fold}}/worker-{worker}.json" for worker in range(PLAN.sweep.workers if PLAN.sweep else 0)],
    output:
        multiext(f"{OUT}/sweep/{{fold}}/", *contract.SEARCHED),
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
        job=job("conclude_sweep"),
    script:
        "../scripts/conclude_sweep.py"


rule show_sweeps:
    input:
        expand(f"{OUT}/sweep/{{fold}}/{{name}}", fold=PLAN.folds, name=contract.SEARCHED),
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
        job=job("show_sweeps"),
    script:
        "../scripts/show_sweeps.py"
