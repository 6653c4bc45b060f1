"""The reference page, written from the code that it describes.

``python -m pipelines.lab.reference > docs/reference.md``; a test compares the committed page with what
this package makes, so that a setting, table or command cannot change without its documentation.
"""
