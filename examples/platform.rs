//! A platform to send to by hand: `cargo run --example platform -- service_account --port 8080`.
//!
//! Then, in `tagcast.toml`: `[accounts.service_account]` with `app_id = "wx1"`, `secret_env =
//! "TAGCAST_SECRET"` (the secret is `s3cret`) and `base_url = "http://127.0.0.1:8080"`.

#[path = "../tests/platforms/mod.rs"]
mod platforms;

use platforms::Server;
use platforms::alipay::Alipay;
use platforms::douyin::Douyin;
use platforms::webhook::Receiver;
use platforms::wechat::WeChat;
use platforms::wecom::WeCom;

const APP: &str = "wx1";
const SECRET: &str = "s3cret";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let port = args
        .iter()
        .position(|a| a == "--port")
        .and_then(|i| args.get(i + 1))
        .and_then(|p| p.parse().ok())
        .unwrap_or(8080);
    let server = match args.first().map(String::as_str) {
        Some("service_account") => Server::on_port(WeChat::new(APP, SECRET), port),
        Some("subscription_account") => Server::on_port(WeChat::subscription(APP, SECRET), port),
        Some("wecom") => Server::on_port(WeCom::new(APP, SECRET), port),
        Some("alipay") => Server::on_port(Alipay::new(APP), port),
        Some("douyin") => Server::on_port(Douyin::new(APP), port),
        Some("webhook") => Server::on_port(Receiver::new(SECRET), port),
        _ => {
            eprintln!(
                "which platform? service_account, subscription_account, wecom, alipay, douyin, webhook [--port 8080]"
            );
            std::process::exit(2);
        }
    };
    println!(
        "{} listens at {}",
        args.first().map_or("", String::as_str),
        server.url
    );
    server.wait();
}
