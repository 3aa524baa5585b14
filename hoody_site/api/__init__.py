"""Code that all routes share: errors, request bodies, content negotiation, the OpenAPI document."""
