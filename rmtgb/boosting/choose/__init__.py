"""What is chosen on validation rows: which rows these are, stage lengths, clusters of tasks."""
