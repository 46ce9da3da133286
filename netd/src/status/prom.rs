//! The figures in Prometheus' text format.

use crate::state::object::Link;
use crate::state::view::{Part, View};
use netif::ipconf::Health;

const LAST_CHANGE: &str = "portreeve_last_change_timestamp_seconds";

pub(super) fn text(links: &[Link], view: &View, not: usize, last_change: u64) -> String {
    let mut out = String::new();
    let mut family = |name: &str, help: &str, samples: Vec<(Vec<(&str, &str)>, String)>| {
        if samples.is_empty() {
            return;
        }
        out += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (labels, value) in samples {
            let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            out += &format!("{name}{labels} {value}\n");
        }
    };
    let bit = |b: bool| u8::from(b).to_string();
    let names: Vec<String> = links.iter().map(|l| l.name.to_string()).collect();
    let up = links.iter().zip(&names).map(|(l, name)| (vec![("interface", name.as_str())], bit(l.up)));
    family("portreeve_interface_up", "Whether the interface is administratively up.", up.collect());
    let uplinks: Vec<_> = view
        .uplinks
        .iter()
        .map(|u| {
            let labels = vec![
                ("interface", u.link.as_str()),
                ("family", super::family(u.family)),
                ("file", u.file.as_deref().unwrap_or("")),
            ];
            (labels, u)
        })
        .collect();
    let used = uplinks.iter().map(|(labels, u)| (labels.clone(), bit(u.part == Part::Used)));
    family("portreeve_uplink_used", "Whether the default route in use is this uplink's.", used.collect());
    let health = uplinks.iter().filter_map(|(labels, u)| Some((labels.clone(), bit(u.health? == Health::Up))));
    family("portreeve_uplink_healthy", "What the prober of the uplink says, where there is one.", health.collect());
    let metric = uplinks.iter().map(|(labels, u)| (labels.clone(), u.metric.to_string()));
    family("portreeve_uplink_metric", "The metric of the uplink's default route.", metric.collect());
    let servers = view.names.iter().map(|n| (vec![("file", n.file.as_str())], n.servers.len().to_string()));
    family("portreeve_name_servers", "Name servers a file names.", servers.collect());
    family("portreeve_problems", "What the last run could not make so.", vec![(Vec::new(), not.to_string())]);
    let help = "When a run last changed the network (Unix time).";
    family(LAST_CHANGE, help, vec![(Vec::new(), last_change.to_string())]);
    out
}

/// What the file that is there says.
pub(super) fn last_change(old: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(old).ok()?;
    text.lines().find_map(|line| line.strip_prefix(LAST_CHANGE)?.trim().parse().ok())
}

fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_last_change_reads_back() {
        let text = text(&[], &View::default(), 3, 1_732_312_331);
        assert_eq!(last_change(text.as_bytes()), Some(1_732_312_331));
        assert!(text.contains("portreeve_problems 3\n"));
        assert_eq!(last_change(b"x"), None);
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\n"), r#"a\"b\\c\n"#);
    }
}
