//! Users and groups from the text of `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
//!
//! Three ways to name them are understood: runit's `user[:group...]` and `:uid:gid[:gid...]`, and busybox's `uid[:gid]`. A name
//! is looked up before it is taken as a number. The groups are exactly those listed, or the user's own one; the groups that
//! list the user as a member are not added, as with runit. Lines that are not understood, or are meant for NIS, are no account.

use sys::Errno;

/// Numbers, ready for the kernel. There is at least one group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    pub(crate) gids: Vec<u32>,
}

/// Which text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Passwd,
    Group,
}

/// Why there are no numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoIds {
    /// After a leading colon there are only numbers, and at least two.
    NotNumbers,
    /// No such user or group.
    Unknown,
    /// A table that would be needed cannot be read.
    Unreadable(Errno),
}

/// Finds what `text` names. `read` is asked for a table only when there is a name that may be in it.
pub(crate) fn resolve(text: &[u8], mut read: impl FnMut(Table) -> Result<Vec<u8>, Errno>) -> Result<Ids, NoIds> {
    if let [b':', numbers @ ..] = text {
        return by_number(numbers).ok_or(NoIds::NotNumbers);
    }
    let mut names = text.split(|&b| b == b':');
    let user = names.next().unwrap_or_default();
    let groups: Vec<&[u8]> = names.collect();
    let (uid, gid) = user_ids(user, read(Table::Passwd))?;
    if groups.is_empty() {
        return Ok(Ids { uid, gids: vec![gid] });
    }
    let table = read(Table::Group);
    let gids = groups.iter().map(|name| group_id(name, &table)).collect::<Result<_, _>>()?;
    Ok(Ids { uid, gids })
}

fn by_number(text: &[u8]) -> Option<Ids> {
    let mut numbers = text.split(|&b| b == b':').map(number);
    let uid = numbers.next()??;
    let gids: Vec<u32> = numbers.collect::<Option<_>>()?;
    (!gids.is_empty()).then_some(Ids { uid, gids })
}

/// The user's number and group. A number without an entry has the group of the same number, as with busybox.
fn user_ids(name: &[u8], passwd: Result<Vec<u8>, Errno>) -> Result<(u32, u32), NoIds> {
    let wanted = number(name);
    match (passwd, wanted) {
        (Err(e), None) => Err(NoIds::Unreadable(e)),
        (Err(_), Some(uid)) => Ok((uid, uid)),
        (Ok(table), wanted) => {
            let named = users(&table).find(|user| user.0 == name);
            let numbered = || wanted.map(|uid| users(&table).find(|user| user.1 == uid).unwrap_or((name, uid, uid)));
            named.or_else(numbered).map(|(_, uid, gid)| (uid, gid)).ok_or(NoIds::Unknown)
        }
    }
}

fn group_id(name: &[u8], table: &Result<Vec<u8>, Errno>) -> Result<u32, NoIds> {
    match (table, number(name)) {
        (Err(e), None) => Err(NoIds::Unreadable(*e)),
        (Err(_), Some(gid)) => Ok(gid),
        (Ok(table), wanted) => {
            groups(table).find(|group| group.0 == name).map(|(_, gid)| gid).or(wanted).ok_or(NoIds::Unknown)
        }
    }
}

/// `name:password:uid:gid:...`
fn users(table: &[u8]) -> impl Iterator<Item = (&[u8], u32, u32)> {
    entries(table).filter_map(|mut fields| {
        let name = fields.next()?;
        Some((name, number(fields.nth(1)?)?, number(fields.next()?)?))
    })
}

/// `name:password:gid:...`
fn groups(table: &[u8]) -> impl Iterator<Item = (&[u8], u32)> {
    entries(table).filter_map(|mut fields| {
        let name = fields.next()?;
        Some((name, number(fields.nth(1)?)?))
    })
}

fn entries(table: &[u8]) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
    let lines = table.split(|&b| b == b'\n').filter(|line| !matches!(line, [b'#' | b'+' | b'-' | b':', ..] | []));
    lines.map(|line| line.split(|&b| b == b':'))
}

/// A user's or group's number. The largest one means "leave as it is" to the kernel and is nobody's.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok().filter(|&n| n != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\n\n# comment:x:7:7\n+::0:0\nbad\nbad:x:no:1\nbad:x:4294967295:1\n\
        web:x:33:34::/:/bin/false\nweb:x:99:99\n1000:x:5:6\nlast:x:12:13";
    const GROUP: &[u8] = b"root:x:0:\nwww:x:34:a,b\naudio:x:29:web\n-nis:x:3:\n100:x:8:\nlast:x:77";

    fn ids(text: &str) -> Result<(u32, Vec<u32>), NoIds> {
        let read = |table| {
            Ok(match table {
                Table::Passwd => PASSWD.to_vec(),
                Table::Group => GROUP.to_vec(),
            })
        };
        resolve(text.as_bytes(), read).map(|ids| (ids.uid, ids.gids))
    }

    #[test]
    fn names() {
        assert_eq!(ids("root"), Ok((0, vec![0])));
        assert_eq!(ids("web"), Ok((33, vec![34])), "the first entry counts");
        assert_eq!(ids("last"), Ok((12, vec![13])));
        assert_eq!(ids("web:audio"), Ok((33, vec![29])), "its own group is not added");
        assert_eq!(ids("web:last:audio:root"), Ok((33, vec![77, 29, 0])));
        for text in ["", "we", "web2", "bad", "# comment", "+", "web:", "web:nosuch", "web:audio:", "web:-nis", "WEB"] {
            assert_eq!(ids(text), Err(NoIds::Unknown), "{text}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(ids(":1:2:3"), Ok((1, vec![2, 3])));
        for text in [":", ":1", ":1:", ":x:1", ":1:web", ":1:2:", "::1", ":4294967296:1", ":4294967295:1", ":-1:1"] {
            assert_eq!(ids(text), Err(NoIds::NotNumbers), "{text}");
        }
        assert_eq!(ids("33"), Ok((33, vec![34])), "has an entry");
        assert_eq!(ids("500"), Ok((500, vec![500])));
        assert_eq!(ids("500:29"), Ok((500, vec![29])));
        assert_eq!(ids("500:29:www"), Ok((500, vec![29, 34])));
        assert_eq!(ids("1000"), Ok((5, vec![6])), "a name first");
        assert_eq!(ids("web:100"), Ok((33, vec![8])), "a name first");
        assert_eq!(ids("4294967296"), Err(NoIds::Unknown));
    }

    #[test]
    fn without_tables() {
        let resolve = |text: &str| resolve(text.as_bytes(), |_| Err(Errno::ENOENT)).map(|ids| (ids.uid, ids.gids));
        assert_eq!(resolve("web"), Err(NoIds::Unreadable(Errno::ENOENT)));
        assert_eq!(resolve("5:www"), Err(NoIds::Unreadable(Errno::ENOENT)));
        assert_eq!(resolve("5:6"), Ok((5, vec![6])));
        assert_eq!(resolve("5"), Ok((5, vec![5])));
        assert_eq!(resolve(":5:6"), Ok((5, vec![6])));
    }
}
