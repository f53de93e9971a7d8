//! `sandbox.file`: every message becomes a line of JSON, and nothing leaves the machine.
//!
//! It behaves as a good platform does: it keeps the key of every message, answers a repeat with the
//! first id and does not write it again, and has what it accepted on the disk before it says so. A
//! line cut off by a crash was never accepted and is removed at the next start. A control file
//! beside it (its name with `.control` added) makes it behave as bad platforms do, for rehearsals
//! and tests.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize, Serializer};

use crate::base::Elapsed;
use crate::base::world::World;
use crate::decide::decision::Rendered;
use crate::deliver::channel::{Channel, ChannelError, Recalled, Reply};
use crate::ledger::{Batch, BatchOutcome, Message, Refusal, Verdict};
use crate::program::platform::{self, Endpoint};

/// Most lines that are written and synced together.
const MOST: usize = 4_096;

/// How it is to misbehave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEffect {
    /// Cannot be reached: nothing is written, and that is certain.
    Fail,
    /// Refuses the batch; nothing is written.
    Refuse,
    /// Refuses each message for its address, as if the user had left; nothing is written.
    Bar,
    /// Refuses each message for now, as if the user had to act first; nothing is written.
    Close,
    /// Never answers; nothing is written.
    Hang,
    /// Writes, then never answers.
    HangAfter,
    /// Writes, then says that it refused.
    LieError,
    /// Says that it accepted; nothing is written.
    LieOk,
}

/// When it is to misbehave.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(rename = "do")]
    pub does: FaultEffect,
    /// Only batches of this campaign.
    pub campaign: Option<String>,
    /// So many of them are let through first.
    #[serde(default)]
    pub after: u32,
    /// So many are spoilt; all, unless said.
    pub times: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Control {
    #[serde(default)]
    fault: Vec<Fault>,
}

pub struct SandboxFile {
    path: PathBuf,
    world: Arc<dyn World>,
    endpoint: &'static Endpoint,
    inside: Mutex<Inside>,
}

struct Inside {
    faults: Vec<Fault>,
    /// `None` until the first batch.
    written: Option<Written>,
}

/// The file, and what is in it.
struct Written {
    file: File,
    bytes: u64,
    lines: u64,
    /// The line of each key, a key being 32 hex digits.
    keys: HashMap<u128, u64>,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    run: i64,
    campaign: &'a str,
    step: &'a str,
    arm: Option<&'a str>,
    channel: String,
    template: &'a str,
    user: &'a str,
    address: &'a str,
    #[serde(serialize_with = "as_object")]
    parts: &'a [(String, String)],
    at: &'a str,
}

