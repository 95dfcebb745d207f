//! stub
pub const DEFAULT_KEY: &str = "x";
pub struct RateLimit { pub per_window: u32, pub window: std::time::Duration }
pub struct Options { pub listen: std::net::SocketAddr, pub api_key: String, pub rate_limit: Option<RateLimit>, pub latency: std::time::Duration, pub run_seconds: f64, pub systems: usize }
pub async fn serve(_o: Options, _r: impl FnOnce(std::net::SocketAddr)) -> std::io::Result<()> { Ok(()) }
