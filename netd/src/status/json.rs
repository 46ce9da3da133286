//! The same for programs: one object, keys as below, unknown values `null`. Keys may be added, never renamed.

use super::{Status, family, health};
use crate::runs::Run;

pub(super) fn json(status: &Status) -> String {
    let links = status.links.iter().map(|l| {
        let addresses = l.addresses.iter().map(|a| {
            object(&[
                ("address", string(&a.prefix.to_string())),
                ("file", or_null(a.file.as_deref())),
                ("foreign", a.foreign.to_string()),
            ])
        });
        object(&[
            ("name", string(&l.name.to_string())),
            ("up", l.up.to_string()),
            ("carrier", l.carrier.to_string()),
            ("mtu", l.mtu.to_string()),
            ("addresses", array(addresses)),
        ])
    });
    let uplinks = status.view.uplinks.iter().map(|u| {
        object(&[
            ("interface", string(&u.link)),
            ("family", string(family(u.family))),
            ("gateway", or_null(u.gateway.map(|g| g.to_string()).as_deref())),
            ("metric", u.metric.to_string()),
            ("route", string(u.part.word())),
            ("health", or_null(health(u.health))),
            ("file", or_null(u.file.as_deref())),
            ("notes", strings(&u.notes)),
        ])
    });
    let names = status.view.names.iter().map(|n| {
        object(&[
            ("file", string(&n.file)),
            ("interface", string(&n.link.to_string())),
            ("priority", n.priority.to_string()),
            ("servers", array(n.servers.iter().map(|s| string(&s.to_string())))),
            ("search", strings(&n.search)),
        ])
    });
    let mut text = object(&[
        ("time", status.now.to_string()),
        ("interfaces", array(links)),
        ("uplinks", array(uplinks)),
        ("names", array(names)),
        ("runs", array(status.runs.iter().rev().map(run))),
        ("problems", strings(&status.problems)),
    ]);
    text.push('\n');
    text
}

fn run(run: &Run) -> String {
    object(&[
        ("time", run.began.as_secs().to_string()),
        ("seconds", format!("{:.6}", run.took.as_secs_f64())),
        ("causes", strings(&run.causes)),
        ("changes", strings(&run.did)),
        ("problems", strings(&run.not)),
    ])
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{}:{value}", string(key))).collect();
    format!("{{{}}}", members.join(","))
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn strings(items: &[String]) -> String {
    array(items.iter().map(|item| string(item)))
}

fn or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), string)
}

/// RFC 8259 §7.
fn string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{0}'..='\u{1f}' => out += &format!("\\u{:04x}", u32::from(c)),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_safe() {
        assert_eq!(string("a\"b\\c\nd\u{1}é"), r#""a\"b\\c\u000ad\u0001é""#);
    }
}