fn as_object<S: Serializer>(parts: &&[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(parts.iter().map(|(name, value)| (name, value)))
}

impl SandboxFile {
    /// The channel that writes to `path`, with the faults of its control file if there is one. The
    /// file is opened at the first batch.
    ///
    /// # Errors
    /// A control file that makes no sense.
    pub fn at(path: &Path, world: Arc<dyn World>) -> Result<Self, ChannelError> {
        let mut control = path.as_os_str().to_owned();
        control.push(".control");
        let control = PathBuf::from(control);
        let refuse = |reason: String| ChannelError::Control {
            file: control.clone(),
            reason,
        };
        let faults = match world.read(&control) {
            Ok(bytes) => {
                let text = std::str::from_utf8(&bytes).map_err(|e| refuse(e.to_string()))?;
                toml::from_str::<Control>(text)
                    .map_err(|e| refuse(e.message().to_owned()))?
                    .fault
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(refuse(e.to_string())),
        };
        Ok(Self::with_faults(path, world, faults))
    }

    /// The channel that writes to `path` and misbehaves as told.
    pub fn with_faults(path: &Path, world: Arc<dyn World>, faults: Vec<Fault>) -> Self {
        let endpoint = platform::endpoint("sandbox", "file")
            .expect("the sandbox's platform file is built in, and a test reads it");
        SandboxFile {
            path: path.into(),
            world,
            endpoint,
            inside: Mutex::new(Inside {
                faults,
                written: None,
            }),
        }
    }

    /// Writes what is not yet there, durably, and answers with the lines.
    fn write(&self, inside: &mut Inside, batch: &Batch) -> BatchOutcome {
        let said = |e: io::Error| format!("{}: {e}", self.path.display());
        if let Err(e) = self.world.about_to_write("outbox") {
            return BatchOutcome::NotSent { reason: said(e) };
        }
        let written = match &mut inside.written {
            Some(written) => written,
            none => match Written::open(&self.path) {
                Ok(opened) => none.insert(opened),
                Err(e) => return BatchOutcome::NotSent { reason: said(e) },
            },
        };
        match written.append(batch) {
            Ok(verdicts) => BatchOutcome::Taken(verdicts),
            // Half a batch may be in the file: it is as long as before, or nobody knows.
            Err(e) => match written.take_back() {
                Ok(()) => BatchOutcome::NotSent { reason: said(e) },
                Err(_) => {
                    inside.written = None;
                    BatchOutcome::Unknown { reason: said(e) }
                }
            },
        }
    }
}

impl Channel for SandboxFile {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn max_batch(&self) -> usize {
        MOST
    }

    /// A process that is gone writes no more.
    fn settles_after(&self) -> Elapsed {
        Elapsed(0)
    }

    /// Says so in a file beside the messages: a line of JSON with the id, once each time it is
    /// asked.
    fn recall(&self, id: &str, _: &Rendered) -> Recalled {
        let mut path = self.path.as_os_str().to_owned();
        path.push(".recalled");
        let write = || {
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            file.write_all(format!("{}\n", serde_json::json!({"id": id})).as_bytes())?;
            file.sync_data()
        };
        match write() {
            Ok(()) => Recalled::Done,
            Err(e) => Recalled::Cannot {
                reason: e.to_string(),
            },
        }
    }

    fn send(&self, batch: &Batch) -> Reply {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match inside.next_fault(&batch.campaign) {
            None => self.write(&mut inside, batch),
            Some(FaultEffect::Fail) => BatchOutcome::NotSent {
                reason: "told to fail".into(),
            },
            Some(FaultEffect::Refuse) => BatchOutcome::Refused {
                reason: "told to refuse".into(),
            },
            Some(FaultEffect::Bar) => {
                refuse_each(batch, "told to refuse the address", Refusal::Address)
            }
            Some(FaultEffect::Close) => {
                refuse_each(batch, "told to refuse for now", Refusal::ForNow)
            }
            Some(FaultEffect::Hang) => BatchOutcome::Unknown {
                reason: "no answer in time".into(),
            },
            Some(FaultEffect::HangAfter) => match self.write(&mut inside, batch) {
                BatchOutcome::Taken(_) => BatchOutcome::Unknown {
                    reason: "no answer in time".into(),
                },
                failed => failed,
            },
            Some(FaultEffect::LieError) => match self.write(&mut inside, batch) {
                BatchOutcome::Taken(_) => BatchOutcome::Refused {
                    reason: "told to say so".into(),
                },
                failed => failed,
            },
            Some(FaultEffect::LieOk) => BatchOutcome::Taken(
                batch
                    .messages
                    .iter()
                    .map(|_| Verdict::Accepted { id: "0".into() })
                    .collect(),
            ),
        };
        answer.into()
    }
}

fn refuse_each(batch: &Batch, reason: &str, because: Refusal) -> BatchOutcome {
    BatchOutcome::Taken(vec![
        Verdict::Refused {
            reason: reason.into(),
            because
        };
        batch.messages.len()
    ])
}

impl Inside {
    /// What the next batch of a campaign meets; the first fault that is meant for it counts down.
    fn next_fault(&mut self, campaign: &str) -> Option<FaultEffect> {
        let fault = self
            .faults
            .iter_mut()
            .filter(|f| f.times != Some(0))
            .find(|f| {
                f.campaign
                    .as_deref()
                    .is_none_or(|wanted| wanted == campaign)
            })?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(fault.does)
    }
}

impl Written {
    fn open(path: &Path) -> io::Result<Written> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another process writes to it"));
            }
            Err(TryLockError::Error(e)) => return Err(e),
        }
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        let mut written = Written {
            file,
            bytes: 0,
            lines: 0,
            keys: HashMap::new(),
        };
        written.read()?;
        Ok(written)
    }

    /// Reads the keys of all lines. A last line without its end was cut off: it goes.
    fn read(&mut self) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let (mut line, mut bytes, mut lines, mut keys) = (Vec::new(), 0u64, 0u64, HashMap::new());
        loop {
            line.clear();
            let n = reader.read_until(b'\n', &mut line)?;
            if n == 0 || line.last() != Some(&b'\n') {
                break;
            }
            bytes += n as u64;
            lines += 1;
            if let Some(key) = key_of(&line) {
                keys.entry(key).or_insert(lines);
            }
        }
        (self.bytes, self.lines, self.keys) = (bytes, lines, keys);
        if self.file.metadata()?.len() > bytes {
            self.take_back()
        } else {
            Ok(())
        }
    }

    /// Makes the file as long as what is known to be in it.
    fn take_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.bytes)?;
        self.file.seek(SeekFrom::Start(self.bytes))?;
        self.file.sync_data()
    }

    fn append(&mut self, batch: &Batch) -> io::Result<Vec<Verdict>> {
        let at = batch.zone.show_rfc3339(batch.at);
        let (mut text, mut verdicts, mut new) = (
            Vec::new(),
            Vec::with_capacity(batch.messages.len()),
            Vec::new(),
        );
        for message in &batch.messages {
            let Some(key) = key(message.key.as_bytes()) else {
                verdicts.push(Verdict::Refused {
                    reason: "the key is not 32 hex digits".into(),
                    because: Refusal::Message,
                });
                continue;
            };
            let line = match self.keys.get(&key) {
                Some(line) => *line,
                None if message.address.is_empty() => {
                    verdicts.push(Verdict::Refused {
                        reason: "no address".into(),
                        because: Refusal::Address,
                    });
                    continue;
                }
                None => {
                    serde_json::to_writer(&mut text, &line_of(batch, message, &at))?;
                    text.push(b'\n');
                    new.push(key);
                    self.lines + new.len() as u64
                }
            };
            verdicts.push(Verdict::Accepted {
                id: line.to_string(),
            });
        }
        if !new.is_empty() {
            self.file.write_all(&text)?;
            self.file.sync_data()?;
            self.keys.extend(new.iter().copied().zip(self.lines + 1..));
            self.lines += new.len() as u64;
            self.bytes += text.len() as u64;
        }
        Ok(verdicts)
    }
}

