"""Files of recorded EMG into `Recording`: Ninapro DB2, 3DC and synthetic subjects."""

from semgfin_rt.recordings.loading import iter_recordings, load

__all__ = ["iter_recordings", "load"]
