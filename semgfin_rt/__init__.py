"""Real-time sEMG movement recognition and forecasting with Feature-Imitating Networks.

Importing the package loads neither torch nor Qt; each module imports what it needs.
"""

__version__ = "0.1.0"
