"""MATLAB files in and out: named arrays of a v5 or v7.3 file.

Files from elsewhere are read in the limited child (see `limited_child`): scipy's reader crashes on
some damaged files, HDF5's has had a steady run of overflows, and both inflate what they are told.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from semgfin_rt.atomic import written_whole
from semgfin_rt.errors import RecordingError

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK = 512
"""MATLAB puts its own header before the HDF5 file, h5py does not."""
# What scipy and h5py were seen to raise on damaged files.
_DAMAGE = (
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    UnboundLocalError,
    RuntimeError,
)


def read_mat(file: BinaryIO, wanted: Iterable[str], where: str) -> Arrays:
    """Read some variables of a MATLAB file, v5 (v6, v7) or v7.3; for the limited child.

    Parameters
    ----------
    file : seekable binary file, at its beginning
    wanted : iterable of str
        Variables to read where present; all others are passed over.
    where : str
        What to call the file in messages.

    Returns
    -------
    dict of str to numeric array
        As MATLAB would show them: v7.3 stores them transposed, which is undone.

    Raises
    ------
    RecordingError
        It is empty, not a MATLAB file, damaged, or a wanted variable is not a plain number array.
    """
    try:
        head = file.read(_USER_BLOCK + len(_HDF5))
        file.seek(0)
        if _HDF5 in (head[: len(_HDF5)], head[_USER_BLOCK:]):
            arrays = _read_hdf5(file, wanted)
        elif head[126:128] in (b"IM", b"MI"):  # endian mark of a v5 header
            arrays = _read_v5(file, wanted)
        else:
            what = "not a MATLAB file" if head else "empty"
            raise RecordingError(f"{where} is {what}: give a .mat file of Ninapro DB2.")
    except _DAMAGE as error:
        raise RecordingError(
            f"{where} is damaged ({type(error).__name__}): copy or download it again."
        ) from error
    arrays = {name: value for name, value in arrays.items() if not name.startswith("__")}
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "buif":
            raise RecordingError(
                f"variable '{name}' of {where} is not an array of real numbers: "
                "give a file as Ninapro publishes it."
            )
    return arrays


def _read_v5(file: BinaryIO, wanted: Iterable[str]) -> Arrays:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        arrays: Arrays = loadmat(file, variable_names=list(wanted))
    except MatReadError as error:
        raise ValueError from error
    return arrays


def _read_hdf5(file: BinaryIO, wanted: Iterable[str]) -> Arrays:
    import h5py

    arrays: Arrays = {}
    with h5py.File(file, "r") as h5:
        for name in wanted:
            # Links lead to other files, and so can the numbers of a dataset.
            if isinstance(h5.get(name, getlink=True), h5py.HardLink):
                item = h5[name]
                if isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual:
                    arrays[name] = np.asarray(item).T
    return arrays


def write_mat(
    path: Path, *groups: Mapping[str, npt.NDArray[Any]], compress: tuple[bool, ...]
) -> None:
    """Write arrays as MATLAB v5; the file appears whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced where it exists.
    *groups : mapping of str to array
        Written one after the other.
    compress : tuple of bool
        Whether to compress each group: noise hardly shrinks and would only slow reading down.

    Raises
    ------
    RecordingError
        The file cannot be written.
    """
    from scipy.io import savemat

    try:
        with written_whole(path) as part, part.open("wb") as file:
            for arrays, squeeze in zip(groups, compress, strict=True):
                savemat(file, dict(arrays), do_compression=squeeze, oned_as="column")
    except OSError as error:
        raise RecordingError(f"'{path}' cannot be written: {error.strerror}.") from error
