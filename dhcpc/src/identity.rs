//! Who we are to every server, whatever the hardware: the DUID of RFC 8415 §11.5 (a random UUID), kept as hex digits in the
//! state directory, and with the interface's number the client id of RFC 4361. DHCPv6 uses the same.

use crate::log::Log;
use crate::options::text::hex;
use netif::IfName;
use netif::random::{Random, entropy};
use std::path::Path;
use sys::Errno;
use sys::file::{CWD, Durability, make_dir, read_bounded, replace};

/// DUID-UUID.
const TYPE: [u8; 2] = [0, 4];
const LEN: usize = 18;
/// RFC 4361 §6.1: the type byte of a client id made of IAID and DUID.
const CLIENT_ID_TYPE: u8 = 255;

/// The client id of `interface`; none when there is no DUID and none can be kept.
pub(crate) fn client_id(dir: &Path, interface: IfName, log: &Log) -> Option<Vec<u8>> {
    let path = dir.join("duid");
    let duid = match read_bounded(CWD, &path, 256).map(|text| parse(&text)) {
        Ok(Some(duid)) => duid,
        Ok(None) => {
            log.warn(&format!("{} not used: expected 36 hex digits", path.display()));
            return None;
        }
        Err(Errno::ENOENT) => match make(dir, &path) {
            Ok(duid) => duid,
            Err(e) => {
                log.warn_errno(&format!("unable to write {}", path.display()), e);
                return None;
            }
        },
        Err(e) => {
            log.warn_errno(&format!("unable to read {}", path.display()), e);
            return None;
        }
    };
    Some(build(interface, &duid))
}

/// RFC 4361 §6.1. The IAID comes from the interface's name, which stays when the hardware is replaced.
fn build(interface: IfName, duid: &[u8; LEN]) -> Vec<u8> {
    let iaid = crate::remember::crc32(interface.as_bytes()).to_be_bytes();
    [&[CLIENT_ID_TYPE], iaid.as_slice(), duid].concat()
}

fn make(dir: &Path, path: &Path) -> Result<[u8; LEN], Errno> {
    let mut duid = [0; LEN];
    let (kind, uuid) = duid.split_at_mut(TYPE.len());
    kind.copy_from_slice(&TYPE);
    for part in uuid.chunks_mut(8) {
        part.copy_from_slice(&Random::new(entropy()?).bits64().to_be_bytes()[..part.len()]);
    }
    // RFC 9562 §5.4: version 4, variant 2.
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let text = format!("{}\n", hex(&duid));
    let write =
        || replace(CWD, path.with_extension("new").as_path(), path, text.as_bytes(), 0o644, Durability::PowerLoss);
    match write() {
        Err(Errno::ENOENT) => make_dir(CWD, dir, 0o755).and_then(|()| write())?,
        other => other?,
    }
    Ok(duid)
}

fn parse(text: &[u8]) -> Option<[u8; LEN]> {
    let digits = text.strip_suffix(b"\n").unwrap_or(text);
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|&[h, l]| Some(digit(h)? << 4 | digit(l)?)).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D21: 255, four bytes that only depend on the interface's name, the DUID.
    #[test]
    fn d21_client_id() {
        let duid = parse(b"0004000102030405060708090a0b0c0d0e0f\n").unwrap();
        let id = build("eth0".parse().unwrap(), &duid);
        assert_eq!((id.len(), id[0], &id[5..]), (23, 255, duid.as_slice()));
        assert_eq!(build("eth0".parse().unwrap(), &duid), id);
        assert_ne!(build("eth1".parse().unwrap(), &duid), id);
        for bad in [b"".as_slice(), b"0004", b"0004000102030405060708090a0b0c0d0e0g", &[b'0'; 37]] {
            assert_eq!(parse(bad), None);
        }
    }
}
