"""What each section of the results found, in one sentence, computed from the text of the section.

Every figure is read from a table by the names of its columns, or stands in a sentence that the
claim wrote as its finding. Where a text has no such table or sentence, `LookupError` is raised.
"""
