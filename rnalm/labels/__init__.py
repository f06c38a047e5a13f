"""What is learned, who learns and tests it, and how good it is."""
