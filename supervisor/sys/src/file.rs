//! Small files: read within a bound, replaced as a whole. Paths are relative to a directory descriptor ([`CWD`] for the
//! working directory), so that one process can look after many service directories.

use nix::fcntl::{FcntlArg, OFlag, fcntl, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstatat, mkdirat};
use nix::sys::uio::pwrite;
use nix::unistd::{fsync, ftruncate, read, write};
use nix::{NixPath, errno::Errno, fcntl::AtFlags};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The working directory as a directory descriptor.
pub const CWD: BorrowedFd<'static> = nix::fcntl::AT_FDCWD;

/// Standard input. (The standard library's costs a buffer of 8 KiB.)
#[expect(unsafe_code, reason = "a descriptor by its number")]
// SAFETY: nobody closes 0; were it not open, uses of it would fail with EBADF.
pub const STDIN: BorrowedFd<'static> = unsafe { BorrowedFd::borrow_raw(0) };

/// Every descriptor of ours is close-on-exec and never becomes a controlling terminal.
pub const OPEN: OFlag = OFlag::O_CLOEXEC.union(OFlag::O_NOCTTY);

/// What a replaced file must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Readers see the old or the new content, never a mix. For files under /run and `supervise/`.
    Atomic,
    /// Also after power loss: file and directory are synced.
    PowerLoss,
}

/// Replaces `path` by `content`: writes `temp` (same directory, mode `mode` whatever the umask), renames.
///
/// On failure the old file stays and `temp` is removed as far as possible.
pub fn replace<P: NixPath + ?Sized>(
    dir: BorrowedFd<'_>,
    temp: &P,
    path: &P,
    content: &[u8],
    mode: u32,
    durability: Durability,
) -> Result<(), Errno> {
    let result = write_and_rename(dir, temp, path, content, mode, durability);
    if result.is_err() {
        let _ = unlink(dir, temp);
    }
    result
}

fn write_and_rename<P: NixPath + ?Sized>(
    dir: BorrowedFd<'_>,
    temp: &P,
    path: &P,
    content: &[u8],
    mode: u32,
    durability: Durability,
) -> Result<(), Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OPEN;
    let mode = Mode::from_bits_truncate(mode);
    let fd = openat(dir, temp, flags, mode)?;
    fchmod(&fd, mode)?;
    write_all(fd.as_fd(), content)?;
    if durability == Durability::PowerLoss {
        fsync(&fd)?;
    }
    drop(fd);
    renameat(dir, temp, dir, path)?;
    if durability == Durability::PowerLoss {
        fsync(open_parent(dir, path)?)?;
    }
    Ok(())
}

/// Where [`replace_plain`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Opening the temporary file.
    Open,
    /// Writing it.
    Write,
    /// Renaming it.
    Rename,
}

/// [`replace`] for files that are rewritten all the time and are only as public as the umask allows (`supervise/`):
/// atomic, not durable, `mode` less the umask.
pub fn replace_plain<P: NixPath + ?Sized>(
    dir: BorrowedFd<'_>,
    temp: &P,
    path: &P,
    content: &[u8],
    mode: u32,
) -> Result<(), (Stage, Errno)> {
    // A fifo in its place must not hold anybody up.
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OPEN;
    let fd = openat(dir, temp, flags, Mode::from_bits_truncate(mode)).map_err(|e| (Stage::Open, e))?;
    let result = write_all(fd.as_fd(), content)
        .map_err(|e| (Stage::Write, e))
        .and_then(|()| renameat(dir, temp, dir, path).map_err(|e| (Stage::Rename, e)));
    if result.is_err() {
        let _ = unlink(dir, temp);
    }
    result
}

/// The directory that holds `path`.
fn open_parent<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<OwnedFd, Errno> {
    let parent = path.with_nix_path(|c| {
        let bytes = c.to_bytes();
        bytes.iter().rposition(|&b| b == b'/').map_or_else(|| b".".to_vec(), |at| bytes[..at.max(1)].to_vec())
    })?;
    open_dir(dir, parent.as_slice())
}

