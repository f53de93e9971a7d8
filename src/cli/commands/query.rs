//! `tagcast query`: one audience, as counts, ids or a file.

use serde_json::json;

use crate::base::value::count_of;
use crate::cli::args::{InstantArg, OutputFormat, QueryArgs};
use crate::cli::output::{Context, print_out};
use crate::engine::Failure;
use crate::engine::eval_data::{self, EvalData};
use crate::msg;
use crate::store::{Store, export};

pub fn run(cx: &Context, args: &QueryArgs) -> Result<u8, Failure> {
    // The plan is for people.
    let format = cx.format(if args.explain {
        &[OutputFormat::Human]
    } else {
        &[OutputFormat::Human, OutputFormat::Json]
    })?;
    let store = cx.store_dir();
    let (project, mut snapshot) = cx.load_data(&[])?;
    if args.at == InstantArg::Manifest && Store::exists(&store) {
        snapshot = Store::open(&store, cx.world())?.manifest_snapshot()?;
    }
    cx.require_sound(&project)?;
    let (condition, _) = match eval_data::condition(&project, &args.condition) {
        Ok(checked) => checked,
        Err(rejected) => {
            cx.print_rejected(&rejected, format)?;
            return Ok(1);
        }
    };
    if args.explain {
        print_out(&crate::plan::describe(&project.program, &condition))?;
        return Ok(0);
    }
    let data = EvalData::gather(&project, snapshot, &store, cx.now(&project), &cx.world())?;
    if args.ids {
        let audience = data.audience(&project.program, &condition)?;
        let mut ids: Vec<&str> = audience
            .yes
            .iter()
            .filter_map(|u| data.snapshot.user_id(u))
            .collect();
        ids.sort_unstable();
        if format == OutputFormat::Json {
            return print_out(&format!("{}\n", json!(ids))).map(|()| 0);
        }
        let mut text = ids.join("\n");
        if !ids.is_empty() {
            text.push('\n');
        }
        print_out(&text)?;
    } else if let Some(file) = &args.out {
        let audience = data.audience(&project.program, &condition)?;
        let n = export::audience(
            &data.snapshot,
            &audience.yes,
            &args.columns,
            file,
            cx.world().as_ref(),
        )?;
        let shown = file.display();
        if format == OutputFormat::Json {
            return print_out(&format!(
                "{}\n",
                json!({"file": shown.to_string(), "users": n})
            ))
            .map(|()| 0);
        }
        let users = count_of(n, "user");
        cx.say(&msg!(
            "wrote {users} to `{shown}`",
            "已将 {n} 个用户写入 `{shown}`"
        ));
    } else {
        let counts = data.counts(&project.program, &condition)?;
        match format {
            OutputFormat::Json => {
                let mut out = json!({"users": counts.users, "true": counts.yes, "false": counts.no, "unknown": counts.unknown});
                if data.snapshot.live_position() > 0 {
                    out["live"] = json!(data.snapshot.live_position());
                }
                print_out(&format!("{out}\n"))?;
            }
            _ => print_out(&eval_data::line(counts, cx.lang_of(&project)))?,
        }
    }
    Ok(0)
}
