"""People: identifiers, attributes, events, segments, topics, erasure."""
