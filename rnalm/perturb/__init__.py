"""What changes in the prediction when the sequence changes."""
