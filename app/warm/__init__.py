"""When to spend: writing the cache before the question comes, once, and letting questions join that.

Promises that one prefix is being written by at most one call at a time over all processes (a lease in the store), that
every call is in the ledger, and that a warm never fails a caller: what went wrong is part of the warm's state.
"""
