//! `tagcast sample-data`: a folder with made-up users of real size, the declarations that fit them,
//! and a first campaign.

use std::fs;
use std::path::{Path, PathBuf};

use super::loading::Bar;
use crate::base::Zone;
use crate::base::value::group_digits;
use crate::cli::args::{OutputFormat, SampleDataArgs};
use crate::cli::output::Context;
use crate::engine::{Failure, project};
use crate::msg;
use crate::store::sample::{SampleSpec, schema};
use crate::store::{Store, declarations};

const CAMPAIGN: &str = r#"# Regulars of Shanghai who like coupons hear of the weekend; a tenth does not, to see what the message does.

audience deal_seekers = region == "Shanghai" and coupon_rate > 30%
audience lapsed = not did(purchase, last 90 days)

template weekend_sale {
  title "周末满减"
  body "您所在的{region ?? '城市'}门店周末满300减50"
  link "https://shop.example/weekend"
  entry "客服 400-000-0000"
}

campaign shanghai_weekend "上海周末专场" {
  goal purchase within 72h
  when deal_seekers except lapsed
  top 10_000 by order_total
  send template weekend_sale
  holdout 10%
  via service_account.mass
  every friday at 10:00
  again after 14 days
}

policy {
  timezone "Asia/Shanghai"
  consent marketing_ok
  require goal, entry
  for marketing {
    cap 4 per month
    quiet 22:00..8:00
  }
}
"#;

pub fn run(cx: &Context, args: &SampleDataArgs) -> Result<u8, Failure> {
    cx.format(&[OutputFormat::Human])?;
    let dir = &args.dir;
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        let shown = dir.display();
        return Err(
            Failure::new(msg!("`{shown}` is not empty", "`{shown}` 不是空文件夹")).help(msg!(
                "name a new folder: tagcast sample-data NEW",
                "请指定新文件夹:tagcast sample-data 新文件夹"
            )),
        );
    }
    // Made beside and moved into place at the end: a folder that is there is whole.
    let part = PathBuf::from(format!("{}.part", dir.display()));
    let made = make(cx, args, &part);
    match made.and_then(|events| move_to(&part, dir).map(|()| events)) {
        Ok(events) => {
            say(cx, args, events);
            Ok(0)
        }
        Err(e) => {
            let _ = fs::remove_dir_all(&part);
            Err(e)
        }
    }
}

/// Gives how many events were made.
fn make(cx: &Context, args: &SampleDataArgs, part: &Path) -> Result<u64, Failure> {
    let _ = fs::remove_dir_all(part);
    fs::create_dir_all(part).map_err(|e| Failure::io(part, &e))?;
    let now = match &cx.global.now {
        Some(text) => project::parse_instant(text, Zone::SHANGHAI)?,
        None => cx.world().now(),
    };
    let schema = schema();
    let events: Vec<String> = schema.events.iter().map(declarations::event).collect();
    let declarations = format!(
        "# What is known of the sample's users. Nobody here exists.\n{}\n{}\n",
        declarations::tags(&schema),
        events.join("\n")
    );
    for (name, text) in [
        ("tags.campaign", declarations.as_str()),
        ("weekend.campaign", CAMPAIGN),
        (
            "tagcast.toml",
            "# The store is in .tagcast, made by `tagcast sample-data`.\n",
        ),
    ] {
        let path = part.join(name);
        fs::write(&path, text).map_err(|e| Failure::io(&path, &e))?;
    }
    let store = Store::create_or_open(part.join(".tagcast"), cx.world())?;
    let mut writer = store.writer()?;
    let bar = Bar::new(cx, "sample");
    let sample = SampleSpec {
        users: args.users,
        seed: args.seed,
        now,
        zone: Zone::SHANGHAI,
    };
    let made = sample.write(&mut writer, &mut |p| bar.tell(p))?;
    writer.commit()?;
    Ok(made.events.iter().map(|(_, n)| n).sum())
}

fn move_to(part: &Path, dir: &Path) -> Result<(), Failure> {
    if dir.exists() {
        fs::remove_dir(dir).map_err(|e| Failure::io(dir, &e))?;
    }
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|e| Failure::io(parent, &e))?;
    }
    fs::rename(part, dir).map_err(|e| Failure::io(dir, &e))
}

fn say(cx: &Context, args: &SampleDataArgs, events: u64) {
    let (users, events, shown) = (
        group_digits(args.users.into()),
        group_digits(events),
        args.dir.display(),
    );
    cx.say(&msg!(
        "made {users} users with {events} events in `{shown}`; try:\n  tagcast query --program {shown} 'region == \"Shanghai\" and coupon_rate > 30%'\n  tagcast plan {shown}",
        "已在 `{shown}` 中生成 {users} 个用户和 {events} 条事件；试试：\n  tagcast query --program {shown} 'region == \"Shanghai\" and coupon_rate > 30%'\n  tagcast plan {shown}"
    ));
}
