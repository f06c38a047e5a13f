"""What is learned without a network: the bar that models have to clear."""
