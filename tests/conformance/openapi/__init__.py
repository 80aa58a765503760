"""The OpenAPI document as a test of the server that serves it: what it says of each route is held against each answer.

Schemathesis makes the requests: the document's examples, what lies at the edges of its schemas, random bodies both
valid and not, and chains of requests along its links.
"""
