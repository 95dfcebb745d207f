//! What may be sent again, after which wait, and the gate that pauses the whole connection on 429.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The numbers of retrying.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Retries after a connection failure or 502/503/504. Default 3.
    pub transport_retries: u32,
    /// Retries after 429. Default 5, as scripts of the official module know it.
    pub rate_limit_retries: u32,
    /// First wait after a connection failure; each further one is three times as long. Default 300 ms.
    pub base_delay: Duration,
    /// Bounds of a wait the server asks for. Default 1 s to 60 s.
    pub shortest_wait: Duration,
    pub longest_wait: Duration,
    /// Test seam: every wait is multiplied by it. Default 1.
    pub scale: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            transport_retries: 3,
            rate_limit_retries: 5,
            base_delay: Duration::from_millis(300),
            shortest_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            scale: 1.0,
        }
    }
}

impl RetryPolicy {
    /// The wait before transport retry `attempt` (from 0). Jitter takes up to half of it away,
    /// so that many sessions that lost the same server don't come back in one moment.
    pub(super) fn backoff(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        match asked {
            Some(asked) => asked.clamp(self.shortest_wait, self.longest_wait),
            None => {
                let full = self.base_delay.saturating_mul(3_u32.saturating_pow(attempt)).min(self.longest_wait);
                full.mul_f64(0.5 + fastrand::f64() / 2.0)
            }
        }
    }

    /// The wait after a 429, `attempt` from 0: what the server asks for, else 2, 4, 8 … seconds.
    pub(super) fn rate_limit_wait(&self, attempt: u32, asked: Option<Duration>) -> Duration {
        asked
            .unwrap_or_else(|| Duration::from_secs(2).saturating_mul(2_u32.saturating_pow(attempt)))
            .clamp(self.shortest_wait, self.longest_wait)
    }

    pub(super) fn scaled(&self, wait: Duration) -> Duration {
        Duration::try_from_secs_f64(wait.as_secs_f64() * self.scale).unwrap_or(wait)
    }
}

/// `Retry-After`: seconds or a date (RFC 9110, 10.2.3). A date in the past is no wait at all.
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

/// While it is shut, nobody on the connection sends: the server's limit counts the key, not the call.
#[derive(Debug, Default)]
pub(super) struct Gate {
    opens: Mutex<Option<Instant>>,
}

impl Gate {
    /// Shuts the gate for `wait` from now; a longer pause that runs already stays. Whether it was open.
    pub(super) fn shut_for(&self, wait: Duration) -> bool {
        let mut opens = self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let until = now + wait;
        let was_open = opens.is_none_or(|earlier| earlier <= now);
        if opens.is_none_or(|earlier| earlier < until) {
            *opens = Some(until);
        }
        was_open
    }

    /// What is left of a pause.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let opens = *self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        opens.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Returns once the gate is open. Dropping the future gives up waiting.
    pub(super) async fn pass(&self) {
        while let Some(left) = self.remaining() {
            tokio::time::sleep(left).await;
        }
    }
}

/// What happens on the way to an answer; `Display` gives the verbose line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An attempt begins: from here on the server may have carried the request out.
    Sending,
    /// The server answered 429.
    RateLimited { wait: Duration, retry: u32, of: u32 },
    /// Another call on this connection was told to wait, so this one waits too.
    Paused { left: Duration },
    /// A failure that may pass.
    Retrying { reason: String, wait: Duration, retry: u32, of: u32 },
    /// The server sent us to another path of its own.
    Redirected { path: String },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sending => write!(f, "Sending."),
            Self::RateLimited { wait, retry, of } => {
                write!(f, "The server asked to wait {} (429), retry {retry} of {of}.", Seconds(*wait))
            }
            Self::Paused { left } => {
                write!(f, "Waiting {}: the server limits the rate of this connection (429).", Seconds(*left))
            }
            Self::Retrying { reason, wait, retry, of } => {
                write!(f, "{reason} Retry {retry} of {of} in {}.", Seconds(*wait))
            }
            Self::Redirected { path } => write!(f, "The server redirects to {path}."),
        }
    }
}

/// A duration for people: whole seconds where it has any, else one decimal.
pub(super) struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds >= 10.0 || seconds.fract() == 0.0 {
            write!(f, "{seconds:.0} s")
        } else {
            write!(f, "{seconds:.1} s")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |text| parse_retry_after(text, now);
        assert_eq!(read("60"), Some(S(60)));
        assert_eq!(read(" 7 "), Some(S(7)));
        assert_eq!(read("99999999999999999999999"), Some(S(u64::MAX)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:57 GMT"), Some(S(20)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(S(0)));
        for bad in ["", "soon", "-5", "1.5"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_rate_limit_wait_is_what_the_server_asks_within_bounds() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.rate_limit_wait(0, Some(S(12))), S(12));
        assert_eq!(policy.rate_limit_wait(0, Some(S(0))), S(1));
        assert_eq!(policy.rate_limit_wait(0, Some(S(86_400))), S(60));
        let unasked: Vec<_> = (0..6).map(|n| policy.rate_limit_wait(n, None)).collect();
        assert_eq!(unasked, [2, 4, 8, 16, 32, 60].map(S));
        assert_eq!(policy.rate_limit_wait(u32::MAX, None), S(60));
    }

    #[test]
    fn backoff_grows_with_jitter_and_stays_bounded() {
        let policy = RetryPolicy::default();
        for attempt in 0..8 {
            let full = Duration::from_millis(300).saturating_mul(3_u32.pow(attempt)).min(S(60));
            for _ in 0..50 {
                let wait = policy.backoff(attempt, None);
                assert!(wait >= full / 2 && wait <= full, "{attempt}: {wait:?}");
            }
        }
        assert_eq!(policy.backoff(0, Some(S(5))), S(5));
    }

    #[tokio::test]
    async fn a_shorter_pause_never_opens_the_gate_early() {
        let gate = Gate::default();
        assert!(gate.shut_for(Duration::from_millis(80)));
        assert!(!gate.shut_for(Duration::from_millis(1)));
        let start = Instant::now();
        gate.pass().await;
        assert!(start.elapsed() >= Duration::from_millis(75));
        assert_eq!(gate.remaining(), None);
    }

    #[test]
    fn verbose_lines_say_how_long_and_how_often() {
        let event = Event::RateLimited { wait: S(12), retry: 1, of: 5 };
        assert_eq!(event.to_string(), "The server asked to wait 12 s (429), retry 1 of 5.");
        assert_eq!(Seconds(Duration::from_millis(300)).to_string(), "0.3 s");
    }
}
