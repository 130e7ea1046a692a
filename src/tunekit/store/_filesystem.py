"""Which filesystem a path lies on, and whether SQLite's WAL works there. Knows mountinfo; it knows no SQL.

WAL needs memory that all processes on the file share, and POSIX locks that hold; a filesystem that another machine can
write to promises neither (sqlite.org/wal.html, "all processes using a database must be on the same host computer").
"""

from __future__ import annotations

import re
from pathlib import Path

from tunekit.errors import StorageError

_MOUNTINFO = Path("/proc/self/mountinfo")
_SHARED = re.compile(
    r"nfs4?|cifs|smb.*|ncpfs|afs|auristor|coda|davfs"
    r"|9p|vboxsf|prl_fs"  # the host's disk, seen from a virtual machine
    r"|lustre|gpfs|mmfs|beegfs|ceph|glusterfs|panfs|pvfs2|orangefs|weka|wekafs"
    r"|ocfs2|gfs2"  # one disk, several hosts
    # FUSE itself is local; these programs behind it are not.
    r"|fuse\.(sshfs|nfs|cifs|smbnetfs|curlftpfs|davfs|vmhgfs-fuse|lustre|glusterfs|ceph|ceph-fuse|moosefs|mfs"
    r"|juicefs|seaweedfs|wekafs|quobyte|s3fs|gcsfuse|goofys|rclone|mountpoint-s3|blobfuse2?)"
)


def refuse_shared_filesystem(directory: Path) -> None:
    """Raise `StorageError` if other machines may write to the filesystem where a directory is or would be."""
    kind, mount_point = mount_of(directory.resolve(), _mountinfo())
    if _SHARED.fullmatch(kind):
        raise StorageError(
            f"the store cannot lie in {str(directory)!r}: {mount_point!r} is a network filesystem ({kind}), "
            "where SQLite loses data",
            hint="set TUNEKIT_HOME to a directory on a local disk; data sets and models may stay where they are",
        )


def mount_of(path: Path, mountinfo: str) -> tuple[str, str]:
    """Filesystem type and mount point of an absolute path, from the text of /proc/<pid>/mountinfo (proc(5)).

    Examples:
        >>> mount_of(Path("/srv/a"), "36 35 98:0 / /srv rw shared:1 - nfs4 host:/export rw")
        ('nfs4', '/srv')
    """
    best = ("", "")
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        mount_point = _unescape(fields[4])
        # Not shorter: of two mounts on one directory, the later one is on top.
        if path.is_relative_to(mount_point) and len(mount_point) >= len(best[1]):
            best = (after.split(" ")[0], mount_point)
    return best


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _mountinfo() -> str:
    try:
        return _MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""  # not Linux: nothing to tell filesystems apart by
