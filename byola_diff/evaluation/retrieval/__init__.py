"""Retrieval by a recording and a text that tells the difference, and search by it.

Public: `run.retrieval_jobs`, `search_run.search`, `system.load_system`, `system.save_system`,
`text_encoders.open_text_encoder`.
"""
