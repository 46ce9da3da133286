//! Where a service is: as typed if that looks like a path, otherwise under the services directory (spec runit §2.1).

use std::ffi::CStr;

/// The services directory when `SVDIR` does not say otherwise.
pub(crate) const DEFAULT_SVDIR: &[u8] = b"/var/service";

/// A service directory. Names of its files are put behind it without allocating again.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    path: Vec<u8>,
    base: usize,
}

impl Place {
    /// runit looks at the trailing slash when it sends and forgets about it when it waits; a place is found once.
    pub(crate) fn of(service: &[u8], svdir: &[u8]) -> Self {
        let mut path = Vec::with_capacity(svdir.len() + service.len() + 32);
        if !matches!(service, [b'/' | b'.', ..] | [.., b'/']) {
            path.extend_from_slice(svdir);
            path.push(b'/');
        }
        path.extend_from_slice(service);
        Self::at(path)
    }

    /// The directory `path` itself.
    pub(crate) fn at(mut path: Vec<u8>) -> Self {
        path.push(b'/');
        let base = path.len();
        Self { path, base }
    }

    /// The directory, with a slash at the end.
    pub(crate) fn dir(&self) -> &[u8] {
        &self.path[..self.base]
    }

    /// A file in it.
    pub(crate) fn file(&mut self, name: &CStr) -> &[u8] {
        self.path.truncate(self.base);
        self.path.extend_from_slice(name.to_bytes());
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_names() {
        for (service, file) in [
            (b"foo".as_slice(), b"/sv/foo/down".as_slice()),
            (b"a/b", b"/sv/a/b/down"),
            (b"./foo", b"./foo/down"),
            (b".", b"./down"),
            (b"../foo", b"../foo/down"),
            (b"/x/foo", b"/x/foo/down"),
            (b"foo/", b"foo//down"),
            (b"", b"/sv//down"),
        ] {
            let mut place = Place::of(service, b"/sv");
            assert_eq!(place.file(c"supervise/status").len(), place.dir().len() + 16);
            assert_eq!(place.file(c"down"), file);
        }
    }
}
