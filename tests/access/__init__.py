"""Cookies, keys and limits, over a real Redis."""
