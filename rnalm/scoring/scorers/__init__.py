"""Ways to compute what perturbations change, with the same results."""
