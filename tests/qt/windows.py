"""What tests do to a window whose frames they count themselves."""


def part(window, name):
    return window.docks[name].panel


def stage_of(window):
    return window.studio.stage


def drain(window, feed):
    while feed.snapshots:
        window.tick()
    window.draw()


def panels(window):
    return [dock.panel for dock in window.docks.values()]


def seen(window):
    """Return the docks that no tab hides."""
    return [d for d in window.docks.values() if not d.visibleRegion().isEmpty()]
