//! The `.cases` files.
//!
//! ```text
//! == NAME                      a case: a name, then a shell script
//! sv status foo
//! --- both                     what both print, `(exit N)` as last line when the script does not end with 0
//! down: foo: Ns
//!
//! == OTHER
//! ...
//! --- theirs                   or what they print ...
//! ...
//! --- ours: WHY                ... and what we print, and why
//! ```
//! Text before the first case is a comment; blank lines before `==` are not part of the text.

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    /// Also the name of its directory.
    pub(super) name: String,
    /// For `sh`, after `prelude.sh`.
    pub(super) script: String,
    /// Normalised output.
    pub(super) expected: Expected,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Both(String),
    Differ { theirs: String, ours: String, why: String },
}

/// What one case printed.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) ours: String,
    pub(super) theirs: String,
}

pub(super) fn parse(file: &str) -> Vec<Case> {
    let cases: Vec<Case> = format!("\n{file}").split("\n== ").skip(1).map(case).collect();
    for (i, case) in cases.iter().enumerate() {
        assert!(cases[..i].iter().all(|c| c.name != case.name), "two cases named {}", case.name);
    }
    cases
}

fn case(text: &str) -> Case {
    let (name, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut parts = rest.split("\n--- ");
    let script = parts.next().unwrap_or("").trim_end_matches('\n').to_owned() + "\n";
    let (mut both, mut theirs, mut ours) = (String::new(), None, None);
    for part in parts {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let body = body.trim_end_matches('\n');
        let body = if body.is_empty() { String::new() } else { format!("{body}\n") };
        match head.split_once(": ").unwrap_or_else(|| (head.trim_end_matches(':'), "")) {
            ("both", "") => both = body,
            ("theirs", "") => theirs = Some(body),
            ("ours", why) => ours = Some((body, why.to_owned())),
            _ => panic!("{name}: unknown part {head:?}"),
        }
    }
    let expected = match (theirs, ours) {
        (Some(theirs), Some((ours, why))) => Expected::Differ { theirs, ours, why },
        (None, None) => Expected::Both(both),
        _ => panic!("{name}: `--- theirs` and `--- ours` belong together"),
    };
    Case { name: name.trim().to_owned(), script, expected }
}

/// The file again, with what was seen as what is expected.
pub(super) fn render(file: &str, cases: &[Case], seen: &[Seen]) -> String {
    let comment = format!("\n{file}").split("\n== ").next().unwrap_or("").trim().to_owned();
    let mut out = comment + "\n";
    for (case, seen) in cases.iter().zip(seen) {
        out.push_str(&format!("\n== {}\n{}", case.name, case.script));
        if seen.ours == seen.theirs {
            out.push_str(&format!("--- both\n{}", seen.ours));
            continue;
        }
        let why = match &case.expected {
            Expected::Differ { why, .. } => why.as_str(),
            Expected::Both(_) => "",
        };
        let head = format!("--- ours: {why}");
        out.push_str(&format!("--- theirs\n{}{}\n{}", seen.theirs, head.trim_end(), seen.ours));
    }
    out
}

#[test]
fn files_round_trip() {
    let file = "Comment.\n\n== a-case\nx\ny\n--- both\nout\n\n== other\nz\n--- theirs\n1\n--- ours: better\n2\n";
    let cases = parse(file);
    assert_eq!((cases[0].name.as_str(), cases[0].script.as_str()), ("a-case", "x\ny\n"));
    assert_eq!(cases[0].expected, Expected::Both("out\n".into()));
    assert_eq!(cases[1].expected, Expected::Differ { theirs: "1\n".into(), ours: "2\n".into(), why: "better".into() });
    let seen = [("out\n", "out\n"), ("2\n", "1\n")].map(|(o, t)| Seen { ours: o.into(), theirs: t.into() });
    assert_eq!(render(file, &cases, &seen), file);
}
