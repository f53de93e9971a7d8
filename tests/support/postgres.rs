//! A PostgreSQL server of one's own, from the distribution's package, in a temporary folder: for
//! tests that need several processes at one ledger. It ends with the process that started it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// `nobody`: the server refuses to run as root.
const NOBODY: u32 = 65_534;

struct Server {
    folder: PathBuf,
    /// The end of its input is the server's end.
    _shell: Child,
    databases: AtomicU32,
}

/// The latest version that is installed. Without one the tests that need it are left out, but not
/// in CI, which installs it.
fn binaries() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries
                .filter_map(|e| Some(e.ok()?.path().join("bin")))
                .collect()
        })
        .unwrap_or_default();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    let latest = versions.pop();
    if latest.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "PostgreSQL is not installed: `apt-get install -y postgresql`"
        );
        eprintln!("left out: PostgreSQL is not installed (`apt-get install -y postgresql`)");
    }
    latest
}

fn as_nobody(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    if std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn server(bin: &Path) -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("tagcast-postgres").tempdir().unwrap().keep();
        // Without root it is one's own, and so is the server.
        let _ = chown(&folder, Some(NOBODY), Some(NOBODY));
        let data = folder.join("data");
        let made = as_nobody(bin.join("initdb"))
            .args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=tagcast", "-D"])
            .arg(&data)
            .status()
            .unwrap();
        assert!(made.success(), "initdb");
        // When the test's process ends, the shell reads the end of its input and stops the server,
        // then the folder goes.
        let script = "\"$1\" -D \"$2\" -k \"$3\" -c listen_addresses= -c max_connections=60 >/dev/null 2>&1 & p=$!; read _; kill -INT $p; wait $p; rm -rf \"$3\"";
        let shell = as_nobody("/bin/sh".into())
            .args(["-c", script, "sh"])
            .arg(bin.join("postgres"))
            .arg(&data)
            .arg(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Server { _shell: shell, folder, databases: AtomicU32::new(0) };
        let began = Instant::now();
        while connect(&server.folder, "postgres").is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the server does not start");
            std::thread::sleep(Duration::from_millis(30));
        }
        server
    })
}

fn url(folder: &Path, database: &str) -> String {
    format!("host={} user=tagcast dbname={database}", folder.display())
}

fn connect(folder: &Path, database: &str) -> Result<postgres::Client, postgres::Error> {
    postgres::Client::connect(&url(folder, database), postgres::NoTls)
}

/// The URL of a new, empty database; `None` when PostgreSQL is not installed.
pub fn database() -> Option<String> {
    let server = server(&binaries()?);
    let name = format!("t{}", server.databases.fetch_add(1, Ordering::SeqCst));
    connect(&server.folder, "postgres")
        .unwrap()
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .unwrap();
    Some(url(&server.folder, &name))
}

/// Runs statements in a database as somebody else would.
pub fn execute(url: &str, sql: &str) {
    postgres::Client::connect(url, postgres::NoTls)
        .unwrap()
        .batch_execute(sql)
        .unwrap();
}

/// A number from a database.
pub fn number(url: &str, sql: &str) -> i64 {
    postgres::Client::connect(url, postgres::NoTls)
        .unwrap()
        .query_one(sql, &[])
        .unwrap()
        .get(0)
}

/// Cuts all other connections to a database, as a network does; where two do it at once, one cuts
/// the other.
pub fn cut(url: &str) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let _ = postgres::Client::connect(url, postgres::NoTls)
        .and_then(|mut client| client.batch_execute(sql));
}

/// Nobody can connect to a database, or everybody again.
pub fn lock_out(url: &str, out: bool) {
    let (server, name) = url.rsplit_once("dbname=").unwrap();
    let server = format!("{server}dbname=postgres");
    execute(
        &server,
        &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", !out),
    );
    if out {
        execute(
            &server,
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            ),
        );
    }
}
