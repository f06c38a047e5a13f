rule pretrain_model:
    input:
        encoded=f"{OUT}/encoded/{'pretraining' if PLAN.pretrains_elsewhere else 'source'}.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        folds=[f"{OUT}/folds.parquet"] if PLAN.pretrains_by_fold else [],
        start=provided("pretrain_model"),
    output:
        multiext(f"{OUT}/{{pretraining}}/", *contract.PRETRAINED),
    log:
        f"{OUT}/logs/{{pretraining}}.log",
    benchmark:
        f"{OUT}/benchmarks/{{pretraining}}.tsv"
    conda:
        ENV
    threads: 4
    resources:
        gpu=PLAN.pretrain.gpus if PLAN.pretrain else 0,
        nodes=1,  # with all of its GPUs
        mem_mb=growing(16000),
        runtime=2880,
    params:
        code=code("pretrain.py"),
        content=content("pretrain_model"),
        job=job("pretrain_model"),
    script:
        "../scripts/pretrain.py"
