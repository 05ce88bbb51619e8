"""Pretraining: views, objective, learner, checkpoints and monitors.

Public: `learner.Learner`, `objective.Objective`, `views.ViewMaker`, `clip_module.ClipModule`,
`checkpoints`, `monitors`, `progress` and `run_identity`.
"""
