"""What calls used, what that cost, what the cache did for a turn and why, and how fast this deployment's upstream is.

The arithmetic is pure; `Ledger` writes and reads it through the store. Every call to the upstream becomes an entry.
"""
