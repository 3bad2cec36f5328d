"""What is chosen on validation rows: which rows these are, and stage lengths."""
