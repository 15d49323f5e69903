"""Messages, templates, and what they are rendered from."""
