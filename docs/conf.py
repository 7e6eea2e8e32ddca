"""How the guide is built: `make docs`. The source folder is the repository, so that every link in a page is checked."""

import quagpredict

project = "quagpredict"
release = version = quagpredict.__version__
copyright = "the quagpredict developers"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**", "datasets/*/card.md", "models/*/card.md"]
# Only these are documents; what other pages link to (programs, plans, tables) is offered as a file.
source_suffix = {".md": "markdown"}
templates_path: list[str] = []

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a decision's page may begin at any level

autodoc_typehints = "none"  # numpydoc says the types in words
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "furo"
html_title = "quagpredict"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"source_repository": "", "navigation_with_keys": True}
