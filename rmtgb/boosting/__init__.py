"""The algorithm, free of estimators: start reading at ``three_stages``."""
