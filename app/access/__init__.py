"""Who asks, and how much they may.

Owner cookies, API keys and limits. It knows the store and the ledger, and nothing of HTTP.
"""
