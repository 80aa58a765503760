"""`GET /docs`: the OpenAPI document as a page to read. No scripts, nothing from elsewhere."""
