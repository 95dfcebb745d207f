//! Times as the server writes them. It has two forms: what was stored in its database (microseconds, `+00:00`)
//! and what it has just made (ten-millionths, `Z`); both lose trailing zeros.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// `2026-11-22T23:09:58.782832+00:00`
pub(super) fn stored(at: DateTime<Utc>) -> String {
    format!("{}+00:00", trimmed(&at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()))
}

/// `2026-11-22T23:11:02.8732376Z`
pub(super) fn fresh(at: DateTime<Utc>) -> String {
    let text = at.format("%Y-%m-%dT%H:%M:%S%.9f").to_string();
    // .NET ticks: seven digits.
    let ticks = text.get(..text.len().saturating_sub(2)).unwrap_or(&text);
    format!("{}Z", trimmed(ticks))
}

/// A database keeps microseconds only.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

fn trimmed(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((_, _)) => text.trim_end_matches('0').trim_end_matches('.'),
        None => text,
    }
}

/// A .NET TimeSpan: `[d.]hh:mm:ss[.fffffff]`; the database leaves the last digit zero.
pub(super) fn span(length: TimeDelta) -> String {
    let micros = length.num_microseconds().unwrap_or_default().max(0);
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let day_part = if days > 0 { format!("{days}.") } else { String::new() };
    let fraction = if rest > 0 { format!(".{rest:06}0") } else { String::new() };
    format!("{day_part}{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60)
}

/// Seconds as a JSON number with microsecond precision.
pub(super) fn seconds(length: TimeDelta) -> f64 {
    length.num_microseconds().unwrap_or_default() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn both_forms_drop_trailing_zeros() {
        assert_eq!(stored(at("2026-11-22T23:09:59.954540Z")), "2026-11-22T23:09:59.95454+00:00");
        assert_eq!(stored(at("2026-11-22T23:10:00Z")), "2026-11-22T23:10:00+00:00");
        assert_eq!(fresh(at("2026-11-22T23:11:02.873237600Z")), "2026-11-22T23:11:02.8732376Z");
        assert_eq!(fresh(at("2026-11-22T23:11:02.105284Z")), "2026-11-22T23:11:02.105284Z");
    }

    #[test]
    fn spans_have_days_and_seven_digits() {
        assert_eq!(span(TimeDelta::microseconds(9_256_742)), "00:00:09.2567420");
        assert_eq!(span(TimeDelta::days(90)), "90.00:00:00");
    }
}
