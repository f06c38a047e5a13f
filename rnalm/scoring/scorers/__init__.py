"""Two ways to compute what perturbations change, with the same results."""
