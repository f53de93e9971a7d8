//! How long a check takes, as a person waits for it: the whole process, from the command to its
//! last line.
//!
//! `cargo bench --bench check`. Goals: one file 10 ms, 1,000 files of 100 lines 1 s.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

const FILES: usize = 1_000;
const LINES: usize = 100;

/// What one generated campaign takes: six lines.
fn campaign(file: usize, n: usize) -> String {
    let region = ["Shanghai", "Beijing", "Zhejiang"][n % 3];
    let (digit, day) = (n % 9 + 1, n % 9 + 1);
    format!(
        "campaign c{file}_{n} {{\n  when (region == \"{region}\" and coupon_rate > 0.{digit} and count(purchase, last 30 days) >= {n}) \
         except churn_risk ?? 100% > 0.8\n  send template t{file}\n  at 2027-12-0{day} 10:00\n  goal purchase within 7 days\n}}\n"
    )
}

fn program(folder: &Path) {
    std::fs::write(folder.join("tagcast.toml"), "").expect("a folder to write to");
    let tags = "tag region enum(\"Shanghai\", \"Beijing\", \"Zhejiang\") base\ntag coupon_rate ratio behavior\n\
                tag churn_risk ratio predicted\ntag name text(20) base\nevent purchase { amount money }\n";
    std::fs::write(folder.join("tags.campaign"), tags).expect("a folder to write to");
    for file in 0..FILES {
        let mut text = format!("template t{file} \"你好 {{name ?? '朋友'}},第 {file} 期\"\n");
        let fits = (LINES - 1) / 6;
        for n in 0..fits {
            text.push_str(&campaign(file, n));
        }
        _ = write!(
            text,
            "{}",
            "# nothing else this month\n".repeat(LINES - 1 - 6 * fits)
        );
        std::fs::write(folder.join(format!("f{file:04}.campaign")), text)
            .expect("a folder to write to");
    }
}

fn check(arguments: &[&str], folder: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_tagcast"))
        .arg("check")
        .args(arguments)
        .args(["--now", "2027-11-01"])
        .current_dir(folder)
        .output()
        .expect("the binary runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn whole_process(c: &mut Criterion) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut group = c.benchmark_group("check");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(5));
    group.bench_function("one_example", |b| {
        b.iter(|| check(&["examples/first.campaign"], root))
    });
    group.bench_function("largest_example", |b| {
        b.iter(|| check(&["examples/double-eleven"], root))
    });
    let folder = tempfile::tempdir().expect("a folder to write to");
    program(folder.path());
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    group.bench_function("1000_files_of_100_lines", |b| {
        b.iter(|| check(&["."], folder.path()))
    });
    group.finish();
}

criterion_group!(benches, whole_process);
criterion_main!(benches);
