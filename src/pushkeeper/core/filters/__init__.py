"""The filter language: parsed from JSON and text, written back as text, and evaluated."""
