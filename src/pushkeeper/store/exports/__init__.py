"""Exports: the list of them, the text of those that a worker writes, and the rows of those that are streamed."""
