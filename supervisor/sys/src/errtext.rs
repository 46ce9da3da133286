//! The error texts runit prints, which scripts grep for (spec runit §0.1). Lower case, not `strerror`'s.

use nix::errno::Errno;

/// runit's text for `e`; "unknown error" for what its table does not have.
pub const fn errtext(e: Errno) -> &'static str {
    #[expect(clippy::wildcard_enum_match_arm, reason = "runit's own table is partial and names the rest so")]
    match e {
        Errno::ENOENT => "file does not exist",
        Errno::EACCES => "access denied",
        Errno::EPERM => "permission denied",
        Errno::EAGAIN => "temporary failure",
        Errno::EINTR => "interrupted system call",
        Errno::ENXIO => "device not configured",
        Errno::ENODEV => "device does not support operation",
        Errno::EISDIR => "is a directory",
        Errno::ENOTDIR => "not a directory",
        Errno::ELOOP => "symbolic link loop",
        Errno::EEXIST => "file already exists",
        Errno::ENOSPC => "out of disk space",
        Errno::EDQUOT => "over disk quota",
        Errno::EINVAL => "invalid argument",
        Errno::ENOMEM => "out of memory",
        Errno::EMFILE => "process cannot open more files",
        Errno::ENFILE => "system cannot open more files",
        Errno::EIO => "input/output error",
        Errno::EROFS => "read-only file system",
        Errno::ENAMETOOLONG => "file name too long",
        Errno::ENOTEMPTY => "directory not empty",
        Errno::EPIPE => "broken pipe",
        Errno::E2BIG => "argument list too long",
        Errno::ENOEXEC => "exec format error",
        Errno::EBUSY => "device busy",
        Errno::ESRCH => "no such process",
        // Our own, for what is no fifo.
        Errno::ENOTSUP => "operation not supported",
        Errno::ECHILD => "no child processes",
        Errno::EXDEV => "cross-device link",
        Errno::ETXTBSY => "text busy",
        Errno::ESPIPE => "invalid seek",
        Errno::EBADF => "file descriptor not open",
        Errno::ENOSYS => "system call not available",
        Errno::ENETDOWN => "network down",
        Errno::ETIMEDOUT => "timed out",
        _ => "unknown error",
    }
}
