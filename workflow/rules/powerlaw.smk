rule compare_spectra:
    input:
        weights=of_models(["model.safetensors"]),
        further=ancient(PLAN.further_weights),
    output:
        [
            report(f"{OUT}/powerlaw/{name}", category="Power laws") if name.endswith(".svg") else f"{OUT}/powerlaw/{name}"
            for name in contract.SPECTRA
        ],
    log:
        f"{OUT}/logs/powerlaw.log",
    benchmark:
        f"{OUT}/benchmarks/powerlaw.tsv"
    conda:
        ENV
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=60,
    params:
        code=code("powerlaw.py"),
        content=content("compare_spectra"),
        job=job("compare_spectra"),
    script:
        "../scripts/powerlaw.py"