/// Writes all of `content`, through interruptions.
pub fn write_all(fd: BorrowedFd<'_>, mut content: &[u8]) -> Result<(), Errno> {
    while !content.is_empty() {
        match write(fd, content) {
            Ok(0) => return Err(Errno::EIO),
            Ok(n) => content = &content[n..],
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads what is there now, at most `buf.len()` bytes; 0 at the end. Interruptions are passed over.
pub fn read_some(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match read(fd, buf) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Reads from the start of the file, wherever others are in it.
pub fn read_start(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match nix::sys::uio::pread(fd, buf, 0) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Writes once, as much as the other side takes. Interruptions are passed over.
pub fn write_some(fd: BorrowedFd<'_>, content: &[u8]) -> Result<usize, Errno> {
    loop {
        match write(fd, content) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Fills `buf` from the start of the file and returns the part that was there; a longer file is cut. Allocates nothing.
pub fn read_into<'b, P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, buf: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let fd = open_read(dir, path)?;
    let mut len = 0;
    while len < buf.len() {
        match read_some(fd.as_fd(), &mut buf[len..])? {
            0 => break,
            n => len += n,
        }
    }
    Ok(&buf[..len])
}

/// The whole file, `EFBIG` if it is longer than `max` bytes.
pub fn read_bounded<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, max: usize) -> Result<Vec<u8>, Errno> {
    let fd = open_read(dir, path)?;
    let mut out = Vec::new();
    let mut buf = [0; 4096];
    loop {
        match read_some(fd.as_fd(), &mut buf)? {
            0 => return Ok(out),
            n if out.len() + n > max => return Err(Errno::EFBIG),
            n => out.extend_from_slice(&buf[..n]),
        }
    }
}

/// Opens for reading without ever blocking on a fifo.
pub fn open_read<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<OwnedFd, Errno> {
    openat(dir, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OPEN, Mode::empty())
}

/// Opens for writing: what is there, neither made nor emptied.
pub fn open_write<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<OwnedFd, Errno> {
    openat(dir, path, OFlag::O_WRONLY | OPEN, Mode::empty())
}

/// Opens for appending, made with `mode` less the umask if it is not there.
pub fn open_append<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK | OPEN;
    openat(dir, path, flags, Mode::from_bits_truncate(mode))
}

/// Opens for reading and writing, made with `mode` less the umask if it is not there.
pub fn open_update<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OPEN;
    openat(dir, path, flags, Mode::from_bits_truncate(mode))
}

/// Writes over the beginning of a file, once.
pub fn write_at_start(fd: BorrowedFd<'_>, content: &[u8]) -> Result<(), Errno> {
    if pwrite(fd, content, 0)? == content.len() { Ok(()) } else { Err(Errno::ENOSPC) }
}

/// Empties a file.
pub fn truncate(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    ftruncate(fd, 0)
}

/// Opens an empty file for writing, made with `mode` less the umask if it is not there.
pub fn open_empty<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_TRUNC | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OPEN;
    openat(dir, path, flags, Mode::from_bits_truncate(mode))
}

/// Sets the mode, whatever the umask.
pub fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    fchmod(fd, Mode::from_bits_truncate(mode))
}

/// Waits until what was written would survive power loss.
pub fn sync(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    fsync(fd)
}

/// Renames within one directory, replacing what is there.
pub fn rename<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, from: &P, to: &P) -> Result<(), Errno> {
    renameat(dir, from, dir, to)
}

/// Opens a directory to be used as `dir` of the other functions.
pub fn open_dir<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<OwnedFd, Errno> {
    openat(dir, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OPEN, Mode::empty())
}

/// Makes `dir` the working directory.
pub fn enter(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    nix::unistd::fchdir(dir)
}

/// What the symbolic link `path` says, unresolved. `EINVAL` if it is something else.
pub fn link_target<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<OsString, Errno> {
    nix::fcntl::readlinkat(dir, path)
}

/// Makes a symbolic link that is not there yet.
pub fn make_link<P: NixPath + ?Sized>(target: &[u8], dir: BorrowedFd<'_>, path: &P) -> Result<(), Errno> {
    nix::unistd::symlinkat(target, dir, path)
}

/// Makes a directory that is not there yet.
pub fn make_dir_new<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, mode: u32) -> Result<(), Errno> {
    mkdirat(dir, path, Mode::from_bits_truncate(mode))
}

/// Makes a directory; an existing one is fine.
pub fn make_dir<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P, mode: u32) -> Result<(), Errno> {
    match make_dir_new(dir, path, mode) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(e) => Err(e),
    }
}

/// `stat`, through symbolic links.
pub fn stat<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<FileStat, Errno> {
    fstatat(dir, path, AtFlags::empty())
}

