"""One histogram regression tree, which knows nothing of tasks or losses."""
