"""Real-time sEMG movement recognition and forecasting with Feature-Imitating Networks.

Importing the package loads neither torch nor Qt; each module imports what it needs.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("semgfin-rt")
except PackageNotFoundError:  # used from a folder, never installed
    __version__ = "0+unknown"
