//! PowerShell's wildcards, as `-like` matches them: `*`, `?`, `[abc]`, `[a-z]`, a back-tick takes
//! the next character literally; without regard to case.

/// Whether `text` is like `pattern`.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().map(fold).collect();
    matches(&text, &parts(pattern))
}

enum Part {
    Any,
    One,
    Exactly(char),
    OneOf(Vec<(char, char)>),
}

fn fold(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        parts.push(match c {
            '*' => Part::Any,
            '?' => Part::One,
            '`' => Part::Exactly(fold(rest.next().unwrap_or('`'))),
            '[' if rest.clone().any(|c| c == ']') => {
                let mut ranges = Vec::new();
                while let Some(from) = rest.next().filter(|c| *c != ']') {
                    let from = fold(from);
                    if rest.peek() == Some(&'-') && rest.clone().nth(1).is_some_and(|c| c != ']') {
                        rest.next();
                        ranges.push((from, rest.next().map_or(from, fold)));
                    } else {
                        ranges.push((from, from));
                    }
                }
                Part::OneOf(ranges)
            }
            other => Part::Exactly(fold(other)),
        });
    }
    parts
}

/// Greedy with one point to come back to: linear in practice, never exponential.
fn matches(text: &[char], parts: &[Part]) -> bool {
    let (mut at, mut part) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        let fits = match parts.get(part) {
            Some(Part::Any) => {
                retry = Some((at, part));
                part += 1;
                continue;
            }
            Some(Part::One) => true,
            Some(Part::Exactly(c)) => text[at] == *c,
            Some(Part::OneOf(ranges)) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&text[at])),
            None => false,
        };
        if fits {
            at += 1;
            part += 1;
        } else if let Some((from, any)) = retry {
            at = from + 1;
            retry = Some((at, any));
            part = any + 1;
        } else {
            return false;
        }
    }
    parts[part..].iter().all(|p| matches!(p, Part::Any))
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn like_powershell() {
        for (text, pattern) in [
            ("HR System", "hr*"),
            ("abc", "a?c"),
            ("abc", "[a-c]bc"),
            ("", "*"),
            ("a*b", "a`*b"),
            ("aXbXc", "*x*c"),
            ("ab[", "ab["),
        ] {
            assert!(is_like(text, pattern), "{text} like {pattern}");
        }
        for (text, pattern) in [("HR", "H"), ("abc", "a?"), ("dbc", "[a-c]bc"), ("axb", "a`*b"), ("", "?")] {
            assert!(!is_like(text, pattern), "{text} not like {pattern}");
        }
    }
}
