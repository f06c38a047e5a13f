rule pretrain_model:
    input:
        encoded=f"{OUT}/encoded/{'pretraining' if PRETRAINING else 'source'}.parquet",
        tokenizer=f"{OUT}/tokenizer.json",
        start=starting_point(),
    output:
        multiext(f"{OUT}/pretrain/", *PRETRAINED),
    log:
        f"{OUT}/logs/pretrain.log",
    benchmark:
        f"{OUT}/benchmarks/pretrain.tsv"
    conda:
        ENV
    threads: 4
    resources:
        gpu=PRETRAIN.gpus if PRETRAIN else 0,
        nodes=1,  # with all of its GPUs
        mem_mb=growing(16000),
        runtime=2880,
    params:
        code=code("pretrain.py"),
        content=content(*starting_point()),
        job=plain(
            {
                "model": settings.model.model_dump(),
                "options": PRETRAIN.model_dump(mode="json", exclude={"source", "gpus"}),
                "seed": settings.seed,
            }
            if PRETRAIN
            else {}
        ),
    script:
        "../scripts/pretrain.py"
