"""Messages: templates, snippets, previews, and transactional pushes."""
