VOCABULARY = settings.tokenizer.source or settings.source


rule train_tokenizer:
    input:
        ancient(VOCABULARY.path if settings.trains else f"{GIVEN[0]}/tokenizer.json"),
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
        content=content(VOCABULARY.path if settings.trains else f"{GIVEN[0]}/tokenizer.json"),
        trained=not settings.trains,
        job=plain(
            {
                "source": sequences_of(VOCABULARY) if settings.trains else None,
                "sample_size": settings.tokenizer.sample_size,
                "min_freq": settings.tokenizer.min_freq,
                "vocab_size": settings.tokenizer.vocab_size,
                "seed": settings.seed if settings.tokenizer.sample_size else None,
            }
        ),
    script:
        "../scripts/tokenize.py"
