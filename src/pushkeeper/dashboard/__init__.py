"""The dashboard: what a person would rather look at than read, over the same rooms as the APIs."""
