"""A source becomes its files: on this machine, on a hub, or in the hub's cache.

`files` says what a file and a folder are, wherever they lie; `local` opens and reads what lies
here, through one function; `ranges` fetches pieces of a file over `transfer`; `hub` finds a
repository at one commit.
"""
