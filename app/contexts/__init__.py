"""Sources in, immutable contexts out.

Files, folders, archives, uploads and URLs become documents; a context is checked against its model when it is made, rendered
once, and stored under its content's hash. Nothing here talks to the upstream.
"""
