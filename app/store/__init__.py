"""Redis: the only place that knows a key or a script.

Each module owns the keys of one idea and gives it plain values back. Steps that must agree are one Lua script, written
beside its caller with the states it moves between. Nothing here decides anything; losing Redis raises `StoreUnavailable`.
"""
