"""The site: `tox run -e docs` builds it. Markdown by MyST, looks by furo; what is generated is in docs/generate."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "xentcheck"
version = release = version_of("xentcheck")
extensions = ["myst_parser", "sphinx.ext.autodoc", "generate.site"]
exclude_patterns = ["generate", "built/html"]
html_theme = "furo"
html_title = "xentcheck"
html_show_copyright = False
# Markdown has single backquotes for code, and so have the docstrings.
default_role = "code"
# Two hyphens begin an option.
smartquotes = False
# Anchors of headings, as a forge makes them.
myst_heading_anchors = 4
nitpicky = True
# Annotations name types of NumPy and of other modules, which have no page here.
nitpick_ignore_regex = [("py:.*", ".*")]
autodoc_typehints = "none"
