//! `tagcast work`: sends what another process plans, on a ledger that several share.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use crate::base::value::count_of;
use crate::base::world::World;
use crate::cli::args::{OutputFormat, WorkArgs};
use crate::cli::output::Context;
use crate::deliver::dispatch::DispatchLoop;
use crate::engine::{Failure, binding};
use crate::ledger::{LedgerLocation, Worker};
use crate::msg;
use crate::serve::steady_clock::{self, SteadyWorld};

/// How long it rests when nothing is due: what a person holds back or a plan adds is seen within
/// this time.
const REST: Duration = Duration::from_millis(500);
/// How often it tries a channel again that stopped its campaigns.
const TRY_STOPPED: Duration = Duration::from_secs(60);
/// How long it rests when the database cannot be reached.
const TROUBLE: Duration = Duration::from_secs(5);

pub fn run(cx: &Context, args: &WorkArgs) -> Result<u8, Failure> {
    cx.format(&[OutputFormat::Human])?;
    let place = cx.ledger()?;
    if matches!(place, LedgerLocation::File(_)) {
        return Err(Failure::new(msg!(
            "a ledger in a file has one writer",
            "文件形式的账本只能有一个写入者"
        ))
        .help(msg!(
            "name a PostgreSQL database with `[ledger] url` in tagcast.toml",
            "请在 tagcast.toml 中用 `[ledger] url` 指定 PostgreSQL 数据库"
        )));
    }
    let (project, snapshot) = cx.load_data(&[])?;
    cx.require_sound(&project)?;
    let steady = SteadyWorld::over(cx.world());
    let world: Arc<dyn World> = steady.clone();
    let channels = binding::channels(&project, &cx.store_dir(), &world)?;
    let mut worker = Worker::open(&place, world.clone())?;
    let mut carry = DispatchLoop::new(
        &mut worker,
        channels,
        snapshot.users().clone(),
        world.clone(),
    )
    .with_decider();
    let (mut handed_over, mut tried) = (0, Moment::now());
    let mut jumped = false;
    while !world.stopping() {
        let off = steady.jumped();
        match off {
            Some(by) if !jumped => cx.say(&steady_clock::jumped(by)),
            None if jumped => cx.say(&steady_clock::right_again()),
            Some(_) | None => {}
        }
        jumped = off.is_some();
        if jumped {
            std::thread::sleep(REST);
            continue;
        }
        match carry.up_to(world.now(), &mut ()) {
            Ok(carried) => {
                handed_over += carried.accepted;
                // Who is left alone on a list is for the process that decides, which sends,
                // too.
                drop(carry.lists_below_min());
            }
            Err(error) if args.once => return Err(error.into()),
            Err(error) => {
                cx.say(&error.message());
                std::thread::sleep(TROUBLE);
            }
        }
        if args.once {
            break;
        }
        if tried.elapsed() >= TRY_STOPPED {
            carry.try_stopped();
            tried = Moment::now();
        }
        std::thread::sleep(REST);
    }
    let messages = count_of(handed_over, "message");
    cx.say(&msg!(
        "accepted: {messages}",
        "{handed_over} 条消息已被接受"
    ));
    Ok(0)
}
