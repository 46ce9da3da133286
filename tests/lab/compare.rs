//! Comparing texts the way a reader wants to see it.

/// `None` when equal, else all lines of both with `-` (only expected) and `+` (only got) marks.
pub fn difference(got: &str, expected: &str) -> Option<String> {
    if got == expected {
        return None;
    }
    let (g, e): (Vec<_>, Vec<_>) = (got.split_inclusive('\n').collect(), expected.split_inclusive('\n').collect());
    let common = common_lengths(&g, &e);
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < g.len() || j < e.len() {
        let (mark, line) = if i < g.len() && j < e.len() && g[i] == e[j] {
            (i, j) = (i + 1, j + 1);
            (' ', e[j - 1])
        } else if j < e.len() && (i == g.len() || common[i][j + 1] >= common[i + 1][j]) {
            j += 1;
            ('-', e[j - 1])
        } else {
            i += 1;
            ('+', g[i - 1])
        };
        out.push(mark);
        out.push_str(&format!("{:?}", line).replace("\\n\"", "").trim_matches('"').replace("\\\"", "\""));
        out.push_str(if line.ends_with('\n') { "\n" } else { "\n  (no line end)\n" });
    }
    Some(out)
}

/// Longest common subsequence of every pair of tails.
fn common_lengths(g: &[&str], e: &[&str]) -> Vec<Vec<usize>> {
    let mut c = vec![vec![0; e.len() + 1]; g.len() + 1];
    for i in (0..g.len()).rev() {
        for j in (0..e.len()).rev() {
            c[i][j] = if g[i] == e[j] { c[i + 1][j + 1] + 1 } else { c[i + 1][j].max(c[i][j + 1]) };
        }
    }
    c
}

/// Whether `text` is `pattern`, in which `*` stands for anything within a line and `#` for a decimal number.
pub fn matches(text: &str, pattern: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => {
            let line = text.find('\n').unwrap_or(text.len());
            (0..=line).filter(|&n| text.is_char_boundary(n)).any(|n| matches(&text[n..], rest))
        }
        '#' => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            digits > 0 && matches(&text[digits..], rest)
        }
        c => text.strip_prefix(c).is_some_and(|t| matches(t, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_shows_both_sides() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nx\nc\n", "a\nb\nc\n").unwrap(), " a\n-b\n+x\n c\n");
        assert_eq!(difference("a", "a\n").unwrap(), "-a\n+a\n  (no line end)\n");
        assert_eq!(difference("a\n", "").unwrap(), "+a\n");
    }

    #[test]
    fn patterns() {
        assert!(matches("run: x: (pid 12) 3s\n", "run: x: (pid #) #s\n"));
        assert!(matches("run: x: (pid 12) 3s, paused\n", "run: *paused\n"));
        assert!(!matches("run: x: (pid ) 3s\n", "run: x: (pid #) #s\n"));
        assert!(!matches("a\nb\n", "a*b\n"));
        assert!(matches("", "") && matches("", "*") && !matches("a", ""));
    }
}
