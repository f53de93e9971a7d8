//! `tags set`, `events add`, `tags compact`: changes as they happen, from JSON Lines or from the
//! command line.
//!
//! Lines that have arrived together are made durable together; each is answered when it is. A line
//! that is refused stops no other.

use std::io::BufRead;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::{Value as Json, json};

use super::loading;
use crate::base::Lang;
use crate::base::Msg;
use crate::base::value::group_digits;
use crate::cli::args::{EventsAddArgs, OutputFormat, TagsSetArgs};
use crate::cli::output::{Context, print_out};
use crate::engine::{Failure, Project};
use crate::msg;
use crate::store::live::{Acknowledged, Change, LiveError, LiveWriter, json_of};

/// Lines that are made durable together at most, and lines that wait to be.
const TOGETHER: usize = 1_000;
/// Bytes of a line.
const MAX_LINE: usize = 1 << 20;

pub fn set(cx: &Context, args: &TagsSetArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Jsonl])?;
    let (store, project) = loading::open(cx)?;
    let (reading, now) = (loading::reading(&project), cx.world().now());
    let read = |line: &Json| Change::of_tags(line, &project.program.schema, &reading, now);
    let Some(user) = &args.user else {
        return stream(cx, &project, &store, format, &read);
    };
    let mut changes = Vec::new();
    for pair in &args.values {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Failure::new(msg!(
                "`{pair}` is not of the form tag=value",
                "`{pair}` 不是 标签=值 的形式"
            )));
        };
        let change = Change::of_tag(
            user,
            name.trim(),
            &Json::from(value),
            &project.program.schema,
            &reading,
            now,
        );
        changes.push(change.map_err(Failure::refused)?);
    }
    if changes.is_empty() {
        return Err(Failure::new(msg!(
            "nothing to set: write tag=value",
            "没有要设置的内容：请写 标签=值"
        )));
    }
    let count = changes.len();
    let writer = LiveWriter::open(&store, project.program.schema.clone())?;
    let done = writer.submit(changes).wait().map_err(|e| failed(&e))?;
    match format {
        OutputFormat::Jsonl => print_out(&format!(
            "{}\n",
            json!({"set": count, "position": done.position})
        ))?,
        _ => cx.say(&msg!(
            "set {count} tags of the user",
            "已设置该用户的 {count} 个标签"
        )),
    }
    Ok(0)
}

pub fn add(cx: &Context, _: &EventsAddArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Jsonl])?;
    let (store, project) = loading::open(cx)?;
    let (reading, world) = (loading::reading(&project), cx.world());
    let read = |line: &Json| {
        Change::of_event(line, &project.program.schema, &reading, world.now())
            .map(|change| vec![change])
    };
    stream(cx, &project, &store, format, &read)
}

pub fn compact(cx: &Context) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let (store, _) = loading::open(cx)?;
    let mut writer = store.writer()?;
    let folded = writer.fold_live()?;
    writer.commit()?;
    match format {
        OutputFormat::Json => print_out(&format!("{}\n", json!({"folded": folded})))?,
        _ => {
            let folded = group_digits(folded as u64);
            cx.say(&msg!(
                "folded {folded} live changes into the columns",
                "已将 {folded} 条实时变更并入列"
            ));
        }
    }
    Ok(0)
}

fn failed(error: &LiveError) -> Failure {
    Failure::new(error.words())
}

type Line = Result<String, std::io::Error>;

/// Lines of standard input, read by a thread of their own, so that those that wait can be taken
/// together.
fn lines() -> Receiver<Line> {
    let (send, lines) = mpsc::sync_channel(2 * TOGETHER);
    thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read =
                std::io::Read::take(&mut input, MAX_LINE as u64 + 1).read_until(b'\n', &mut line);
            let line = match read {
                Ok(0) => return,
                Ok(n) if n > MAX_LINE => Err(std::io::Error::other(format!(
                    "a line is longer than {MAX_LINE} bytes"
                ))),
                Ok(_) => String::from_utf8(line)
                    .map_err(|_| std::io::Error::other("a line is not UTF-8")),
                Err(e) => Err(e),
            };
            let last = line.is_err();
            if send.send(line).is_err() || last {
                return;
            }
        }
    });
    lines
}

