"""One OpenAPI for all doors: made of the route tables (api.doors) and of the types that serve (api.schemas)."""
