"""What each token does to a prediction: perturbations ─► scores ─► tables."""
