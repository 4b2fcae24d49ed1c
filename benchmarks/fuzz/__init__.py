"""Fuzzing: valid inputs changed where their structure is, run through the commands in one process.

`mutate` changes bytes, `cases` says which commands read what, `judge` what must hold of each run,
`loop` spends a budget of time on it in a process of its own.
"""
