"""Access control: API tokens, authentication, permissions, limits on failed attempts."""
