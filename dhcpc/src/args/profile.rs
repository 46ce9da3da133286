//! From options to what every message says.

use super::{UsageError, expected};
use crate::message::{ClientId, Profile, code, name};

/// udhcpc's parameter list, ascending as it sends it.
pub(super) const UDHCPC_LIST: [u8; 7] = [1, 3, 6, 12, 15, 28, 42];
/// What we publish, routes first (RFC 3442: 121 before 3 and 33).
pub(super) const NATIVE_LIST: [u8; 13] = [1, 121, 3, 33, 6, 15, 119, 26, 28, 42, 51, 58, 59];
/// RFC 7844 §3.6: what everybody needs.
pub(super) const ANONYMOUS_LIST: [u8; 5] = [1, 121, 3, 6, 15];
/// udhcpc's name for itself, which servers match by its beginning.
pub(super) const VENDOR: &str = concat!("udhcp portreeve-", env!("CARGO_PKG_VERSION"));

/// The profile but for what the caller knows better: the list, the flags.
pub(super) fn build(
    mut options: Vec<(u8, Vec<u8>)>,
    vendor: Option<String>,
    no_client_id: bool,
    native: bool,
) -> Profile {
    let given_id = options.iter().position(|o| o.0 == code::CLIENT_ID).map(|at| options.remove(at).1);
    let client_id = match given_id {
        Some(id) if id.is_empty() => ClientId::None,
        Some(id) => ClientId::Given(id),
        None if no_client_id => ClientId::None,
        None => ClientId::Mac,
    };
    // Natively nobody is told what we are.
    let vendor = vendor.or_else(|| (!native).then(|| VENDOR.to_owned())).filter(|v| !v.is_empty());
    if let Some(vendor) = vendor
        && options.iter().all(|o| o.0 != code::VENDOR_CLASS)
    {
        options.push((code::VENDOR_CLASS, vendor.into_bytes()));
    }
    // RFC 4702 §3.1: not both names at once.
    if options.iter().any(|o| o.0 == code::FQDN) {
        options.retain(|o| o.0 != code::HOST_NAME);
    }
    options.sort_by_key(|o| o.0);
    Profile { client_id, max_size: 576, requested: Vec::new(), options, broadcast: false, rapid_commit: false }
}

/// Defaults and `-O`, each once. udhcpc sends them ascending, but RFC 3442 wants 121 before 3 and 33.
pub(super) fn parameter_list(defaults: &[u8], wanted: &[u8], native: bool) -> Vec<u8> {
    let mut list = defaults.to_vec();
    for code in wanted {
        if !list.contains(code) {
            list.push(*code);
        }
    }
    if !native {
        list.sort_unstable();
        let first = list.iter().position(|c| matches!(*c, code::ROUTER | code::STATIC_ROUTES));
        let classless = list.iter().position(|c| *c == code::CLASSLESS_ROUTES);
        if let (Some(to), Some(from)) = (first, classless)
            && to < from
        {
            let moved = list.remove(from);
            list.insert(to, moved);
        }
    }
    list
}

/// As busybox sends its list, 121 behind 3 and 33.
pub(super) fn ascending(mut list: Vec<u8>) -> Vec<u8> {
    list.sort_unstable();
    list
}

/// RFC 4702 §2: the server is to update DNS (S), the name is in wire form (E); a name without dots is a partial one.
pub(super) fn fqdn(full: &str) -> Result<Vec<u8>, UsageError> {
    let mut out = vec![0x05, 0, 0];
    if !name::encode(full.as_bytes(), &mut out) {
        return Err(UsageError(expected("-F", "a host's name")));
    }
    if !full.contains('.') {
        out.pop();
    }
    Ok(out)
}
