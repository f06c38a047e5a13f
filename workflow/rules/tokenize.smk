VOCABULARY = settings.tokenizer.source or settings.source
# A trained model, or one to start from, brings its own, unless the configuration has another.
START = getattr(settings.model, "pretrained", None)
LENDER = GIVEN[0] if GIVEN else START if "tokenizer" not in settings.model_fields_set else None
TOKENIZED = VOCABULARY.of_sequences() if LENDER is None else None
LEARNED_FROM = TOKENIZED.paths if TOKENIZED else [path for path in [f"{LENDER}/tokenizer.json"] if Path(path).is_file()]


rule train_tokenizer:
    input:
        ancient(LEARNED_FROM),
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
        content=content(*LEARNED_FROM),
        job=plain(
            {
                "lender": LENDER,
                "source": plain(TOKENIZED) if TOKENIZED else None,
                "options": settings.tokenizer.model_dump(exclude={"source"}),
                "seed": settings.seed if settings.tokenizer.sample_size else None,
            }
        ),
    script:
        "../scripts/tokenize.py"
