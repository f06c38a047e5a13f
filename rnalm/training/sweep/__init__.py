"""Training with many values ─► the values with which a fold trains best."""
