"""Losses: functions from tensors to one number, and the difference that they are about.

Public: `byol` and `difference`.
"""
