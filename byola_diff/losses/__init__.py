"""Losses: functions from tensors to one number."""
