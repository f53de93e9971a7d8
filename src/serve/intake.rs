//! Events and tag changes on their way into the store: read line by line, durable together, then
//! acknowledged.

use std::sync::Arc;
use std::time::Instant as Moment;

use super::commands::{CommandSender, SchedulerCommand};
use super::published::Published;
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
    declared: Published<(Schema, Zone)>,
    world: Arc<dyn World>,
    /// To the scheduler.
    commands: CommandSender,
}

impl Intake {
    pub fn new(
        writer: LiveWriter,
        schema: &Schema,
        zone: Zone,
        world: Arc<dyn World>,
        commands: CommandSender,
    ) -> Self {
        Intake {
            writer,
            declared: Published::new((schema.clone(), zone)),
            world,
            commands,
        }
    }

    /// The program was loaded anew.
    pub fn declare(&self, schema: &Schema, zone: Zone) {
        self.declared.publish((schema.clone(), zone));
        self.writer.declare(schema.clone());
    }

    /// Why live changes could not be folded into the columns since this was asked last; nothing is
    /// lost by it.
    pub fn fold_failure(&self) -> Option<Msg> {
        let Msg { en, zh } = self.writer.trouble()?.words();
        Some(msg!(
            "live changes stay in their log for now: {en}",
            "实时变更暂留在日志中：{zh}"
        ))
    }

    /// Reads a call; when this returns, what could be read is durable and the scheduler knows of it.
    /// That waits while the scheduler is far behind.
    ///
    /// # Errors
    /// When nothing could be kept: the call is to be repeated.
    pub fn take(&self, body: &[u8], kind: IntakeKind) -> Result<IntakeOutcome, Msg> {
        let declared = self.declared.get();
        let (schema, zone) = &*declared;
        let reading = Reading {
            zone: *zone,
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
            match changes_of(line, kind, schema, &reading, now) {
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
        self.commands.send(match kind {
            IntakeKind::Events => SchedulerCommand::Events {
                position: acknowledged.position,
                acknowledged: Moment::now(),
            },
            IntakeKind::Tags => SchedulerCommand::Tags,
        });
        Ok(taken)
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
