"""A source becomes its files: on this machine, on a hub, or in the hub's cache.

`files` opens and reads what lies here, and counts the pages touched (`pages`, `stamps`); `ranges`
fetches pieces of a file over `transfer`; `hub` finds a repository at one commit.
"""