/// Whether `path` itself is a symbolic link.
pub fn is_link<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> bool {
    fstatat(dir, path, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|s| s.st_mode & nix::libc::S_IFMT == nix::libc::S_IFLNK)
}

/// Whether it is a directory.
pub const fn is_dir(stat: &FileStat) -> bool {
    stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR
}

/// Whether something of that name is there. Trouble other than "not there" is an error.
pub fn exists<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<bool, Errno> {
    match stat(dir, path) {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Removes a file; one that is not there is fine.
pub fn unlink<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<(), Errno> {
    match nix::unistd::unlinkat(dir, path, nix::unistd::UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Removes an empty directory.
pub fn remove_dir<P: NixPath + ?Sized>(dir: BorrowedFd<'_>, path: &P) -> Result<(), Errno> {
    nix::unistd::unlinkat(dir, path, nix::unistd::UnlinkatFlags::RemoveDir)
}

/// Calls `each` with every name in the directory, in no order, without `.` and `..`. Allocates nothing, which the C library's
/// functions do.
pub fn for_each_name(dir: BorrowedFd<'_>, mut each: impl FnMut(&[u8])) -> Result<(), Errno> {
    /// Inode, offset, length of the entry, type; then the name and its NUL.
    const HEAD: usize = 19;
    #[repr(align(8))]
    struct Entries([u8; 1024]);
    // Read through a descriptor of its own: where `dir` is at is nobody's business.
    let dir = open_dir(dir, c".")?;
    let mut entries = Entries([0; 1024]);
    loop {
        // SAFETY: the kernel writes at most the length given into the buffer, which lives on.
        #[expect(unsafe_code, reason = "a system call without a wrapper")]
        let got = unsafe {
            nix::libc::syscall(nix::libc::SYS_getdents64, dir.as_raw_fd(), entries.0.as_mut_ptr(), entries.0.len())
        };
        let mut rest = match usize::try_from(Errno::result(got)?) {
            Ok(got @ 1..) => entries.0.get(..got).ok_or(Errno::EIO)?,
            Ok(0) | Err(_) => return Ok(()),
        };
        while let Some(entry) = rest.first_chunk::<HEAD>() {
            let length = usize::from(u16::from_ne_bytes([entry[16], entry[17]]));
            let name = rest.get(HEAD..length).ok_or(Errno::EIO)?;
            let name = name.split(|c| *c == 0).next().unwrap_or_default();
            if name != b"." && name != b".." {
                each(name);
            }
            rest = rest.get(length..).ok_or(Errno::EIO)?;
        }
    }
}

/// A pipe, both ends close-on-exec and blocking.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC)
}

/// Makes the open file non-blocking, for everybody who has it.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names() {
        let path = std::env::temp_dir().join(format!("names-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let dir = open_dir(CWD, &path).unwrap();
        // More than one call returns, and the longest names there can be.
        let mut wanted: Vec<String> = (1..=255).step_by(3).map(|n| "x".repeat(n)).collect();
        wanted.iter().for_each(|n| drop(open_append(dir.as_fd(), n.as_str(), 0o644).unwrap()));
        for _ in 0..2 {
            let mut got = Vec::new();
            for_each_name(dir.as_fd(), |name| got.push(String::from_utf8(name.to_vec()).unwrap())).unwrap();
            got.sort();
            wanted.sort();
            assert_eq!(got, wanted);
        }
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_file_and_says_where_it_failed() {
        let path = std::env::temp_dir().join(format!("replace-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let dir = open_dir(CWD, &path).unwrap();
        let put = |to: &str, content: &[u8]| replace_plain(dir.as_fd(), "new", to, content, 0o644);
        assert_eq!(put("file", b"one"), Ok(()));
        make_dir(dir.as_fd(), "taken", 0o755).unwrap();
        assert_eq!(put("taken", b"two"), Err((Stage::Rename, Errno::EISDIR)));
        assert_eq!(exists(dir.as_fd(), "new"), Ok(false));
        make_dir(dir.as_fd(), "new", 0o755).unwrap();
        assert_eq!(put("file", b"two"), Err((Stage::Open, Errno::EISDIR)));
        assert_eq!(read_bounded(dir.as_fd(), "file", 10).unwrap(), b"one");
        assert_eq!(link_target(dir.as_fd(), "file"), Err(Errno::EINVAL));
        std::fs::remove_dir_all(&path).unwrap();
    }
}
