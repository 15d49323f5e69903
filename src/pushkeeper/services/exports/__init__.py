"""Exports: files that are streamed while they are read, and those of Customer.io's App API."""
