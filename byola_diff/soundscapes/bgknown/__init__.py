"""Background-known ESC-50: events in backgrounds, each with three references of its background.

Public are `BgKnownOptions` (plan) and `plan_bgknown`, `make_bgknown` (corpus).
"""
