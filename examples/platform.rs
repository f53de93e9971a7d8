//! A platform to send to by hand: `cargo run --example platform -- service_account --port 8080`.
//!
//! Then, in `tagcast.toml`: `[accounts.service_account]` with `app_id = "wx1"`, `secret_env = "TAGCAST_SECRET"` (the secret is `s3cret`) and
//! `base_url = "http://127.0.0.1:8080"`.

#[path = "../tests/platforms/mod.rs"]
mod platforms;

use platforms::Server;
use platforms::webhook::Receiver;
use platforms::wechat::WeChat;

const APP: &str = "wx1";
const SECRET: &str = "s3cret";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let port = args.iter().position(|a| a == "--port").and_then(|i| args.get(i + 1)).and_then(|p| p.parse().ok()).unwrap_or(8080);
    let server = match args.first().map(String::as_str) {
        Some("service_account") => Server::on_port(WeChat::new(APP, SECRET), port),
        Some("subscription_account") => Server::on_port(WeChat::subscription(APP, SECRET), port),
        Some("webhook") => Server::on_port(Receiver::new(SECRET), port),
        _ => {
            eprintln!("which platform? service_account, subscription_account, webhook [--port 8080]");
            std::process::exit(2);
        }
    };
    println!("{} listens at {}", args.first().map_or("", String::as_str), server.url);
    server.wait();
}