/// What became of the lines so far.
struct Tally {
    format: OutputFormat,
    lang: Lang,
    /// The number of the last line.
    number: u64,
    taken: u64,
    repeated: u64,
    refused: u64,
}

impl Tally {
    /// Answers lines that are durable: the number of each with how many changes it had, or why it
    /// was refused.
    fn settle(
        &mut self,
        done: &Acknowledged,
        lines: Vec<(u64, Result<usize, Msg>)>,
    ) -> Result<(), Failure> {
        let mut new = done.new.iter();
        let mut out = String::new();
        for (number, line) in lines {
            let answer = match line {
                Ok(count) => {
                    let taken = new.by_ref().take(count).filter(|new| **new).count();
                    self.taken += taken as u64;
                    self.repeated += (count - taken) as u64;
                    json!({"line": number, "changes": taken, "repeated": count - taken, "position": done.position})
                }
                Err(why) => {
                    self.refused += 1;
                    let why = if self.lang == Lang::Zh {
                        why.zh
                    } else {
                        why.en
                    };
                    if self.format != OutputFormat::Jsonl {
                        eprintln!("-:{number}: {why}");
                    }
                    json!({"line": number, "error": why})
                }
            };
            if self.format == OutputFormat::Jsonl {
                out.push_str(&format!("{answer}\n"));
            }
        }
        print_out(&out)
    }
}

fn stream(
    cx: &Context,
    project: &Project,
    store: &crate::store::Store,
    format: OutputFormat,
    read: &dyn Fn(&Json) -> Result<Vec<Change>, Msg>,
) -> Result<u8, Failure> {
    let writer = LiveWriter::open(store, project.program.schema.clone())?;
    let (input, lang) = (lines(), cx.lang());
    let mut tally = Tally {
        format,
        lang,
        taken: 0,
        repeated: 0,
        refused: 0,
        number: 0,
    };
    let mut ended = Ok(());
    while let Ok(first) = input.recv() {
        let mut together = vec![first];
        together.extend(input.try_iter().take(TOGETHER - 1));
        let (mut changes, mut lines) = (Vec::new(), Vec::new());
        for line in together {
            match line {
                Err(e) => ended = Err(e),
                Ok(text) if text.trim().is_empty() => tally.number += 1,
                Ok(text) => {
                    tally.number += 1;
                    let read =
                        json_of(text.as_bytes())
                            .and_then(|json| read(&json))
                            .map(|mut new| {
                                let count = new.len();
                                changes.append(&mut new);
                                count
                            });
                    lines.push((tally.number, read));
                }
            }
        }
        tally.settle(
            &writer.submit(changes).wait().map_err(|e| failed(&e))?,
            lines,
        )?;
        if ended.is_err() || cx.world().stopping() {
            break;
        }
    }
    let (taken, refused, repeated) = (
        group_digits(tally.taken),
        group_digits(tally.refused),
        group_digits(tally.repeated),
    );
    if format != OutputFormat::Jsonl {
        cx.say(&msg!(
            "durable changes {taken}; known already {repeated}, lines refused {refused}",
            "{taken} 条变更已落盘；{repeated} 条重复，{refused} 行被拒绝"
        ));
    }
    if let Some(why) = writer.trouble() {
        let Msg { en, zh } = why.words();
        cx.say(&msg!(
            "live changes stay in their log for now: {en}",
            "实时变更暂留在日志中：{zh}"
        ));
    }
    if let Err(e) = ended {
        return Err(Failure::new(msg!(
            "standard input cannot be read further: {e}",
            "无法继续读取标准输入：{e}"
        )));
    }
    Ok(u8::from(tally.refused > 0))
}
