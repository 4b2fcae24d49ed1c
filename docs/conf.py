"""Settings of the site of documents: Markdown by MyST, docstrings in numpy's style."""

import weightkin

project = "weightkin"
author = "the weightkin contributors"
copyright = author  # noqa: A001 (the name that Sphinx reads)
version = release = weightkin.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["schema", "examples", "pictures"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
highlight_language = "none"
html_theme = "furo"
html_title = f"weightkin {version}"
html_show_sphinx = False
html_copy_source = False
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository that are no pages
