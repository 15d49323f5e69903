"""Requests and answers of the native API as msgspec structs: validation, JSON and OpenAPI schema in one.

Types and bounds are in the structs; what relates several fields, or is a language of its own, is read by their methods, which
raise a BadRequest with a path from the struct's place on.
"""
