//! Events and tag changes on their way into the store: read line by line, durable together, then
//! acknowledged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant as Moment;

use super::held;
use crate::base::Msg;
use crate::base::world::World;
use crate::base::{Instant, Schema, Zone};
use crate::msg;
use crate::store::import::Reading;
use crate::store::live::{Change, LiveWriter, json_of};

/// Lines of one call.
const MOST_LINES: usize = 50_000;
/// Lines that are named with what is wrong; the others are counted.
const MOST_ERRORS: usize = 100;
/// Acknowledgements whose time is remembered until the scheduler has come to them.
const MOST_REMEMBERED: usize = 100_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntakeKind {
    Events,
    Tags,
}

/// What came of a call.
#[derive(Default)]
pub struct IntakeOutcome {
    /// Lines that are durable.
    pub accepted: usize,
    /// Changes that were not known before.
    pub new: usize,
    /// The place in the log up to which they are.
    pub position: u64,
    /// By line, the first of them.
    pub errors: Vec<(usize, Msg)>,
}

pub struct Intake {
    writer: LiveWriter,
    /// What the program declares, and the zone in which it reads times without one.
    declared: Mutex<(Arc<Schema>, Zone)>,
    /// When which position was acknowledged, until what it led to is decided.
    acknowledged: Mutex<VecDeque<(u64, Moment)>>,
    world: Arc<dyn World>,
}

impl Intake {
    pub fn new(writer: LiveWriter, schema: &Schema, zone: Zone, world: Arc<dyn World>) -> Self {
        let declared = Mutex::new((Arc::new(schema.clone()), zone));
        Intake {
            writer,
            declared,
            acknowledged: Mutex::default(),
            world,
        }
    }

    /// The program was loaded anew.
    pub fn declare(&self, schema: &Schema, zone: Zone) {
        *held(&self.declared) = (Arc::new(schema.clone()), zone);
        self.writer.declare(schema.clone());
    }

    /// What went wrong beside the intake since this was asked last; nothing is lost by it.
    pub fn trouble(&self) -> Option<Msg> {
        let Msg { en, zh } = self.writer.trouble()?.words();
        Some(msg!(
            "live changes stay in their log for now: {en}",
            "实时变更暂留在日志中：{zh}"
        ))
    }

    /// Reads a call; when this returns, what could be read is durable.
    ///
    /// # Errors
    /// When nothing could be kept: the call is to be repeated.
    pub fn take(&self, body: &[u8], kind: IntakeKind) -> Result<IntakeOutcome, Msg> {
        let (schema, zone) = held(&self.declared).clone();
        let reading = Reading {
            zone,
            ..Reading::default()
        };
        let now = self.world.now();
        let (mut taken, mut changes) = (IntakeOutcome::default(), Vec::new());
        let lines = body
            .split(|byte| *byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.trim_ascii().is_empty());
        for (number, line) in lines {
            if taken.accepted >= MOST_LINES {
                return Err(msg!(
                    "a call has at most {MOST_LINES} lines",
                    "一次调用最多 {MOST_LINES} 行"
                ));
            }
            match changes_of(line, kind, &schema, &reading, now) {
                Ok(of_line) => {
                    taken.accepted += 1;
                    changes.extend(of_line);
                }
                Err(why) if taken.errors.len() < MOST_ERRORS => taken.errors.push((
                    number + 1,
                    Msg {
                        en: why.en,
                        zh: why.zh,
                    },
                )),
                Err(_) => {}
            }
        }
        if changes.is_empty() {
            return Ok(taken);
        }
        let acknowledged = self.writer.submit(changes).wait().map_err(|e| {
            let Msg { en, zh } = e.words();
            msg!("nothing was kept: {en}", "未保存任何内容：{zh}")
        })?;
        taken.new = acknowledged.new.iter().filter(|new| **new).count();
        taken.position = acknowledged.position;
        if kind == IntakeKind::Events {
            let mut remembered = held(&self.acknowledged);
            if remembered.len() < MOST_REMEMBERED {
                remembered.push_back((acknowledged.position, Moment::now()));
            }
        }
        Ok(taken)
    }

    /// When the acknowledgements up to a position were; they are forgotten.
    pub fn decided(&self, position: u64) -> Vec<Moment> {
        let mut remembered = held(&self.acknowledged);
        let (done, open) = remembered.drain(..).partition(|(at, _)| *at <= position);
        *remembered = open;
        let done: VecDeque<(u64, Moment)> = done;
        done.into_iter().map(|(_, at)| at).collect()
    }
}

fn changes_of(
    line: &[u8],
    kind: IntakeKind,
    schema: &Schema,
    reading: &Reading,
    now: Instant,
) -> Result<Vec<Change>, Msg> {
    let json = json_of(line)?;
    match kind {
        IntakeKind::Events => {
            Change::of_event(&json, schema, reading, now).map(|change| vec![change])
        }
        IntakeKind::Tags => Change::of_tags(&json, schema, reading, now),
    }
}