fn line_of<'a>(batch: &'a Batch, message: &'a Message, at: &'a str) -> Line<'a> {
    Line {
        key: &message.key,
        run: batch.run.0,
        campaign: &batch.campaign,
        step: &batch.step,
        arm: batch.arm.as_deref(),
        channel: batch.channel.to_string(),
        template: &batch.template,
        user: &message.user_id,
        address: &message.address,
        parts: &message.content.parts,
        at,
    }
}

/// The key of a line: where this program puts it, else wherever it is.
fn key_of(line: &[u8]) -> Option<u128> {
    #[derive(Deserialize)]
    struct Keyed {
        key: String,
    }
    let front = line
        .strip_prefix(b"{\"key\":\"")
        .and_then(|rest| rest.split_at_checked(32))
        .filter(|(_, rest)| rest.starts_with(b"\""));
    match front {
        Some((digits, _)) => key(digits),
        None => serde_json::from_slice::<Keyed>(line)
            .ok()
            .and_then(|k| key(k.key.as_bytes())),
    }
}

/// 32 hex digits as a number.
fn key(digits: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(digits)
        .ok()
        .filter(|d| d.len() == 32 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::world::SimulatedWorld;
    use crate::base::{Instant, UserNo, Zone};
    use crate::ledger::RunId;
    use crate::program::typed::ChannelName as Name;

    fn batch(users: std::ops::Range<u32>) -> Batch {
        let message = |n: u32| Message {
            key: format!("{n:032x}"),
            user: UserNo(n),
            user_id: format!("u{n}").into(),
            address: format!("o{n}").into(),
            content: Arc::new(Rendered {
                parts: vec![
                    ("title".into(), "双十一".into()),
                    ("body".into(), format!("a\n\"{n}\"")),
                ],
            }),
        };
        Batch {
            key: "b".into(),
            run: RunId(7),
            campaign: "c".into(),
            step: "c".into(),
            arm: Some("a".into()),
            template: "t".into(),
            channel: Name {
                account: "rose".into(),
                platform: "service_account".into(),
                endpoint: "mass".into(),
            },
            zone: Zone::SHANGHAI,
            at: Zone::SHANGHAI.parse_instant("2026-11-11 10:00").unwrap(),
            begin_by: None,
            messages: users.map(message).collect(),
        }
    }

    fn open(path: &Path) -> SandboxFile {
        SandboxFile::at(path, Arc::new(SimulatedWorld::at(Instant(0)))).unwrap()
    }

    fn ids(reply: Reply) -> Vec<String> {
        let BatchOutcome::Taken(verdicts) = reply.answer else {
            panic!("{reply:?}")
        };
        verdicts
            .into_iter()
            .map(|v| {
                if let Verdict::Accepted { id } = v {
                    id
                } else {
                    "refused".into()
                }
            })
            .collect()
    }

    #[test]
    fn a_repeat_gets_the_first_id_and_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("outbox.jsonl");
        let channel = open(&path);
        assert_eq!(ids(channel.send(&batch(0..2))), ["1", "2"]);
        assert_eq!(ids(channel.send(&batch(1..3))), ["2", "3"]);
        drop(channel);
        assert_eq!(ids(open(&path).send(&batch(0..4))), ["1", "2", "3", "4"]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 4);
        assert_eq!(
            text.lines().next().unwrap(),
            r#"{"key":"00000000000000000000000000000000","run":7,"campaign":"c","step":"c","arm":"a","channel":"rose.mass","template":"t","user":"u0","address":"o0","parts":{"title":"双十一","body":"a\n\"0\""},"at":"2026-11-11T10:00:00+08:00"}"#
        );
    }

    #[test]
    fn a_torn_write_is_made_whole_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("outbox.jsonl");
        open(&path).send(&batch(0..2));
        let before = std::fs::read(&path).unwrap();
        open(&path).send(&batch(2..4));
        let whole = std::fs::read(&path).unwrap();
        for cut in before.len()..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(ids(open(&path).send(&batch(2..4))), ["3", "4"], "{cut}");
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{cut}");
        }
    }

    #[test]
    fn it_misbehaves_as_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("outbox.jsonl");
        let control = dir.path().join("outbox.jsonl.control");
        std::fs::write(&control, "[[fault]]\ndo = \"hang_after\"\ncampaign = \"c\"\nafter = 1\ntimes = 1\n[[fault]]\ndo = \"fail\"")
            .unwrap();
        let channel = open(&path);
        assert_eq!(ids(channel.send(&batch(0..1))), ["1"]);
        assert!(matches!(
            channel.send(&batch(1..2)).answer,
            BatchOutcome::Unknown { .. }
        ));
        assert!(matches!(
            channel.send(&batch(2..3)).answer,
            BatchOutcome::NotSent { .. }
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        std::fs::write(&control, "[[fault]]\ndo = \"explode\"").unwrap();
        let error = SandboxFile::at(&path, Arc::new(SimulatedWorld::at(Instant(0))))
            .err()
            .unwrap();
        assert!(error.message().en.contains("explode"), "{error}");
    }
}
