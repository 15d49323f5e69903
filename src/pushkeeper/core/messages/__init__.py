"""Messages: Liquid and its limits, personalised content, links."""
