//! What the DHCP service published: our address and its routers, read from its `.ipconf` file and never by a shell.

use super::target::{How, Target};
use netif::IfName;
use netif::ipconf::{File, MAX_FILE, ParseError};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use sys::Errno;
use sys::file::{CWD, read_bounded};

/// An uplink's address and routers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Our address; none: nothing was leased.
    pub address: Option<Ipv4Addr>,
    /// The routers, each once.
    pub routers: Vec<Target>,
}

/// Why a file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseError {
    /// It cannot be read.
    Read(Errno),
    /// It is none.
    Parse(ParseError),
}

impl Lease {
    /// The records of `interface` in the file; a file that is not there is an empty lease.
    pub fn read(path: &Path, interface: IfName) -> Result<Self, LeaseError> {
        match read_bounded(CWD, path, MAX_FILE) {
            Ok(bytes) => Self::parse(&bytes, interface).map_err(LeaseError::Parse),
            Err(Errno::ENOENT) => Ok(Self::default()),
            Err(e) => Err(LeaseError::Read(e)),
        }
    }

    fn parse(bytes: &[u8], interface: IfName) -> Result<Self, ParseError> {
        let mut lease = Self::default();
        for entry in File::parse(bytes)?.entries()?.entries {
            if entry.iface != interface {
                continue;
            }
            if let (None, Some(IpAddr::V4(address))) = (lease.address, entry.addr.map(netif::Prefix::addr)) {
                lease.address = Some(address);
            }
            for gw in entry.gw.into_iter().chain(entry.routes.iter().filter_map(|r| r.gw)) {
                if let IpAddr::V4(address) = gw
                    && !lease.routers.iter().any(|t| t.address == address)
                {
                    lease.routers.push(Target { address, how: How::Router });
                }
            }
        }
        Ok(lease)
    }
}

impl core::fmt::Display for LeaseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Read(e) => f.write_str(sys::errtext::errtext(*e)),
            Self::Parse(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for LeaseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routers_of_the_interface() {
        let text = b"let cfg=cfg+1\nif[$cfg]='eth0'\nip[$cfg]='192.0.2.7'\nipmask[$cfg]='192.0.2.7/24'\ngw[$cfg]='192.0.2.1'\n\
            net[$cfg]='0/0'\nroutes[$cfg]='10.0.0.0/8 192.0.2.2 10.1.0.0/16 192.0.2.1 10.2.0.0/16 0.0.0.0'\n\
            let cfg=cfg+1\nif[$cfg]='eth1'\ngw[$cfg]='198.51.100.1'\n\
            let cfg=cfg+1\nif[$cfg]='eth0'\ngw[$cfg]='2001:db8::1'\n";
        let lease = Lease::parse(text, "eth0".parse().unwrap()).unwrap();
        let routers: Vec<_> = lease.routers.iter().map(|t| t.address.to_string()).collect();
        assert_eq!(
            (lease.address, routers),
            (Some(Ipv4Addr::new(192, 0, 2, 7)), vec!["192.0.2.1".into(), "192.0.2.2".into()])
        );
        assert!(Lease::parse(b"$(reboot)\n", "eth0".parse().unwrap()).is_err());
        let nowhere = Path::new("/nowhere/x.ipconf");
        assert_eq!(Lease::read(nowhere, "eth0".parse().unwrap()), Ok(Lease::default()));
    }
}
