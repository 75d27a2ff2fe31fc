"""Real-time sEMG movement recognition and forecasting with Feature-Imitating Networks.

Importing the package loads neither torch nor Qt; each module imports what it needs.
"""


def __getattr__(name: str) -> str:
    """Look `__version__` up when it is asked for: `importlib.metadata` loads slowly."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("semgfin-rt")
    except PackageNotFoundError:  # used from a folder, never installed
        return "0+unknown"
