"""The dashboard: what a person would rather look at than read, over the same services as the APIs."""
