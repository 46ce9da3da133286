//! The screen.

use super::{Status, family, health};
use crate::runs::Run;
use std::path::Path;

/// Runs that are shown, the newest first.
const RUNS: usize = 3;

/// Changes of a run that are shown.
const CHANGES: usize = 8;

pub(super) fn text(status: &Status) -> String {
    let view = &status.view;
    let mut rows = vec![row(["interface", "state", "mtu", "addresses"])];
    for link in &status.links {
        let addresses = link.addresses.iter().map(|a| match (&a.file, a.foreign) {
            (Some(file), false) => format!("{} ({file})", a.prefix),
            (Some(file), true) => format!("{} ({file}, set by somebody else)", a.prefix),
            (None, false) => format!("{} (of an earlier run)", a.prefix),
            (None, true) => a.prefix.to_string(),
        });
        let state = match (link.up, link.carrier) {
            (true, true) => "up",
            (true, false) => "no cable",
            (false, _) => "down",
        };
        let addresses = addresses.collect::<Vec<_>>().join("  ");
        rows.push(row([&link.name.to_string(), state, &link.mtu.to_string(), &addresses]));
    }
    let mut text = table(&rows);
    let mut rows = vec![row(["uplink", "family", "via", "metric", "route", "health", "file", "notes"])];
    for u in &view.uplinks {
        let gateway = u.gateway.map_or_else(|| "-".to_owned(), |g| g.to_string());
        let metric = u.metric.to_string();
        let file = u.file.as_deref().unwrap_or("(not ours)");
        let health = health(u.health).unwrap_or("-");
        rows.push(row([
            &u.link,
            family(u.family),
            &gateway,
            &metric,
            u.part.word(),
            health,
            file,
            &u.notes.join("; "),
        ]));
    }
    text += &section(&rows, "no uplink");
    let mut rows = vec![row(["names from", "priority", "servers", "search"])];
    for n in &view.names {
        let servers = n.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        rows.push(row([&n.file, &n.priority.to_string(), dash(&servers), dash(&n.search.join(" "))]));
    }
    text += &section(&rows, "no name servers");
    text += "\n";
    if status.runs.is_empty() {
        text += "netd apply has not run yet\n";
    }
    for run in status.runs.iter().rev().take(RUNS) {
        text += &line(run, status.now);
        let what = run.did.iter().map(String::clone).chain(run.not.iter().map(|n| format!("not: {n}")));
        let all: Vec<String> = what.collect();
        all.iter().take(CHANGES).for_each(|w| text.extend(["    ", w, "\n"]));
        if all.len() > CHANGES {
            text += &format!("    ... and {} more\n", all.len() - CHANGES);
        }
    }
    for problem in &status.problems {
        text.extend(["problem: ", problem, "\n"]);
    }
    text
}

fn line(run: &Run, now: u64) -> String {
    let ago = now.saturating_sub(run.began.as_secs());
    let name = |path: &String| Path::new(path).file_name().map_or_else(|| path.clone(), |n| n.to_string_lossy().into());
    let causes: Vec<String> = run.causes.iter().map(name).collect();
    let cause = if causes.is_empty() { "no file had changed".to_owned() } else { causes.join(", ") };
    let changes = match run.did.len() {
        0 => "nothing to do".to_owned(),
        1 => "1 change".to_owned(),
        n => format!("{n} changes"),
    };
    format!("run {ago} s ago, {:.1} ms: {cause}: {changes}\n", run.took.as_secs_f64() * 1000.0)
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// A table with a blank line before it; `none` when there is nothing below its head.
fn section(rows: &[Vec<String>], none: &str) -> String {
    if rows.len() > 1 { format!("\n{}", table(rows)) } else { format!("\n{none}\n") }
}

/// Columns as wide as their widest cell, the last one without blanks behind it.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|r| r.get(at)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let line: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        text.extend([line.trim_end(), "\n"]);
    }
    text
}
