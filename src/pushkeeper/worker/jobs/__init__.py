"""Jobs beside sending: each claims items, works at them, and settles."""
