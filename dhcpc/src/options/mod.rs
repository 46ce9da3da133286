//! What each option is called and how its value looks: the one table behind the script's environment ([`text`]), the command
//! line's `-x` and `-O` ([`parse`]) and what is published. Names and formats are udhcpc's.

pub mod dnr;
pub mod parse;
pub mod routes;
pub mod text;

/// How the bytes of an option are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One address (more are printed if the server sent more).
    Ip,
    /// Addresses.
    IpList,
    /// Pairs of addresses, `DEST/ROUTER`.
    IpPairs,
    /// A name for hosts and domains: `[A-Za-z0-9._-]`, no leading dash, else `bad`.
    Host,
    /// Printable ASCII.
    Text,
    /// Unsigned, one byte.
    U8,
    /// Unsigned, two bytes.
    U16,
    /// Unsigned, four bytes.
    U32,
    /// Signed, four bytes.
    S32,
    /// Domain names (RFC 1035 wire form, compressed).
    Names,
    /// SIP servers (RFC 3361): a type byte, then names or addresses.
    Sip,
    /// RFC 3442 routes, `NET/LEN ROUTER`.
    Routes,
    /// RFC 5969.
    SixRd,
}

/// One line of [`TABLE`].
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Option code.
    pub code: u8,
    /// udhcpc's variable name, also accepted by `-O` and `-x`.
    pub name: &'static str,
    /// How the value looks.
    pub format: Format,
}

const fn known(code: u8, name: &'static str, format: Format) -> Known {
    Known { code, name, format }
}

/// Every option with a name, ascending by code. All others are `optNNN` in hex.
pub const TABLE: &[Known] = &[
    known(1, "subnet", Format::Ip),
    known(2, "timezone", Format::S32),
    known(3, "router", Format::IpList),
    known(6, "dns", Format::IpList),
    known(9, "lprsrv", Format::IpList),
    known(12, "hostname", Format::Host),
    known(13, "bootsize", Format::U16),
    known(15, "domain", Format::Host),
    known(16, "swapsrv", Format::Ip),
    known(17, "rootpath", Format::Text),
    known(23, "ipttl", Format::U8),
    known(26, "mtu", Format::U16),
    known(28, "broadcast", Format::Ip),
    known(33, "routes", Format::IpPairs),
    known(40, "nisdomain", Format::Host),
    known(41, "nissrv", Format::IpList),
    known(42, "ntpsrv", Format::IpList),
    known(44, "wins", Format::IpList),
    known(51, "lease", Format::U32),
    known(54, "serverid", Format::Ip),
    known(56, "message", Format::Text),
    known(60, "vendor", Format::Text),
    known(66, "tftp", Format::Host),
    known(67, "bootfile", Format::Text),
    known(100, "tzstr", Format::Text),
    known(101, "tzdbstr", Format::Text),
    known(119, "search", Format::Names),
    known(120, "sipsrv", Format::Sip),
    known(121, "staticroutes", Format::Routes),
    known(132, "vlanid", Format::U16),
    known(133, "vlanpriority", Format::U8),
    known(209, "pxeconffile", Format::Text),
    known(210, "pxepathprefix", Format::Text),
    known(211, "reboottime", Format::U32),
    known(212, "ip6rd", Format::SixRd),
    known(249, "msstaticroutes", Format::Routes),
    known(252, "wpad", Format::Text),
];

/// The table's line for `code`.
pub fn by_code(code: u8) -> Option<&'static Known> {
    TABLE.binary_search_by_key(&code, |k| k.code).ok().and_then(|i| TABLE.get(i))
}

/// The table's line for `name`.
pub fn by_name(name: &str) -> Option<&'static Known> {
    TABLE.iter().find(|k| k.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_ascending_and_names_are_unique() {
        assert!(TABLE.is_sorted_by(|a, b| a.code < b.code));
        for k in TABLE {
            assert_eq!(by_code(k.code).map(|f| f.name), Some(k.name));
            assert_eq!(by_name(k.name).map(|f| f.code), Some(k.code));
        }
        assert!(by_code(53).is_none());
    }
}
