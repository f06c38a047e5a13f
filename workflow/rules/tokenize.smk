rule train_tokenizer:
    input:
        provided("train_tokenizer"),
    output:
        f"{OUT}/tokenizer.json",
    log:
        f"{OUT}/logs/tokenize.log",
    benchmark:
        f"{OUT}/benchmarks/tokenize.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        code=code("tokenize.py"),
        content=content("train_tokenizer"),
        job=job("train_tokenizer"),
    script:
        "../scripts/tokenize.py"
