"""The estimators: what scikit-learn and users see."""
