"""Sphinx configuration; `make docs` builds with warnings as errors."""

import semgfin_rt

project = "semgfin_rt"
author = "the semgfin_rt developers"
project_copyright = "2026, the semgfin_rt developers"
release = semgfin_rt.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"semgfin_rt {release}"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# One generated page a module, in docs/api; members in the order of the source, each once: where it
# is defined, not where a package passes it on.
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
# Array aliases keep their short names in signatures.
autodoc_type_aliases = {name: name for name in ("FloatArray", "TimeArray", "LabelArray", "Unit")}
# Comes with torch for CUDA alone.
autodoc_mock_imports = ["triton"]
numpydoc_show_class_members = False
