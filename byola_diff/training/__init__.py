"""Pretraining: views, objective, learner, checkpoints and monitors."""
